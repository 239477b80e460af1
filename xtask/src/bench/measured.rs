//! Programs measured from outside, as whole processes.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a process cost.
pub struct Cost {
    pub wall: Duration,
    /// When each line of its output came.
    pub lines: Vec<Duration>,
    /// Most memory that was resident at once.
    pub memory_mb: f64,
    /// Its standard output.
    pub said: String,
}

/// Lets every library that a program may bring use `threads` threads, and choose its own code for the
/// processor.
pub fn on_threads(command: &mut Command, threads: usize) -> &mut Command {
    for name in ["OMP", "OPENBLAS", "MKL", "NUMEXPR", "RAYON"] {
        command.env(format!("{name}_NUM_THREADS"), threads.to_string());
    }
    // What a machine's owner set for other programs.
    command.env_remove("OPENBLAS_CORETYPE").env_remove("OPENBLAS_L2_SIZE")
}

/// Runs a program to its end; `allowed` are the exit codes that are no failure.
pub fn run(command: &mut Command, allowed: &[i32]) -> Result<Cost> {
    let program = command.get_program().display().to_string();
    let begun = Instant::now();
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run {program}"))?;
    let (mut said, mut lines) = (String::new(), Vec::new());
    let mut output = BufReader::new(child.stdout.take().context("no output")?);
    while output.read_line(&mut said)? > 0 {
        lines.push(begun.elapsed());
    }
    let (code, memory_mb) = wait(child)?;
    if !allowed.contains(&code) {
        bail!("{program} failed with {code}: see above");
    }
    Ok(Cost { wall: begun.elapsed(), lines, memory_mb, said })
}

/// Exit code and memory of a child that has said its last.
#[cfg(unix)]
fn wait(child: std::process::Child) -> Result<(i32, f64)> {
    let mut status = 0;
    // SAFETY: a structure of numbers, filled in by the call; the child is ours and not yet waited for.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage) < 0 {
            return Err(std::io::Error::last_os_error()).context("cannot wait for a program");
        }
        usage
    };
    // Linux counts in kB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1e-6 } else { 1e-3 };
    let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 };
    Ok((code, usage.ru_maxrss as f64 * unit))
}

/// Exit code; memory isn't known here.
#[cfg(not(unix))]
fn wait(mut child: std::process::Child) -> Result<(i32, f64)> {
    Ok((child.wait()?.code().unwrap_or(-1), f64::NAN))
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_process_is_measured_from_outside() {
        let cost =
            run(Command::new("sh").args(["-c", "echo said; sleep 0.1; echo more; exit 1"]), &[0, 1]).unwrap();
        assert_eq!(cost.said, "said\nmore\n");
        assert!(cost.lines[1] >= Duration::from_millis(100) && cost.lines[1] <= cost.wall);
        assert!(cost.memory_mb > 0.1, "{}", cost.memory_mb);
        assert!(run(Command::new("sh").args(["-c", "exit 1"]), &[0]).is_err());
    }
}
