//! Score, Alert and State as read-only meters, and as MIDI controllers.

use std::time::Instant;

use crate::common::speech_like;
use crate::vst3_host::{Block, Controller, Transport, Vst3Instance};
use crate::{OVERLOADED, Player, SCORED, WARMING_UP, moving_sound, same_score, scan, shown};

/// Samples by which a window's last frame lags behind its end: half a transform and the resampler.
const LAG: usize = 4_800;

/// Where window `i` has surely been handed over, at 48 kHz.
fn end_of_window(i: usize) -> usize {
    (2 * 48_000) + i * 24_000 + LAG
}

#[test]
fn live_scores_equal_a_scan() {
    for (rate, block) in [(44_100, 441), (48_000, 64), (96_000, 1024)] {
        let (sound, mut expected) = moving_sound(rate, 5.3);
        // It ends with the sound, which a live stream never knows to have ended.
        expected.pop();
        assert_eq!(expected.len(), 7);
        let instance = Vst3Instance::create();
        instance.start(rate.into());
        let mut player = Player::new(&instance, &sound, block);
        for (i, score) in expected.iter().enumerate() {
            player.play_to(end_of_window(i) * rate as usize / 48_000);
            player.wait("State", |state| state == SCORED);
            player.wait("Score", |shown| same_score(shown, *score));
            player.block();
        }
        let steps: Vec<f64> = std::iter::once(0.5).chain(expected).collect();
        let found = player.values("Score");
        assert_eq!(found.len(), steps.len(), "each change once, at {rate} Hz: {found:?}, not {steps:?}");
        assert!(found.iter().zip(&steps).all(|(a, b)| same_score(*a, *b)), "{found:?}, not {steps:?}");
    }
}

#[test]
fn the_first_block_after_a_window_says_so() {
    let sound = speech_like(48_000, 4.0, 1);
    let instance = Vst3Instance::create();
    instance.start(48_000.0);
    let mut player = Player::new(&instance, &sound, 64);
    let first = player.block();
    let id = |title| instance.id(title);
    let of = |points: &[crate::Point], title| -> Vec<f64> {
        points.iter().filter(|point| point.id == id(title)).map(|point| point.value).collect()
    };
    assert_eq!(of(&first.points, "Score"), [0.5]);
    assert_eq!(of(&first.points, "Alert"), [0.0]);
    assert_eq!(of(&first.points, "State"), [WARMING_UP]);
    assert!(first.points.iter().all(|point| point.offset == 63), "as of the block's end");
    player.points.clear();

    player.play_to(end_of_window(0));
    player.wait("State", |state| state == SCORED);
    let told = player.block();
    let score = shown(&scan(48_000, &sound)[0]);
    assert!(matches!(of(&player.points, "Score")[..], [found] if same_score(found, score)));
    assert_eq!(of(&told.points, "State").len(), 1, "not before it was judged, and at once then");
    player.points.clear();
    (0..50).for_each(|_| drop(player.block()));
    assert_eq!(player.points, [], "nothing has changed");
}

/// The best of six: what else runs on the machine may delay one, but not all of them.
#[test]
fn a_score_is_told_within_50_ms() {
    let (sound, scores) = moving_sound(48_000, 5.3);
    let instance = Vst3Instance::create();
    instance.start(48_000.0);
    let mut player = Player::new(&instance, &sound, 64);
    let mut delays = Vec::new();
    for (i, expected) in scores[..6].iter().enumerate() {
        player.play_to(end_of_window(i) - LAG);
        let handed_over = Instant::now();
        player.play_to(end_of_window(i));
        player.wait("Score", |score| same_score(score, *expected));
        player.block();
        delays.push(handed_over.elapsed().as_millis());
    }
    assert!(delays.iter().min().is_some_and(|delay| *delay <= 50), "{delays:?} ms");
}

#[test]
fn an_alert_is_told() {
    let sound = speech_like(48_000, 4.0, 1);
    let highest = scan(48_000, &sound).iter().map(shown).fold(0.0, f64::max);
    let instance = Vst3Instance::create();
    // Lower than anything this sound scores; if that is nothing, the range's lower end has to do.
    assert!(highest > 0.011, "no threshold is below {highest}: take another sound");
    instance.set_text("Threshold", "1 %");
    instance.start(48_000.0);
    let mut player = Player::new(&instance, &sound, 64);
    player.play_to(end_of_window(0));
    player.wait("State", |state| state == SCORED);
    player.play_to(end_of_window(3));
    player.wait("Alert", |alert| alert == 1.0);
    player.block();
    assert_eq!(player.values("Alert"), [0.0, 1.0]);
}

#[test]
fn meters_are_no_edits() {
    let sound = speech_like(48_000, 3.2, 1);
    let instance = Vst3Instance::create_with_run_loop();
    instance.start(48_000.0);
    let mut player = Player::new(&instance, &sound, 480);
    for window in 0..3 {
        while player.at < end_of_window(window) {
            let processed = player.block();
            instance.echo(&processed);
            instance.run_loop.as_ref().unwrap().fire_timers();
        }
        player.wait("State", |state| state == SCORED);
    }
    assert!(player.values("Score").len() > 1);
    drop(player);
    assert_eq!(instance.take_edits(), [], "a project stays unchanged");
}

#[test]
fn what_the_host_writes_to_outputs_is_ignored() {
    let instance = Vst3Instance::create();
    instance.start(48_000.0);
    let sound = vec![0.1; 64];
    let outputs = ["Score", "Alert", "State", "Score Lane", "Alert Lane"];
    let before = outputs.map(|title| instance.get(title));
    let changes = outputs.map(|title| (instance.id(title), 0.9));
    outputs.iter().for_each(|title| instance.set(title, 0.9));
    assert_eq!(outputs.map(|title| instance.get(title)), before, "set");
    instance.process(Block { inputs: &[&sound], changes: &changes, ..Block::default() });
    assert_eq!(outputs.map(|title| instance.get(title)), before, "played back");
}

#[test]
fn settings_follow_the_host() {
    let instance = Vst3Instance::create();
    instance.start(48_000.0);
    let (sound, threshold) = ([0.0; 64], instance.id("Threshold"));
    let play = |changes: &[(u32, f64)]| {
        instance.process(Block { inputs: &[&sound], changes, ..Block::default() });
        instance.get("Threshold")
    };
    let near = |a: f64, b: f64| (a - b).abs() < 0.01;
    assert!(near(play(&[(threshold, 0.2), (threshold, 0.8)]), 0.8), "the block's last point");
    for nonsense in [f64::NAN, f64::INFINITY] {
        assert!(near(play(&[(threshold, nonsense)]), 0.8));
    }
    assert!(near(play(&[(threshold, 7.0)]), 1.0));
    assert!(near(play(&[(threshold, -7.0)]), 0.0));
    assert!(near(play(&[(1, 0.5)]), 0.0), "of a parameter that is none");
    instance.set("Threshold", 0.5);
    assert!(near(play(&[]), 0.5));
}

#[test]
fn off_says_nothing_and_on_again_everything() {
    let instance = Vst3Instance::create();
    instance.set_text("Output Mode", "Off");
    instance.start(48_000.0);
    let sound = speech_like(48_000, 2.5, 1);
    let mut player = Player::new(&instance, &sound, 480);
    player.play_to(end_of_window(0));
    player.wait("State", |state| state == SCORED);
    assert!(player.block().controllers.is_empty());
    assert_eq!(player.points, []);
    instance.set_text("Output Mode", "Meter");
    assert_eq!(player.block().points.len(), 3);
    assert_eq!(instance.take_edits(), []);
}

#[test]
fn a_host_that_starts_again_is_told_everything_again() {
    let instance = Vst3Instance::create();
    instance.start(48_000.0);
    let sound = vec![0.0; 960];
    let mut player = Player::new(&instance, &sound, 480);
    assert_eq!(player.block().points.len(), 3);
    instance.deactivate();
    instance.activate();
    assert_eq!(player.block().points.len(), 3);
}

#[test]
fn midi_mode_plays_controllers_20_and_21() {
    let (sound, scores) = moving_sound(48_000, 4.0);
    let instance = Vst3Instance::create();
    instance.set_text("Output Mode", "MIDI");
    instance.set_text("Threshold", "1 %");
    instance.start(48_000.0);
    let mut player = Player::new(&instance, &sound, 64);
    let controller = |number, value| Controller { channel: 0, number, value, offset: 63 };
    let first = player.block();
    assert_eq!(first.controllers, [controller(20, 64), controller(21, 0)]);
    assert_eq!((first.points.len(), first.other_events), (3, 0), "and the meters");

    let mut heard = Vec::new();
    for (i, expected) in scores[..4].iter().enumerate() {
        while player.at < end_of_window(i) {
            heard.extend(player.block().controllers);
        }
        player.wait("Score", |score| same_score(score, *expected));
        heard.extend(player.block().controllers);
        let value = (*expected * 127.0).round().clamp(1.0, 126.0) as i8;
        let last = heard.iter().rev().find(|controller| controller.number == 20);
        assert_eq!(last.map_or(64, |controller| controller.value), value);
    }
    assert_eq!(heard.iter().filter(|c| c.number == 21).map(|c| c.value).collect::<Vec<_>>(), [127]);
    let scores: Vec<_> = heard.iter().filter(|c| c.number == 20).collect();
    assert!(scores.windows(2).all(|pair| pair[0].value != pair[1].value), "changes alone: {scores:?}");
    assert!(scores.len() > 1);
}

#[test]
fn a_reset_starts_a_new_measurement() {
    let sound = speech_like(48_000, 4.0, 1);
    let instance = Vst3Instance::create();
    instance.start(48_000.0);
    let mut player = Player::new(&instance, &sound, 480);
    player.play_to(end_of_window(0));
    player.wait("State", |state| state == SCORED);
    instance.set("Reset", 1.0);
    player.block();
    assert_eq!((instance.get("State"), instance.get("Score")), (WARMING_UP, 0.5));
    player.play_to(end_of_window(2));
    assert_eq!(player.values("State").last(), Some(&WARMING_UP), "a window takes 2 s");
}

/// What lies before and behind a jump of the transport is never judged as one window.
#[test]
fn a_jump_of_the_transport_cuts_the_sound() {
    let sound = speech_like(48_000, 5.0, 1);
    let play = |positions: fn(usize) -> i64| {
        let instance = Vst3Instance::create();
        instance.start(48_000.0);
        let mut at = 0;
        for part in sound[..3 * 48_000].chunks(480) {
            let transport = Some(Transport { playing: true, samples: positions(at) });
            instance.process(Block { inputs: &[part], transport, ..Block::default() });
            at += part.len();
        }
        // Time for a window to be judged, if there is one.
        std::thread::sleep(std::time::Duration::from_millis(300));
        instance.process(Block { inputs: &[&[]], ..Block::default() });
        instance.get("State")
    };
    crate::wait_for("the model", || play(|at| at as i64) == SCORED);
    let jump = |at: usize| if at < 72_000 { at as i64 } else { at as i64 + 48_000 };
    let mut state = OVERLOADED;
    crate::wait_for("a machine that keeps up", || {
        state = play(jump);
        state != OVERLOADED
    });
    assert_eq!(state, WARMING_UP, "1.5 s before the jump and 1.5 s behind it");
}
