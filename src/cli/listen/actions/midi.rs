//! `--midi`: controllers, as the plugin sends them.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Action, Notice, Outcome};

/// Control change on channel 1.
const CONTROL: u8 = 0xb0;
const SCORE: u8 = 20;
const ALERT: u8 = 21;

/// A raw MIDI device (`/dev/snd/midiC1D0`, `/dev/midi1`), a pipe or a file.
pub struct Midi {
    path: PathBuf,
}

impl Midi {
    /// The device at `path`.
    ///
    /// # Errors
    /// There is none.
    pub fn new(path: &Path) -> Result<Self, String> {
        let problem = |error| format!("--midi {}: {error}", path.display());
        std::fs::metadata(path).map_err(problem)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Opened each time: a device may have been unplugged and be back.
    fn send(&self, notice: &Notice) -> Result<(), String> {
        let score = notice.p_spoof().map(|p| [CONTROL, SCORE, (p * 127.0).round() as u8]);
        let alert = [CONTROL, ALERT, if notice.p_spoof().is_some() { 127 } else { 0 }];
        let bytes: Vec<u8> = score.into_iter().flatten().chain(alert).collect();
        let device = OpenOptions::new().append(true).open(&self.path);
        device
            .and_then(|mut device| device.write_all(&bytes))
            .map_err(|error| format!("--midi {}: {error}", self.path.display()))
    }
}

impl Action for Midi {
    fn name(&self) -> &'static str {
        "midi"
    }

    fn run(&mut self, notice: &Notice) -> Outcome {
        Outcome::once(self.send(notice))
    }
}
