//! The stages joined: live equals offline, gaps, overload, many streams, several models.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bonafide::detect::EngineChoice;
use bonafide::dsp::ChannelChoice;
use bonafide::engine::{
    Event, InferenceService, OfflineStream, ScorerPool, StreamConfig, StreamProcessor, StreamWorker,
    WindowScore, WorkerConfig,
};
use bonafide::model::Model;
use bonafide::rt::State;
use common::{noise, speech_like};
use proptest::prelude::*;

fn default_model() -> Arc<Model> {
    Model::embedded().unwrap()
}

/// The default model with another manifest: the scores mean nothing, the path is the same.
fn other_model() -> Arc<Model> {
    let text = include_str!("../models/bonafide-small.toml").replace("frames = 200", "frames = 100");
    let model = default_model();
    let [_, _, height, width] = model.manifest.input_shape();
    let text =
        text.replace("[image]", &format!("[image]\nresize = {{ height = {height}, width = {width} }}"));
    Model::from_parts("other", &text, model.onnx.to_vec()).unwrap()
}

fn offline(model: &Arc<Model>, rate: f64, sound: &[Vec<f32>]) -> Vec<WindowScore> {
    offline_by(&ScorerPool::open(model, EngineChoice::Auto).unwrap(), rate, sound)
}

fn offline_by(pool: &ScorerPool, rate: f64, sound: &[Vec<f32>]) -> Vec<WindowScore> {
    let mut stream = OfflineStream::new(pool, StreamConfig::at(rate), 0.5).unwrap();
    let mut windows = Vec::new();
    let mut take = |event| {
        if let Event::Window(window) = event {
            windows.push(window);
        }
    };
    stream.push(sound, &mut take).unwrap();
    stream.finish(&mut take).unwrap();
    windows
}

/// Plays to the shared service in blocks of a host, as fast as the queue allows.
fn live(model: &Arc<Model>, rate: f64, sound: &[Vec<f32>], block: usize) -> Vec<WindowScore> {
    let (mut processor, queue) =
        StreamProcessor::new(&model.manifest.front_end, StreamConfig::at(rate)).unwrap();
    let config = WorkerConfig { hop_s: 0.5, max_pending: 4, lossless: true };
    let worker = StreamWorker::new(&model.manifest, queue, config);
    let (sink, events) = crossbeam_channel::unbounded();
    let _handle = InferenceService::shared().unwrap().add(worker, model.clone(), EngineChoice::Auto, sink);
    for from in (0..sound[0].len()).step_by(block) {
        while processor.vacant_frames() < 100 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let parts: Vec<&[f32]> = sound.iter().map(|c| &c[from..(from + block).min(c.len())]).collect();
        processor.process(&parts);
    }
    while !processor.finish() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut windows = Vec::new();
    loop {
        match events.recv_timeout(Duration::from_secs(60)).unwrap() {
            Event::Window(window) => windows.push(window),
            Event::Ended(_) => return windows,
        }
    }
}

/// Bit for bit: tighter than the 1e-6 that is asked for. Sessions differ in nothing but the path.
#[test]
fn live_equals_offline() {
    let model = default_model();
    for (rate, block) in [(48_000, 64), (44_100, 441), (16_000, 1000)] {
        let sound = [speech_like(rate, 5.3, 1), speech_like(rate, 5.3, 2)];
        let expected = offline(&model, f64::from(rate), &sound);
        assert_eq!(expected.len(), 8, "7 windows on the grid and the last one");
        assert!(expected.iter().all(|window| window.reading.state == State::Scored));
        assert_eq!(live(&model, f64::from(rate), &sound, block), expected);
    }
}

#[test]
fn host_rates_give_nearly_the_same_scores() {
    let model = default_model();
    let at = |rate: u32| offline(&model, f64::from(rate), &[band_limited(rate)]);
    let expected = at(16_000);
    for rate in [22_050, 44_100, 48_000, 96_000] {
        for (a, b) in expected.iter().zip(at(rate)) {
            let apart = (a.reading.llr - b.reading.llr).abs();
            // The sound is sampled anew at each rate, so only rounding and the filter's edge differ. The score of
            // this buzz is about 6 nats: 0.15 of them are less than a thousandth of the probability.
            assert!(apart < 0.15, "{rate} Hz: {apart} nats apart");
        }
    }
}

/// The same analogue sound at any rate: harmonics in syllables.
fn band_limited(rate: u32) -> Vec<f32> {
    let rate = f64::from(rate);
    (0..(rate * 4.0) as usize)
        .map(|i| {
            let t = i as f64 / rate;
            let syllable = (t * 3.0 * std::f64::consts::PI).sin().powi(2);
            let voice: f64 = (1..40)
                .map(|h| (std::f64::consts::TAU * 150.0 * f64::from(h) * t).sin() / f64::from(h))
                .sum();
            (0.2 * syllable * voice) as f32
        })
        .collect()
}

#[test]
fn many_streams_and_two_models_at_once() {
    let (first, second) = (default_model(), other_model());
    let sounds: Vec<_> = (0..6).map(|seed| vec![speech_like(16_000, 3.1, seed)]).collect();
    let model = |i: usize| if i.is_multiple_of(2) { &first } else { &second };
    let model = &model;
    let expected: Vec<_> = sounds.iter().enumerate().map(|(i, s)| offline(model(i), 16_000.0, s)).collect();
    let found: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = sounds
            .iter()
            .enumerate()
            .map(|(i, sound)| scope.spawn(move || live(model(i), 16_000.0, sound, 480)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        // As text: a reading without a score holds NaN, which doesn't equal itself.
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "stream {i}");
    }
    assert_ne!(expected[0], expected[1]);
}

#[test]
fn states_say_what_is_known() {
    let model = default_model();
    let last = |sound: Vec<f32>| offline(&model, 16_000.0, &[sound]).last().map(|window| window.scores);
    assert_eq!(last(Vec::new()), None);
    assert_eq!(last(vec![0.0; 64_000]).unwrap().integrated.state, State::NoSpeech);
    assert_eq!(last(noise(64_000, 1)).unwrap().integrated.state, State::NoSpeech);
    assert_eq!(last(speech_like(16_000, 1.0, 1)).unwrap().integrated.state, State::TooLittleEvidence);
    assert_eq!(last(speech_like(16_000, 5.0, 1)).unwrap().integrated.state, State::Scored);
}

#[test]
fn without_inference_the_scores_go_stale() {
    let model = default_model();
    let config = WorkerConfig { hop_s: 0.5, max_pending: 4, lossless: false };
    let freshness = config.freshness(&model.manifest);
    let (mut processor, queue) =
        StreamProcessor::new(&model.manifest.front_end, StreamConfig::at(48_000.0)).unwrap();
    let worker = StreamWorker::new(&model.manifest, queue, config);
    let mut shown = Vec::new();
    for block in speech_like(48_000, 6.0, 1).chunks(4_800) {
        processor.process(&[block]);
        let scores = worker.cell().read().unwrap();
        shown.push(freshness.judge(scores, processor.position()).momentary.state);
    }
    // A window and two hops and a second: 4 s.
    assert!(shown[..39].iter().all(|state| *state == State::WarmingUp));
    assert!(shown[41..].iter().all(|state| *state == State::Stale));
}

/// Nobody reads for 10 s while the queue holds 2 s: whole windows are lost and counted, and those
/// that are left equal those of an undisturbed stream.
#[test]
fn a_full_queue_loses_whole_windows_and_counts_them() {
    let model = default_model();
    let sound = speech_like(16_000, 20.0, 3);
    let expected = offline(&model, 16_000.0, std::slice::from_ref(&sound));
    let config = StreamConfig { queue_s: 2.0, ..StreamConfig::at(16_000.0) };
    let (mut processor, queue) = StreamProcessor::new(&model.manifest.front_end, config).unwrap();
    let mut worker = StreamWorker::new(
        &model.manifest,
        queue,
        WorkerConfig { hop_s: 0.5, max_pending: 64, lossless: true },
    );
    let mut windows = Vec::new();
    for (i, block) in sound.chunks(160).enumerate() {
        processor.process(&[block]);
        if !(500..1500).contains(&i) {
            worker.collect();
        }
        windows.extend(std::iter::from_fn(|| worker.next_window()));
    }
    processor.finish();
    worker.collect();
    windows.extend(std::iter::from_fn(|| worker.next_window()));
    let scores = worker.cell().read().unwrap();
    assert_eq!(windows.len() as u64 + scores.dropped, expected.len() as u64, "none uncounted");
    assert!(scores.dropped > 0);
    let mut scorer = bonafide::detect::Scorer::open(model, EngineChoice::Auto).unwrap();
    for (window, _) in windows {
        let start_s = window.tag.index as f64 / 100.0;
        let undisturbed = expected.iter().find(|e| e.start_s == start_s).expect("on the grid");
        assert_eq!(scorer.llr(&window.bands).unwrap(), undisturbed.reading.llr, "at {start_s} s");
    }
}

#[test]
fn live_overload_skips_the_oldest_windows_and_says_so() {
    let model = default_model();
    let (mut processor, queue) =
        StreamProcessor::new(&model.manifest.front_end, StreamConfig::at(16_000.0)).unwrap();
    let mut worker = StreamWorker::new(
        &model.manifest,
        queue,
        WorkerConfig { hop_s: 0.5, max_pending: 2, lossless: false },
    );
    for block in speech_like(16_000, 6.0, 1).chunks(1600) {
        processor.process(&[block]);
        worker.collect();
    }
    let scores = worker.cell().read().unwrap();
    // 4.5 s in, two windows that end at 2 and 2.5 s can no longer be shown in time.
    assert_eq!((scores.momentary.state, scores.dropped), (State::Overloaded, 3), "5 windows, 2 kept");
    let (window, _) = worker.next_window().unwrap();
    assert_eq!(window.tag.index, 150, "the oldest were skipped");
    worker.record(&window, Some(Ok(1.0)));
    assert_eq!(worker.cell().read().unwrap().momentary.state, State::Scored);
}

/// Files share the pool's scorers, and those at one rate its filters.
#[test]
fn what_a_file_is_judged_to_be_does_not_depend_on_those_before_it() {
    let model = default_model();
    let pool = ScorerPool::open(&model, EngineChoice::Auto).unwrap();
    for (seed, rate) in (1..).zip([44_100, 44_100, 16_000, 48_000, 44_100]) {
        let sound = [speech_like(rate, 3.3, seed)];
        let rate = f64::from(rate);
        assert_eq!(offline_by(&pool, rate, &sound), offline(&model, rate, &sound), "file {seed}");
    }
}

#[test]
fn a_jump_or_reset_glues_nothing_together() {
    let model = default_model();
    let sound = speech_like(16_000, 5.0, 1);
    let (mut processor, queue) =
        StreamProcessor::new(&model.manifest.front_end, StreamConfig::at(16_000.0)).unwrap();
    let mut worker = StreamWorker::new(
        &model.manifest,
        queue,
        WorkerConfig { hop_s: 0.5, max_pending: 64, lossless: true },
    );
    let mut starts = |processor: &mut StreamProcessor, seconds: usize| {
        for block in sound[..seconds * 16_000].chunks(1600) {
            processor.process(&[block]);
            worker.collect();
        }
        let windows = std::iter::from_fn(|| worker.next_window());
        windows.map(|(w, _)| (w.tag.session, w.tag.segment, w.tag.index)).collect::<Vec<_>>()
    };
    assert_eq!(starts(&mut processor, 3), [(0, 0, 0), (0, 0, 50)]);
    processor.discontinuity();
    assert_eq!(starts(&mut processor, 3), [(0, 1, 0), (0, 1, 50)]);
    processor.reset();
    assert_eq!(starts(&mut processor, 3), [(1, 0, 0), (1, 0, 50)]);
    assert_eq!(worker.cell().read().unwrap().dropped, 0, "nothing was lost");
}

#[test]
fn a_model_that_fails_is_an_error_state_not_a_crash() {
    let text = include_str!("../models/bonafide-small.toml").replace("frames = 200", "frames = 201");
    let model = Model::from_parts("misfit", &text, default_model().onnx.to_vec()).unwrap();
    let (mut processor, queue) =
        StreamProcessor::new(&model.manifest.front_end, StreamConfig::at(16_000.0)).unwrap();
    let worker = StreamWorker::new(
        &model.manifest,
        queue,
        WorkerConfig { hop_s: 0.5, max_pending: 4, lossless: true },
    );
    let (sink, events) = crossbeam_channel::unbounded();
    let handle = InferenceService::shared().unwrap().add(worker, model, EngineChoice::Auto, sink);
    let deadline = Instant::now() + Duration::from_secs(60);
    while handle.status().error.is_none() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(handle.cell().read().unwrap().integrated.state, State::Error);
    assert!(handle.status().error.unwrap().to_string().contains("misfit"));
    // Nor does silence make it look as if it could judge.
    processor.process(&[vec![0.0; 36_000]]);
    let Event::Window(window) = events.recv_timeout(Duration::from_secs(60)).unwrap() else {
        panic!("a window comes first")
    };
    assert_eq!([window.scores.momentary.state, window.scores.short_term.state], [State::Error; 2]);
    assert!(handle.status().error.unwrap().to_string().contains("misfit"));
}

/// Windows of several streams run together: rounding may differ, as it may between those of one.
#[test]
fn streams_that_end_together_say_what_each_says_alone() {
    let model = default_model();
    let pool = ScorerPool::open(&model, EngineChoice::Auto).unwrap();
    let sounds = [
        (16_000, speech_like(16_000, 4.0, 1)),
        (48_000, speech_like(48_000, 0.8, 2)),
        (16_000, vec![0.0; 40_000]),
        (44_100, speech_like(44_100, 2.3, 3)),
    ];
    let mut together: Vec<Vec<WindowScore>> = vec![Vec::new(); sounds.len()];
    let mut compared = 0;
    let streams = sounds.iter().zip(&mut together).map(|((rate, sound), windows)| {
        let mut stream = OfflineStream::new(&pool, StreamConfig::at(f64::from(*rate)), 0.5).unwrap();
        stream.push(&[sound], |_| panic!("too little to be judged before its end")).unwrap();
        (stream, |told: Result<Event, _>| match told.unwrap() {
            Event::Window(window) => windows.push(window),
            Event::Ended(_) => {}
        })
    });
    OfflineStream::finish_together(streams.collect());
    for ((rate, sound), together) in sounds.into_iter().zip(together) {
        let alone = offline_by(&pool, f64::from(rate), &[sound]);
        assert_eq!(together.len(), alone.len());
        for (together, alone) in together.iter().zip(&alone) {
            assert_eq!((together.start_s, together.end_s), (alone.start_s, alone.end_s));
            let (a, b) = (together.scores.momentary, alone.scores.momentary);
            assert_eq!(a.state, b.state);
            assert!(a.state != State::Scored || (a.llr - b.llr).abs() < 1e-4, "{a:?}, alone {b:?}");
            compared += 1;
        }
    }
    assert!(compared >= 8, "{compared} windows");
}

#[test]
fn loudest_channel_is_judged_as_if_alone() {
    let model = default_model();
    let voice = speech_like(16_000, 4.0, 1);
    let silence = vec![0.0; voice.len()];
    let pool = ScorerPool::open(&model, EngineChoice::Auto).unwrap();
    let score = |channel, sound: &[Vec<f32>]| {
        let config = StreamConfig { channel, ..StreamConfig::at(16_000.0) };
        let mut stream = OfflineStream::new(&pool, config, 0.5).unwrap();
        let mut last = None;
        stream.push(sound, |_| {}).unwrap();
        stream
            .finish(|event| {
                if let Event::Ended(scores) = event {
                    last = Some(scores.integrated)
                }
            })
            .unwrap();
        last.unwrap()
    };
    let alone = score(ChannelChoice::Mid, std::slice::from_ref(&voice));
    assert_eq!(score(ChannelChoice::Loudest, &[voice.clone(), silence.clone()]), alone);
    assert_eq!(score(ChannelChoice::Right, &[silence, voice]), alone);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    /// Windows, too, are the same to the bit for any split.
    #[test]
    fn any_split_gives_the_same_windows(blocks in proptest::collection::vec(0..9000_usize, 1..20)) {
        let model = default_model();
        let sound = speech_like(44_100, 3.3, 4);
        let windows = |blocks: &mut dyn Iterator<Item = usize>| {
            // One of the splits is none: the queue must hold it all.
            let config = StreamConfig { queue_s: 4.0, ..StreamConfig::at(44_100.0) };
            let (mut processor, queue) = StreamProcessor::new(&model.manifest.front_end, config).unwrap();
            let mut worker = StreamWorker::new(&model.manifest, queue, WorkerConfig { hop_s: 0.25, max_pending: 64, lossless: true });
            let mut from = 0;
            while from < sound.len() {
                let to = (from + blocks.next().unwrap()).min(sound.len());
                processor.process(&[&sound[from..to]]);
                worker.collect();
                from = to;
            }
            processor.finish();
            worker.collect();
            std::iter::from_fn(|| worker.next_window()).collect::<Vec<_>>()
        };
        let whole = windows(&mut std::iter::once(sound.len()));
        prop_assert_eq!(whole.len(), 7);
        prop_assert_eq!(whole, windows(&mut blocks.iter().copied().chain([1]).cycle()));
    }
}
