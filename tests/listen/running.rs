//! A `bonafide listen` that runs, and what it says.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::speech_like;

/// A noisy machine may take its time; a test that waits this long has failed.
const LIMIT: Duration = Duration::from_secs(60);

pub const RATE: u32 = 16_000;

/// Nothing but windows is told between start and end.
pub const QUIET: [&str; 4] = ["--min-speech", "3600", "--stall", "600"];

pub fn bonafide() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bonafide"))
}

/// 16 kHz, mono, 16 bits.
pub fn speech(seconds: f64, seed: u32) -> Vec<u8> {
    bytes(&speech_like(RATE, seconds, seed))
}

pub fn silence(seconds: f64) -> Vec<u8> {
    vec![0; (seconds * f64::from(RATE)) as usize * 2]
}

pub fn bytes(sound: &[f32]) -> Vec<u8> {
    sound.iter().flat_map(|x| ((x * 32_000.0) as i16).to_le_bytes()).collect()
}

/// Options for what `speech` and `silence` make.
pub const RAW: [&str; 4] = ["--format", "s16le", "--rate", "16000"];

/// Any score is an alarm.
pub const ALARM: [&str; 2] = ["--threshold", "0.01"];

/// The windows of a file by `scan`: end, llr.
pub fn scanned(path: &Path) -> Vec<(f64, Option<f64>)> {
    let output = bonafide().args(["scan", "--json", "--timeline"]).arg(path).output().unwrap();
    let record: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(record["problem"], Value::Null, "{record}");
    let timeline = record["timeline"].as_array().unwrap();
    timeline.iter().map(|w| (w["end_s"].as_f64().unwrap(), w["llr"].as_f64())).collect()
}

pub fn of_type<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    records.iter().filter(|record| record["type"] == kind).collect()
}

/// Says where they differ: places within a frame, scores within 1e-3.
pub fn assert_scores(records: &[Value], expected: &[(f64, Option<f64>)], what: &str) {
    let windows = of_type(records, "window");
    assert_eq!(windows.len(), expected.len(), "{what}");
    assert!(!windows.is_empty(), "{what}: nothing to compare");
    for (window, (end_s, llr)) in windows.iter().zip(expected) {
        assert!((window["end_s"].as_f64().unwrap() - end_s).abs() <= 0.01, "{what}: {window} at {end_s}");
        match (window["llr"].as_f64(), llr) {
            (Some(found), Some(llr)) => assert!((found - llr).abs() < 1e-3, "{what}: {found} for {llr}"),
            (found, llr) => assert_eq!(found, *llr, "{what}: {window}"),
        }
    }
    let mut heard = 0;
    for window in windows {
        assert_eq!(window["new_samples"][0], heard, "{what}: spans follow on each other");
        heard = window["new_samples"][1].as_u64().unwrap();
    }
    assert_eq!(heard, of_type(records, "end")[0]["samples"], "{what}: all sound is in a window");
}

pub fn parsed(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<String>,
    /// What was read so far.
    pub records: Vec<Value>,
}

impl Running {
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = bonafide();
        command.arg("listen").args(arguments);
        Self::spawn(command)
    }

    pub fn spawn(mut command: Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (said, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| said.send(line))
        });
        let (said, errors) = channel();
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            let _ = said.send(text);
        });
        Self { stdin: child.stdin.take(), child, lines, errors, records: Vec::new() }
    }

    /// As far as it is taken; an end of the other side is its own affair.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.stdin.as_mut().unwrap().write_all(bytes);
    }

    pub fn close(&mut self) {
        self.stdin = None;
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status();
        assert!(status.unwrap().success());
    }

    /// Reads on to a record of this type.
    pub fn wait_for(&mut self, kind: &str) -> Value {
        self.wait_until(kind, |record| record["type"] == kind)
    }

    pub fn wait_until(&mut self, what: &str, mut is: impl FnMut(&Value) -> bool) -> Value {
        loop {
            let Ok(line) = self.lines.recv_timeout(LIMIT) else {
                panic!("no {what} after {:#?}", self.records.last());
            };
            self.records.extend(parsed(&line));
            let last = self.records.last().unwrap();
            if is(last) {
                return last.clone();
            }
        }
    }

    /// Waits for its end; its records, its exit code and what it had to complain of.
    pub fn end(mut self) -> (Vec<Value>, i32, String) {
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            self.records.extend(parsed(&line));
        }
        let code = self.wait().code().expect("ended by itself");
        (std::mem::take(&mut self.records), code, self.errors.recv().unwrap())
    }

    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Listens to these bytes from standard input to the end.
pub fn listen(arguments: &[&str], input: &[u8]) -> (Vec<Value>, i32, String) {
    let mut running = Running::start(arguments);
    let mut stdin = running.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let ended = running.end();
    let _ = writer.join().unwrap();
    ended
}
