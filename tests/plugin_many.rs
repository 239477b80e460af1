//! Many instances in one process, and models that fail.

#[path = "common/clap_host.rs"]
mod clap_host;
mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bonafide::rt::State;
use clap_host::{Host, Said};
use common::{child, scanned, speech_like, thousandths};

const RATE: u32 = 16_000;

/// The default model's files in a folder of their own, the manifest changed by `change`.
fn model(folder: &Path, name: &str, change: impl Fn(String) -> String) -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let text = std::fs::read_to_string(models.join("bonafide-small.toml")).unwrap();
    let folder = folder.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(models.join("bonafide-small.onnx"), folder.join("bonafide-small.onnx")).unwrap();
    std::fs::write(folder.join("model.toml"), change(text)).unwrap();
    folder.join("model.toml")
}

/// A project that was saved with another model.
fn use_model(host: &mut Host, manifest: &Path) {
    let mut project: serde_json::Value = serde_json::from_slice(&host.save()[8..]).unwrap();
    // nice-plug keeps each field as JSON within JSON.
    project["fields"]["model"] = serde_json::to_string(manifest).unwrap().into();
    let changed = project.to_string();
    let blob: Vec<u8> = (changed.len() as u64).to_le_bytes().into_iter().chain(changed.bytes()).collect();
    assert!(host.load(&blob));
}

fn offline(sound: &[f32], prepare: impl FnOnce(&mut Host)) -> (State, i64) {
    let mut host = Host::new();
    prepare(&mut host);
    host.set_offline(true);
    host.start(RATE.into());
    for part in sound.chunks(1600) {
        host.process(&[part, part]);
    }
    let (state, score) = (host.id("State"), host.id("Score"));
    (State::ALL[host.value(state) as usize], thousandths(host.value(score)))
}

fn live_windows(host: &mut Host, sound: &[f32], score: u32) -> Vec<i64> {
    let said = host.process(&[sound, sound]);
    let value = |said: Said| match said {
        Said::Value { id, value, .. } if id == score => Some(thousandths(value)),
        _ => None,
    };
    said.into_iter().filter_map(value).collect()
}

/// Each hears its own voice, live, all at once, and each has its own score.
#[test]
fn sixty_four_instances_have_each_its_own_score() {
    let voices: Vec<Vec<f32>> = (0..64).map(|i| speech_like(RATE, 3.2, 1 + i % 7)).collect();
    let expected: Vec<i64> = (0..7).map(|i| scanned(f64::from(RATE), &[&voices[i], &voices[i]])[2]).collect();
    let begun = Instant::now();
    let mut hosts: Vec<Host> = (0..64).map(|_| Host::started(RATE.into())).collect();
    let burst = begun.elapsed();
    assert!(burst < Duration::from_secs(20), "creating 64 instances took {burst:?}");
    let score = hosts[0].id("Score");
    // 3.1 s: the windows at 0, 0.5 and 1 s are complete. Played at a third of real time, which two
    // slow cores can follow with 64 voices.
    for block in 0..31 {
        for (host, voice) in hosts.iter_mut().zip(&voices) {
            live_windows(host, &voice[block * 1600..][..1600], score);
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    for (i, host) in hosts.iter_mut().enumerate() {
        while thousandths(host.value(score)) != expected[i % 7] {
            assert!(Instant::now() < deadline, "instance {i} shows {}", host.value(score));
            host.process(&[&[0.0], &[0.0]]);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn two_models_at_once_keep_apart() {
    let folder = tempfile::tempdir().unwrap();
    let shifted = |text: String| {
        let offset = text.lines().find(|line| line.starts_with("offset")).unwrap().to_owned();
        text.replace(&offset, "offset = 9.0")
    };
    let other = model(folder.path(), "shifted", shifted);
    let sound = speech_like(RATE, 4.0, 1);
    let default = offline(&sound, |_| {});
    assert_eq!(default.0, State::Scored);
    let mut mine = Host::new();
    use_model(&mut mine, &other);
    mine.set_offline(true);
    mine.start(RATE.into());
    let mut theirs = Host::new();
    theirs.set_offline(true);
    theirs.start(RATE.into());
    let score = mine.id("Score");
    for part in sound.chunks(1600) {
        mine.process(&[part, part]);
        theirs.process(&[part, part]);
    }
    assert_eq!(thousandths(theirs.value(score)), default.1);
    assert_eq!(thousandths(mine.value(score)), 999, "an offset of 9 nats is as sure as it gets");
}

#[test]
fn a_model_that_fails_is_an_error_state_and_sound_passes() {
    let folder = tempfile::tempdir().unwrap();
    let sound = speech_like(RATE, 3.0, 1);
    let corrupt = model(folder.path(), "corrupt", |text| text);
    std::fs::write(corrupt.with_file_name("bonafide-small.onnx"), b"not a model").unwrap();
    let misfit = model(folder.path(), "misfit", |text| text.replace("frames = 200", "frames = 201"));
    let rubbish = model(folder.path(), "rubbish", |_| "= rubbish".to_owned());
    for manifest in [corrupt, misfit, rubbish, folder.path().join("nowhere.toml")] {
        // The host of these tests compares all sound that passes.
        let heard = offline(&sound, |host| use_model(host, &manifest));
        assert_eq!(heard, (State::Error, 500), "{}", manifest.display());
    }
    // Mended while it plays.
    let mut host = Host::new();
    use_model(&mut host, &folder.path().join("nowhere.toml"));
    host.set_offline(true);
    host.start(RATE.into());
    host.process(&[&sound, &sound]);
    let state = host.id("State");
    assert_eq!(host.value(state), f64::from(State::Error as u8));
    use_model(&mut host, &model(folder.path(), "good", |text| text));
    host.process(&[&sound, &sound]);
    assert_eq!(host.value(state), f64::from(State::Scored as u8));
}

#[test]
fn without_the_library_the_embedded_engine_takes_over() {
    let sound = speech_like(RATE, 3.0, 1);
    let here = offline(&sound, |_| {});
    let output = child("embedded_engine", &[("BONAFIDE_ORT", "/nowhere/libonnxruntime.so")]);
    let text = String::from_utf8_lossy(&output.stdout);
    let there = text.lines().find_map(|line| line.split_once("SCORE ")).expect(&text).1;
    // The engines agree to 1e-3; rounding may add a step.
    let difference = here.1 - there.trim().parse::<i64>().unwrap();
    assert!(difference.abs() <= 2, "{here:?}, embedded {there}");
    assert_eq!(here.0, State::Scored);
}

#[test]
#[ignore = "run by without_the_library_the_embedded_engine_takes_over"]
fn embedded_engine() {
    let (state, score) = offline(&speech_like(RATE, 3.0, 1), |_| {});
    assert_eq!(state, State::Scored);
    println!("SCORE {score}");
}

/// In a process of its own, where nothing else comes and goes.
#[cfg(target_os = "linux")]
#[test]
fn a_thousand_lives_leave_nothing_behind() {
    let output = child("thousand_lives", &[("BONAFIDE_CHILD", "1")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by a_thousand_lives_leave_nothing_behind"]
fn thousand_lives() {
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let resident_kb = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap()
    };
    let sound = speech_like(RATE, 0.5, 1);
    // One that stays, as in a project, so that the model isn't opened anew each time.
    let _stays = Host::started(RATE.into());
    let life = |i: usize| {
        let mut host = Host::new();
        if i.is_multiple_of(2) {
            host.start([48_000.0, 44_100.0, 16_000.0][i % 3]);
            host.process(&[&sound, &sound]);
        }
        let blob = host.save();
        assert!(host.load(&blob));
    };
    (0..200).for_each(life);
    // Streams go on the inference thread, a moment after their instance.
    std::thread::sleep(Duration::from_millis(500));
    let (threads_before, kb_before) = (threads(), resident_kb());
    (0..1000).for_each(life);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(threads(), threads_before);
    let grown = resident_kb() - kb_before;
    assert!(grown < 8_000, "1,000 lives left {grown} kB behind");
}

/// Hosts load a plugin's file to scan it, and unload it again.
#[cfg(target_os = "linux")]
#[test]
fn the_file_can_be_loaded_and_unloaded() {
    let output = child("load_and_unload", &[("BONAFIDE_CHILD", "1")]);
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by the_file_can_be_loaded_and_unloaded"]
fn load_and_unload() {
    // Cargo builds it with the library that these tests link.
    let file = std::env::current_exe().unwrap().with_file_name("libbonafide.so");
    let sound = speech_like(RATE, 2.5, 1);
    let tasks =
        || std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path().join("comm"));
    let names = || tasks().map(|path| std::fs::read_to_string(path).unwrap()).collect::<Vec<_>>();
    let threads = || tasks().count();
    let mut known = 0;
    for times in 0..10 {
        // SAFETY: our own plugin.
        let entry = unsafe { clack_host::prelude::PluginEntry::load(&file) }.unwrap();
        let mut host = Host::of(&entry);
        if times % 2 == 0 {
            host.set_offline(true);
            host.start(RATE.into());
            host.process(&[&sound, &sound]);
            let state = host.id("State");
            assert_eq!(host.value(state), f64::from(State::Scored as u8));
        }
        drop(host);
        drop(entry);
        // A thread that was joined is listed until the kernel has taken it down, a moment later.
        let patience = Instant::now() + Duration::from_secs(2);
        if times == 0 {
            std::thread::sleep(Duration::from_millis(500));
            // ONNX Runtime stays, and with it a thread of its own; nothing of ours does.
            known = threads();
        }
        while threads() > known && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(threads(), known, "a thread would run in code that is gone: {:?}", names());
    }
}
