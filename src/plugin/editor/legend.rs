//! The timeline's top line: what its marks mean, and how much time it shows.

use egui::{Painter, Rect, Stroke, Ui, pos2, vec2};

use super::axis::SPANS;
use super::{theme, widgets};

/// A kind of mark on the timeline.
#[derive(Clone, Copy)]
enum Mark {
    Momentary,
    ShortTerm,
    Alert,
    NoScore,
}

impl Mark {
    /// All of them, those first that are needed most.
    const ALL: [Self; 4] = [Self::Momentary, Self::ShortTerm, Self::Alert, Self::NoScore];

    fn name(self) -> &'static str {
        match self {
            Self::Momentary => "momentary",
            Self::ShortTerm => "short-term",
            Self::Alert => "alert",
            Self::NoScore => "no score",
        }
    }

    fn draw(self, painter: &Painter, rect: Rect) {
        match self {
            Self::Momentary => {
                painter.circle_filled(rect.center(), 2.5, theme::TEXT_DIM);
            }
            Self::ShortTerm => {
                painter.hline(rect.x_range(), rect.center().y, Stroke::new(2.5, theme::TEXT_DIM));
            }
            Self::Alert => {
                painter.rect_filled(rect, 2.0, theme::faded(theme::SPOOF, 0.3));
                painter.hline(rect.x_range(), rect.top() + 1.5, Stroke::new(3.0, theme::SPOOF));
            }
            Self::NoScore => theme::hatch(painter, rect, 4.0, Stroke::new(1.0, theme::TEXT_FAINT)),
        }
    }
}

/// Draws the line at the top of `inner` and returns where it ends; `span` is an index into
/// [`SPANS`].
pub fn show(ui: &Ui, inner: Rect, span: &mut usize) -> f32 {
    let painter = ui.painter();
    let scale = theme::scale(ui.ctx());
    let size = scale * vec2((0.52 * inner.width()).clamp(180.0, 330.0), 24.0);
    let switch = Rect::from_min_size(pos2(inner.right() - size.x, inner.top() - 4.0), size);
    let names = SPANS.map(|(_, name)| name);
    if let Some(pressed) = widgets::segmented(ui, switch, ui.scope_id().with("span"), &names, *span) {
        *span = pressed;
    }
    let title = theme::title(painter, "TIMELINE");
    let y = switch.center().y;
    let mut x = inner.left() + title.size().x + 18.0;
    painter.galley(theme::middle_left(&title, pos2(inner.left(), y)), title, theme::TEXT_DIM);
    for mark in Mark::ALL {
        let name = theme::label(painter, mark.name(), theme::TEXT_FAINT);
        let end = x + 18.0 + name.size().x;
        if end > switch.left() - 10.0 {
            break;
        }
        mark.draw(painter, Rect::from_center_size(pos2(x + 6.0, y), vec2(12.0, 10.0)));
        painter.galley(theme::middle_left(&name, pos2(x + 18.0, y)), name, theme::TEXT_FAINT);
        x = end + 14.0;
    }
    switch.bottom()
}
