//! Disks that are full, files that are moved away, readers that are slow.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::running::{QUIET, RAW, Running, bonafide, of_type, parsed, silence, speech};

fn records(path: &Path) -> Vec<Value> {
    parsed(&fs::read_to_string(path).unwrap())
}

/// As many as it says.
fn lost_lines(records: &[Value]) -> u64 {
    of_type(records, "lines_lost").iter().map(|lost| lost["lines"].as_u64().unwrap()).sum()
}

/// Waits until the file holds a window that ends there.
fn wait_for_window(path: &Path, end_s: f64) {
    for _ in 0..600 {
        if fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("\"end_s\":{end_s:?},"))) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no window at {end_s} s in {}", path.display());
}

#[test]
fn sighup_opens_the_file_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (log, old) = (folder.path().join("log"), folder.path().join("log.1"));
    let mut running = Running::start(&[&RAW[..], &QUIET, &["--output", log.to_str().unwrap()]].concat());
    running.write(&speech(4.0, 1));
    wait_for_window(&log, 3.5);
    fs::rename(&log, &old).unwrap();
    running.signal("HUP");
    // The new file is there as soon as the signal was heard.
    while !log.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    running.write(&speech(4.0, 1));
    running.close();
    assert_eq!(running.end().1, 0);
    let (old, new) = (records(&old), records(&log));
    assert_eq!((old[0]["type"].as_str(), new.last().unwrap()["type"].as_str()), (Some("start"), Some("end")));
    let windows: Vec<_> =
        old.iter().chain(&new).filter(|r| r["type"] == "window").map(|r| r["window"].as_u64()).collect();
    assert_eq!(windows, (1..=13).map(Some).collect::<Vec<_>>(), "none is lost or told twice");
}

#[test]
fn a_full_disk_loses_lines_but_no_windows() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    symlink("/dev/full", &log).unwrap();
    let mut running = Running::start(&[&RAW[..], &QUIET, &["--output", log.to_str().unwrap()]].concat());
    running.write(&speech(6.0, 1));
    // Longer than it takes to judge that; if not, fewer lines are lost.
    std::thread::sleep(Duration::from_secs(2));
    fs::remove_file(&log).unwrap();
    running.signal("HUP");
    while !log.exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    running.write(&speech(2.0, 1));
    running.close();
    let (_, code, errors) = running.end();
    assert_eq!(code, 2, "{errors}");
    assert_eq!(errors.matches("can't be written").count(), 1, "said once: {errors}");
    assert!(errors.contains("No space left") && errors.contains("written again"), "{errors}");
    let records = records(&log);
    let lost = lost_lines(&records);
    assert!(lost > 0);
    let end = records.last().unwrap();
    assert_eq!(end["windows"], 13, "all were judged");
    // The start and the windows that are not here are those that were lost.
    assert_eq!(of_type(&records, "window").len() as u64 + lost, 14);
}

#[test]
fn standard_output_can_be_full_too() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = bonafide();
    command.arg("listen").args(RAW).args(QUIET).stdin(Stdio::piped()).stdout(full).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), &speech(4.0, 1)).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    // A start, five windows, an end.
    assert!(errors.contains("No space left") && errors.contains("7 records"), "{errors}");
}

/// A small disk, gone with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(path: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"]).arg(path).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }

    fn enlarge(&self) {
        let status = Command::new("mount").args(["-o", "remount,size=1m"]).arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_has_room_again_is_written_to_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::new(folder.path()) else {
        println!("skipped: a small tmpfs may not be mounted here");
        return;
    };
    let log = folder.path().join("log");
    let mut running = Running::start(&[&RAW[..], &QUIET, &["--output", log.to_str().unwrap()]].concat());
    running.write(&[speech(4.0, 1), silence(30.0)].concat());
    std::thread::sleep(Duration::from_secs(2));
    disk.enlarge();
    running.write(&silence(4.0));
    running.close();
    let (_, code, errors) = running.end();
    assert_eq!(code, 2, "{errors}");
    assert!(errors.contains("No space left") && errors.contains("written again"), "{errors}");
    // Every line is whole: what was cut off was taken back.
    let records = records(&log);
    let lost = lost_lines(&records);
    assert_eq!(records.last().unwrap()["windows"], 73);
    assert_eq!(of_type(&records, "window").len() as u64 + lost, 73);
}

#[test]
fn a_slow_reader_holds_a_pipe_back_but_not_what_is_live() {
    // 6,000 windows without speech: more than the queue and the pipe hold, and soon judged.
    let (sound, hop) = (silence(62.0), ["--hop", "0.01"]);
    for live in [false, true] {
        let mut command = bonafide();
        command.arg("listen").args(RAW).args(QUIET).args(hop).args(live.then_some("--live"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let sound = sound.clone();
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &sound));
        // Live, all sound is taken without a line being read; else, reading sets it going again.
        if live {
            writer.join().unwrap().unwrap();
        } else {
            std::thread::sleep(Duration::from_secs(2));
            assert!(!writer.is_finished(), "the pipe's writer waits");
        }
        let reading = std::thread::spawn(|| std::io::read_to_string(stdout).unwrap());
        let records = parsed(&reading.join().unwrap());
        let code = child.wait().unwrap().code();
        let windows = of_type(&records, "window").len() as u64;
        assert_eq!(records.last().unwrap()["windows"], 6001, "live: {live}");
        let lost = lost_lines(&records);
        assert_eq!(windows + lost, 6001, "live: {live}");
        assert_eq!((lost > 0, code), (live, Some(if live { 2 } else { 0 })));
    }
}

#[test]
fn two_hours_in_the_same_memory() {
    // The same figure that `cargo xtask soak` prints for a day.
    let memory = |pid: u32| -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("VmRSS: 0 kB").to_owned();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let mut running = Running::start(&[&RAW[..], &["--every", "alarm", "--hop", "2"]].concat());
    running.write(&speech(10.0, 1));
    let minutes = [speech(4.0, 2), silence(56.0)].concat();
    let mut after = Vec::new();
    for _ in 0..2 {
        (0..60).for_each(|_| running.write(&minutes));
        after.push(memory(running.pid()));
    }
    running.close();
    let (records, ..) = running.end();
    assert_eq!(records.last().unwrap()["windows"], 3605);
    assert!(after[0] > 0 && after[1] < after[0] + 4096, "{after:?} kB");
}
