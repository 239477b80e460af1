//! Streams that stall, end, are many, or are called something odd.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::common::speech_like;
use crate::running::{
    ALARM, QUIET, RATE, RAW, Running, assert_scores, bonafide, listen, of_type, parsed, scanned, silence,
    speech,
};

pub fn write_wav(path: &Path, seconds: f64, seed: u32) -> PathBuf {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(path, spec).unwrap();
    for x in speech_like(RATE, seconds, seed) {
        wav.write_sample((x * 32_000.0) as i16).unwrap();
    }
    wav.finalize().unwrap();
    path.to_owned()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn several_pipes_at_once_get_their_own_scores() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: String| folder.path().join(name);
    let files: Vec<_> =
        (0..3).map(|i| write_wav(&at(format!("{i}.wav")), 4.0 + f64::from(i), i + 1)).collect();
    let pipes: Vec<_> = (0..3).map(|i| at(format!("{i}.fifo"))).collect();
    assert!(Command::new("mkfifo").args(&pipes).status().unwrap().success());
    let mut arguments: Vec<&str> = pipes.iter().map(|pipe| text(pipe)).collect();
    // The third is called what its path is.
    arguments.extend(["--name", "studio", "--name", "line 2"]);
    let running = Running::start(&arguments);
    let writers: Vec<_> = files
        .iter()
        .zip(&pipes)
        .map(|(file, pipe)| {
            let (sound, pipe) = (std::fs::read(file).unwrap(), pipe.clone());
            std::thread::spawn(move || std::fs::write(pipe, sound).unwrap())
        })
        .collect();
    let (records, code, errors) = running.end();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(code, 0, "{errors}");
    for (name, file) in ["studio", "line 2", text(&pipes[2])].into_iter().zip(&files) {
        let own: Vec<Value> = records.iter().filter(|record| record["stream"] == name).cloned().collect();
        assert_scores(&own, &scanned(file), name);
        assert_eq!((&own[0]["type"], &own.last().unwrap()["type"]), (&"start".into(), &"end".into()));
    }
}

#[test]
fn one_input_that_fails_does_not_end_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = write_wav(&folder.path().join("a.wav"), 4.0, 1);
    let (records, code, _) = Running::start(&[text(&file), "/nowhere/b.wav"]).end();
    assert_eq!(code, 2);
    let ends = of_type(&records, "end");
    let end = |name: &str| *ends.iter().find(|end| end["stream"] == name).unwrap();
    assert_eq!(end(text(&file))["reason"], "end of input");
    assert_eq!(end("/nowhere/b.wav")["reason"], "failed");
}

#[test]
fn a_stall_of_a_live_source_is_a_gap_and_of_a_pipe_is_none() {
    let (before, after) = (speech(3.3, 1), speech(3.0, 2));
    let options = [&RAW[..], &["--stall", "0.2", "--timecode", "10:00:00:00"]].concat();
    let run = |arguments: &[&str]| {
        let mut running = Running::start(arguments);
        running.write(&before);
        running.wait_for("stalled");
        running.write(&after);
        running.wait_for("resumed");
        running.close();
        running.end().0
    };

    let records = run(&options);
    let unbroken = listen(&RAW, &[&before[..], &after].concat()).0;
    let llrs = |records: &[Value]| -> Vec<Value> {
        of_type(records, "window").iter().map(|window| window["llr"].clone()).collect()
    };
    assert_eq!(llrs(&records), llrs(&unbroken), "a pipe that waits changes nothing");
    assert!(of_type(&records, "gap").is_empty());

    let records = run(&[&options[..], &["--live"]].concat());
    let [gap] = of_type(&records, "gap")[..] else { panic!("one gap") };
    let lost_s = gap["lost_s"].as_f64().unwrap();
    assert!((0.2..60.0).contains(&lost_s), "{gap}");
    assert_eq!(of_type(&records, "end")[0]["gaps"], 1);
    let windows = of_type(&records, "window");
    let (first, second): (Vec<&Value>, Vec<&Value>) =
        windows.into_iter().partition(|window| window["segment"] == 0);
    assert_eq!(first.last().unwrap()["end_s"], 3.3, "what was heard before the stall was judged at once");
    assert_eq!(second[0]["start_s"], 3.3, "and nothing of it after");
    assert_eq!(second[0]["new_samples"][0], first.last().unwrap()["new_samples"][1]);
    // Timecode has run on meanwhile.
    let timecode = second[0]["timecode"].as_str().unwrap();
    let fields: Vec<f64> = timecode.split(':').map(|field| field.parse().unwrap()).collect();
    let seconds = (fields[1] * 60.0 + fields[2]) + fields[3] / 25.0;
    assert!((seconds - (5.3 + lost_s)).abs() < 0.05, "{timecode} after a gap of {lost_s} s");
}

#[test]
fn sigterm_and_sigint_judge_and_tell_what_is_left() {
    for signal in ["TERM", "INT", "HUP"] {
        let mut running = Running::start(&[RAW, QUIET].concat());
        running.write(&speech(3.3, 1));
        running.wait_until("window at 3.0 s", |record| record["end_s"] == 3.0);
        running.signal(signal);
        let (records, code, _) = running.end();
        assert_eq!(code, 0);
        let [.., window, end] = &records[..] else { panic!("{records:?}") };
        assert_eq!((&window["type"], &window["end_s"]), (&"window".into(), &3.3.into()), "{signal}");
        assert_eq!((&end["type"], &end["reason"]), (&"end".into(), &"stopped".into()), "{signal}");
    }
    // Before anything has come, too.
    let running = Running::start(&RAW);
    std::thread::sleep(Duration::from_millis(200));
    running.signal("TERM");
    let status = { running }.wait();
    assert!(status.code() == Some(0) || status.code().is_none(), "a signal may come before its handler");
}

#[test]
fn once_ends_at_the_first_alarm() {
    let mut running = Running::start(&[&RAW[..], &ALARM, &["--once"]].concat());
    running.write(&speech(4.0, 1));
    let (records, code, _) = running.end();
    assert_eq!(code, 1);
    let kinds: Vec<_> = records.iter().rev().take(2).map(|record| record["type"].clone()).collect();
    assert_eq!((of_type(&records, "alarm").len(), &kinds[0]), (1, &"end".into()));
    assert_eq!(records.last().unwrap()["reason"], "alarm");
    // Silence is none, and a stream that ends without is a success.
    let (records, code, _) = listen(&[&RAW[..], &ALARM, &["--once"]].concat(), &silence(5.0));
    assert_eq!((code, of_type(&records, "alarm").len()), (0, 0));
    assert_eq!(records.last().unwrap()["state"], "no_speech");
}

#[test]
fn a_latched_alarm_ends_when_it_is_told_to() {
    let mut running = Running::start(&[&RAW[..], &ALARM, &["--latch"]].concat());
    running.write(&[speech(4.0, 1), silence(20.0)].concat());
    running.wait_until("window at 23.5 s", |record| record["end_s"] == 23.5);
    assert!(of_type(&running.records, "alarm_end").is_empty(), "long after its cause");
    running.signal("USR1");
    running.wait_for("alarm_end");
    running.write(&speech(4.0, 1));
    running.wait_for("alarm");
    running.close();
    let (records, ..) = running.end();
    assert_eq!(records.last().unwrap()["alarms"], 2);
}

#[test]
fn minimum_evidence_and_hold() {
    let sound = [speech(4.0, 1), silence(16.0)].concat();
    let alarm = |more: &[&str]| {
        let (records, ..) = listen(&[&RAW[..], &ALARM, more].concat(), &sound);
        let of =
            |kind: &str| of_type(&records, kind).first().map(|record| record["stream_s"].as_f64().unwrap());
        (of("alarm"), of("alarm_end"))
    };
    let (Some(begins), Some(ends)) = alarm(&[]) else { panic!("an alarm that ends") };
    let (later, _) = alarm(&["--min-speech", "2.5"]);
    assert!(later.unwrap() > begins, "{later:?} after {begins}");
    assert_eq!(alarm(&["--min-speech", "9"]), (None, None), "4 s can't hold 9 s of speech");
    let (_, held) = alarm(&["--hold", "3"]);
    assert!((held.unwrap() - ends - 3.0).abs() <= 0.5, "{held:?} held for 3 s, {ends} not held");
}

#[test]
fn changes_only_or_alarms_only() {
    let sound = [speech(4.0, 1), silence(30.0), speech(4.0, 1)].concat();
    let windows = |every: &str| {
        let (records, ..) = listen(&[&RAW[..], &ALARM, &["--every", every]].concat(), &sound);
        assert_eq!(of_type(&records, "alarm").len(), 2, "{every}");
        of_type(&records, "window").len()
    };
    let (all, changes) = (windows("window"), windows("change"));
    assert_eq!(all, 73);
    assert!((2..10).contains(&changes), "{changes}");
    assert_eq!(windows("alarm"), 0);
}

#[test]
fn a_machine_that_is_too_slow_says_so() {
    // Eight streams at a hop of 10 ms with the slower engine are too much for any machine of today.
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = (0..8).map(|i| write_wav(&folder.path().join(format!("{i}.wav")), 3.0, i)).collect();
    let arguments: Vec<&str> = files.iter().map(|file| text(file)).collect();
    let slow = ["--engine", "tract", "--hop", "0.01", "--every", "alarm"];
    let (records, code, _) = Running::start(&[&arguments[..], &slow, &["--live"]].concat()).end();
    assert_eq!(code, 0);
    let overloaded = of_type(&records, "overloaded");
    assert!(!overloaded.is_empty());
    assert!(overloaded.iter().all(|record| record["behind_s"].as_f64().unwrap() > 2.0));
    for end in of_type(&records, "end") {
        assert_eq!(end["windows"], 101, "behind, but nothing is left out");
    }
    // A file or a pipe that waits can't be outrun.
    let (records, ..) = Running::start(&[&arguments[..1], &slow].concat()).end();
    assert!(of_type(&records, "overloaded").is_empty());
}

/// Everything that a terminal or a reader of lines might obey.
const HOSTILE: &str = "a\u{1b}]0;evil\u{7}\u{1b}[31m\n\u{9b}32m\u{202e}\"'$(touch pwned)<b>.wav";

#[test]
fn hostile_names_are_safe_in_json_and_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let file = write_wav(&folder.path().join(HOSTILE), 3.0, 1);
    let output = bonafide().arg("listen").arg(&file).output().unwrap();
    let written = String::from_utf8(output.stdout).unwrap();
    assert!(!written.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}'), "{written}");
    assert!(parsed(&written).iter().all(|record| record["stream"] == text(&file)));

    let mut script = Command::new("script");
    script.args(["-qec", "\"$BONAFIDE\" listen \"$FILE\"", "/dev/null"]);
    script.env("BONAFIDE", env!("CARGO_BIN_EXE_bonafide")).env("FILE", &file).env("TERM", "xterm");
    let Ok(output) = script.output() else {
        println!("skipped: `script`, which makes a terminal, is not here");
        return;
    };
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("listening to"), "{shown}");
    for evil in ["\u{1b}]", "\u{7}", "\u{1b}[31m", "\u{9b}"] {
        assert!(!shown.contains(evil), "{shown:?}");
    }
}

#[test]
fn every_record_says_when_and_where() {
    let options = [&RAW[..], &["--timecode", "01:00:00;00", "--fps", "29.97", "--hop", "1"]].concat();
    let (records, ..) = listen(&options, &speech(5.0, 1));
    let mut before = String::new();
    for record in of_type(&records, "window") {
        let time = record["time"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.len() == "2026-01-01T00:00:00.000Z".len(), "{time}");
        assert!(time >= &before[..], "{time} before {before}");
        before = time.to_owned();
    }
    let timecodes: Vec<_> = records.iter().map(|record| record["timecode"].as_str().unwrap()).collect();
    assert_eq!(timecodes.first(), Some(&"01:00:00;00"));
    assert_eq!(timecodes.last(), Some(&"01:00:04;29"), "5 s of 29.97 frames");
    let start = &records[0];
    assert_eq!((&start["hop_s"], &start["model"]), (&1.0.into(), &"bonafide-small".into()));
    assert_eq!(start["model_sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn a_reader_that_goes_away_ends_it_cleanly() {
    // `bonafide listen | head -3`, with sound without end.
    let mut child = bonafide()
        .arg("listen")
        .args(RAW)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let writer = std::thread::spawn(move || {
        let sound = speech(1.0, 1);
        while stdin.write_all(&sound).is_ok() {}
    });
    let head = Command::new("head").arg("-3").stdin(stdout).output().unwrap();
    assert_eq!(parsed(&String::from_utf8(head.stdout).unwrap()).len(), 3);
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "nothing to complain of");
}
