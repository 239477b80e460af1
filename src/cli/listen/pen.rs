//! One log file: where it stands, and what happens when it can't be written.

use std::path::PathBuf;

use crate::evidence::{Event, EventRecord, Hash, Header, Log, LogError, now};

/// Names of devices on Windows, whatever follows behind a dot.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// A file's name from a stream's: readable, safe on every system, and never that of another stream.
pub fn file_name(stream: &str) -> String {
    const LONGEST: usize = 48;
    let plain = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_');
    let device = DEVICES.contains(&stream)
        || stream.len() == 4 && (stream.starts_with("com") || stream.starts_with("lpt"));
    if (1..=LONGEST).contains(&stream.len()) && stream.chars().all(|c| plain(&c)) && !device {
        return format!("{stream}.jsonl");
    }
    let last = stream.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let readable: String = last.chars().map(|c| if plain(&c) { c } else { '_' }).take(LONGEST).collect();
    let hash = Hash::of(stream.as_bytes()).to_string();
    format!("{readable}-{}.jsonl", &hash[..16])
}

/// Writes one log. What can't be written is told once, and counted; the stream goes on.
#[derive(Default)]
pub struct Pen {
    at: PathBuf,
    /// The stream's header, once it is known.
    header: Option<Header>,
    log: Option<Log>,
    /// Records that could not be written.
    lost: u64,
    failing: bool,
}

impl Pen {
    /// Of a log that will stand there.
    pub fn new(at: PathBuf) -> Self {
        Self { at, ..Self::default() }
    }

    /// Opens the log.
    pub fn begin(&mut self, header: Header) {
        self.header = Some(header);
        let opened = self.open();
        self.note(opened, 0);
    }

    /// Opens the log, if it is not open: a disk that was full at first may have room now.
    fn open(&mut self) -> Result<(), LogError> {
        let (None, Some(header)) = (&self.log, &self.header) else { return Ok(()) };
        let mut log = Log::open(&self.at, header)?;
        let late = match self.lost {
            0 => Ok(()),
            lost => {
                let problem = format!("{lost} records before this one could not be written");
                log.event(EventRecord {
                    position: None,
                    time: Some(now()),
                    event: Event::Problem { problem },
                })
            }
        };
        self.log = Some(log);
        late
    }

    /// Adds a record.
    pub fn write(&mut self, write: impl FnOnce(&mut Log) -> Result<(), LogError>) {
        let written = self.open().and_then(|()| self.log.as_mut().map_or(Ok(()), write));
        self.note(written, 1);
    }

    /// Closes the log: the stream has ended.
    pub fn seal(&mut self) {
        self.header = None;
        if let Some(log) = self.log.take() {
            let sealed = log.seal().map(drop);
            self.note(sealed, 1);
        }
    }

    /// Goes on in a new file, if the old one was moved away.
    pub fn reopen(&mut self) {
        let opened = self.open();
        let opened = opened.and_then(|()| self.log.as_mut().map_or(Ok(()), Log::reopen));
        self.note(opened, 0);
    }

    fn note(&mut self, written: Result<(), LogError>, records: u64) {
        match written {
            Ok(()) if records > 0 && std::mem::take(&mut self.failing) => {
                eprintln!("bonafide: {}: the log is written again", self.at.display());
            }
            Ok(()) => {}
            Err(error) => {
                self.lost += records;
                if !std::mem::replace(&mut self.failing, true) {
                    eprintln!("bonafide: {error}\n  listening goes on");
                }
            }
        }
    }

    /// How many records could not be written.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_are_safe_and_stay_apart() {
        assert_eq!(file_name("line-1"), "line-1.jsonl");
        let odd =
            ["Line-1", "a/line-1", "b/line-1", "..", "", "con", "lpt1", "a\u{1b}[2J\n", &"x".repeat(300)];
        let files: Vec<String> = odd.iter().map(|name| file_name(name)).collect();
        for (i, file) in files.iter().enumerate() {
            assert!(file.len() < 80 && !file.starts_with('.') && !files[..i].contains(file), "{file}");
            let safe = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
            assert!(file.chars().all(safe) && !file.starts_with("con."), "{file}");
        }
        assert!(files[1].starts_with("line-1-"), "{}", files[1]);
    }
}
