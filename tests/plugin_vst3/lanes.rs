//! Automation mode: lanes move on the main thread, and on no other.

use std::thread;

use vst3::Steinberg::Vst::IEditControllerTrait;

use crate::common::speech_like;
use crate::vst3_host::com::Edit;
use crate::vst3_host::{Block, Processed, Transport, Vst3Instance};
use crate::{SCORED, same_score, scan, shown, wait_for};

/// A host that plays on a thread of its own.
struct Session<'a> {
    instance: &'a Vst3Instance,
    sound: Vec<f32>,
    at: usize,
}

impl<'a> Session<'a> {
    fn new(instance: &'a Vst3Instance) -> Self {
        instance.set_text("Output Mode", "Automation");
        instance.start(48_000.0);
        Self { instance, sound: speech_like(48_000, 5.0, 1), at: 0 }
    }

    fn play(&mut self, samples: usize) -> Processed {
        let transport = Transport { playing: true, samples: self.at as i64 };
        let processed = self.block(samples, Some(transport));
        self.at += samples;
        processed
    }

    fn block(&self, samples: usize, transport: Option<Transport>) -> Processed {
        let part = &self.sound[self.at..self.at + samples];
        on_another_thread(|| {
            self.instance.process(Block { inputs: &[part, part], transport, ..Block::default() })
        })
    }

    /// Plays without a transport.
    fn play_freely(&mut self, samples: usize) -> Processed {
        let processed = self.block(samples, None);
        self.at += samples;
        processed
    }

    /// Plays a window and waits until it is judged; returns what came out with it.
    fn play_window(&mut self, play: fn(&mut Self, usize) -> Processed) -> Processed {
        let mut all = play(self, 48_000 * 2 + 4_800);
        wait_for("a score", || {
            let points = self.block(0, None).points;
            all.points.extend(points);
            self.instance.get("State") == SCORED
        });
        all.points.extend(play(self, 64).points);
        all
    }

    /// The edits so far, all of which must have come on this thread.
    fn edits(&self) -> Vec<Edit> {
        let edits = self.instance.take_edits();
        assert!(edits.iter().all(|(thread, _)| *thread == thread::current().id()), "{edits:?}");
        edits.into_iter().map(|(_, edit)| edit).collect()
    }

    fn stop(&self) -> Processed {
        let stopped = Transport { playing: false, samples: self.at as i64 };
        self.block(64, Some(stopped))
    }
}

fn on_another_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// Both lanes: touched, then moved and released in order, and left alone in the end.
fn assert_is_recording(instance: &Vst3Instance, edits: &[Edit], score: f64) {
    for (title, last) in [("Score Lane", score), ("Alert Lane", instance.get("Alert"))] {
        let id = instance.id(title);
        let of_lane = |edit: &&Edit| {
            let (Edit::Begin(i) | Edit::Perform(i, _) | Edit::End(i)) = edit else { return false };
            *i == id
        };
        let lane: Vec<_> = edits.iter().filter(of_lane).collect();
        let [Edit::Begin(_), moves @ .., Edit::End(_)] = &lane[..] else {
            panic!("{title}: {lane:?}");
        };
        let moves: Vec<f64> = moves
            .iter()
            .map(|edit| if let Edit::Perform(_, value) = edit { *value } else { panic!("{title}: {lane:?}") })
            .collect();
        assert!(moves.last().is_some_and(|value| same_score(*value, last)), "{title}: {moves:?}");
    }
    let lanes = ["Score Lane", "Alert Lane"].map(|title| instance.id(title));
    let in_lane = |edit: &Edit| matches!(edit, Edit::Begin(id) | Edit::Perform(id, _) | Edit::End(id) if lanes.contains(id));
    assert!(edits.iter().all(in_lane), "nothing but lanes moves: {edits:?}");
}

/// What the lane holds in the end.
fn first_score(session: &Session) -> f64 {
    shown(&scan(48_000, &session.sound)[0])
}

#[test]
fn a_run_loop_fetches_the_lanes() {
    let instance = Vst3Instance::create_with_run_loop();
    let run_loop = instance.run_loop.clone().unwrap();
    assert_eq!(run_loop.timers(), 1);
    let mut session = Session::new(&instance);
    session.play_window(Session::play);
    assert_eq!(session.edits(), [], "the audio thread calls nobody");
    on_another_thread(|| run_loop.fire_timers());
    assert_eq!(session.edits(), [], "nor does any thread but the main thread");
    run_loop.fire_timers();
    let mut edits = session.edits();
    assert!(edits.iter().all(|edit| !matches!(edit, Edit::End(_))), "held while playing: {edits:?}");
    session.stop();
    run_loop.fire_timers();
    edits.extend(session.edits());
    assert_is_recording(&instance, &edits, first_score(&session));
    session.stop();
    run_loop.fire_timers();
    assert_eq!(session.edits(), [], "nothing while stopped");
    drop(instance);
    assert_eq!(run_loop.timers(), 0, "taken back");
}

#[test]
fn without_a_run_loop_the_echo_of_the_meters_fetches_the_lanes() {
    let instance = Vst3Instance::create();
    let mut session = Session::new(&instance);
    let played = session.play_window(Session::play);
    on_another_thread(|| instance.echo(&played));
    assert_eq!(session.edits(), [], "not on another thread");
    instance.echo(&played);
    let mut edits = session.edits();
    session.stop();
    // The release must not wait for the next score: after a stop there may be none.
    instance.echo(&session.stop());
    edits.extend(session.edits());
    assert_is_recording(&instance, &edits, first_score(&session));
}

#[test]
fn without_a_transport_the_lanes_move_until_the_host_stops() {
    let instance = Vst3Instance::create_with_run_loop();
    let run_loop = instance.run_loop.clone().unwrap();
    let mut session = Session::new(&instance);
    session.play_freely(480);
    run_loop.fire_timers();
    assert_eq!(session.edits(), [], "nothing before the first window");
    session.play_window(Session::play_freely);
    run_loop.fire_timers();
    let mut edits = session.edits();
    assert_eq!(edits.iter().filter(|edit| matches!(edit, Edit::Begin(_))).count(), 2);
    instance.deactivate();
    run_loop.fire_timers();
    edits.extend(session.edits());
    assert_is_recording(&instance, &edits, first_score(&session));
}

#[test]
fn another_mode_releases_the_lanes() {
    for mode in ["Off", "Meter", "MIDI"] {
        let instance = Vst3Instance::create_with_run_loop();
        let mut session = Session::new(&instance);
        session.play_window(Session::play);
        instance.set_text("Output Mode", mode);
        session.play(480);
        instance.run_loop.as_ref().unwrap().fire_timers();
        assert_is_recording(&instance, &session.edits(), first_score(&session));
    }
}

#[test]
fn without_a_handler_nothing_is_lost_but_the_lanes() {
    let instance = Vst3Instance::create_with_run_loop();
    // SAFETY: null takes the handler back.
    unsafe { instance.controller.setComponentHandler(std::ptr::null_mut()) };
    let mut session = Session::new(&instance);
    session.play_window(Session::play);
    instance.run_loop.as_ref().unwrap().fire_timers();
    instance.set("Threshold", 0.3);
    assert_eq!(session.edits(), []);
    assert_eq!(instance.get("State"), SCORED);
}
