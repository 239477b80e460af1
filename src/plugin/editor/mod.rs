//! The editor: a meter that is read at a glance, its history, and its controls.
//!
//! Everything is drawn into rectangles that [`layout`] computes; no part knows another. Once a
//! frame [`live::Live`] copies what is new from the [`Monitor`]; drawing works on the copy.

mod axis;
mod columns;
mod csv_export;
mod header;
mod hero;
mod icon;
mod keys;
mod layout;
mod legend;
mod live;
mod meter;
mod settings;
mod spectrogram;
mod status;
mod theme;
mod timeline;
mod tooltip;
mod verdict;
mod widgets;
mod words;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use egui::{Rgba, Ui, ViewportCommand, vec2};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::ResizeHint;
use nice_plug::editor::dpi::LogicalSize;
use nice_plug::prelude::ParamSetter;
use nice_plug_egui::baseview::{HandlerError, WindowSize};
use nice_plug_egui::{
    EguiEditor, EguiEditorState, EguiNiceSettings, Frame, NiceEguiApp, RepaintNotifier, create_egui_editor,
};

use self::header::Press;
use self::keys::Command;
use self::layout::Layout;
use self::live::Live;
use self::meter::{Meter, Source};
use self::settings::Settings;
use self::spectrogram::Spectrogram;
use self::verdict::Zones;
use super::machine::EngineFile;
use super::monitor::Monitor;
use super::params::{BonafideParams, EditorSize};

/// Between frames while sound goes on.
const FRAME: Duration = Duration::from_millis(16);
/// Between frames while nothing happens; also how late the first sign of sound may be.
const IDLE: Duration = Duration::from_millis(200);
/// Sound that pauses for no longer goes on: a host's blocks may be far longer than a frame.
const LULL: Duration = Duration::from_millis(300);

/// What the editor sees of its instance.
pub struct Link {
    /// The instance's parameters.
    pub params: Arc<BonafideParams>,
    /// What it shows.
    pub monitor: Arc<Monitor>,
    /// Starts a new measurement (integrated, lamp).
    pub reset: Arc<dyn Fn() + Send + Sync>,
    /// Loads the model with this manifest path ("" = the built-in one); errors appear in `Status`.
    pub set_model: Arc<dyn Fn(String) + Send + Sync>,
    /// Begins to log into a folder, or ends it; problems appear in `LogState`.
    pub set_log: Arc<dyn Fn(Option<PathBuf>) + Send + Sync>,
    /// Judges by another engine or server; errors appear in `Status`.
    pub set_engine: Arc<dyn Fn(EngineFile) + Send + Sync>,
}

/// The size that the project has kept, at a zoom of 100 %.
pub fn state(params: &BonafideParams) -> Arc<EguiEditorState> {
    let (width, height) = params.editor_size.get();
    EguiEditorState::from_size(LogicalSize::new(f32::from(width), f32::from(height)), 1.0)
}

/// The editor of the instance behind `link`, of the size that `state` holds.
pub fn create(link: Link, state: Arc<EguiEditorState>) -> Option<EguiEditor<App>> {
    let (min_width, min_height) = EditorSize::MIN;
    let min = LogicalSize::new(f32::from(min_width), f32::from(min_height));
    let settings = EguiNiceSettings::new()
        .with_tile("Bonafide")
        .with_resize_hint(ResizeHint::resizable().with_min_logical_size(min));
    create_egui_editor(state, RepaintNotifier::new(), settings, App::new(link))
}

/// What is drawn in the editor's window.
pub struct App {
    link: Link,
    gui: Option<GuiContext>,
    live: Live,
    spectrogram: Spectrogram,
    settings: Settings,
    source: Source,
    span: usize,
    last_sound: Option<Instant>,
    /// The project's size, until a window that opened at another has been asked to take it.
    wanted_size: Option<(u16, u16)>,
}

impl App {
    fn new(link: Link) -> Self {
        Self {
            link,
            gui: None,
            live: Live::default(),
            spectrogram: Spectrogram::default(),
            settings: Settings::default(),
            source: Source::default(),
            span: 1,
            last_sound: None,
            wanted_size: None,
        }
    }

    /// One frame; says how long the next may wait.
    fn frame(&mut self, ui: &Ui, setter: &ParamSetter) -> Duration {
        if self.live.sync(&self.link.monitor) {
            self.last_sound = Some(Instant::now());
        }
        for command in keys::commands(ui.ctx()) {
            match command {
                Command::Reset => (self.link.reset)(),
                Command::Pause => self.pause(setter),
                Command::Span(span) => self.span = span,
                Command::Close => self.settings.open = false,
            }
        }
        self.draw(ui, setter);
        if self.last_sound.is_some_and(|last| last.elapsed() < LULL) { FRAME } else { IDLE }
    }

    fn draw(&mut self, ui: &Ui, setter: &ParamSetter) {
        let params = &self.link.params;
        let paused = params.bypass.value();
        let zones = Zones::of_threshold(params.detection.threshold.value());
        let window = ui.max_rect();
        let painter = ui.painter();
        painter.rect_filled(window, 0.0, theme::BACKGROUND);

        let notices =
            status::notices(painter, &self.live.status, &self.live.log, Layout::notice_width(window));
        let heights: Vec<f32> = notices.iter().map(status::Notice::height).collect();
        let layout = Layout::of(window, theme::scale(ui.ctx()), self.settings.open, &heights);
        let scores = &self.live.scores;
        let face = hero::Face::of(self.source.reading(scores), zones, paused, &self.live.status);
        let (name, stretch) = self.source.name();
        let title = format!("{} · {}", name.to_uppercase(), stretch.to_uppercase());
        hero::show(painter, layout.hero, &face, &title, scores.alert);
        let meter = Meter { scores, zones, paused };
        meter.show(ui, layout.meter, &mut self.source, &params.detection.threshold, setter);
        self.spectrogram.show(ui, layout.spectrogram, &self.live.strip);
        timeline::show(ui, layout.timeline, &self.live, zones, &mut self.span);
        for (notice, rect) in notices.into_iter().zip(&layout.notices) {
            notice.show(ui, *rect);
        }
        status::footer(painter, layout.footer, &self.live);
        let pressed = header::show(ui, layout.header, paused, self.settings.open);
        self.settings.show(ui, layout.settings, &self.link, &self.live, setter);
        match pressed {
            Some(Press::Pause) => self.pause(setter),
            Some(Press::Reset) => (self.link.reset)(),
            Some(Press::Settings) => self.settings.toggle(&self.link),
            None => {}
        }
    }

    fn pause(&self, setter: &ParamSetter) {
        let bypass = &self.link.params.bypass;
        widgets::set(setter, bypass, !bypass.value());
    }

    /// Asks for the project's size: the editor was made before the project was read.
    fn restore_size(&mut self, ui: &Ui) {
        let Some((width, height)) = self.wanted_size.take() else { return };
        let wanted = vec2(f32::from(width), f32::from(height));
        let now = ui.max_rect().size();
        if (wanted - now).abs().max_elem() > 1.0 {
            ui.ctx().send_viewport_cmd(ViewportCommand::InnerSize(wanted));
        }
    }
}

impl NiceEguiApp for App {
    fn build(&mut self, ctx: egui::Context, gui: GuiContext, frame: &mut Frame) -> Result<(), HandlerError> {
        theme::install(&ctx);
        frame.set_clear_color(Rgba::from(theme::BACKGROUND));
        self.gui = Some(gui);
        // Textures belong to a window.
        self.spectrogram = Spectrogram::default();
        self.wanted_size = Some(self.link.params.editor_size.get());
        Ok(())
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut Frame) {
        let Some(gui) = self.gui.clone() else { return };
        self.restore_size(ui);
        let pause = self.frame(ui, &gui.param_setter());
        ui.ctx().request_repaint_after(pause);
    }

    fn resized(&mut self, size: WindowSize) {
        // `as` saturates, and `set` takes nonsense to the nearest usable size.
        self.link.params.editor_size.set((size.logical.width as u16, size.logical.height as u16));
    }
}
