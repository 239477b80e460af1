//! What a project saves.

use vst3::ComWrapper;
use vst3::Steinberg::Vst::*;
use vst3::Steinberg::*;

use crate::common::speech_like;
use crate::vst3_host::com::Stream;
use crate::vst3_host::{Block, Vst3Instance, same_bits};

const SETTINGS: [&str; 7] = ["Threshold", "Hold", "Hop", "Channel", "Gate Trim", "Bypass", "Output Mode"];

fn settings(instance: &Vst3Instance) -> Vec<f64> {
    SETTINGS.iter().map(|title| instance.get(title)).collect()
}

#[test]
fn all_settings_come_back() {
    let first = Vst3Instance::create();
    let defaults = settings(&first);
    for (i, title) in SETTINGS.iter().enumerate() {
        let value = if first.parameter(title).steps > 0 { 1.0 } else { 0.9 - 0.05 * i as f64 };
        // What a setting snaps to.
        let text = first.text(title, value);
        first.set_text(title, &text);
    }
    let second = Vst3Instance::create();
    assert!(second.load(&first.save()));
    assert_eq!(settings(&second), settings(&first));
    assert!(settings(&second).iter().zip(&defaults).all(|(set, default)| set != default));
    assert_eq!(second.save(), first.save());
    assert_eq!(second.take_edits(), [], "loading is no edit");
}

/// Hosts put data of their own before the plugin's.
#[test]
fn a_state_within_another_stream_is_read_from_where_the_host_stands() {
    let first = Vst3Instance::create();
    first.set("Threshold", 1.0);
    let stream = ComWrapper::new(Stream::of(&[b"header".as_slice(), &first.save()].concat()));
    let pointer = stream.to_com_ptr::<IBStream>().unwrap();
    let second = Vst3Instance::create();
    // SAFETY: the host's stream.
    unsafe {
        assert_eq!(pointer.seek(6, 0, std::ptr::null_mut()), kResultOk);
        assert_eq!(second.component.setState(pointer.as_ptr()), kResultOk);
    }
    assert_eq!(second.get("Threshold"), first.get("Threshold"));
}

#[test]
fn outputs_are_not_restored() {
    let state = br#"{"version":"9.9.9","params":{
        "score":{"f32":0.9},"alert":{"bool":true},"state":{"string":"overloaded"},
        "score_lane":{"f32":0.9},"alert_lane":{"bool":true},
        "threshold":{"f32":0.75}},"fields":{}}"#;
    let instance = Vst3Instance::create();
    let outputs = ["Score", "Alert", "State", "Score Lane", "Alert Lane"];
    let before = outputs.map(|title| instance.get(title));
    assert!(instance.load(state));
    assert_eq!(instance.text("Threshold", instance.get("Threshold")), "75 %", "the rest is");
    assert_eq!(outputs.map(|title| instance.get(title)), before);
}

#[test]
fn a_later_version_s_state_loads_as_far_as_it_is_understood() {
    let state = br#"{"version":"9.9.9","more":[1],"params":{
        "future":{"f32":1.0},"hold":{"string":"a while"},"channel":{"string":"third"},
        "threshold":{"f32":0.75}},"fields":{"future":"[1,2]","editor_size":"\"big\""}}"#;
    let instance = Vst3Instance::create();
    let before = settings(&instance);
    assert!(instance.load(state));
    assert_eq!(instance.text("Threshold", instance.get("Threshold")), "75 %");
    assert_eq!(settings(&instance)[1..], before[1..]);
}

/// A threshold of 1e30 would be kept and saved, shown as 99 %, and never be reached.
#[test]
fn values_beyond_their_range_are_brought_into_it() {
    let instance = Vst3Instance::create();
    instance.start(48_000.0);
    let ranges =
        [("threshold", 0.01..=0.99), ("hold", 0.0..=60.0), ("hop", 0.1..=2.0), ("gate", -30.0..=30.0)];
    for value in ["1e30", "-1e30", "3.5e38", "-3.5e38", "1e999", "0", "null", "true"] {
        for (id, range) in &ranges {
            let state = format!(r#"{{"version":"1","params":{{"{id}":{{"f32":{value}}}}},"fields":{{}}}}"#);
            instance.load(state.as_bytes());
            let saved: serde_json::Value = serde_json::from_slice(&instance.save()).unwrap();
            let kept = saved["params"][id]["f32"].as_f64().expect("a number") as f32;
            assert!(range.contains(&kept), "{id} is {kept} after {value}");
        }
        instance.process(Block { inputs: &[&[0.1; 64]], ..Block::default() });
    }
}

#[test]
fn a_project_whose_model_is_missing_plays_and_says_so() {
    let instance = Vst3Instance::create();
    let good = instance.save();
    let bad = br#"{"version":"1","params":{},"fields":{"model":"\"/nowhere/model.toml\""}}"#;
    assert!(instance.load(bad));
    instance.start(48_000.0);
    let sound = speech_like(48_000, 0.1, 1);
    let play = || {
        let processed = instance.process(Block { inputs: &[&sound], ..Block::default() });
        assert!(same_bits(&processed.outputs[0], &sound));
        instance.text("State", instance.get("State"))
    };
    assert_eq!(play(), "Error");
    assert!(String::from_utf8(instance.save()).unwrap().contains("/nowhere/model.toml"), "it may come back");
    assert!(instance.load(&good));
    assert_eq!(play(), "Warming up", "another project mends it, even while it plays");
}

#[test]
fn a_damaged_state_is_refused_or_read_but_never_crashes() {
    let instance = Vst3Instance::create();
    let state = instance.save();
    assert!(instance.load(&state));
    for len in 0..state.len() {
        assert!(!instance.load(&state[..len]), "the first {len} bytes");
    }
    for at in 0..state.len() {
        for byte in [0, b'"', b'9', b'}', 0xff] {
            let mut damaged = state.clone();
            damaged[at] = byte;
            instance.load(&damaged);
        }
    }
    for garbage in [b"\0\0\0\0".as_slice(), b"{}", b"[]", b"null", b"VST3", &[0xff; 1 << 16]] {
        assert!(!instance.load(garbage));
    }
    let deep = [vec![b'['; 1 << 16], vec![b']'; 1 << 16]].concat();
    assert!(!instance.load(&deep));
    // SAFETY: null is to be refused.
    unsafe {
        assert_ne!(instance.component.setState(std::ptr::null_mut()), kResultOk);
        assert_ne!(instance.component.getState(std::ptr::null_mut()), kResultOk);
    }
}

#[test]
fn a_stream_that_fails_is_no_crash() {
    let instance = Vst3Instance::create();
    instance.set_text("Threshold", "80 %");
    let before = instance.get("Threshold");
    let stream = ComWrapper::new(Stream::of(&instance.save()));
    stream.broken.store(true, std::sync::atomic::Ordering::Relaxed);
    let pointer = stream.to_com_ptr::<IBStream>().unwrap();
    // SAFETY: the host's stream.
    unsafe {
        assert_ne!(instance.component.setState(pointer.as_ptr()), kResultOk);
        instance.component.getState(pointer.as_ptr());
    }
    assert_eq!(instance.get("Threshold"), before);
}

#[test]
fn a_state_may_come_from_another_thread_while_sound_plays() {
    let instance = Vst3Instance::create();
    instance.set_text("Threshold", "80 %");
    let threshold = instance.get("Threshold");
    let states = [instance.save(), Vst3Instance::create().save()];
    instance.start(48_000.0);
    let sound = speech_like(48_000, 2.0, 1);
    std::thread::scope(|scope| {
        let playing = scope.spawn(|| {
            for part in sound.chunks(64) {
                let processed = instance.process(Block { inputs: &[part], ..Block::default() });
                assert!(same_bits(&processed.outputs[0], part));
            }
        });
        let mut loads = 0;
        while !playing.is_finished() || loads < 20 {
            assert!(instance.load(&states[loads % 2]));
            assert!(instance.save().len() > 10);
            loads += 1;
        }
        playing.join().unwrap();
    });
    assert!(instance.load(&states[0]));
    assert_eq!(instance.get("Threshold"), threshold);
}
