//! The top line: whose meter this is, and the three controls that are always at hand.

use egui::{Painter, Rect, Ui, pos2, vec2};

use super::icon::Icon;
use super::{theme, widgets};

/// What was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// Pause or resume.
    Pause,
    /// Start a new measurement.
    Reset,
    /// Open or close the settings.
    Settings,
}

/// Draws the line and says what was pressed.
pub fn show(ui: &Ui, rect: Rect, paused: bool, settings_open: bool) -> Option<Press> {
    wordmark(ui.painter(), rect);
    let pause = if paused { ("Resume", Icon::Play) } else { ("Pause", Icon::Pause) };
    let buttons = [
        (Press::Settings, ("Settings", Icon::Settings), settings_open, "Threshold, hold, model, log"),
        (Press::Reset, ("Reset", Icon::Reset), false, "New measurement: integrated reading and alert (R)"),
        (Press::Pause, pause, paused, "Sound passes, nothing is judged (P)"),
    ];
    let height = widgets::HEIGHT * theme::scale(ui.ctx());
    let mut right = rect.right();
    let mut pressed = None;
    for (press, (text, icon), on, help) in buttons {
        // As wide for either word, so that nothing moves.
        let longest = if press == Press::Pause { "Resume" } else { text };
        let size = vec2(widgets::button_width(ui, longest, Some(icon), height) + 4.0, height);
        let place = Rect::from_min_size(pos2(right - size.x, rect.center().y - 0.5 * size.y), size);
        let id = ui.scope_id().with(("header", help));
        if widgets::button(ui, place, id, text, Some(icon), on).on_hover_text(help).clicked() {
            pressed = Some(press);
        }
        right = place.left() - 8.0;
    }
    pressed
}

fn wordmark(painter: &Painter, rect: Rect) {
    let middle = rect.center().y;
    let scale = theme::scale(painter.ctx());
    let heights = [5.0, 11.0, 18.0, 12.0, 17.0, 9.0, 5.0];
    for (i, height) in heights.into_iter().enumerate() {
        let colour = if i < 4 { theme::BONA_FIDE } else { theme::SPOOF };
        let centre = pos2(rect.left() + scale * (4.0 + 4.5 * i as f32), middle);
        painter.rect_filled(Rect::from_center_size(centre, scale * vec2(2.5, height)), 1.25 * scale, colour);
    }
    let name = theme::caption(painter, "BONAFIDE", 15.5 * scale, theme::TEXT);
    let pos = theme::middle_left(&name, pos2(rect.left() + 44.0 * scale, middle));
    theme::bold(painter, pos, &name, theme::TEXT);
}
