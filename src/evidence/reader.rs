//! Reading a log, line by line, as long as its chain holds.

use std::io::{BufRead, Read};

use thiserror::Error;

use super::chain::{Hash, MAX_LINE, Place};
use super::digest::Span;
use super::record::{Header, Line, Opening, Record};

/// The first record that doesn't hold.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("line {line}: {what}\n  expected: {expected}\n  found:    {found}")]
pub struct Fault {
    /// Line of the file, from 1.
    pub line: u64,
    /// What doesn't hold.
    pub what: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Fault {
    /// A fault in `line`.
    pub fn new(line: u64, what: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Self { line, what: what.into(), expected: expected.to_string(), found: found.to_string() }
    }
}

/// How a log ends, once all its lines hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// Lines that hold.
    pub lines: u64,
    /// The last one's hash.
    pub hash: Hash,
    /// It was closed: nothing was cut off. If not, it is still being written, its program was
    /// stopped, or its end was cut off; which can't be told.
    pub sealed: bool,
    /// A stream in it has no end; in a sealed log it goes on in another file.
    pub unended: bool,
    /// Bytes of a last line that was not written to its end.
    pub torn: usize,
    /// Records that could not be written, by what those after them say.
    pub unwritten: u64,
    /// Hash of the last line of the log before, if this one goes on from another file.
    pub follows: Option<Hash>,
}

/// A log's lines, each checked against the one before. Ends after the first that doesn't hold.
///
/// Memory is bounded whatever the length: a week's log is read as a minute's.
pub struct LogReader<R> {
    input: R,
    bytes: Vec<u8>,
    place: Option<Place>,
    /// Within a stream: between its header and its end.
    open: bool,
    /// One past the last sample that a record covers; unknown after records that weren't written.
    covered: Option<u64>,
    tail: Tail,
    done: bool,
}

impl<R: BufRead> LogReader<R> {
    /// Reads from its first line on.
    pub fn new(input: R) -> Self {
        Self {
            input,
            bytes: Vec::new(),
            place: None,
            open: false,
            covered: None,
            tail: Tail::default(),
            done: false,
        }
    }

    /// What is known so far; when the lines have ended without a fault, how the log ends.
    pub fn tail(&self) -> Tail {
        Tail { unended: self.open, ..self.tail }
    }

    fn line(&mut self) -> Result<Option<Line>, Fault> {
        let number = self.tail.lines + 1;
        self.bytes.clear();
        let limit = MAX_LINE as u64 + 1;
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.bytes);
        read.map_err(|error| Fault::new(number, "the log can't be read on", "a line", error))?;
        if self.bytes.is_empty() {
            return match number {
                1 => Err(Fault::new(1, "the log is empty", "a header", "nothing")),
                _ => Ok(None),
            };
        }
        if self.bytes.len() > MAX_LINE {
            let found = format!("more than {MAX_LINE} bytes");
            return Err(Fault::new(number, "this is no record", "a line of JSON", found));
        }
        if self.bytes.pop_if(|byte| *byte == b'\n').is_none() {
            if number == 1 && serde_json::from_slice::<Line>(&self.bytes).is_err() {
                return Err(no_record(number, &self.bytes));
            }
            self.tail.torn = self.bytes.len();
            return Ok(None);
        }
        let line: Line = serde_json::from_slice(&self.bytes).map_err(|_| no_record(number, &self.bytes))?;
        self.check_place(number, &line)?;
        self.check_order(number, &line)?;
        self.check_audio(number, &line)?;
        self.tail.unwritten = self.tail.unwritten.saturating_add(line.unwritten);
        let place = Place { n: line.n, prev: line.prev }.after(&self.bytes);
        (self.tail.lines, self.tail.hash, self.place) = (number, place.prev, Some(place));
        Ok(Some(line))
    }

    fn check_place(&mut self, number: u64, line: &Line) -> Result<(), Fault> {
        let Some(place) = self.place else {
            return self.check_beginning(line);
        };
        if line.n != place.n {
            let what = "records are missing, moved or added before this one";
            return Err(Fault::new(
                number,
                what,
                format!("record {}", place.n),
                format!("record {}", line.n),
            ));
        }
        if line.prev != place.prev {
            let what = format!("not the record that line {number} follows on: one of the two was changed");
            let expected = format!("SHA-256 {} (says line {number})", line.prev);
            return Err(Fault::new(number - 1, what, expected, format!("SHA-256 {}", place.prev)));
        }
        Ok(())
    }

    /// A log begins with the header of a new log, or of one that was rotated.
    fn check_beginning(&mut self, line: &Line) -> Result<(), Fault> {
        let first = Place { n: line.n, prev: line.prev } == Place::default();
        let (expected, found) = match &line.record {
            Record::Header(header) if header.opening == Opening::New && first => return Ok(()),
            Record::Header(header) if header.opening == Opening::Rotated && line.n > 0 => {
                self.tail.follows = Some(line.prev);
                return Ok(());
            }
            Record::Header(header) => ("record 0", format!("record {} ({:?})", line.n, header.opening)),
            _ => ("a header", format!("record {}, which is none", line.n)),
        };
        Err(Fault::new(1, "the log doesn't begin here: what was before is missing", expected, found))
    }

    fn check_order(&mut self, number: u64, line: &Line) -> Result<(), Fault> {
        let wrong = |expected: &str, found: &str| {
            Err(Fault::new(number, "this record can't stand here", expected, found))
        };
        match &line.record {
            Record::Header(header) => {
                if header.format != Header::FORMAT {
                    let what = "another version of the format: use the program that wrote it";
                    let found = format!("format {} by {}", header.format, header.program);
                    return Err(Fault::new(number, what, format!("format {}", Header::FORMAT), found));
                }
                match header.opening {
                    Opening::New | Opening::Rotated if number > 1 => {
                        return wrong("no beginning", "a beginning");
                    }
                    Opening::Next if self.open && line.unwritten == 0 || self.tail.sealed => {
                        return wrong("the stream's end before another", "another stream");
                    }
                    _ => {}
                }
                (self.open, self.tail.sealed) = (true, false);
            }
            Record::Seal => {
                if self.bytes != seal_bytes(line) {
                    let expected = String::from_utf8_lossy(&seal_bytes(line)).into_owned();
                    let found = String::from_utf8_lossy(&self.bytes);
                    return Err(Fault::new(number, "the seal was changed", expected, found));
                }
                if self.tail.sealed {
                    return wrong("nothing after the seal, or a header", "another seal");
                }
                self.tail.sealed = true;
            }
            _ if self.tail.sealed || !self.open => return wrong("a header", "another record"),
            Record::End(_) => self.open = false,
            Record::Window(_) | Record::Event(_) => {}
        }
        Ok(())
    }

    /// Every sample is covered once: stretches join without gap or overlap.
    fn check_audio(&mut self, number: u64, line: &Line) -> Result<(), Fault> {
        if line.unwritten > 0 {
            self.covered = None;
        }
        let mut join = |span: &Span| {
            let from = self.covered.unwrap_or(span.from);
            if span.from != from || span.to < span.from {
                let what = "the audio doesn't join that of the record before";
                return Err(Fault::new(
                    number,
                    what,
                    format!("samples from {from} on"),
                    format!("samples {} to {}", span.from, span.to),
                ));
            }
            self.covered = Some(span.to);
            Ok(())
        };
        match &line.record {
            Record::Header(header) => self.covered = Some(header.position),
            Record::Window(window) => window.audio.iter().try_for_each(join)?,
            Record::End(end) => {
                end.audio.iter().try_for_each(&mut join)?;
                if let Some(whole) = end.whole
                    && self.covered.is_some_and(|covered| covered != whole.samples)
                {
                    let covered = self.covered.unwrap_or_default();
                    let what = "the records don't cover the stream's audio";
                    return Err(Fault::new(number, what, format!("{covered} samples"), whole.samples));
                }
            }
            Record::Event(_) | Record::Seal => {}
        }
        Ok(())
    }
}

impl<R: BufRead> Iterator for LogReader<R> {
    type Item = Result<Line, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let line = self.line().transpose();
        self.done = !matches!(line, Some(Ok(_)));
        line
    }
}

/// A seal's only possible bytes.
fn seal_bytes(line: &Line) -> Vec<u8> {
    let seal = Line { record: Record::Seal, ..line.clone() };
    serde_json::to_vec(&seal).unwrap_or_default()
}

fn no_record(number: u64, bytes: &[u8]) -> Fault {
    const SHOWN: usize = 60;
    let text = String::from_utf8_lossy(bytes);
    let cut = text.chars().nth(SHOWN).map_or("", |_| "…");
    let found = format!("{}{cut}", text.chars().take(SHOWN).collect::<String>());
    Fault::new(number, "this is no record", "a record of a log (a JSON object)", found)
}
