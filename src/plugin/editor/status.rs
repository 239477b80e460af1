//! The bottom: engine, model and counts, and above them what went wrong.

use std::sync::Arc;

use egui::text::LayoutJob;
use egui::{Color32, CornerRadius, Galley, Id, Painter, Rect, Sense, Stroke, StrokeKind, Ui, pos2, vec2};

use super::live::Live;
use super::theme::{self, Sign};
use super::words;
use crate::plugin::monitor::{LogState, Status};

/// Lines of a notice that are shown at once; the pointer shows the rest.
const MAX_ROWS: usize = 3;

/// Something to be told.
pub struct Notice<'a> {
    text: &'a str,
    galley: Arc<Galley>,
    error: bool,
}

/// What there is to tell, errors first, laid out for `width`.
pub fn notices<'a>(painter: &Painter, status: &'a Status, log: &'a LogState, width: f32) -> Vec<Notice<'a>> {
    let size = 13.0 * theme::scale(painter.ctx());
    let lay = |text: &'a str, error: bool| {
        let mut job =
            LayoutJob::simple(text.to_owned(), theme::font(size), theme::TEXT, (width - 56.0).max(1.0));
        job.wrap.max_rows = MAX_ROWS;
        Notice { text, galley: painter.layout_job(job), error }
    };
    let errors = [&status.error, &log.problem].into_iter().flatten().map(|text| lay(text, true));
    errors.chain(status.note.as_deref().map(|text| lay(text, false))).collect()
}

impl Notice<'_> {
    /// How much room it takes.
    pub fn height(&self) -> f32 {
        self.galley.size().y + 14.0
    }

    /// Draws it.
    pub fn show(self, ui: &Ui, rect: Rect) {
        let painter = ui.painter();
        let (colour, fill) = if self.error {
            (theme::SPOOF, theme::faded(theme::SPOOF, 0.10))
        } else {
            (theme::CONTROL, theme::CARD)
        };
        let radius = CornerRadius::same(theme::RADIUS);
        painter.rect(rect, radius, fill, Stroke::new(1.0, theme::faded(colour, 0.8)), StrokeKind::Inside);
        let centre = pos2(rect.left() + 20.0, rect.center().y);
        if self.error {
            theme::sign(painter, Sign::Warning, centre, 15.0, colour, theme::BACKGROUND);
        } else {
            painter.circle_stroke(centre, 7.5, Stroke::new(1.5, colour));
            painter.circle_filled(centre - vec2(0.0, 3.5), 1.2, colour);
            painter.vline(centre.x, centre.y - 0.5..=centre.y + 4.0, Stroke::new(1.8, colour));
        }
        let elided = self.galley.elided;
        let pos = theme::middle_left(&self.galley, pos2(rect.left() + 40.0, rect.center().y));
        painter.galley(pos, self.galley, theme::TEXT);
        if elided {
            ui.interact(rect, Id::unique(("bonafide notice", self.text)), Sense::hover())
                .on_hover_text(self.text);
        }
    }
}

/// Draws engine, model and counts in one line.
pub fn footer(painter: &Painter, rect: Rect, live: &Live) {
    let status = &live.status;
    let engine = match (status.engine.is_empty(), status.error.is_some()) {
        (false, _) => status.engine.as_str(),
        (true, false) => "opening the model …",
        (true, true) => "no engine",
    };
    let dropped = live.scores.dropped;
    let dropped_colour = if dropped > 0 { theme::SPOOF } else { theme::TEXT };
    let windows = words::count(live.scores.windows);
    let lost = words::count(dropped);
    let right = [("dropped", lost, dropped_colour), ("windows judged", windows, theme::TEXT)];
    let left = [("engine", engine.to_owned(), theme::TEXT), ("model", status.model.clone(), theme::TEXT)];

    let y = rect.center().y;
    let mut end = rect.right();
    for (name, value, colour) in right {
        let (name, value) = pair(painter, name, &value, colour);
        end -= value.size().x;
        painter.galley(theme::middle_left(&value, pos2(end, y)), value, colour);
        end -= name.size().x + 6.0;
        painter.galley(theme::middle_left(&name, pos2(end, y)), name, theme::TEXT_FAINT);
        end -= 20.0;
        if colour == theme::SPOOF {
            theme::sign(painter, Sign::Warning, pos2(end + 10.0, y), 11.0, colour, theme::BACKGROUND);
            end -= 8.0;
        }
    }
    // Long names give way to the counts.
    let painter = painter.with_clip_rect(Rect::from_min_max(rect.min, pos2(end, rect.bottom())));
    let mut x = rect.left();
    for (name, value, colour) in left {
        if value.is_empty() {
            continue;
        }
        let (name, value) = pair(&painter, name, &value, colour);
        let value_x = x + name.size().x + 6.0;
        painter.galley(theme::middle_left(&name, pos2(x, y)), name, theme::TEXT_FAINT);
        x = value_x + value.size().x + 20.0;
        painter.galley(theme::middle_left(&value, pos2(value_x, y)), value, colour);
    }
}

fn pair(painter: &Painter, name: &str, value: &str, colour: Color32) -> (Arc<Galley>, Arc<Galley>) {
    (theme::label(painter, name, theme::TEXT_FAINT), theme::label(painter, value, colour))
}
