//! `--on-alarm`: a program.

use std::io;
use std::process::{self, Child, Stdio};
use std::time::{Duration, Instant};

use super::{Action, Notice, Outcome};
use crate::cli::listen::record;

/// A program that takes longer is ended.
const LIMIT: Duration = Duration::from_secs(30);

/// A program and its arguments.
pub struct Command {
    program: String,
    arguments: Vec<String>,
}

impl Command {
    /// From words, quoted as in a shell; no shell will read them.
    ///
    /// # Errors
    /// Quotes that don't match; no word.
    pub fn new(words: &str) -> Result<Self, String> {
        let split = shlex::split(words).ok_or("--on-alarm: a quote is not closed")?;
        let (program, arguments) = split.split_first().ok_or("--on-alarm names no program")?;
        Ok(Self { program: program.clone(), arguments: arguments.to_vec() })
    }

    fn spawn(&self, notice: &Notice) -> io::Result<Child> {
        let record = &*notice.record;
        let p_spoof = notice.p_spoof().map(|p| p.to_string()).unwrap_or_default();
        process::Command::new(&self.program)
            .args(&self.arguments)
            .env("BONAFIDE_EVENT", record.kind)
            .env("BONAFIDE_STREAM", &record.stream)
            .env("BONAFIDE_TIME", record::wall(record.time))
            .env("BONAFIDE_STREAM_S", record.stream_s.to_string())
            .env("BONAFIDE_TIMECODE", record.timecode.as_deref().unwrap_or_default())
            .env("BONAFIDE_P_SPOOF", p_spoof)
            .env("BONAFIDE_RECORD", record.json())
            .stdin(Stdio::null())
            // Standard output is for records.
            .stdout(Stdio::null())
            .spawn()
    }
}

impl Action for Command {
    fn name(&self) -> &'static str {
        "command"
    }

    fn run(&mut self, notice: &Notice) -> Outcome {
        let problem = |error: io::Error| format!("{}: {error}", self.program);
        Outcome::once(self.spawn(notice).map_err(problem).and_then(|mut child| wait(&mut child)))
    }
}

/// Waits for the end of a program, or ends it; either way nothing is left of it.
fn wait(child: &mut Child) -> Result<(), String> {
    let start = Instant::now();
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("ended with {status}")),
            None => {}
        }
        if start.elapsed() > LIMIT {
            let ended = child.kill().and_then(|()| child.wait());
            ended.map_err(|error| error.to_string())?;
            return Err(format!("took longer than {} s and was ended", LIMIT.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
