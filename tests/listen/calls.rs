//! `listen --reopen`: lines that end and begin again.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::log::as_wav;
use crate::running::{QUIET, RAW, Running, assert_scores, bonafide, listen, of_type, scanned, speech};
use crate::streams::text;

fn pipe(folder: &Path, name: &str) -> PathBuf {
    let pipe = folder.join(name);
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    pipe
}

/// A call: it waits for the line, speaks and hangs up.
fn call(line: &Path, sound: &[u8]) {
    OpenOptions::new().write(true).open(line).unwrap().write_all(sound).unwrap();
}

#[test]
fn each_call_is_a_stream_with_its_own_verdict_and_log() {
    let folder = tempfile::tempdir().unwrap();
    let (line, logs) = (pipe(folder.path(), "line-1"), folder.path().join("logs"));
    let arguments = [text(&line), "--reopen", "--name", "line-1", "--log", text(&logs)];
    let mut running = Running::start(&[&arguments[..], &RAW, &QUIET].concat());
    let calls = [speech(4.0, 1), speech(5.5, 2), speech(2.5, 3)];
    for sound in &calls {
        call(&line, sound);
        running.wait_for("end");
    }
    // Nobody calls, and it goes on: then it is told to stop.
    std::thread::sleep(Duration::from_millis(200));
    running.signal("TERM");
    let (records, code, errors) = running.end();
    assert_eq!(code, 0, "{errors}");
    let starts: Vec<usize> = (0..records.len()).filter(|i| records[*i]["type"] == "start").collect();
    assert_eq!((starts.len(), of_type(&records, "end").len()), (3, 3), "no end without a call");
    let mut found: Vec<_> = fs::read_dir(&logs).unwrap().map(|log| log.unwrap().path()).collect();
    found.sort();
    assert_eq!(found.len(), 3, "{found:?}");
    for (i, sound) in calls.iter().enumerate() {
        let to = starts.get(i + 1).copied().unwrap_or(records.len());
        let own: Vec<Value> = records[starts[i]..to].to_vec();
        assert_eq!(own[0]["call"], i as u64 + 1);
        let wav = as_wav(&folder.path().join("call.wav"), sound);
        assert_scores(&own, &scanned(&wav), &format!("call {i}"));
        assert_eq!(own.last().unwrap()["reason"], "end of input");
        let mut verify = bonafide();
        verify.arg("verify").arg(&found[i]).arg("--audio").arg(wav);
        let output = verify.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.contains("and the whole"), "{said}");
    }
}

/// A writer finds its reader at any time, so a call may follow on another at once; one that is no
/// sound is told, and the line goes on.
#[test]
fn calls_in_a_row_and_broken_ones_lose_nothing_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let line = pipe(folder.path(), "line");
    let mut running = Running::start(&[&[text(&line), "--reopen"][..], &QUIET].concat());
    let wav = |seconds, seed| {
        let path = crate::streams::write_wav(&folder.path().join("a.wav"), seconds, seed);
        fs::read(path).unwrap()
    };
    call(&line, &wav(3.0, 1));
    running.wait_for("end");
    // Longer than what tells that it is none, and than the pipe.
    call(&line, &vec![b'?'; 300_000]);
    let end = running.wait_for("end");
    assert!(end["problem"].is_string(), "{end}");
    let third = wav(4.0, 2);
    call(&line, &third);
    running.wait_for("end");
    // Made anew, as an exchange may do when it is started again.
    fs::remove_file(&line).unwrap();
    let line = pipe(folder.path(), "line");
    call(&line, &third);
    let end = running.wait_for("end");
    assert_eq!(end["duration_s"], 4.0);
    running.signal("TERM");
    let (records, code, errors) = running.end();
    assert_eq!((code, of_type(&records, "start").len()), (2, 3), "{errors}");
}

#[test]
fn files_do_not_begin_again() {
    let (_, code, errors) = listen(&["--reopen"], &[]);
    assert!(code == 2 && errors.contains("--reopen is for named pipes"), "{errors}");
}
