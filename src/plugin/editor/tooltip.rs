//! The values under the pointer on the timeline.

use egui::{Color32, CornerRadius, Id, LayerId, Order, Pos2, Rect, Stroke, StrokeKind, Ui, pos2, vec2};

use super::columns::score;
use super::verdict::Zones;
use super::{theme, words};
use crate::plugin::monitor::Point;
use crate::rt::Reading;

/// Draws the values of `point` beside the pointer at `pos`, within reach of `plot`.
pub fn show(ui: &Ui, pos: Pos2, plot: Rect, point: &Point, zones: Zones) {
    let painter =
        ui.ctx().layer_painter(LayerId::new(Order::Tooltip, Id::unique("bonafide timeline tooltip")));
    let rows = rows(point, zones);
    let lay = |text: &str, colour: Color32| theme::label(&painter, text, colour);
    let laid: Vec<_> =
        rows.iter().map(|(name, value, colour)| (lay(name, theme::TEXT_DIM), lay(value, *colour))).collect();
    let names = laid.iter().map(|(name, _)| name.size().x).fold(0.0, f32::max);
    let values = laid.iter().map(|(_, value)| value.size().x).fold(0.0, f32::max);
    let row = 19.0 * theme::scale(ui.ctx());
    let size = vec2(names + values + 40.0, row * laid.len() as f32 + 14.0);
    let x = if pos.x + 16.0 + size.x > plot.right() { pos.x - 16.0 - size.x } else { pos.x + 16.0 };
    let y = (pos.y - 0.5 * size.y).min(plot.bottom() - size.y).max(plot.top() - 60.0).max(4.0);
    let rect = Rect::from_min_size(pos2(x.max(4.0), y), size);
    painter.rect(
        rect,
        CornerRadius::same(theme::RADIUS),
        theme::faded(theme::RAISED, 0.97),
        Stroke::new(1.0, theme::TEXT_FAINT),
        StrokeKind::Inside,
    );
    for (i, (name, value)) in laid.into_iter().enumerate() {
        let y = rect.top() + 8.0 + row * i as f32;
        painter.galley(pos2(rect.left() + 12.0, y), name, theme::TEXT_DIM);
        painter.galley(pos2(rect.right() - 12.0 - value.size().x, y), value, theme::TEXT);
    }
}

/// Names, values and the values' colours.
fn rows(point: &Point, zones: Zones) -> Vec<(&'static str, String, Color32)> {
    let value = |reading: Reading| match score(reading) {
        Some(llr) => {
            let p = words::probability(llr);
            let verdict = zones.verdict(p);
            (format!("{}  {}", words::percent(p), verdict.word().to_lowercase()), verdict.colour())
        }
        None => (words::state(reading.state).to_owned(), theme::TEXT),
    };
    let mut rows = Vec::with_capacity(6);
    if point.host_s.is_finite() {
        rows.push(("Host time", words::clock_with_tenths(point.host_s), theme::TEXT));
    }
    rows.push(("Heard", words::clock_with_tenths(point.heard_s), theme::TEXT));
    let readings =
        [("Momentary", point.momentary), ("Short-term", point.short_term), ("Integrated", point.integrated)];
    for (name, reading) in readings {
        let (text, colour) = value(reading);
        rows.push((name, text, colour));
    }
    if point.alert {
        rows.push(("Alert", "on".to_owned(), theme::SPOOF));
    }
    rows
}
