//! The evidence log of the plugin, in hosts of both formats, checked by `bonafide verify`.

#[path = "common/clap_host.rs"]
mod clap_host;
mod common;
#[path = "common/vst3_host/mod.rs"]
mod vst3_host;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use clap_host::{Host, Said, Transport};
use common::{child, speech_like};
use serde_json::Value;
use vst3_host::{Block, Vst3Instance};

const RATE: u32 = 48_000;

/// Runs one of this file's tests in a process of its own, in which every instance logs into `folder`.
fn logged(test: &str, folder: &Path) {
    let output = child(test, &[("BONAFIDE_LOG", folder.to_str().unwrap())]);
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success() && text[0].contains("1 passed"), "{}: {}", output.status, text.concat());
}

/// The logs in `folder`, oldest first.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let mut logs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|ending| ending == "jsonl"));
    logs.sort_by_key(|path| lines(path)[0]["started"].as_str().unwrap().to_owned());
    logs
}

fn lines(log: &Path) -> Vec<Value> {
    let text = fs::read_to_string(log).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_kind(lines: &[Value], kind: &str) -> Vec<Value> {
    lines.iter().filter(|line| line["record"] == kind || line["event"] == kind).cloned().collect()
}

/// What a host would bounce: 32-bit float, which keeps every bit.
fn as_wav(folder: &Path, channels: &[&[f32]]) -> PathBuf {
    let path = folder.join("bounce.wav");
    let spec = hound::WavSpec {
        channels: channels.len() as u16,
        sample_rate: RATE,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut file = hound::WavWriter::create(&path, spec).unwrap();
    for i in 0..channels[0].len() {
        channels.iter().for_each(|channel| file.write_sample(channel[i]).unwrap());
    }
    file.finalize().unwrap();
    path
}

fn verify(log: &Path, audio: Option<&Path>) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bonafide"));
    command.arg("verify").arg(log);
    if let Some(audio) = audio {
        command.arg("--audio").arg(audio);
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    (output.status.code().unwrap(), text.concat())
}

fn assert_holds(log: &Path, audio: &Path, says: &[&str]) {
    let (code, text) = verify(log, Some(audio));
    assert_eq!(code, 0, "{text}");
    for words in says.iter().chain(&["the log holds\n"]) {
        assert!(text.contains(words), "{words}: {text}");
    }
}

fn stereo(seconds: f64) -> [Vec<f32>; 2] {
    [speech_like(RATE, seconds, 3), speech_like(RATE, seconds, 4)]
}

fn is_child() -> bool {
    std::env::var_os("BONAFIDE_LOG").is_some()
}

/// A render is a file, and the file that it made is what the log was written of.
#[test]
fn a_render_is_logged_completely() {
    let [left, right] = stereo(5.3);
    for test in ["renders_clap", "renders_vst3"] {
        let folder = tempfile::tempdir().unwrap();
        let in_it = folder.path().join("made/when/needed");
        logged(test, &in_it);
        let audio = as_wav(folder.path(), &[&left, &right]);
        // Rendered twice: a measurement each.
        let logs = logs(&in_it);
        assert_eq!(logs.len(), 2, "{logs:?}");
        for log in &logs {
            assert_holds(log, &audio, &["8 windows run again", "254400 samples, and the whole"]);
            let lines = lines(log);
            assert_eq!(
                (&lines[0]["source"], &lines[0]["channels"]),
                (&"plugin, rendering".into(), &2.into())
            );
            assert_eq!((of_kind(&lines, "window").len(), of_kind(&lines, "gap").len()), (8, 0));
        }
        // One bit of one sample.
        let mut changed = right.clone();
        changed[100_000] = f32::from_bits(changed[100_000].to_bits() ^ 1);
        let audio = as_wav(folder.path(), &[&left, &changed]);
        let (code, text) = verify(&logs[0], Some(&audio));
        assert!(code == 1 && text.contains("the audio was changed between"), "{text}");
    }
}

#[test]
#[ignore = "run by a_render_is_logged_completely in a process of its own"]
fn renders_clap() {
    if !is_child() {
        return;
    }
    let [left, right] = stereo(5.3);
    let mut host = Host::new();
    host.set_offline(true);
    for _ in 0..2 {
        host.start(RATE.into());
        for (left, right) in left.chunks(1000).zip(right.chunks(1000)) {
            host.process(&[left, right]);
        }
        host.stop();
    }
}

#[test]
#[ignore = "run by a_render_is_logged_completely in a process of its own"]
fn renders_vst3() {
    if !is_child() {
        return;
    }
    let [left, right] = stereo(5.3);
    let instance = Vst3Instance::create();
    for _ in 0..2 {
        instance.start_offline(RATE.into());
        for (left, right) in left.chunks(8192).zip(right.chunks(8192)) {
            instance.process(Block { inputs: &[left, right], ..Block::default() });
        }
        instance.deactivate();
    }
}

/// Live, with a jump and other settings on the way: every sample that was judged has its hash, and
/// cuts are told.
#[test]
fn what_is_heard_live_is_logged_with_its_cuts() {
    let [left, right] = stereo(12.0);
    for test in ["plays_clap", "plays_vst3"] {
        let folder = tempfile::tempdir().unwrap();
        logged(test, folder.path());
        let logs = logs(folder.path());
        // A reset begins another; instances that heard nothing left nothing.
        assert_eq!(logs.len(), 2, "{test}: {logs:?}");
        let lines = [lines(&logs[0]), lines(&logs[1])];
        let samples = |lines: &[Value]| {
            let whole = &of_kind(lines, "end")[0]["whole"]["samples"];
            whole.as_u64().unwrap() as usize
        };
        let [first, second] = [samples(&lines[0]), samples(&lines[1])];
        assert_eq!(first + second, left.len(), "{test}: nothing is left out");
        let audio = as_wav(folder.path(), &[&left[..first], &right[..first]]);
        assert_holds(&logs[0], &audio, &["windows run again", "and the whole"]);
        let audio = as_wav(folder.path(), &[&left[first..], &right[first..]]);
        assert_holds(&logs[1], &audio, &["windows run again", "and the whole"]);
        // The jump at 4 s, and the reset at 8 s.
        let gaps: Vec<_> = of_kind(&lines[0], "gap").iter().map(|gap| gap["position"].clone()).collect();
        assert_eq!(gaps, [4 * u64::from(RATE), first as u64], "{test}");
        assert!(of_kind(&lines[0], "window").iter().any(|window| window["segment"] == 1));
        let changes = of_kind(&lines[1], "settings");
        assert!(changes.len() == 1 && changes[0]["channel"] == "mid", "{changes:?}");
    }
}

/// Twelve seconds in blocks of an eighth of one, each given the time to be judged.
fn play(mut block: impl FnMut(usize, &[f32], &[f32])) {
    let [left, right] = stereo(12.0);
    for (i, (left, right)) in left.chunks(6000).zip(right.chunks(6000)).enumerate() {
        block(i, left, right);
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Host time of a block: at 4 s it jumps.
fn seconds(i: usize) -> f64 {
    i as f64 * 0.125 + if i < 32 { 0.0 } else { 100.0 }
}

#[test]
#[ignore = "run by what_is_heard_live_is_logged_with_its_cuts in a process of its own"]
fn plays_clap() {
    if !is_child() {
        return;
    }
    let silent = Host::started(RATE.into());
    let mut host = Host::started(RATE.into());
    let (reset, threshold, score) = (host.id("Reset"), host.id("Threshold"), host.id("Score"));
    let mut said = 0;
    play(|i, left, right| {
        host.transport = Some(Transport { playing: true, seconds: seconds(i) });
        match i {
            64 => host.set(reset, 1.0),
            80 => host.set(threshold, 0.7),
            _ => {}
        }
        let told = host.process(&[left, right]);
        said += told.iter().filter(|said| matches!(said, Said::Value { id, .. } if *id == score)).count();
    });
    assert!(said > 3);
    drop((silent, host));
}

#[test]
#[ignore = "run by what_is_heard_live_is_logged_with_its_cuts in a process of its own"]
fn plays_vst3() {
    if !is_child() {
        return;
    }
    let instance = Vst3Instance::create();
    instance.start(RATE.into());
    let (reset, threshold) = (instance.id("Reset"), instance.id("Threshold"));
    play(|i, left, right| {
        let samples = (seconds(i) * f64::from(RATE)) as i64;
        let transport = Some(vst3_host::Transport { playing: true, samples });
        let changes: &[_] = match i {
            64 => &[(reset, 1.0)],
            80 => &[(threshold, 0.7)],
            _ => &[],
        };
        instance.process(Block { inputs: &[left, right], transport, changes, ..Block::default() });
    });
}

/// A folder that can't be made, and a disk on which nothing fits: sound passes, and is judged.
#[test]
fn a_log_that_can_not_be_written_costs_no_judgement() {
    logged("plays_all_the_same", Path::new("/dev/null/folder"));
}

#[test]
#[ignore = "run by a_log_that_can_not_be_written_costs_no_judgement in a process of its own"]
fn plays_all_the_same() {
    if is_child() {
        let sound = speech_like(RATE, 5.0, 3);
        let mut host = Host::new();
        host.set_offline(true);
        host.start(RATE.into());
        let score = host.id("Score");
        sound.chunks(1024).for_each(|part| drop(host.process(&[part, part])));
        host.stop();
        let expected = *common::scanned(RATE.into(), &[&sound, &sound]).last().unwrap();
        assert_eq!(common::thousandths(host.value(score)), expected);
    }
}

/// Off is off: without a word from the user no file is written, whatever the project says.
#[test]
fn nothing_is_written_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let output = child("saves_and_loads", &[("HOME", folder.path().to_str().unwrap())]);
    assert!(output.status.success(), "{output:?}");
    // ONNX Runtime keeps an empty telemetry queue in the cache, switched off as it is.
    let left = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.filter(|name| name != ".cache").count(), 0);
}

/// A project that was saved while a log was written holds nothing of it.
#[test]
#[ignore = "run by nothing_is_written_unasked in a process of its own"]
fn saves_and_loads() {
    assert!(!is_child());
    let mut host = Host::started(RATE.into());
    // Behind its length, eight bytes.
    let saved = String::from_utf8(host.save().split_off(8)).unwrap();
    let fields: Value = serde_json::from_str(&saved).unwrap();
    let fields: Vec<_> = fields["fields"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["editor_size", "model"]);
    let on = saved.replacen("\"fields\":{", "\"fields\":{\"log\":\"true\",", 1);
    assert!(host.load(&[&(on.len() as u64).to_le_bytes(), on.as_bytes()].concat()));
    let begun = Instant::now();
    let sound = speech_like(RATE, 3.0, 3);
    while begun.elapsed() < Duration::from_millis(300) {
        host.process(&[&sound[..4800], &sound[..4800]]);
    }
}
