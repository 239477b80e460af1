//! `listen --log`: what it keeps is what `verify` finds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::common::speech_like;
use crate::running::{ALARM, QUIET, RATE, RAW, Running, bonafide, listen, of_type, parsed, speech};
use crate::streams::{text, write_wav};

/// Exit code and everything that was printed.
fn verify(log: &Path, arguments: &[&str]) -> (i32, String) {
    let output = bonafide().arg("verify").arg(log).args(arguments).output().unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    (output.status.code().expect("ended by itself"), String::from_utf8(said).unwrap())
}

fn assert_holds(log: &Path, arguments: &[&str], expected: &[&str]) {
    let (code, said) = verify(log, arguments);
    assert_eq!(code, 0, "{said}");
    expected.iter().for_each(|words| assert!(said.contains(words), "no {words:?} in {said}"));
}

/// The log's lines of one kind.
fn lines(log: &Path, kind: &str) -> Vec<Value> {
    let mut lines = parsed(&fs::read_to_string(log).unwrap());
    lines.retain(|line| line["record"] == kind);
    lines
}

/// What was said, as a file: 16 kHz, mono, 16 bits.
pub fn as_wav(path: &Path, bytes: &[u8]) -> PathBuf {
    let (sample_format, bits_per_sample) = (hound::SampleFormat::Int, 16);
    let spec = hound::WavSpec { channels: 1, sample_rate: RATE, bits_per_sample, sample_format };
    let mut wav = hound::WavWriter::create(path, spec).unwrap();
    bytes.chunks(2).for_each(|x| wav.write_sample(i16::from_le_bytes([x[0], x[1]])).unwrap());
    wav.finalize().unwrap();
    path.to_owned()
}

#[test]
fn a_log_holds_with_the_sound_that_was_heard() {
    let folder = tempfile::tempdir().unwrap();
    let (wav, log) = (folder.path().join("a.wav"), folder.path().join("a.jsonl"));
    let sides = [speech_like(44_100, 5.3, 1), speech_like(44_100, 5.3, 2)];
    for (bits_per_sample, sample_format) in [
        (8, hound::SampleFormat::Int),
        (24, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Int),
        (32, hound::SampleFormat::Float),
        (16, hound::SampleFormat::Int),
    ] {
        let _ = fs::remove_file(&log);
        let spec = hound::WavSpec { channels: 2, sample_rate: 44_100, bits_per_sample, sample_format };
        let mut out = hound::WavWriter::create(&wav, spec).unwrap();
        for (l, r) in sides[0].iter().zip(&sides[1]) {
            for x in [l, r] {
                let full = f64::from(i32::MAX >> (32 - bits_per_sample));
                match sample_format {
                    hound::SampleFormat::Float => out.write_sample(*x).unwrap(),
                    hound::SampleFormat::Int => out.write_sample((f64::from(*x) * full) as i32).unwrap(),
                }
            }
        }
        out.finalize().unwrap();
        let (_, code, errors) = listen(&["--log", text(&log)], &fs::read(&wav).unwrap());
        assert_eq!(code, 0, "{errors}");
        let equal = "233730 samples, and the whole";
        assert_holds(
            &log,
            &["--no-scores", "--audio", text(&wav)],
            &[equal, "closed: nothing was cut off\n"],
        );
    }
    for engine in ["auto", "tract"] {
        let arguments = ["--audio", text(&wav), "--engine", engine];
        assert_holds(&log, &arguments, &["stream    stdin", "8 windows run again", "the log holds\n"]);
    }
    // The same stream once more: the chain goes on.
    listen(&["--log", text(&log)], &fs::read(&wav).unwrap());
    assert_holds(&log, &[], &["streams: 2, windows: 16"]);
    // Another sound is another sound.
    write_wav(&wav, 5.3, 1);
    let (code, said) = verify(&log, &["--audio", text(&wav)]);
    assert_eq!((code, said.contains("no stream of the log was written of it")), (2, true), "{said}");
}

#[test]
fn several_inputs_have_a_log_each() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (a, b) = (write_wav(&at("a.wav"), 4.0, 1), write_wav(&at("B.wav"), 3.0, 2));
    let logs = at("new/logs");
    let arguments = ["--log", text(&logs), "--name", "studio", text(&a), text(&b), "/nowhere/c.wav"];
    let (_, code, _) = Running::start(&arguments).end();
    assert_eq!(code, 2, "one of them can't be read");
    let mut files: Vec<_> = fs::read_dir(&logs).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 3);
    let named = |start: &str| {
        let name = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().starts_with(start);
        files.iter().find(|file| name(file)).unwrap_or_else(|| panic!("no {start} in {files:?}"))
    };
    assert_holds(named("studio.jsonl"), &["--audio", text(&a)], &["5 windows run again", "and the whole"]);
    assert_holds(named("b_wav-"), &["--audio", text(&b)], &["3 windows run again", "and the whole"]);
    assert_holds(named("c_wav-"), &[], &["windows: 0"]);
    let [end] = &lines(named("c_wav-"), "end")[..] else { panic!("one end") };
    assert!(end["problem"].as_str().unwrap().contains("can't be opened"), "{end}");
}

#[test]
fn a_stream_that_is_ended_leaves_a_closed_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let mut running = Running::start(&[&RAW[..], &QUIET, &["--log", text(&log)]].concat());
    let sound = speech(3.3, 1);
    running.write(&sound);
    running.wait_until("window at 3.0 s", |record| record["end_s"] == 3.0);
    running.signal("TERM");
    assert_eq!(running.end().1, 0);
    let wav = as_wav(&folder.path().join("a.wav"), &sound);
    assert_holds(&log, &["--audio", text(&wav)], &["4 windows run again", "52800 samples, and the whole"]);
}

#[test]
fn gaps_and_alarms_are_kept_and_followed() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let options = ["--live", "--stall", "0.2", "--timecode", "10:00:00:00", "--log", text(&log)];
    let mut running = Running::start(&[&RAW[..], &ALARM, &options].concat());
    let (before, after) = (speech(3.3, 1), speech(3.0, 2));
    running.write(&before);
    running.wait_for("stalled");
    running.write(&after);
    running.wait_for("resumed");
    running.close();
    let (records, code, errors) = running.end();
    assert_eq!(code, 0, "{errors}");
    let wav = as_wav(&folder.path().join("a.wav"), &[before, after].concat());
    let windows = of_type(&records, "window");
    let again = format!("equal: {} windows run again", windows.len());
    assert_holds(&log, &["--audio", text(&wav)], &[&again, "100800 samples, and the whole"]);
    let kept = lines(&log, "window");
    for (kept, told) in kept.iter().zip(&windows) {
        let same = |field: &str| kept[field] == told[field];
        assert!(["time", "timecode", "segment", "llr", "state"].iter().all(|f| same(f)), "{kept}");
        assert_eq!(
            (&kept["end"], &kept["audio"]["from"]),
            (&told["new_samples"][1], &told["new_samples"][0])
        );
    }
    let events = lines(&log, "event");
    let of = |kind: &str| events.iter().filter(|event| event["event"] == kind).collect::<Vec<_>>();
    assert_eq!((of("gap").len(), &of("gap")[0]["position"]), (1, &52_800.into()));
    assert_eq!((of("stall").len(), of("resumed").len()), (1, 1));
    let alarms: Vec<_> = of("alarm").iter().map(|alarm| alarm["on"].clone()).collect();
    assert_eq!(alarms, [true, false], "it ends with the stream");
}

#[test]
fn sighup_goes_on_in_a_file_that_follows() {
    let folder = tempfile::tempdir().unwrap();
    let (log, old) = (folder.path().join("log.jsonl"), folder.path().join("log.jsonl.1"));
    let mut running = Running::start(&[&RAW[..], &QUIET, &["--log", text(&log)]].concat());
    let sound = speech(4.0, 1);
    running.write(&sound);
    running.wait_until("window at 3.5 s", |record| record["end_s"] == 3.5);
    fs::rename(&log, &old).unwrap();
    running.signal("HUP");
    while !log.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    running.write(&sound);
    running.close();
    assert_eq!(running.end().1, 0);
    let wav = as_wav(&folder.path().join("a.wav"), &[&sound[..], &sound].concat());
    let audio = ["--audio", text(&wav)];
    assert_holds(&old, &audio, &["closed: nothing was cut off; the stream goes on in another file"]);
    let (_, said) = verify(&old, &[]);
    let hash = said.lines().find_map(|line| line.strip_prefix("last line ")).unwrap();
    assert_holds(&log, &audio, &["goes on from another log", hash, "and the whole"]);
    assert_eq!(lines(&old, "window").len() + lines(&log, "window").len(), 13, "none is lost or told twice");
}

#[test]
fn a_log_can_be_moved_away_while_no_sound_comes() {
    let folder = tempfile::tempdir().unwrap();
    let (log, old) = (folder.path().join("log.jsonl"), folder.path().join("log.jsonl.1"));
    let options = ["--live", "--stall", "0.2", "--log", text(&log)];
    let mut running = Running::start(&[&RAW[..], &options].concat());
    let (before, after) = (speech(3.3, 1), speech(3.0, 2));
    running.write(&before);
    running.wait_until("window at 3.3 s", |record| record["end_s"] == 3.3);
    fs::rename(&log, &old).unwrap();
    running.signal("HUP");
    while !log.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    running.write(&after);
    running.wait_for("resumed");
    running.close();
    assert_eq!(running.end().1, 0);
    let wav = as_wav(&folder.path().join("a.wav"), &[before, after].concat());
    let audio = ["--audio", text(&wav)];
    assert_holds(&old, &audio, &["4 windows run again", "the stream goes on in another file"]);
    assert_holds(&log, &audio, &["goes on from another log", "windows run again", "and the whole"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_records_of_the_log_but_no_windows() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    // A limit on the size of its files stops a write in the middle, as a full disk does.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -S -f 4; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_bonafide")]);
    command.arg("listen").args(RAW).args(QUIET).args(["--log", text(&log)]);
    let mut running = Running::spawn(command);
    let sound = speech(6.0, 1);
    running.write(&sound);
    running.wait_until("window at 5.5 s", |record| record["end_s"] == 5.5);
    let room = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: a plain system call with a valid pointer, and none for the old limit.
    let lifted = unsafe {
        libc::prlimit(running.pid() as libc::pid_t, libc::RLIMIT_FSIZE, &room, std::ptr::null_mut())
    };
    assert_eq!(lifted, 0);
    running.write(&sound);
    running.close();
    let (records, code, errors) = running.end();
    assert_eq!(code, 2, "{errors}");
    assert_eq!(of_type(&records, "window").len(), 21, "all are told");
    assert_eq!(errors.matches("can't be written").count(), 1, "said once: {errors}");
    assert!(errors.contains("the log is written again") && errors.contains("records of the log"), "{errors}");
    let wav = as_wav(&folder.path().join("a.wav"), &[&sound[..], &sound].concat());
    let counted = "records could not be written at the time, and are counted";
    assert_holds(&log, &["--audio", text(&wav)], &[counted, "the log holds\n"]);
    assert!(lines(&log, "window").len() < 21);
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_that_could_not_begin_begins_later() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    symlink("/dev/full", &log).unwrap();
    let mut running = Running::start(&[&RAW[..], &QUIET, &["--log", text(&log)]].concat());
    let sound = speech(4.0, 1);
    running.write(&sound);
    running.wait_until("window at 3.5 s", |record| record["end_s"] == 3.5);
    fs::remove_file(&log).unwrap();
    running.write(&sound);
    running.close();
    let (records, code, errors) = running.end();
    assert_eq!((code, of_type(&records, "window").len()), (2, 13), "{errors}");
    let wav = as_wav(&folder.path().join("a.wav"), &[&sound[..], &sound].concat());
    assert_holds(&log, &["--audio", text(&wav)], &["128000 samples, and the whole"]);
    let problem = lines(&log, "event")[0]["problem"].to_string();
    assert!(problem.contains("before this one could not be written"), "{problem}");
}

#[test]
fn a_place_that_can_not_be_written_to_is_said_at_once() {
    let mut command = bonafide();
    command.args(["listen", "--log", "/nowhere/log.jsonl"]).stdin(Stdio::piped());
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(errors.contains("--log /nowhere/log.jsonl: No such file"), "{errors}");
}
