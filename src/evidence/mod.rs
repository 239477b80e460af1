//! What was heard and said, kept so that it can be checked.
//!
//! A log is a file of JSON lines that is only ever appended to. Every line is a record and holds
//! the SHA-256 of the line before it, over that line's bytes without the line feed; the first line
//! of a log holds 64 zeros, or, where the log goes on from another file, that file's last line's.
//! So a record that is changed, removed, moved or added breaks the chain at the next line.
//!
//! ```text
//! header     a stream begins: model, engine, settings, source, clock
//! window     a window was judged: where, its score or why there is none, its audio's SHA-256
//! event      a gap, a stall, an alarm, other settings, lost windows
//! end        the stream ended: totals, the verdict, the whole audio's SHA-256
//! header …   another stream, or the program was started again
//! seal       the log was closed; its bytes follow from the line before, so nothing can be changed
//! ```
//!
//! Audio: SHA-256 over the decoded samples before downmix and resampling (f32, little endian,
//! interleaved), of the stretch since the record before, so that every sample is covered once.
//!
//! What it can't do: the chain holds no secret. Who can write the whole file can write another that
//! holds as well. So give the last line's hash away (publish it, mail it, have it countersigned):
//! from then on nobody can change what is before it.

mod chain;
mod digest;
mod error;
mod log;
mod pen;
mod reader;
mod record;

pub use chain::{Hash, MAX_LINE};
pub use digest::{AudioDigest, Span};
pub use error::LogError;
pub use log::Log;
pub use pen::{Pen, Tell};
pub use reader::{Fault, LogReader, Tail};
pub use record::{
    AlertRecord, End, Event, EventRecord, FileId, Header, Line, ModelId, Opening, ReadingRecord, Record,
    Settings, WholeAudio, WindowRecord, now,
};
