//! Writing a log.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::chain::{Hash, MAX_LINE, Place};
use super::error::LogError;
use super::record::{End, EventRecord, Header, Line, Opening, Record, WindowRecord};

/// Most of a torn line that the next header keeps, characters.
const MAX_TORN: usize = 4096;

/// A log that is being written: one thread owns it, any thread may.
///
/// Each record is written at once and whole. If that fails (a full disk), what got through of it is
/// taken back, the error is returned, and the next record that can be written says how many could
/// not: the caller goes on. A program that is killed leaves a log without end and seal, which
/// [`Log::open`] goes on with.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// Bytes of whole records; beyond them may stand what could not be taken back.
    whole: u64,
    place: Place,
    unwritten: u64,
    /// The stream's header, for the file that follows on this one.
    header: Header,
    /// A header that could not be written yet; nothing may stand before it.
    due: Option<Header>,
    /// One past the last sample that a record covers.
    covered: u64,
}

impl Log {
    /// Opens a log for a stream: a new file, or one that an earlier run left, whose chain goes on.
    /// A torn last line is cut off and kept in the new header.
    ///
    /// # Errors
    /// A file that can't be written to, that another program is writing, or whose last line is no
    /// record of a log.
    pub fn open(path: &Path, header: &Header) -> Result<Self, LogError> {
        let (mut file, mut whole) = open(path)?;
        let (mut place, mut torn) = (Place::default(), None);
        let old = file.metadata().is_ok_and(|data| data.is_file() && data.len() > 0);
        if old {
            (place, torn, whole) = resume(path, &mut file, whole)?;
        }
        let opening = if place.n == 0 { Opening::New } else { Opening::Appended };
        let mut log = Self {
            path: path.to_owned(),
            file,
            whole,
            place,
            unwritten: 0,
            header: Header::default(),
            due: None,
            covered: 0,
        };
        log.begin(Header { opening, torn, position: 0, ..header.clone() })?;
        Ok(log)
    }

    /// Begins another stream in the same log; the one before has ended.
    ///
    /// # Errors
    /// As [`window`](Self::window).
    pub fn next(&mut self, header: &Header) -> Result<(), LogError> {
        self.begin(Header { opening: Opening::Next, torn: None, position: 0, ..header.clone() })
    }

    /// Adds a judged window.
    ///
    /// # Errors
    /// It could not be written: it is counted, and the log goes on with the next record.
    pub fn window(&mut self, window: WindowRecord) -> Result<(), LogError> {
        self.covered = window.audio.map_or(self.covered, |span| span.to);
        self.write(Record::Window(Box::new(window)))
    }

    /// Adds an event.
    ///
    /// # Errors
    /// As [`window`](Self::window).
    pub fn event(&mut self, event: EventRecord) -> Result<(), LogError> {
        self.write(Record::Event(event))
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// As [`window`](Self::window).
    pub fn end(&mut self, end: End) -> Result<(), LogError> {
        self.write(Record::End(Box::new(end)))
    }

    /// Sound before the next record was not seen: it counts as a record that could not be written, so
    /// the next one's audio needn't join that of the one before.
    pub fn skip(&mut self) {
        self.unwritten += 1;
    }

    /// Closes the log, so that nothing can be cut off unseen; gives the last line's hash, to be
    /// published.
    ///
    /// # Errors
    /// As [`window`](Self::window); the log is then found unfinished.
    pub fn seal(mut self) -> Result<Hash, LogError> {
        self.write(Record::Seal)?;
        self.file.sync_data().map_err(|error| LogError::unwritten(&self.path, &error))?;
        Ok(self.place.prev)
    }

    /// Goes on in a new file of the same name, after the old one was moved away (log rotation): the
    /// old file is sealed, and the new one's first record holds its last line's hash. Where the old
    /// file is still in its place, nothing happens.
    ///
    /// # Errors
    /// The new file can't be made: the old one goes on. Or as [`window`](Self::window).
    pub fn reopen(&mut self) -> Result<(), LogError> {
        if same_file(&self.path, &self.file) {
            return Ok(());
        }
        let (file, whole) = open(&self.path)?;
        if whole > 0 {
            let cure = "move the file away before the signal to reopen is sent";
            return Err(LogError::new(&self.path, "another log stands where the new one should be", cure));
        }
        let sealed = self.write(Record::Seal);
        (self.file, self.whole) = (file, 0);
        let position = self.covered;
        let header =
            Header { opening: Opening::Rotated, torn: None, position, ..std::mem::take(&mut self.header) };
        self.begin(header)?;
        sealed
    }

    /// The last line's hash.
    pub fn hash(&self) -> Hash {
        self.place.prev
    }

    /// Where it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn begin(&mut self, header: Header) -> Result<(), LogError> {
        self.covered = header.position;
        // One that could not be written yet says how this file begins: that stays true.
        let opening = self.due.take().map_or(header.opening, |due| due.opening);
        self.header = Header { opening, ..header };
        self.due = Some(self.header.clone());
        self.write_due()
    }

    fn write_due(&mut self) -> Result<(), LogError> {
        let Some(header) = self.due.clone() else { return Ok(()) };
        self.put(Record::Header(Box::new(header)))?;
        self.due = None;
        Ok(())
    }

    fn write(&mut self, record: Record) -> Result<(), LogError> {
        let written = self.write_due().and_then(|()| self.put(record));
        if written.is_err() {
            self.unwritten += 1;
        }
        written
    }

    fn put(&mut self, record: Record) -> Result<(), LogError> {
        let line = Line { n: self.place.n, prev: self.place.prev, unwritten: self.unwritten, record };
        let unwritten = |error: io::Error| LogError::unwritten(&self.path, &error);
        let mut bytes = serde_json::to_vec(&line).map_err(|error| unwritten(error.into()))?;
        let place = self.place.after(&bytes);
        bytes.push(b'\n');
        // What an earlier failure left behind, if it could not be taken back then.
        cut_back(&mut self.file, self.whole).map_err(unwritten)?;
        if let Err(error) = self.file.write_all(&bytes) {
            let _ = cut_back(&mut self.file, self.whole);
            return Err(unwritten(error));
        }
        (self.place, self.whole, self.unwritten) = (place, self.whole + bytes.len() as u64, 0);
        Ok(())
    }
}

/// Opens for appending, alone; gives the length too.
fn open(path: &Path) -> Result<(File, u64), LogError> {
    let options = OpenOptions::new().read(true).append(true).create(true).clone();
    let file = options.open(path).map_err(|error| LogError::unwritten(path, &error))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let cure = "let it end first, or choose another file";
            return Err(LogError::new(path, "another program is writing this log", cure));
        }
        // A file system without locks must do.
        Err(TryLockError::Error(_)) | Ok(()) => {}
    }
    let length = file.metadata().map_or(0, |data| data.len());
    Ok((file, length))
}

/// Makes the file as long as its whole records; a pipe or a device can't be cut.
fn cut_back(file: &mut File, whole: u64) -> io::Result<()> {
    let data = file.metadata()?;
    if data.is_file() && data.len() > whole { file.set_len(whole) } else { Ok(()) }
}

#[cfg(unix)]
fn same_file(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |data: &std::fs::Metadata| (data.dev(), data.ino());
    matches!((std::fs::metadata(path), file.metadata()), (Ok(a), Ok(b)) if id(&a) == id(&b))
}

/// Where files have no number, an open one can't be moved away either.
#[cfg(not(unix))]
fn same_file(path: &Path, _: &File) -> bool {
    path.exists()
}

/// The place after an old log's last whole line, the torn line behind it, if any, and the length up
/// to it, to which the file is cut.
fn resume(path: &Path, file: &mut File, length: u64) -> Result<(Place, Option<String>, u64), LogError> {
    let unread = |error: io::Error| LogError::new(path, format!("can't be read: {error}"), "check the disk");
    let from = length.saturating_sub(2 * MAX_LINE as u64);
    file.seek(SeekFrom::Start(from)).map_err(unread)?;
    let mut bytes = Vec::new();
    file.take(2 * MAX_LINE as u64).read_to_end(&mut bytes).map_err(unread)?;
    let no_log = |what: &str| {
        let cure = "choose another file; `bonafide verify` says what is wrong with this one";
        LogError::new(path, format!("can't be gone on with: {what}"), cure)
    };
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let torn = (end < bytes.len())
        .then(|| String::from_utf8_lossy(&bytes[end..]).chars().take(MAX_TORN).collect::<String>());
    if end == 0 {
        // A first line that was torn is still a log's; anything else is somebody's file.
        if from > 0 || !bytes.starts_with(b"{\"n\":0,\"prev\":\"") {
            return Err(no_log("it is no log"));
        }
        file.set_len(0).map_err(unread)?;
        return Ok((Place::default(), torn, 0));
    }
    let line = bytes[..end - 1].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let last: Line = serde_json::from_slice(line).map_err(|_| no_log("its last line is no record"))?;
    let place = Place { n: last.n, prev: last.prev }.after(line);
    let whole = from + end as u64;
    file.set_len(whole).map_err(unread)?;
    Ok((place, torn, whole))
}
