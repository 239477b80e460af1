//! A host that renders faster, or slower, than time passes.

use crate::common::{speech_in_rising_noise, speech_like};
use crate::vst3_host::{Block, Vst3Instance};
use crate::{Player, moving_sound, same_score, scan, shown};

#[test]
fn a_render_equals_a_scan_to_the_last_partial_window() {
    for (rate, block) in [(44_100, 441), (48_000, 1024), (96_000, 8192)] {
        let (sound, mut expected) = moving_sound(rate, 5.3);
        assert_eq!(expected.len(), 8);
        let instance = Vst3Instance::create();
        instance.start_offline(rate.into());
        let mut player = Player::new(&instance, &sound, block);
        player.play_to(sound.len());
        let found = player.values("Score");
        let last = expected.pop().unwrap();
        let steps: Vec<f64> = std::iter::once(0.5).chain(expected).collect();
        assert_eq!(found.len(), steps.len(), "{rate} Hz: {found:?}, not {steps:?}");
        assert!(found.iter().zip(&steps).all(|(a, b)| same_score(*a, *b)), "{found:?}, not {steps:?}");
        instance.deactivate();
        let score = instance.get("Score");
        assert!(same_score(score, last), "{rate} Hz: {score}, not {last}, with the sound's end");
    }
}

/// Each block is as long as all of the sound, far longer than the queue to the inference.
#[test]
fn a_render_in_huge_blocks_loses_nothing() {
    let sound = speech_in_rising_noise(48_000, 20.0, 4);
    let expected = scan(48_000, &sound);
    let instance = Vst3Instance::create();
    assert_eq!(instance.setup(48_000.0, sound.len(), true), 0);
    instance.activate();
    instance.process(Block { inputs: &[&sound, &sound], ..Block::default() });
    let before_last = shown(&expected[expected.len() - 2]);
    assert!(same_score(instance.get("Score"), before_last));
    instance.deactivate();
    assert!(same_score(instance.get("Score"), shown(expected.last().unwrap())));
}

#[test]
fn a_render_can_be_repeated_and_followed_by_playing() {
    let sound = speech_like(48_000, 3.3, 5);
    let expected = shown(scan(48_000, &sound).last().unwrap());
    let instance = Vst3Instance::create();
    for _ in 0..3 {
        instance.start_offline(48_000.0);
        Player::new(&instance, &sound, 480).play_to(sound.len());
        instance.deactivate();
        assert!(same_score(instance.get("Score"), expected));
        instance.start(48_000.0);
        Player::new(&instance, &sound, 480).play_to(4_800);
        instance.deactivate();
    }
}
