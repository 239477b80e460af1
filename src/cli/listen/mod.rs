//! `bonafide listen`: streams, judged as they come, for weeks.
//!
//! ```text
//! input ─▶ reader thread ─▶ short queue ─▶ stream thread: front end, one shared scorer, alarm
//!                           (full: the reader, and so the pipe, waits)      │
//!                         sinks: JSON lines, terminal, logs ◀──  records ───┤
//!                  actions: command, webhook, OSC, MIDI; own threads ◀──────┘
//! ```

mod actions;
mod alarm;
mod clock;
mod control;
#[cfg(feature = "sound-card")]
mod device;
mod input;
mod line;
mod lines;
mod listener;
mod log;
mod names;
mod options;
mod pace;
mod pcm;
mod record;
mod sink;
mod source;
mod stream;
mod terminal;
mod timecode;
mod wav;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

pub use options::Listen;
pub use pcm::{PcmSpec, SampleFormat};
pub use source::SoundStream;

use control::Control;
use lines::Lines;
use log::Logs;
use sink::Sink;
use stream::{Attendant, Outcome};
use terminal::Terminal;

/// Between looks at the signals.
const TICK: Duration = Duration::from_millis(20);

impl Listen {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        if self.asks_for_devices() {
            options::list_devices()?;
            return Ok(ExitCode::SUCCESS);
        }
        let inputs = self.inputs()?;
        let control = Arc::new(Control::with_signals(self.writes_files())?);
        let shared = Arc::new(self.shared(&control)?);
        if let Some(note) = shared.scorer.note() {
            eprintln!("note: {note}");
        }
        let every = self.every();
        let lines = match self.writes_json() {
            true => Some(Lines::start(self.output(), every, shared.live, &control)?),
            false => None,
        };
        let terminal = Terminal::new(lines.is_none().then_some(every));
        let mut sinks: Vec<Box<dyn Sink>> = lines.iter().map(Lines::sink).collect();
        if terminal.is_there() {
            sinks.push(Box::new(terminal));
        }
        let names: Vec<String> = inputs.iter().map(|(name, _)| name.clone()).collect();
        let logs = self.log().map(|at| Logs::new(at, &names, self.reopens(), &shared)).transpose()?;
        let logs = logs.map(Arc::new);
        if let Some(logs) = &logs {
            sinks.push(Box::new(logs.clone()));
        }
        let sinks = Arc::new(sinks);

        let mut streams = Vec::new();
        for (name, input) in inputs {
            let again = self.reopens() && input.can_reopen();
            let attendant = Attendant { input: input.to_string(), name, again, sinks: sinks.clone() };
            let (heard, shared) = (input.listen(self.raw(), again)?, shared.clone());
            let run = move || attendant.run(&heard, &shared);
            streams.push(std::thread::Builder::new().name("bonafide-stream".to_owned()).spawn(run)?);
        }
        while !streams.iter().all(|stream| stream.is_finished()) {
            if control.take_signals() {
                sinks.iter().for_each(|sink| sink.reopen());
            }
            std::thread::sleep(TICK);
        }
        let outcomes: Vec<Outcome> = streams
            .into_iter()
            .map(|stream| stream.join().unwrap_or(Outcome { alarmed: false, failed: true }))
            .collect();
        let lost = lines.map_or(0, Lines::finish);
        if lost > 0 {
            return Err(format!("{lost} records could not be written").into());
        }
        let unlogged = logs.map_or(0, |logs| logs.lost());
        if unlogged > 0 {
            return Err(format!("{unlogged} records of the log could not be written").into());
        }
        let any = |what: fn(&Outcome) -> bool| outcomes.iter().any(what);
        Ok(if any(|outcome| outcome.failed) {
            ExitCode::from(2)
        } else if self.is_once() && any(|outcome| outcome.alarmed) {
            ExitCode::from(1)
        } else {
            ExitCode::SUCCESS
        })
    }
}
