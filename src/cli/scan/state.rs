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

/// How the names of these files begin and end.
const NAME: (&str, &str) = (".bonafide-scan", ".jsonl");

/// The file in the results' folder that holds them; only ever appended to. Each of several jobs has its
/// own, and all are read.
pub struct State {
    file: File,
}

impl State {
    /// Opens the one of this `part`, with what is in all of the folder, judged by these `settings`, by path.
    /// A line that was torn when the last scan was stopped is cut off: its file is judged again.
    pub fn open(folder: &Path, part: &str, settings: Hash) -> io::Result<(Self, HashMap<String, Done>)> {
        let own = format!("{}{part}{}", NAME.0, NAME.1);
        let mut done = HashMap::new();
        for entry in folder.read_dir()? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            if name.starts_with(NAME.0) && name.ends_with(NAME.1) && name != own {
                // Its own job may be writing to it: what is torn is left alone.
                read(&File::open(entry.path())?, settings, &mut done)?;
            }
        }
        let path = folder.join(own);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let whole = read(&file, settings, &mut done)?;
        file.set_len(whole)?;
        file.seek(SeekFrom::End(0))?;
        Ok((Self { file }, done))
    }

    /// Adds a judged file, in one piece.
    pub fn add(&mut self, done: &Done) -> io::Result<()> {
        let mut line = serde_json::to_vec(done)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

/// Adds what a file holds, and says how much of it is whole lines.
fn read(file: &File, settings: Hash, done: &mut HashMap<String, Done>) -> io::Result<u64> {
    let (mut lines, mut whole, mut line) = (BufReader::new(file), 0, Vec::new());
    while lines.by_ref().read_until(b'\n', &mut line)? > 0 {
        let complete = line.ends_with(b"\n");
        if let Some(one) = complete.then(|| serde_json::from_slice::<Done>(&line).ok()).flatten()
            && one.settings == settings
        {
            done.insert(one.record.path.clone(), one);
        }
        whole += if complete { line.len() as u64 } else { 0 };
        line.clear();
    }
    Ok(whole)
}
