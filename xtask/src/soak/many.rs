//! Many streams at once in real time, each through a named pipe of its own.

use super::listening::{Listening, cpu_s, memory_mb, number, verify};
use super::sound::{Phrases, RATE, Sound};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Sound is written in pieces of this length.
const PIECE: Duration = Duration::from_millis(100);

/// Between looks.
const LOOK: Duration = Duration::from_secs(10);

pub fn run(bonafide: &Path, streams: usize, length: Duration) -> Result<()> {
    let (folder, logs) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let pipes: Vec<PathBuf> = (1..=streams).map(|i| folder.path().join(format!("line-{i}"))).collect();
    if crate::tool::status(Command::new("mkfifo").args(&pipes))? != 0 {
        bail!("mkfifo failed: see above");
    }
    let phrases = Phrases::new();
    let rate = RATE.to_string();
    let mut command = Command::new(bonafide);
    command.args([
        "listen", "--live", "--stall", "10", "--hop", "1", "--json", "--format", "s16le", "--rate", &rate,
    ]);
    let mut listening = Listening::start(command.arg("--log").arg(logs.path()).args(&pipes))?;
    let (_stdin, stdout) = listening.pipes()?;
    let pid = listening.pid();
    eprintln!("{streams} streams of {} s in real time, {RATE} Hz, a window each second", length.as_secs());
    eprintln!("seconds  CPU of one core  memory MB  windows");
    let windows = AtomicU64::new(0);
    let ends = std::thread::scope(|scope| -> Result<Vec<Value>> {
        let writers: Vec<_> = pipes
            .iter()
            .enumerate()
            .map(|(i, pipe)| {
                let sound = Sound::new(&phrases, i as u64);
                scope.spawn(move || feed(pipe, sound, length))
            })
            .collect();
        let reading = scope.spawn(|| read(stdout, &windows));
        let start = Instant::now();
        let (mut cpu, mut looked) = (cpu_s(pid)?, Duration::ZERO);
        while start.elapsed() + LOOK <= length {
            std::thread::sleep(LOOK);
            let (now, used) = (start.elapsed(), cpu_s(pid)?);
            let share = (used - cpu) / (now - looked).as_secs_f64() * 100.0;
            let (count, memory) = (windows.load(Ordering::Relaxed), memory_mb(pid)?);
            eprintln!("{:7}  {share:13.0} %  {memory:9.1}  {count:7}", now.as_secs());
            (cpu, looked) = (used, now);
        }
        let written: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        // If it lost touch, that is why it took no more.
        let ends = reading.join().ok().context("the reader failed")??;
        for result in written {
            result.ok().context("a writer failed")??;
        }
        Ok(ends)
    })?;
    listening.end()?;
    let samples = (length.as_secs_f64() * f64::from(RATE)) as u64;
    let whole = ends.iter().filter(|end| end["samples"] == samples && end["gaps"] == 0).count();
    let expected = ends.iter().map(|end| number(end, "windows")).sum::<Result<u64>>()?;
    let told = windows.load(Ordering::Relaxed);
    if whole != streams || expected != told {
        bail!("{whole} of {streams} streams were heard whole, {told} of {expected} windows told");
    }
    verify(bonafide, logs.path(), streams)?;
    eprintln!("{told} windows, none lost; no stream was ever more than 2 s behind");
    Ok(())
}

/// Counts windows; the ends of all streams.
fn read(stdout: impl std::io::Read, windows: &AtomicU64) -> Result<Vec<Value>> {
    let mut ends = Vec::new();
    for line in BufReader::new(stdout).lines() {
        let record: Value = serde_json::from_str(&line?).context("a line that is no JSON")?;
        match record["type"].as_str() {
            Some("window") => drop(windows.fetch_add(1, Ordering::Relaxed)),
            Some("end") => ends.push(record),
            Some("stalled" | "gap" | "lines_lost" | "overloaded") => bail!("it lost touch: {record}"),
            _ => {}
        }
    }
    Ok(ends)
}

/// Writes at the pace of a sound card.
fn feed(pipe: &Path, mut sound: Sound, length: Duration) -> Result<()> {
    // Opens as soon as the other side has.
    let mut pipe = OpenOptions::new().write(true).open(pipe)?;
    let start = Instant::now();
    let mut left = (length.as_secs_f64() * f64::from(RATE)) as usize;
    let mut due = Duration::ZERO;
    while left > 0 {
        let now = left.min((PIECE.as_secs_f64() * f64::from(RATE)) as usize);
        due += PIECE;
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        pipe.write_all(&sound.bytes(now)).context("it takes no more sound")?;
        left -= now;
    }
    Ok(())
}
