//! A `bonafide listen` that runs, and what it needs.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub struct Listening(Child);

impl Listening {
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Ok(Self(child.context("cannot run bonafide")?))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// What it hears and what it says; both can be taken once.
    pub fn pipes(&mut self) -> Result<(ChildStdin, ChildStdout)> {
        let pipes = self.0.stdin.take().zip(self.0.stdout.take());
        pipes.context("its pipes are taken")
    }

    /// Waits for its end, which must be a good one.
    pub fn end(mut self) -> Result<()> {
        let status = self.0.wait()?;
        if !status.success() {
            bail!("bonafide listen ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Checks each of the `streams` logs in a folder: its chain holds to its end.
pub fn verify(bonafide: &Path, logs: &Path, streams: usize) -> Result<()> {
    let logs = fs::read_dir(logs)?.map(|log| Ok(log?.path())).collect::<Result<Vec<_>>>()?;
    if logs.len() != streams {
        bail!("{} logs of {streams} streams", logs.len());
    }
    let mut bytes = 0;
    for log in &logs {
        let output = Command::new(bonafide).arg("verify").arg(log).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stdout);
            bail!("a log does not verify ({}): {said}", output.status);
        }
        bytes += fs::metadata(log)?.len();
    }
    eprintln!("log verified: {streams} of {streams}, {:.1} MB", bytes as f64 / 1e6);
    Ok(())
}

/// Memory that the process holds now, MB.
pub fn memory_mb(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kb = line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok());
    Ok(kb.context("no VmRSS")? / 1000.0)
}

/// CPU time that the process has used, seconds.
pub fn cpu_s(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything. utime and stime are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|field| field.parse::<f64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("no CPU time")?;
    // Linux counts in hundredths of a second, whatever its clock.
    Ok((user + system) / 100.0)
}

/// A number in a record.
pub fn number(record: &Value, key: &str) -> Result<u64> {
    record[key].as_u64().with_context(|| format!("no {key} in {record}"))
}
