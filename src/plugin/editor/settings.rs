//! The settings: what is set once and then left alone, the model, and what is written to files.

use std::collections::VecDeque;

use egui::{
    Area, CornerRadius, Id, Order, Rect, ScrollArea, Sense, Stroke, StrokeKind, TextEdit, Ui, pos2, vec2,
};
use nice_plug::prelude::ParamSetter;

use super::icon::Icon;
use super::live::Live;
use super::{Link, csv_export, theme, widgets, words};
use crate::plugin::log;
use crate::plugin::machine::EngineFile;
use crate::plugin::monitor::{LogState, Point};

/// Width of the panel.
pub const WIDTH: f32 = 300.0;

/// The engines that there may be on this system, and what they are called.
const ENGINES: &[(&str, &str)] = if cfg!(windows) {
    &[("auto", "Auto"), ("cuda", "CUDA"), ("directml", "DirectML"), ("cpu", "CPU"), ("tract", "tract")]
} else if cfg!(target_os = "macos") {
    &[("auto", "Auto"), ("coreml", "CoreML"), ("cpu", "CPU"), ("tract", "tract")]
} else {
    &[("auto", "Auto"), ("cuda", "CUDA"), ("tensorrt", "TensorRT"), ("cpu", "CPU"), ("tract", "tract")]
};

const ZOOMS: [(f32, &str); 5] =
    [(0.8, "80 %"), (1.0, "100 %"), (1.25, "125 %"), (1.5, "150 %"), (2.0, "200 %")];

/// The panel's state.
#[derive(Debug, Default)]
pub struct Settings {
    /// Whether it is shown.
    pub open: bool,
    /// What stands in the model's field.
    path: String,
    /// What is chosen and stands in the server's fields.
    engine: EngineFile,
    /// What became of the last copy or export, and whether it succeeded.
    outcome: Option<(String, bool)>,
}

impl Settings {
    /// Opens or closes the panel.
    pub fn toggle(&mut self, link: &Link) {
        self.open = !self.open;
        if self.open {
            self.path = link.params.model.read().map_or_else(|_| String::new(), |path| path.clone());
            self.engine = EngineFile::read().unwrap_or_default();
            self.outcome = None;
        }
    }

    /// Draws the panel over `rect`, if it is open.
    pub fn show(&mut self, ui: &Ui, rect: Rect, link: &Link, live: &Live, setter: &ParamSetter) {
        if !self.open {
            return;
        }
        let area = Area::new(Id::unique("bonafide settings")).order(Order::Foreground).fixed_pos(rect.min);
        area.constrain(false).fade_in(false).show(ui.ctx(), |ui| {
            ui.set_min_size(rect.size());
            ui.set_max_size(rect.size());
            // The panel takes presses, so that none goes through to what it covers.
            ui.interact(rect, Id::unique("bonafide settings ground"), Sense::click_and_drag());
            let radius = CornerRadius::same(theme::CARD_RADIUS);
            ui.painter().rect(rect, radius, theme::CARD, Stroke::new(1.0, theme::EDGE), StrokeKind::Inside);
            self.head(ui, rect);
            let body = Rect::from_min_max(rect.min + vec2(18.0, 48.0), rect.max - vec2(8.0, 10.0));
            let mut ui = ui.new_child(egui::UiBuilder::new().max_rect(body).id_salt("settings body"));
            ScrollArea::vertical().auto_shrink(false).show(&mut ui, |ui| {
                ui.set_max_width(body.width() - 14.0);
                detection(ui, link, setter);
                self.model(ui, link);
                self.engine(ui, link);
                evidence(ui, link, &live.log);
                self.csv(ui, &live.points);
                view(ui);
                ui.add_space(8.0);
            });
        });
    }

    fn head(&mut self, ui: &Ui, rect: Rect) {
        let title = theme::caption(ui.painter(), "SETTINGS", 12.0, theme::TEXT);
        let middle = rect.top() + 26.0;
        ui.painter().galley(theme::middle_left(&title, pos2(rect.left() + 18.0, middle)), title, theme::TEXT);
        let close =
            Rect::from_center_size(pos2(rect.right() - 28.0, middle), vec2(widgets::HEIGHT, widgets::HEIGHT));
        let id = Id::unique("bonafide settings close");
        if widgets::button(ui, close, id, "", Some(Icon::Close), false).on_hover_text("Close (Esc)").clicked()
        {
            self.open = false;
        }
    }

    fn model(&mut self, ui: &mut Ui, link: &Link) {
        section(ui, "MODEL");
        let field = TextEdit::singleline(&mut self.path)
            .hint_text("Path of a manifest (.toml)")
            .margin(vec2(10.0, 6.0))
            .desired_width(f32::INFINITY);
        let response = ui.add(field);
        let entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        let [load, built_in] = buttons(ui, [("Load", None), ("Built-in", None)]);
        if (load || entered) && !self.path.trim().is_empty() {
            (link.set_model)(self.path.trim().to_owned());
        }
        if built_in {
            self.path.clear();
            (link.set_model)(String::new());
        }
    }

    fn engine(&mut self, ui: &mut Ui, link: &Link) {
        section(ui, "ENGINE");
        let (_, row) = ui.allocate_space(vec2(ui.available_width(), widgets::HEIGHT));
        let (names, labels): (Vec<_>, Vec<_>) = ENGINES.iter().copied().unzip();
        let chosen = match self.engine.engine.as_str() {
            "" => 0,
            name => names.iter().position(|known| *known == name).unwrap_or(names.len()),
        };
        if let Some(pressed) = widgets::segmented(ui, row, ui.scope_id().with("engine"), &labels, chosen) {
            names[pressed].clone_into(&mut self.engine.engine);
            // What stands in the fields is no server until it is said so.
            let kept = EngineFile::read().unwrap_or_default();
            (link.set_engine)(EngineFile { engine: names[pressed].to_owned(), ..kept });
        }
        let mut entered = false;
        for (text, hint) in [
            (&mut self.engine.server, "Server, https://host:port"),
            (&mut self.engine.server_model, "Its name for the model"),
        ] {
            let field = TextEdit::singleline(text).hint_text(hint).margin(vec2(10.0, 6.0));
            let response = ui.add(field.desired_width(f32::INFINITY));
            entered |= response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        }
        let [on, off] = buttons(ui, [("Use server", None), ("No server", None)]);
        let named = !self.engine.server.trim().is_empty();
        if off {
            self.engine = EngineFile { engine: self.engine.engine.clone(), ..EngineFile::default() };
        }
        if off || named && (on || entered) {
            for text in [&mut self.engine.server, &mut self.engine.server_model] {
                *text = text.trim().to_owned();
            }
            (link.set_engine)(self.engine.clone());
        }
        let told = "A server gets spectrograms, never sound; while it is away, this machine judges";
        ui.label(egui::RichText::new(told).size(12.0).color(theme::TEXT_DIM));
    }

    fn csv(&mut self, ui: &mut Ui, points: &VecDeque<Point>) {
        section(ui, "TIMELINE");
        let [copy, export] = buttons(ui, [("Copy CSV", Some(Icon::Copy)), ("Export CSV", Some(Icon::Save))]);
        if copy {
            self.outcome = Some(match csv_export::to_csv(points) {
                Ok(csv) => {
                    ui.ctx().copy_text(csv);
                    (format!("Copied {} windows", points.len()), true)
                }
                Err(error) => (format!("Could not copy: {error}"), false),
            });
        }
        if export {
            self.outcome = Some(match csv_export::to_csv(points).and_then(|csv| csv_export::export(&csv)) {
                Ok(path) => (format!("Wrote {} windows to {}", points.len(), path.display()), true),
                Err(error) => (format!("Could not write the file: {error}"), false),
            });
        }
        let (text, ok) = match &self.outcome {
            Some((text, ok)) => (text.as_str(), *ok),
            None => ("Every window of the timeline, up to an hour; files go to your documents", true),
        };
        let label = told(ui, text, ok);
        if copy || export {
            label.scroll_to_me(None);
        }
    }
}

/// The log that can be checked later: whether it is on, where it goes, and what it holds.
fn evidence(ui: &mut Ui, link: &Link, state: &LogState) {
    section(ui, "EVIDENCE LOG");
    let (_, row) = ui.allocate_space(vec2(ui.available_width(), widgets::HEIGHT));
    let on = state.folder.is_some();
    let switch = widgets::segmented(ui, row, ui.scope_id().with("log"), &["Off", "On"], usize::from(on));
    match switch {
        Some(0) if on => (link.set_log)(None),
        Some(1) if !on => match log::folder() {
            Some(folder) => (link.set_log)(Some(folder)),
            None => link.monitor.lock().log.problem = Some("There is no home folder to write to".to_owned()),
        },
        _ => {}
    }
    let windows = words::count(state.windows);
    let text = match (&state.problem, &state.file) {
        (Some(problem), _) => problem.clone(),
        (None, Some(file)) if on => format!("Writing {}: {windows} windows", file.display()),
        (None, Some(file)) => format!("Wrote {windows} windows to {}", file.display()),
        (None, None) if on => "Begins with the first sound".to_owned(),
        (None, None) => {
            let folder = log::folder().map_or_else(String::new, |folder| folder.display().to_string());
            format!(
                "Every window with its sound's hash, for \u{201c}bonafide verify\u{201d}: a file a measurement \
                 in {folder}. Switching starts a new measurement; a project doesn't save it"
            )
        }
    };
    told(ui, &text, state.problem.is_none());
}

/// A line or more of small print.
fn told(ui: &mut Ui, text: &str, ok: bool) -> egui::Response {
    let colour = if ok { theme::TEXT_DIM } else { theme::SPOOF };
    ui.label(egui::RichText::new(text).size(12.0).color(colour))
}

fn detection(ui: &mut Ui, link: &Link, setter: &ParamSetter) {
    let params = &link.params;
    let detection = &params.detection;
    section(ui, "DETECTION");
    widgets::slider(ui, setter, &detection.threshold, "Probability of spoof at which an alert begins");
    widgets::slider(ui, setter, &detection.hold, "How long an alert outlasts its cause");
    widgets::slider(
        ui,
        setter,
        &detection.hop,
        "Time between windows: shorter is smoother and takes more of the CPU",
    );
    widgets::slider(ui, setter, &detection.gate, "Moves the level below which no speech is heard");
    widgets::choice(ui, setter, &detection.channel);
    section(ui, "OUTPUT TO THE HOST");
    widgets::choice(ui, setter, &params.output.mode);
}

fn view(ui: &mut Ui) {
    section(ui, "ZOOM");
    let (_, row) = ui.allocate_space(vec2(ui.available_width(), widgets::HEIGHT));
    let now = ui.ctx().zoom_factor();
    let chosen = ZOOMS.iter().position(|(zoom, _)| (zoom - now).abs() < 0.01).unwrap_or(ZOOMS.len());
    if let Some(pressed) =
        widgets::segmented(ui, row, ui.scope_id().with("zoom"), &ZOOMS.map(|(_, name)| name), chosen)
    {
        ui.ctx().set_zoom_factor(ZOOMS[pressed].0);
    }
}

fn section(ui: &mut Ui, title: &str) {
    ui.add_space(8.0);
    let (_, row) = ui.allocate_space(vec2(ui.available_width(), 18.0));
    let galley = theme::caption(ui.painter(), title, 11.0, theme::TEXT_FAINT);
    let line = row.left() + galley.size().x + 10.0..=row.right();
    ui.painter().hline(line, row.center().y, Stroke::new(1.0, theme::EDGE));
    ui.painter().galley(theme::middle_left(&galley, row.left_center()), galley, theme::TEXT_FAINT);
}

/// Two buttons side by side; which of them were pressed.
fn buttons(ui: &mut Ui, labels: [(&str, Option<Icon>); 2]) -> [bool; 2] {
    let (_, row) = ui.allocate_space(vec2(ui.available_width(), widgets::HEIGHT));
    let (left, right) = row.split_left_right_at_fraction(0.5);
    let places = [left.with_max_x(left.right() - 4.0), right.with_min_x(right.left() + 4.0)];
    let press = |i: usize| {
        let (text, icon) = labels[i];
        widgets::button(ui, places[i], ui.scope_id().with(text), text, icon, false).clicked()
    };
    [press(0), press(1)]
}
