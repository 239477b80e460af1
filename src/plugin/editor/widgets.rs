//! Buttons, segmented switches and sliders.

use egui::{
    Color32, CornerRadius, CursorIcon, EventFilter, Id, Key, Pos2, Rect, Response, Role, Sense, Stroke,
    StrokeKind, Ui, WidgetInfo, pos2, vec2,
};
use nice_plug::prelude::{Enum, EnumParam, FloatParam, Param, ParamSetter};

use super::icon::{self, Icon};
use super::theme;

/// Height of buttons and switches.
pub const HEIGHT: f32 = 28.0;

/// The width of a button of this height with this text and icon.
pub fn button_width(ui: &Ui, text: &str, icon: Option<Icon>, height: f32) -> f32 {
    content_width(ui, text, icon, height) + 0.85 * height
}

fn content_width(ui: &Ui, text: &str, icon: Option<Icon>, height: f32) -> f32 {
    let (size, gap) = (0.46 * height, 0.28 * height);
    let text =
        if text.is_empty() { 0.0 } else { theme::line(ui.painter(), text, size, theme::TEXT).size().x };
    match icon {
        Some(_) if text > 0.0 => size + gap + text,
        Some(_) => size,
        None => text,
    }
}

/// A button, lit while `on`.
pub fn button(ui: &Ui, rect: Rect, id: Id, text: &str, icon: Option<Icon>, on: bool) -> Response {
    let response = ui.interact(rect, id, Sense::click()).on_hover_cursor(CursorIcon::PointingHand);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, on, text));
    let painter = ui.painter();
    let (fill, colour) = match (on, response.is_pointer_button_down_on(), response.hovered()) {
        (true, _, _) => (theme::CONTROL, theme::BACKGROUND),
        (false, true, _) => (theme::WELL, theme::TEXT),
        (false, false, true) => (theme::RAISED_HOVER, theme::TEXT),
        (false, false, false) => (theme::RAISED, theme::TEXT),
    };
    painter.rect_filled(rect, CornerRadius::same(theme::RADIUS), fill);
    let size = 0.46 * rect.height();
    let galley = theme::line(painter, text, size, colour);
    let mut x = rect.center().x - 0.5 * content_width(ui, text, icon, rect.height());
    if let Some(icon) = icon {
        icon::draw(painter, icon, pos2(x + 0.5 * size, rect.center().y), size, colour);
        x += size + 0.28 * rect.height();
    }
    painter.galley(theme::middle_left(&galley, pos2(x, rect.center().y)), galley, colour);
    if response.has_focus() {
        theme::focus_ring(painter, rect);
    }
    response
}

/// A row of choices of which one is chosen; returns the one that was pressed.
pub fn segmented(ui: &Ui, rect: Rect, id: Id, labels: &[&str], chosen: usize) -> Option<usize> {
    let painter = ui.painter();
    let radius = CornerRadius::same(theme::RADIUS);
    painter.rect(rect, radius, theme::WELL, Stroke::new(1.0, theme::EDGE), StrokeKind::Inside);
    let width = rect.width() / labels.len().max(1) as f32;
    // One size for all, that of the longest.
    let size = (0.5 * rect.height()).min(13.0 * theme::scale(ui.ctx()));
    let widest = labels.iter().map(|label| theme::line(painter, label, size, theme::TEXT).size().x);
    let size = size * ((width - 6.0) / widest.fold(1.0, f32::max)).clamp(0.5, 1.0);
    let mut pressed = None;
    for (i, label) in labels.iter().enumerate() {
        let cell = Rect::from_min_size(rect.min + vec2(i as f32 * width, 0.0), vec2(width, rect.height()));
        let response =
            ui.interact(cell, id.with(i), Sense::click()).on_hover_cursor(CursorIcon::PointingHand);
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, i == chosen, *label));
        let colour = if i == chosen || response.hovered() { theme::TEXT } else { theme::TEXT_DIM };
        if i == chosen {
            painter.rect_filled(cell.shrink(2.0), CornerRadius::same(theme::RADIUS - 1), theme::RAISED_HOVER);
        }
        let galley = theme::line(painter, label, size, colour);
        painter.galley(theme::middle(&galley, cell.center()), galley, colour);
        if response.has_focus() {
            theme::focus_ring(painter, cell.shrink(2.0));
        }
        if response.clicked() {
            pressed = Some(i);
        }
    }
    pressed
}

/// Sets a parameter in one gesture.
pub fn set<P: Param>(setter: &ParamSetter, param: &P, value: P::Plain) {
    setter.begin_set_parameter(param);
    setter.set_parameter(param, value);
    setter.end_set_parameter(param);
}

/// Lets `response` move `param`: a drag to where `normalized` says, arrows by a step, a double click
/// back to the default.
pub fn drag(
    ui: &Ui,
    response: &Response,
    setter: &ParamSetter,
    param: &FloatParam,
    normalized: impl Fn(Pos2) -> f32,
) {
    if response.drag_started() {
        setter.begin_set_parameter(param);
    }
    if let Some(pos) = response.interact_pointer_pos().filter(|_| response.dragged()) {
        setter.set_parameter(param, param.preview_plain(normalized(pos).clamp(0.0, 1.0)));
    }
    if response.drag_stopped() {
        setter.end_set_parameter(param);
    }
    if response.double_clicked() {
        set(setter, param, param.default_plain_value());
    }
    if !response.has_focus() {
        return;
    }
    let filter = EventFilter { horizontal_arrows: true, ..EventFilter::default() };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    let (up, down) =
        ui.input(|input| (input.num_presses(Key::ArrowRight), input.num_presses(Key::ArrowLeft)));
    let value = param.unmodulated_plain_value();
    if up > down {
        set(setter, param, param.next_step(value, false));
    } else if down > up {
        set(setter, param, param.previous_step(value, false));
    }
}

/// A slider with its name and value above it.
pub fn slider(ui: &mut Ui, setter: &ParamSetter, param: &FloatParam, help: &str) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 44.0), Sense::hover());
    let id = ui.scope_id().with(param.name());
    let response = ui.interact(rect, id, Sense::click_and_drag()).on_hover_text(help);
    let response = response.on_hover_cursor(CursorIcon::ResizeHorizontal);
    let track =
        Rect::from_center_size(pos2(rect.center().x, rect.bottom() - 12.0), vec2(rect.width() - 14.0, 4.0));
    let at = |pos: Pos2| ((pos.x - track.left()) / track.width().max(1.0)).clamp(0.0, 1.0);
    drag(ui, &response, setter, param, at);
    if let Some(pos) =
        response.interact_pointer_pos().filter(|_| response.clicked() && !response.double_clicked())
    {
        set(setter, param, param.preview_plain(at(pos)));
    }

    let normalized = param.unmodulated_normalized_value();
    let value = param.normalized_value_to_string(normalized, true);
    response.widget_info(|| WidgetInfo::slider(true, f64::from(param.value()), param.name()));
    let painter = ui.painter();
    label(painter, rect, param.name(), &value);
    let x = egui::lerp(track.x_range(), normalized);
    painter.rect_filled(track, 2.0, theme::WELL);
    painter.rect_filled(Rect::from_min_max(track.min, pos2(x, track.bottom())), 2.0, theme::CONTROL);
    let held = response.dragged() || response.hovered();
    let colour = if held { theme::TEXT } else { theme::CONTROL };
    painter.circle(pos2(x, track.center().y), 7.0, colour, Stroke::new(2.0, theme::CARD));
    if response.has_focus() {
        theme::focus_ring(painter, rect.shrink2(vec2(0.0, 1.0)));
    }
}

/// A switch between a parameter's values, with its name above it.
pub fn choice<T: Enum + PartialEq + 'static>(ui: &mut Ui, setter: &ParamSetter, param: &EnumParam<T>) {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 24.0 + HEIGHT), Sense::hover());
    label(ui.painter(), rect, param.name(), "");
    let row = Rect::from_min_max(pos2(rect.left(), rect.bottom() - HEIGHT), rect.max);
    let chosen = param.unmodulated_plain_value().to_index();
    if let Some(pressed) = segmented(ui, row, ui.scope_id().with(param.name()), T::variants(), chosen) {
        set(setter, param, T::from_index(pressed));
    }
}

/// A control's name and value, at the top of its rectangle.
fn label(painter: &egui::Painter, rect: Rect, name: &str, value: &str) {
    let put = |text: &str, right: bool, colour: Color32| {
        let galley = theme::line(painter, text, 13.0, colour);
        let x = if right { rect.right() - galley.size().x } else { rect.left() };
        painter.galley(pos2(x, rect.top() + 2.0), galley, colour);
    };
    put(name, false, theme::TEXT_DIM);
    put(value, true, theme::TEXT);
}
