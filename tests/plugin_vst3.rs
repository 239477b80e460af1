//! The plugin as a VST3 host has it.

#[path = "plugin_vst3/audio.rs"]
mod audio;
mod common;
#[path = "plugin_vst3/contract.rs"]
mod contract;
#[path = "plugin_vst3/lanes.rs"]
mod lanes;
#[path = "plugin_vst3/lifetime.rs"]
mod lifetime;
#[path = "plugin_vst3/meters.rs"]
mod meters;
#[path = "plugin_vst3/offline.rs"]
mod offline;
#[path = "plugin_vst3/state.rs"]
mod state;
#[path = "common/vst3_host/mod.rs"]
mod vst3_host;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bonafide::detect::EngineChoice;
use bonafide::engine::{Event, OfflineStream, ScorerPool, StreamConfig, WindowScore};
use bonafide::model::Model;
use bonafide::rt::State;
use common::speech_in_rising_noise;
use vst3_host::{Block, Point, Processed, Vst3Instance};

/// Longer than any inference takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What State shows.
const WARMING_UP: f64 = 0.0;
const SCORED: f64 = (3.0_f32 / 7.0) as f64;
const OVERLOADED: f64 = (5.0_f32 / 7.0) as f64;
const BYPASSED: f64 = 1.0;

/// What `bonafide scan` says about a sound: its windows every 0.5 s, and the last, partial one.
fn scan(rate: u32, sound: &[f32]) -> Vec<WindowScore> {
    static POOL: OnceLock<ScorerPool> = OnceLock::new();
    let pool =
        POOL.get_or_init(|| ScorerPool::open(&Model::embedded().unwrap(), EngineChoice::Auto).unwrap());
    let mut stream = OfflineStream::new(pool, StreamConfig::at(rate.into()), 0.5).unwrap();
    let mut windows = Vec::new();
    let mut take = |event| {
        if let Event::Window(window) = event {
            windows.push(window);
        }
    };
    stream.push(&[sound], &mut take).unwrap();
    stream.finish(&mut take).unwrap();
    windows
}

/// What Score is to be after a window, by the definition of the parameter and not by its code.
fn shown(window: &WindowScore) -> f64 {
    assert_eq!(window.reading.state, State::Scored, "the test's sound is to be judged");
    let p = 1.0 / (1.0 + (-f64::from(window.reading.llr)).exp());
    (p * 1000.0).round().clamp(1.0, 999.0) / 1000.0
}

/// Whether two values are the same thousandth.
fn same_score(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

/// Speech in rising noise, and what Score is to be after each of its windows, no two neighbours alike: a test that
/// waits for the next score would else have it already, and run ahead of the judgement until windows are lost.
fn moving_sound(rate: u32, seconds: f64) -> (Vec<f32>, Vec<f64>) {
    let with_scores = |seed| {
        let sound = speech_in_rising_noise(rate, seconds, seed);
        let scores: Vec<f64> = scan(rate, &sound).iter().map(shown).collect();
        (sound, scores)
    };
    let moves = |(_, scores): &(_, Vec<f64>)| scores.windows(2).all(|pair| !same_score(pair[0], pair[1]));
    (1..20).map(with_scores).find(moves).expect("one of these sounds moves the score")
}

/// Plays sound as fast as it can be processed, and keeps what the plugin puts out.
struct Player<'a> {
    instance: &'a Vst3Instance,
    sound: &'a [f32],
    at: usize,
    block: usize,
    points: Vec<Point>,
}

impl<'a> Player<'a> {
    fn new(instance: &'a Vst3Instance, sound: &'a [f32], block: usize) -> Self {
        Self { instance, sound, at: 0, block, points: Vec::new() }
    }

    fn block(&mut self) -> Processed {
        let to = (self.at + self.block).min(self.sound.len());
        let part = &self.sound[self.at..to];
        self.at = to;
        let processed = self.instance.process(Block { inputs: &[part, part], ..Block::default() });
        self.points.extend(&processed.points);
        processed
    }

    /// Plays until `sample`; a wait may have gone further.
    fn play_to(&mut self, sample: usize) {
        while self.at < sample.min(self.sound.len()) {
            self.block();
        }
    }

    /// Stands still, but for empty blocks, until a parameter satisfies `wanted`. The plugin says
    /// nothing in an empty block, so what has come shows in the next one.
    fn wait(&self, title: &str, wanted: impl Fn(f64) -> bool) {
        wait_for(title, || {
            self.instance.process(Block { inputs: &[&[], &[]], ..Block::default() });
            wanted(self.instance.get(title))
        });
    }

    fn values(&self, title: &str) -> Vec<f64> {
        let id = self.instance.id(title);
        self.points.iter().filter(|point| point.id == id).map(|point| point.value).collect()
    }
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
