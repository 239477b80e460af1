//! The editor without a window: whole frames, what they say, and what a hand does to the host.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use egui::epaint::ClippedShape;
use egui::{Event, Key, Modifiers, PointerButton, Pos2, RawInput, Rect, Shape, Vec2, pos2, vec2};
use nice_plug::context::PluginApi;
use nice_plug::context::gui::GuiContextInner;
use nice_plug::prelude::{ParamPtr, ParamSetter, PluginState};
use parking_lot::Mutex;

use super::*;
use crate::plugin::monitor::{Display, LogState, Point, Status, Strip};
use crate::rt::{Alert, Reading, Scores, State};

/// A host that does as it is told and remembers it.
#[derive(Default)]
struct Host(Mutex<Vec<&'static str>>);

impl GuiContextInner for Host {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Clap
    }

    unsafe fn raw_begin_set_parameter(&self, _: ParamPtr) {
        self.0.lock().push("begin");
    }

    unsafe fn raw_set_parameter_normalized(&self, param: ParamPtr, normalized: f32) {
        self.0.lock().push("set");
        // SAFETY: the parameters outlive the window.
        unsafe { param._internal_set_normalized_value(normalized) };
    }

    unsafe fn raw_end_set_parameter(&self, _: ParamPtr) {
        self.0.lock().push("end");
    }

    fn get_state(&self) -> PluginState {
        PluginState { version: String::new(), params: Default::default(), fields: Default::default() }
    }

    fn set_state(&self, _: PluginState) {}

    fn request_restart(&self) {}
}

struct Window {
    ctx: egui::Context,
    app: App,
    host: Host,
    size: Vec2,
    resets: Arc<AtomicU32>,
    logs: Arc<Mutex<Vec<Option<PathBuf>>>>,
    engines: Arc<Mutex<Vec<EngineFile>>>,
}

impl Window {
    fn new(display: Display, size: Vec2) -> Self {
        let resets = Arc::new(AtomicU32::new(0));
        let (counted, logs) = (resets.clone(), Arc::<Mutex<Vec<_>>>::default());
        let logged = logs.clone();
        let engines = Arc::<Mutex<Vec<EngineFile>>>::default();
        let chosen = engines.clone();
        let link = Link {
            params: Arc::default(),
            monitor: Arc::new(Monitor::new(display)),
            reset: Arc::new(move || _ = counted.fetch_add(1, Ordering::Relaxed)),
            set_model: Arc::new(|_| {}),
            set_log: Arc::new(move |folder| logged.lock().push(folder)),
            set_engine: Arc::new(move |engine| chosen.lock().push(engine)),
        };
        let ctx = egui::Context::default();
        theme::install(&ctx);
        Self { ctx, app: App::new(link), host: Host::default(), size, resets, logs, engines }
    }

    /// One frame; what it says.
    fn frame(&mut self, events: Vec<Event>) -> Vec<String> {
        let screen_rect = Some(Rect::from_min_size(Pos2::ZERO, self.size));
        let input = RawInput { screen_rect, events, ..RawInput::default() };
        let mut output = self.ctx.run_ui(input, |ui| _ = self.app.frame(ui, &ParamSetter::new(&self.host)));
        let shapes = std::mem::take(&mut output.shapes);
        output.drop_without_applying_deltas();
        let mut texts = Vec::new();
        shapes.iter().for_each(|ClippedShape { shape, .. }| read(shape, &mut texts));
        _ = self.ctx.tessellate(shapes, 1.0);
        texts
    }

    /// Presses at `from`, moves to `to` and lets go.
    fn drag(&mut self, from: Pos2, to: Pos2) {
        let button = |pos, pressed| Event::PointerButton {
            pos,
            button: PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        self.frame(vec![Event::PointerMoved(from)]);
        self.frame(vec![button(from, true)]);
        self.frame(vec![Event::PointerMoved(from.lerp(to, 0.5))]);
        self.frame(vec![Event::PointerMoved(to)]);
        self.frame(vec![button(to, false)]);
    }
}

fn read(shape: &Shape, texts: &mut Vec<String>) {
    match shape {
        Shape::Text(text) => texts.push(text.galley.text().to_owned()),
        Shape::Vec(shapes) => shapes.iter().for_each(|shape| read(shape, texts)),
        _ => {}
    }
}

fn key(key: Key) -> Vec<Event> {
    vec![Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers: Modifiers::NONE }]
}

/// A display on which every reading is `reading`, with some history.
fn display(reading: Reading, alert: Alert) -> Display {
    let mut display = Display::default();
    for i in 0..400_u32 {
        let heard_s = 2.0 + 0.5 * f64::from(i);
        display.push(Point {
            heard_s,
            host_s: if i > 200 { 3600.0 - heard_s } else { f64::NAN },
            momentary: if i % 50 < 10 { Reading::none(State::NoSpeech) } else { reading },
            short_term: reading,
            integrated: reading,
            alert: alert.active && i > 300,
            after_gap: i % 90 == 0,
        });
    }
    display.scores =
        Scores { momentary: reading, short_term: reading, integrated: reading, alert, ..Scores::default() };
    display.strip = Strip {
        n_mels: 64,
        frame_rate: 100.0,
        levels: vec![191; 64 * 200].into(),
        range_db: 80.0,
        received: 1,
    };
    display.status = Status {
        model: "model 1".to_owned(),
        engine: "engine 1 (CPU)".to_owned(),
        note: Some("A note that is long enough to be broken. ".repeat(9)),
        error: Some("What failed, and what to do about it. ".repeat(9)),
    };
    display
}

const SCORED: Reading = Reading { state: State::Scored, llr: 1.0 };

#[test]
fn any_state_at_any_size() {
    for state in State::ALL {
        for size in
            [(1.0, 1.0), (90.0, 70.0), (300.0, 900.0), (640.0, 400.0), (960.0, 600.0), (3840.0, 2160.0)]
        {
            for threshold in [0.01, 0.99] {
                let reading = Reading { state, llr: f32::INFINITY };
                let alert = Alert { active: state == State::Scored, latched: true };
                let mut window = Window::new(display(reading, alert), vec2(size.0, size.1));
                let params = window.app.link.params.clone();
                widgets::set(&ParamSetter::new(&window.host), &params.detection.threshold, threshold);
                window.app.settings.open = size.0 > 600.0;
                for span in [0, 4] {
                    window.app.span = span;
                    window.frame(vec![Event::PointerMoved(pos2(0.7 * size.0, 0.8 * size.1))]);
                }
            }
        }
    }
    Window::new(Display::default(), vec2(960.0, 600.0)).frame(Vec::new());
}

#[test]
fn never_certain_and_never_a_number_without_a_score() {
    let says = |reading| {
        let mut display = display(reading, Alert::default());
        display.points.clear();
        Window::new(display, vec2(960.0, 600.0)).frame(Vec::new())
    };
    let certain = |text: &str| ["0 %", "100 %"].contains(&text);
    for llr in [f32::NEG_INFINITY, -20.0, 0.0, 20.0, f32::INFINITY] {
        let texts = says(Reading { state: State::Scored, llr });
        assert!(!texts.iter().any(|text| certain(text)), "{llr}: {texts:?}");
    }
    let texts = says(Reading::none(State::NoSpeech));
    assert!(texts.contains(&"NO SPEECH".to_owned()), "{texts:?}");
    assert!(!texts.contains(&"probability of spoof".to_owned()) && !texts.contains(&"%".to_owned()));
}

#[test]
fn alerts_are_words_too() {
    let says = |active, latched| {
        let mut display = display(SCORED, Alert { active, latched });
        display.points.clear();
        Window::new(display, vec2(960.0, 600.0)).frame(Vec::new())
    };
    assert!(says(true, true).iter().any(|text| text.starts_with("ALERT")));
    assert!(says(false, true).contains(&"THERE WAS AN ALERT".to_owned()));
    assert!(says(false, false).contains(&"NO ALERT".to_owned()));
}

#[test]
fn keys_reset_and_pause() {
    let mut window = Window::new(display(SCORED, Alert::default()), vec2(960.0, 600.0));
    window.frame(key(Key::R));
    assert_eq!(window.resets.load(Ordering::Relaxed), 1);
    window.frame(key(Key::P));
    assert_eq!(*window.host.0.lock(), ["begin", "set", "end"]);
    assert!(window.app.link.params.bypass.value());
    assert!(window.frame(Vec::new()).contains(&"PAUSED".to_owned()));
    window.frame(key(Key::Num5));
    assert_eq!(window.app.span, 4);
}

#[test]
fn an_engine_and_a_server_are_chosen_in_the_settings() {
    let mut window = Window::new(Display::default(), vec2(960.0, 900.0));
    window.app.settings.open = true;
    window.frame(Vec::new()); // egui shows a new area from its second frame on
    let texts = window.frame(Vec::new());
    assert!(texts.contains(&"ENGINE".to_owned()) && texts.contains(&"CUDA".to_owned()), "{texts:?}");
    // Somewhere in the panel is the switch, and pressing it chooses.
    let panel = Layout::of(Rect::from_min_size(Pos2::ZERO, window.size), 1.0, true, &[]).settings;
    let places =
        (0..panel.height() as u32 / 6).map(|dy| pos2(panel.left() + 100.0, panel.top() + 6.0 * dy as f32));
    for place in places {
        window.drag(place, place);
    }
    let chosen = window.engines.lock().clone();
    assert_eq!(chosen.first().map(|engine| engine.engine.as_str()), Some("cuda"), "{chosen:?}");
    assert!(chosen.iter().all(|engine| engine.server.is_empty()), "no server without an address: {chosen:?}");
}

#[test]
fn the_threshold_is_dragged_in_one_gesture() {
    let mut window = Window::new(display(SCORED, Alert::default()), vec2(960.0, 600.0));
    let layout = Layout::of(Rect::from_min_size(Pos2::ZERO, window.size), 1.0, false, &[]);
    window.app.link.monitor.lock().status = Status::default();
    window.frame(Vec::new());
    let params = window.app.link.params.clone();
    let meter = layout.meter;
    // The line at 50 % is somewhere in the meter's middle.
    let y = meter.top() + 0.4 * meter.height();
    let find = (0..meter.width() as u32).map(|dx| pos2(meter.left() + dx as f32, y));
    for from in find {
        window.host.0.lock().clear();
        window.drag(from, from + vec2(60.0, 0.0));
        if !window.host.0.lock().is_empty() {
            break;
        }
    }
    let edits = window.host.0.lock().clone();
    assert_eq!((edits.first(), edits.last()), (Some(&"begin"), Some(&"end")));
    assert_eq!(edits.iter().filter(|edit| **edit == "set").count() + 2, edits.len());
    assert!(params.detection.threshold.value() > 0.55, "{}", params.detection.threshold.value());
}

#[test]
fn the_log_is_switched_and_told_of() {
    let mut window = Window::new(display(SCORED, Alert::default()), vec2(1400.0, 2000.0));
    window.app.settings.open = true;
    window.frame(Vec::new());
    let layout = Layout::of(Rect::from_min_size(Pos2::ZERO, window.size), 1.0, true, &[]);
    let panel = layout.settings;
    // Of what stands left in the panel everything is pressed, then right of it, until the log is.
    let press = |share: f32, window: &mut Window| {
        let x = panel.left() + share * panel.width();
        for y in (0..panel.height() as u32).step_by(12).map(|y| panel.top() + 60.0 + y as f32) {
            window.drag(pos2(x, y), pos2(x, y));
            if !window.logs.lock().is_empty() {
                return;
            }
        }
    };
    press(0.25, &mut window);
    assert!(window.logs.lock().is_empty(), "it is off, and stays off");
    press(0.75, &mut window);
    let on = window.logs.lock().pop().flatten().expect("a folder");
    assert!(on.ends_with("Bonafide logs"), "{}", on.display());

    let told = |change: &dyn Fn(&mut LogState), window: &mut Window| {
        change(&mut window.app.link.monitor.lock().log);
        window.frame(Vec::new())
    };
    let state =
        LogState { folder: Some(on), file: Some("/d/log.jsonl".into()), windows: 3, ..LogState::default() };
    let texts = told(&|log| *log = state.clone(), &mut window);
    assert!(texts.contains(&"Writing /d/log.jsonl: 3 windows".to_owned()), "{texts:?}");
    let texts = told(&|log| log.problem = Some("the disk is full".to_owned()), &mut window);
    let problems = texts.iter().filter(|text| text.contains("the disk is full")).count();
    assert_eq!(problems, 2, "in the panel and, with the panel closed too, below: {texts:?}");
    press(0.25, &mut window);
    assert_eq!(*window.logs.lock(), [None]);
    let texts = told(&|log| (log.folder, log.problem) = (None, None), &mut window);
    assert!(texts.contains(&"Wrote 3 windows to /d/log.jsonl".to_owned()), "{texts:?}");
}

/// `cargo test --release cost_of_a_frame -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, not a check"]
fn cost_of_a_frame() {
    let mut display = display(SCORED, Alert { active: true, latched: true });
    display.points.clear();
    for i in 0..36_000_u32 {
        let llr = 3.0 * (0.01 * i as f32).sin() + (0.7 * i as f32).sin();
        let reading = if i % 1000 < 50 {
            Reading::none(State::NoSpeech)
        } else {
            Reading { state: State::Scored, llr }
        };
        display.push(Point {
            heard_s: 0.1 * f64::from(i),
            host_s: 0.1 * f64::from(i),
            momentary: reading,
            short_term: reading,
            integrated: reading,
            alert: i % 3000 > 2000,
            after_gap: i % 5000 == 0,
        });
    }
    let mut window = Window::new(display, vec2(1200.0, 750.0));
    for span in 0..5 {
        window.app.span = span;
        (0..20).for_each(|_| _ = window.frame(Vec::new()));
        let mut times: Vec<_> = (0..300)
            .map(|i| {
                window.app.link.monitor.lock().strip.received += i;
                let start = Instant::now();
                window.frame(Vec::new());
                start.elapsed()
            })
            .collect();
        times.sort();
        println!("{}: median {:?}, 99th percentile {:?}", axis::SPANS[span].1, times[150], times[297]);
    }
}
