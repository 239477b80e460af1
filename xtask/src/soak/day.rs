//! A day of sound through one stream, as fast as it is taken.

use super::listening::{Listening, memory_mb, number, verify};
use super::sound::{Phrases, RATE, Sound};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, Command};
use std::time::Instant;

/// More growth than this between the first look and the last is a leak, MB.
const GROWTH_MB: f64 = 8.0;

/// What the stream must be judged as.
struct Count {
    windows: u64,
    /// One past the last sample that a window held.
    heard: u64,
}

pub fn run(bonafide: &Path, hours: f64) -> Result<()> {
    let samples = (hours * 3600.0 * f64::from(RATE)) as u64;
    let logs = tempfile::tempdir()?;
    let mut command = Command::new(bonafide);
    command.args(["listen", "--json", "--format", "s16le", "--rate", &RATE.to_string()]);
    command.arg("--log").arg(logs.path());
    let mut listening = Listening::start(&mut command)?;
    let (stdin, stdout) = listening.pipes()?;
    eprintln!("{hours} h of generated speech, {RATE} Hz, through `bonafide listen`");
    eprintln!("stream h  memory MB  windows  times real time");
    let writer = std::thread::spawn(move || feed(stdin, samples));
    let (start, pid) = (Instant::now(), listening.pid());
    let (mut count, mut memory, mut hour) = (Count { windows: 0, heard: 0 }, Vec::new(), 0.0);
    let mut end = None;
    for line in BufReader::new(stdout).lines() {
        let record: Value = serde_json::from_str(&line?).context("a line that is no JSON")?;
        match record["type"].as_str() {
            Some("window") => {
                count.take(&record)?;
                let at_h = count.heard as f64 / f64::from(RATE) / 3600.0;
                // The first look is at ten minutes: by then everything has been used once.
                if at_h >= hour + if memory.is_empty() { 1.0 / 6.0 } else { 1.0 } {
                    hour = at_h.floor();
                    memory.push(memory_mb(pid)?);
                    let speed = at_h * 3600.0 / start.elapsed().as_secs_f64();
                    let now = memory.last().unwrap_or(&0.0);
                    eprintln!("{at_h:8.1}  {now:9.1}  {:7}  {speed:15.0}", count.windows);
                }
            }
            Some("end") => end = Some(record),
            Some("stalled" | "gap" | "lines_lost" | "overloaded") => bail!("it lost touch: {record}"),
            _ => {}
        }
    }
    writer.join().ok().context("the writer failed")??;
    listening.end()?;
    let end = end.context("it ended without a word")?;
    check(&count, &end, samples)?;
    verify(bonafide, logs.path(), 1)?;
    let [first, .., last] = memory[..] else {
        eprintln!("memory {memory:.1?} MB: too short to say whether it grows");
        return Ok(());
    };
    if last - first > GROWTH_MB {
        bail!("memory grew from {first:.1} to {last:.1} MB");
    }
    eprintln!("memory {first:.1} MB at first, {last:.1} MB at last: flat");
    Ok(())
}

fn feed(mut stdin: ChildStdin, samples: u64) -> Result<()> {
    let mut sound = Sound::new(&Phrases::new(), 1);
    let mut left = samples;
    while left > 0 {
        let now = left.min(4800);
        stdin.write_all(&sound.bytes(now as usize)).context("it takes no more sound")?;
        left -= now;
    }
    Ok(())
}

impl Count {
    /// Windows are numbered, and the sound that is new in them follows on.
    fn take(&mut self, record: &Value) -> Result<()> {
        self.windows += 1;
        let span = &record["new_samples"];
        let (from, to) = span[0].as_u64().zip(span[1].as_u64()).context("a window without samples")?;
        if number(record, "window")? != self.windows || from != self.heard {
            bail!("window {} from sample {} was lost: {record}", self.windows, self.heard);
        }
        self.heard = to;
        Ok(())
    }
}

fn check(count: &Count, end: &Value, samples: u64) -> Result<()> {
    if count.heard != samples || number(end, "samples")? != samples {
        bail!("{samples} samples went in, {} were judged: {end}", count.heard);
    }
    if number(end, "windows")? != count.windows {
        bail!("{} windows were told: {end}", count.windows);
    }
    eprintln!("{} windows, none lost: every sample of {samples} is in one", count.windows);
    Ok(())
}
