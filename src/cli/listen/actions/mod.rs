//! What an alarm does in the world. Each action has a thread and a short queue of its own, so that
//! a slow one delays neither the sound nor the others; what becomes of it is told to the stream.

mod command;
mod midi;
mod osc;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::record::{self, Record, What};

/// Notices that may wait for one action.
const QUEUE: usize = 64;

/// What to do when an alarm begins or ends.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Actions, when an alarm begins and when it ends")]
pub struct ActionOptions {
    /// Run a program. What happened is in its environment: BONAFIDE_EVENT (alarm, alarm_end),
    /// BONAFIDE_STREAM, BONAFIDE_TIME, BONAFIDE_STREAM_S, BONAFIDE_TIMECODE, BONAFIDE_P_SPOOF,
    /// BONAFIDE_RECORD (JSON). The words of COMMAND are the program and its arguments; no shell
    /// reads them (use `sh -c '…'` for one).
    #[arg(long, value_name = "COMMAND")]
    on_alarm: Option<String>,
    /// POST the JSON record to this address (http or https); tried again for 5 minutes.
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// Send OSC by UDP: /bonafide/alarm (stream, probability, time), /bonafide/alarm_end (stream,
    /// time).
    #[arg(long, value_name = "HOST:PORT")]
    osc: Option<String>,
    /// Write MIDI to a raw device, a pipe or a file, by its path (what `amidi -l` calls hw:1,0,0 is
    /// /dev/snd/midiC1D0): controller 20 the probability, controller 21 the alarm, on channel 1, as
    /// the plugin does. Systems without such devices have --osc.
    #[arg(long, value_name = "PATH")]
    midi: Option<PathBuf>,
}

/// Something to act on.
#[derive(Clone)]
pub struct Notice {
    /// The `alarm` or `alarm_end`.
    pub record: Arc<Record>,
    /// Who wants to know what became of it.
    pub feedback: Sender<record::Action>,
}

impl Notice {
    /// The reading that led to an alarm; an end has none.
    fn p_spoof(&self) -> Option<f32> {
        match &self.record.what {
            What::Alarm(alarm) => Some(alarm.p_spoof),
            _ => None,
        }
    }
}

/// How an action ended: tries, and the last problem.
pub struct Outcome {
    attempts: u32,
    problem: Option<String>,
}

impl Outcome {
    /// One try.
    fn once<T>(result: Result<T, impl ToString>) -> Self {
        Self { attempts: 1, problem: result.err().map(|problem| problem.to_string()) }
    }
}

/// Something that can be done.
trait Action: Send {
    fn name(&self) -> &'static str;

    /// Does it, however long it takes.
    fn run(&mut self, notice: &Notice) -> Outcome;
}

/// The running actions.
pub struct Actions(Vec<(&'static str, Sender<Notice>)>);

impl Actions {
    /// Starts what `options` ask for.
    ///
    /// # Errors
    /// A command, address or path that can't work, whatever comes.
    pub fn start(options: &ActionOptions) -> Result<Self, String> {
        let mut actions: Vec<Box<dyn Action>> = Vec::new();
        if let Some(words) = &options.on_alarm {
            actions.push(Box::new(command::Command::new(words)?));
        }
        if let Some(url) = &options.webhook {
            actions.push(Box::new(webhook::Webhook::new(url)?));
        }
        if let Some(address) = &options.osc {
            actions.push(Box::new(osc::Osc::new(address)?));
        }
        if let Some(path) = &options.midi {
            actions.push(Box::new(midi::Midi::new(path)?));
        }
        let start = |mut action: Box<dyn Action>| {
            let (queue, notices) = bounded(QUEUE);
            let name = action.name();
            std::thread::Builder::new()
                .name(format!("bonafide-{name}"))
                .spawn(move || serve(action.as_mut(), &notices))
                .map_err(|error| format!("no thread could be started for --{name}: {error}"))?;
            Ok((name, queue))
        };
        actions.into_iter().map(start).collect::<Result<_, _>>().map(Self)
    }

    /// Hands a notice to every action; never waits. How many outcomes are to be heard of.
    pub fn notify(&self, notice: &Notice) -> u64 {
        for (name, queue) in &self.0 {
            if let Err(TrySendError::Full(notice) | TrySendError::Disconnected(notice)) =
                queue.try_send(notice.clone())
            {
                let problem = Some(format!("dropped: {QUEUE} notices before it wait"));
                tell(&notice, name, Outcome { attempts: 0, problem });
            }
        }
        self.0.len() as u64
    }
}

fn serve(action: &mut dyn Action, notices: &Receiver<Notice>) {
    for notice in notices {
        let outcome = action.run(&notice);
        tell(&notice, action.name(), outcome);
    }
}

fn tell(notice: &Notice, action: &'static str, Outcome { attempts, problem }: Outcome) {
    let (event, done) = (notice.record.kind, problem.is_none());
    // The stream may have ended without waiting for it.
    let _ = notice.feedback.send(record::Action { action, event, done, attempts, problem });
}
