//! What an earlier scan into the same folder has done.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::cli::audio_log::file_id;
use crate::cli::record::Record;
use crate::evidence::{FileId, Hash};

/// A file's bytes, as far as a look at its folder tells.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Stamp {
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: i128,
}

impl Stamp {
    /// Of a file; `None` where it can't be seen.
    pub fn of(path: &Path) -> Option<Self> {
        let data = path.metadata().ok()?;
        let modified = data.modified().ok()?;
        let modified = match modified.duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        Some(Self { bytes: data.len(), modified })
    }
}

/// A judged file; a line of JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Done {
    /// When it was judged.
    pub stamp: Stamp,
    /// Its bytes' hash.
    pub sha256: Hash,
    /// Hash of model and settings; with others it has to be judged again.
    pub settings: Hash,
    /// The verdict.
    pub record: Record,
}

impl Done {
    /// Whether `path` is still what was judged: the same length and date, or else the same bytes.
    pub fn still_holds(&self, path: &Path) -> bool {
        let Some(stamp) = Stamp::of(path) else { return false };
        let same_bytes = || file_id(path).is_ok_and(|FileId { sha256, .. }| sha256 == self.sha256);
        stamp == self.stamp || stamp.bytes == self.stamp.bytes && same_bytes()
    }
}

/// The file in the results' folder that holds them; only ever appended to.
pub struct State {
    file: File,
}

impl State {
    /// Opens it, with what is in it by path. A line that was torn when the last scan was stopped is
    /// cut off: its file is judged again.
    pub fn open(path: &Path) -> io::Result<(Self, HashMap<String, Done>)> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let (mut done, mut whole, mut line) = (HashMap::new(), 0, Vec::new());
        let mut lines = BufReader::new(&file);
        while lines.by_ref().read_until(b'\n', &mut line)? > 0 {
            let complete = line.ends_with(b"\n");
            if let Some(one) = complete.then(|| serde_json::from_slice::<Done>(&line).ok()).flatten() {
                done.insert(one.record.path.clone(), one);
            }
            whole += if complete { line.len() as u64 } else { 0 };
            line.clear();
        }
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        Ok((Self { file }, done))
    }

    /// Adds a judged file.
    pub fn add(&mut self, done: &Done) -> io::Result<()> {
        let mut line = serde_json::to_vec(done)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}
