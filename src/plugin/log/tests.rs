//! The log's thread, driven by hand.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::*;
use crate::dsp::ChannelChoice;
use crate::engine::WindowScore;
use crate::evidence::{LogReader, Record, Tail};
use crate::rt::{Passage, Reading, Scores, Settings, State};

const RATE: f64 = 16_000.0;

/// A log and what feeds it.
struct Driven {
    monitor: Arc<Monitor>,
    sound: SoundProducer,
    windows: LogSender,
    thread: JoinHandle<()>,
    told: u32,
}

impl Driven {
    fn start(folder: &Path) -> Self {
        let monitor = Arc::<Monitor>::default();
        let subject = Subject { model: Model::embedded().expect("a model"), rate: RATE, offline: false };
        let (sound, mut windows, thread) = start(folder.to_owned(), subject, &monitor).expect("a thread");
        windows.status(&Status { engine: Some("an engine".to_owned()), ..Status::default() });
        Self { monitor, sound, windows, thread, told: 0 }
    }

    fn push(&mut self, samples: usize) {
        let settings = Settings { hop_s: 0.5, gate_trim_db: 0.0, threshold_llr: 0.0, hold_s: 10.0 };
        let passage = Passage { session: 0, segment: 0, channels: 1, channel: ChannelChoice::Mid, settings };
        self.sound.push(&[vec![0.25_f32; samples]], passage);
    }

    /// Half a second of sound, and the window that it completes.
    fn window(&mut self) {
        self.push(8000);
        self.told += 1;
        self.windows.event(&window(0.5 * f64::from(self.told)));
    }

    fn wait(&self, what: &str, done: impl Fn(&crate::plugin::monitor::LogState) -> bool) {
        let begun = Instant::now();
        while !done(&self.monitor.lock().log) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{what}: {:?}", self.monitor.lock().log);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it; the file, and what the editor shows last.
    fn end(mut self) -> (PathBuf, Option<String>) {
        assert!(self.sound.end());
        self.windows.event(&Event::Ended(Scores::default()));
        drop((self.sound, self.windows));
        self.thread.join().expect("no panic");
        let log = self.monitor.lock().log.clone();
        (log.file.expect("a file"), log.problem)
    }
}

fn window(end_s: f64) -> Event {
    let reading = Reading { state: State::Scored, llr: 0.5 };
    Event::Window(WindowScore {
        start_s: end_s - 2.0,
        end_s,
        speech_s: 1.0,
        short_term_speech_s: 1.0,
        heard_s: end_s,
        host_s: None,
        contiguous: true,
        reading,
        scores: Scores { momentary: reading, integrated: reading, ..Scores::default() },
    })
}

/// All its records, none at fault.
fn read(log: &Path) -> (Vec<Record>, Tail) {
    let mut reader = LogReader::new(BufReader::new(File::open(log).expect("a log")));
    let records = reader.by_ref().map(|line| line.expect("a record that holds").record).collect();
    (records, reader.tail())
}

fn windows(records: &[Record]) -> usize {
    records.iter().filter(|record| matches!(record, Record::Window(_))).count()
}

#[test]
fn sound_that_finds_no_room_is_told_and_windows_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut log = Driven::start(folder.path());
    log.window();
    log.wait("the first window", |log| log.windows == 1);
    log.push(SOUND + 1);
    log.told += (SOUND as u32 + 1) / 8000;
    log.window();
    log.window();
    let (file, problem) = log.end();
    let (records, tail) = read(&file);
    assert_eq!((windows(&records), tail.unwritten, tail.sealed, problem), (3, 1, true, None));
    let told = records.iter().find_map(|record| match record {
        Record::Event(event) => Some(format!("{:?}", event.event)),
        _ => None,
    });
    assert!(told.is_some_and(|told| told.contains("131.072 s of sound did not reach the log")));
    let Some(Record::End(end)) = records.iter().find(|record| matches!(record, Record::End(_))) else {
        panic!("no end")
    };
    assert_eq!((end.whole, end.duration_s), (None, (8000.0 * 3.0 + SOUND as f64 + 1.0) / RATE));
}

#[test]
fn a_folder_that_can_not_be_made_is_told_and_made_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let (blocked, wanted) = (folder.path().join("a"), folder.path().join("a/b"));
    fs::write(&blocked, "a file").expect("a file");
    let mut log = Driven::start(&wanted);
    log.wait("a problem", |log| log.problem.is_some());
    log.window();
    log.wait("a window", |log| log.windows == 1);
    let problem = log.monitor.lock().log.problem.clone().unwrap_or_default();
    assert!(problem.contains("what to do"), "{problem}");
    fs::remove_file(&blocked).expect("to make room");
    (0..3).for_each(|_| log.window());
    let (file, problem) = log.end();
    assert_eq!(problem, None, "it is written again");
    let (records, tail) = read(&file);
    assert!((2..=3).contains(&windows(&records)) && tail.sealed, "{}", windows(&records));
    let Some(Record::End(end)) = records.iter().find(|record| matches!(record, Record::End(_))) else {
        panic!("no end")
    };
    assert_eq!(end.whole.map(|whole| whole.samples), Some(32_000), "no sound was lost");
}

/// Gone with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new(path: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"]).arg(path).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }

    fn enlarge(&self) {
        let status = Command::new("mount").args(["-o", "remount,size=1m"]).arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_and_written_to_again_when_it_has_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::new(folder.path()) else {
        println!("skipped: a small tmpfs may not be mounted here");
        return;
    };
    let mut log = Driven::start(folder.path());
    (0..40).for_each(|_| log.window());
    log.wait("a full disk", |log| log.problem.is_some() && log.windows == 40);
    let problem = log.monitor.lock().log.problem.clone().unwrap_or_default();
    assert!(problem.contains("No space left") && problem.contains("what to do"), "{problem}");
    disk.enlarge();
    log.window();
    let (file, problem) = log.end();
    assert_eq!(problem, None);
    let (records, tail) = read(&file);
    assert!(tail.sealed && tail.unwritten > 0, "{tail:?}");
    assert_eq!(windows(&records) as u64 + tail.unwritten, 41, "written, or counted");
}

#[test]
fn a_log_of_nothing_leaves_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = Driven::start(folder.path());
    log.wait("a file", |log| log.file.is_some());
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    drop((log.sound, log.windows));
    log.thread.join().expect("no panic");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
