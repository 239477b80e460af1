//! A log whose disk may fail, and mend.

use std::path::{Path, PathBuf};

use super::error::LogError;
use super::log::Log;
use super::record::{Event, EventRecord, Header, now};

/// Writes one log. What can't be written is told once, and counted; the stream goes on.
pub struct Pen {
    at: PathBuf,
    tell: Tell,
    /// The stream's header, once it is known.
    header: Option<Header>,
    log: Option<Log>,
    /// Records that could not be written.
    lost: u64,
    failing: bool,
}

/// Hears of the first of several failures, and, by `None`, that the log is written again.
pub type Tell = Box<dyn FnMut(&Path, Option<&LogError>) + Send>;

impl Pen {
    /// Of a log that will stand there.
    pub fn new(at: PathBuf, tell: Tell) -> Self {
        Self { at, tell, header: None, log: None, lost: 0, failing: false }
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
                (self.tell)(&self.at, None);
            }
            Ok(()) => {}
            Err(error) => {
                self.lost += records;
                if !std::mem::replace(&mut self.failing, true) {
                    (self.tell)(&self.at, Some(&error));
                }
            }
        }
    }

    /// How many records could not be written.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}
