//! What can be said on the command line, and what it means.

use std::collections::HashSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::actions::{ActionOptions, Actions};
use super::control::Control;
use super::input::Input;
use super::lines::Every;
use super::pcm::{PcmSpec, SampleFormat};
use super::record::AlarmSettings;
use super::stream::Shared;
use super::timecode::{FrameRate, Timecode, TimecodeClock};
use crate::cli::options::JudgeOptions;

/// Judges sound as it comes, from standard input, pipes and files, for weeks.
///
/// A stream is a WAV of any length, known or not, or compressed (MP3, FLAC, OGG, AAC/ADTS); with
/// --format, what is no WAV is raw samples. A status line on a terminal, JSON lines otherwise.
///
/// Signals: SIGTERM and SIGINT end all streams (what has arrived is judged and told), SIGHUP opens
/// --output and --log anew (without them, it is a SIGTERM), SIGUSR1 resets alarms.
///
/// Exit code: 0 all streams ended; with --once, 1 at the first alarm; 2 something could not be read
/// or written.
#[derive(Debug, Args)]
pub struct Listen {
    /// Named pipes or files; `-` or none: standard input.
    inputs: Vec<PathBuf>,
    /// Listen to a sound card too, by its name or `default`; implies --live.
    #[arg(long, value_name = "NAME")]
    device: Vec<String>,
    /// List the sound cards, and end.
    #[arg(long)]
    list_devices: bool,
    /// Names of the inputs, in order, sound cards last; default: their paths.
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    /// What the samples are, where the stream doesn't say it itself.
    #[arg(long, value_enum, value_name = "FORMAT", requires = "rate")]
    format: Option<SampleFormat>,
    /// Sample rate of raw samples in Hz.
    #[arg(long, value_name = "HZ", requires = "format")]
    rate: Option<u32>,
    /// Number of channels of raw samples, interleaved.
    #[arg(long, value_name = "N", requires = "format", default_value_t = 1)]
    channels: usize,
    /// The sources run in real time and wait for nobody: silence of the source is a gap in the
    /// sound, and a machine that is too slow is reported.
    #[arg(long)]
    live: bool,
    /// Named pipes are lines that end and begin again: when the writer closes one, the call ends with
    /// its verdict, and the next writer's is a stream of its own. Until SIGTERM.
    #[arg(long, conflicts_with_all = ["timecode", "device"])]
    reopen: bool,
    /// Seconds without data that are reported as a stall.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = positive)]
    stall: f64,
    /// Timecode of the first sample; HH:MM:SS;FF is drop-frame.
    #[arg(long, value_name = "HH:MM:SS:FF")]
    timecode: Option<Timecode>,
    /// Frames a second of the timecode: 23.976, 24, 25, 29.97, 30, 50, 59.94 or 60.
    #[arg(long, value_name = "RATE", requires = "timecode", default_value = "25")]
    fps: FrameRate,
    /// JSON lines, even on a terminal.
    #[arg(long)]
    json: bool,
    /// Write JSON lines to the end of this file.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep a log that can be checked (`bonafide verify`): a file, or of several inputs a folder with a
    /// file for each; with --reopen a folder with a file for each call.
    #[arg(long, value_name = "PATH")]
    log: Option<PathBuf>,
    /// Which windows are written; default: all as JSON, changes on a terminal. Starts, ends,
    /// alarms, stalls, gaps and overload always are.
    #[arg(long, value_enum)]
    every: Option<Every>,
    #[command(flatten)]
    judge: JudgeOptions,
    #[command(flatten)]
    alarm: AlarmOptions,
    #[command(flatten)]
    actions: ActionOptions,
}

/// When there is an alarm: from --threshold on, of the last 10 s.
#[derive(Debug, Args)]
#[command(next_help_heading = "Alarm, when the last 10 s reach --threshold")]
struct AlarmOptions {
    /// How far below the threshold (probability) the reading must fall before it may end.
    #[arg(long, value_name = "P", default_value_t = 0.1, value_parser = share)]
    hysteresis: f32,
    /// Seconds of speech that the last 10 s must hold before it may begin.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    min_speech: f64,
    /// Seconds of sound that it outlasts its cause.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    hold: f64,
    /// It lasts until SIGUSR1.
    #[arg(long, conflicts_with = "hold")]
    latch: bool,
    /// End all at the first alarm, with exit code 1.
    #[arg(long)]
    once: bool,
    /// Seconds between actions of one stream, at least; alarms between are only told.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0, value_parser = seconds)]
    min_interval: f64,
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "not a number".to_owned())
}

/// A week is long for all that is timed here.
fn seconds(text: &str) -> Result<f64, String> {
    let s = number(text)?;
    if (0.0..=604_800.0).contains(&s) { Ok(s) } else { Err("expected 0 to 604800 seconds".to_owned()) }
}

fn positive(text: &str) -> Result<f64, String> {
    let s = seconds(text)?;
    if s >= 0.1 { Ok(s) } else { Err("expected 0.1 to 604800 seconds".to_owned()) }
}

fn share(text: &str) -> Result<f32, String> {
    let p = number(text)?;
    if (0.0..=0.98).contains(&p) { Ok(p as f32) } else { Err("expected 0 to 0.98".to_owned()) }
}

impl Listen {
    /// The inputs with their names, no two of which are the same.
    pub(super) fn inputs(&self) -> Result<Vec<(String, Input)>, String> {
        let mut inputs: Vec<Input> = self.inputs.iter().cloned().map(Input::from).collect();
        inputs.extend(devices(&self.device)?);
        if inputs.is_empty() {
            inputs.push(Input::Standard);
        }
        if self.reopen && !inputs.iter().any(Input::can_reopen) {
            return Err("--reopen is for named pipes (mkfifo), and no input is one".to_owned());
        }
        if self.name.len() > inputs.len() {
            return Err(format!("{} names for {} inputs", self.name.len(), inputs.len()));
        }
        if inputs.iter().filter(|input| **input == Input::Standard).count() > 1 {
            return Err("standard input can be listened to only once".to_owned());
        }
        let name = |(i, input): (usize, &Input)| match (self.name.get(i), input) {
            (Some(name), _) => name.clone(),
            (None, Input::Standard) => "stdin".to_owned(),
            (None, input) => input.to_string(),
        };
        let names: Vec<String> = inputs.iter().enumerate().map(name).collect();
        let mut seen = HashSet::new();
        match names.iter().find(|name| !seen.insert(*name)) {
            Some(twice) => Err(format!("two inputs are called {twice:?}: give each a --name")),
            None => Ok(names.into_iter().zip(inputs).collect()),
        }
    }

    /// What raw samples are.
    pub(super) fn raw(&self) -> Option<PcmSpec> {
        let (format, rate) = (self.format?, self.rate?);
        Some(PcmSpec { format, rate, channels: self.channels })
    }

    /// Opens the model and starts the actions.
    pub(super) fn shared(&self, control: &Arc<Control>) -> Result<Shared, String> {
        // Wrong words are found before the model is opened.
        let timecode = self.timecode.map(|start| TimecodeClock::new(start, self.fps)).transpose()?;
        if let Some(raw) = self.raw() {
            raw.checked().map_err(|problem| format!("--format {problem}"))?;
        }
        let actions = Actions::start(&self.actions)?;
        let scorer = self.judge.open_shared().map_err(|error| error.to_string())?;
        let AlarmOptions { hysteresis, min_speech, hold, latch, once, min_interval } = self.alarm;
        let alarm = AlarmSettings {
            threshold: self.judge.threshold(scorer.model()),
            hysteresis,
            min_speech_s: min_speech,
            hold_s: hold,
            latch,
            min_interval_s: min_interval,
        };
        Ok(Shared {
            control: control.clone(),
            actions,
            hop_s: self.judge.hop_s(scorer.model()),
            channel: self.judge.channel(),
            channel_name: self.judge.channel_name(),
            alarm,
            live: self.live || !self.device.is_empty(),
            stall_s: self.stall,
            timecode,
            once,
            scorer: Arc::new(scorer),
        })
    }

    /// Whether nothing but a list is asked for.
    pub(super) fn asks_for_devices(&self) -> bool {
        self.list_devices
    }

    /// Whether records are written as JSON.
    pub(super) fn writes_json(&self) -> bool {
        self.json || self.output.is_some() || !std::io::stdout().is_terminal()
    }

    /// The file to write to.
    pub(super) fn output(&self) -> Option<PathBuf> {
        self.output.clone()
    }

    /// Whether pipes begin again.
    pub(super) fn reopens(&self) -> bool {
        self.reopen
    }

    /// Where the log goes.
    pub(super) fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// Whether there are files that can be moved away.
    pub(super) fn writes_files(&self) -> bool {
        self.output.is_some() || self.log.is_some()
    }

    /// Which windows are written.
    pub(super) fn every(&self) -> Every {
        self.every.unwrap_or(if self.writes_json() { Every::Window } else { Every::Change })
    }

    /// Whether the first alarm ends everything.
    pub(super) fn is_once(&self) -> bool {
        self.alarm.once
    }
}

#[cfg(feature = "sound-card")]
fn devices(names: &[String]) -> Result<Vec<Input>, String> {
    Ok(names.iter().cloned().map(Input::Device).collect())
}

/// Writes the sound cards to standard output.
#[cfg(feature = "sound-card")]
pub(super) fn list_devices() -> Result<(), String> {
    use crate::cli::text::printable;
    for (id, name) in super::device::list()? {
        println!("{}  {}", printable(&id), printable(&name));
    }
    Ok(())
}

/// cpal needs ALSA's headers on Linux, which not everybody has.
#[cfg(not(feature = "sound-card"))]
const NO_CARDS: &str = "this build can't listen to sound cards: build it with `--features sound-card` (on \
                        Debian after `apt install libasound2-dev`), or pipe: `arecord -t wav | bonafide listen`";

#[cfg(not(feature = "sound-card"))]
fn devices(names: &[String]) -> Result<Vec<Input>, String> {
    if names.is_empty() { Ok(Vec::new()) } else { Err(NO_CARDS.to_owned()) }
}

#[cfg(not(feature = "sound-card"))]
pub(super) fn list_devices() -> Result<(), String> {
    Err(NO_CARDS.to_owned())
}
