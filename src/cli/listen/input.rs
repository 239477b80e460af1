//! Where sound comes from: a thread for each input reads it as it comes.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::Timestamp;

use super::line::{Line, is_pipe};
use super::pcm::PcmSpec;
use super::source::{Bytes, SoundStream};

/// Blocks that wait to be judged, besides those that the pipe holds: the reader, and so the pipe's
/// writer, waits when they are not taken.
const QUEUE: usize = 8;

/// Before a pipe that can't be opened is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A sound card waits for nobody, and its blocks are short.
#[cfg(feature = "sound-card")]
const CARD_QUEUE: usize = 1024;

/// A source of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input.
    Standard,
    /// A named pipe, a device file or a file.
    Path(PathBuf),
    /// A sound card.
    #[cfg(feature = "sound-card")]
    Device(String),
}

/// What a reader has to say.
pub enum Heard {
    /// The stream is open.
    Open {
        /// How it is written.
        format: String,
        /// Hz.
        rate: u32,
        /// Number of channels.
        channels: usize,
        /// When it was open.
        time: Timestamp,
    },
    /// Sound, a list of samples of equal length a channel, and when it had arrived.
    Block(Vec<Vec<f32>>, Timestamp),
    /// So many samples are missing here.
    #[cfg(feature = "sound-card")]
    Lost(u64),
    /// The stream ended; with a problem, before its time.
    End(Option<String>),
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Standard } else { Self::Path(path) }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => out.write_str("standard input"),
            Self::Path(path) => path.display().fmt(out),
            #[cfg(feature = "sound-card")]
            Self::Device(name) => write!(out, "sound card {name}"),
        }
    }
}

impl Input {
    /// Whether it can begin again when its writer has gone.
    pub fn can_reopen(&self) -> bool {
        matches!(self, Self::Path(path) if is_pipe(path))
    }

    /// Starts to read, and with `again` begins anew with each writer; `raw` says what is no recognised
    /// format. The thread may wait for its source for ever: it is never waited for.
    ///
    /// # Errors
    /// The system can't start a thread.
    pub fn listen(self, raw: Option<PcmSpec>, again: bool) -> io::Result<Receiver<Heard>> {
        let length = match self {
            Self::Standard | Self::Path(_) => QUEUE,
            #[cfg(feature = "sound-card")]
            Self::Device(_) => CARD_QUEUE,
        };
        let (queue, heard) = bounded(length);
        std::thread::Builder::new().name("bonafide-read".to_owned()).spawn(move || {
            match &self {
                Self::Path(path) if again => read_calls(path, raw, &queue),
                _ => {
                    let problem = self.read(raw, &queue).err();
                    // Nobody listens any more: nothing to be done, here and below.
                    let _ = queue.send(Heard::End(problem));
                }
            }
        })?;
        Ok(heard)
    }

    fn read(&self, raw: Option<PcmSpec>, queue: &Sender<Heard>) -> Result<(), String> {
        match self {
            Self::Standard => read_from(Box::new(io::stdin()), raw, queue),
            Self::Path(path) => {
                let file = File::open(path).map_err(|error| format!("can't be opened: {error}"))?;
                read_from(Box::new(file), raw, queue)
            }
            #[cfg(feature = "sound-card")]
            Self::Device(name) => super::device::read(name, queue),
        }
    }
}

/// One call after the other, for ever, or until nobody listens.
fn read_calls(path: &Path, raw: Option<PcmSpec>, queue: &Sender<Heard>) {
    let line = loop {
        match Line::open(path) {
            Ok(line) => break line,
            Err(_) => std::thread::sleep(RETRY),
        }
    };
    loop {
        let problem = read_from(Box::new(line.call()), raw, queue).err();
        if queue.send(Heard::End(problem)).is_err() {
            return;
        }
        // What a broken call leaves behind belongs to no other.
        if line.hang_up().is_err() {
            std::thread::sleep(RETRY);
        }
    }
}

fn read_from(source: Bytes, raw: Option<PcmSpec>, queue: &Sender<Heard>) -> Result<(), String> {
    let mut stream = SoundStream::open(source, raw).map_err(|error| error.to_string())?;
    let open = Heard::Open {
        format: stream.format.clone(),
        rate: stream.rate,
        channels: stream.channels,
        time: Timestamp::now(),
    };
    let mut listened = queue.send(open).is_ok();
    while listened && let Some(block) = stream.next_block().map_err(|error| error.to_string())? {
        listened = queue.send(Heard::Block(block, Timestamp::now())).is_ok();
    }
    stream.damage().map_or(Ok(()), Err)
}
