//! Cost of the whole plugin: `cargo bench --bench plugin`.
//!
//! CLAP in process, stereo at 48 kHz, speech-like sound, hop 0.5 s, played in real time beside the
//! inference thread, as a host does. Every call of `process()` is timed; the tail is what counts.

use std::time::{Duration, Instant};

use bonafide::plugin::edits::number;
use hdrhistogram::Histogram;
use processor::{Processor, RATE};

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/processor.rs"]
mod processor;
#[path = "../tests/common/raw_clap.rs"]
mod raw_clap;

const BLOCK: usize = 64;
const SECONDS: f64 = 30.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let priority = if real_time() { "real-time, as a host's" } else { "usual; a host's is higher" };
    println!("priority of the audio thread: {priority}\n");
    let before_kb = resident_kb();
    let mut plugins = Vec::new();
    println!("creating and activating an instance, ms\n");
    println!("| instance | create + activate |");
    println!("|---|---|");
    for i in 1..=64 {
        let begun = Instant::now();
        plugins.push(raw_clap::started());
        let took = begun.elapsed().as_secs_f64() * 1e3;
        if [1, 2, 64].contains(&i) {
            println!("| {i} | {took:.1} |");
        }
    }
    println!("\nprocess(), 64 samples at 48 kHz (a block lasts 1,333 µs), µs a call, {SECONDS} s");
    println!("in real time; CPU of the whole process, inference included; memory is resident\n");
    println!("| instances | mean | p99.9 | maximum | p99.9 / block | CPU, share of one core | memory, MB |");
    println!("|---|---|---|---|---|---|---|");
    for instances in [1, 64] {
        let mut times = Histogram::<u64>::new(3)?;
        // The model is open and the caches are warm before it counts.
        play(&mut plugins[..instances], 3.0, &mut Histogram::new(3)?)?;
        let cpu = cpu_s();
        let begun = Instant::now();
        play(&mut plugins[..instances], SECONDS, &mut times)?;
        let share = (cpu_s() - cpu) / begun.elapsed().as_secs_f64();
        let us = |ns: f64| ns / 1000.0;
        let p999 = us(times.value_at_quantile(0.999) as f64);
        println!(
            "| {instances} | {:.2} | {p999:.1} | {:.0} | {:.2} % | {:.0} % | {:.0} |",
            us(times.mean()),
            us(times.max() as f64),
            100.0 * p999 / (BLOCK as f64 / RATE * 1e6),
            100.0 * share,
            (resident_kb() - before_kb) as f64 / 1e3,
        );
    }
    println!("\n(All 64 instances are in memory in both rows.)");
    Ok(())
}

/// Plays to all of `plugins` in turn, block after block, no faster than real time.
fn play(
    plugins: &mut [raw_clap::Clap],
    seconds: f64,
    times: &mut Histogram<u64>,
) -> Result<(), Box<dyn std::error::Error>> {
    let voice = common::speech_like(48_000, 10.0, 1);
    let mut block = [[0.0; BLOCK]; 2];
    let begun = Instant::now();
    for i in 0..(seconds * RATE) as usize / BLOCK {
        let from = i * BLOCK % (voice.len() - BLOCK);
        for plugin in &mut *plugins {
            let [left, right] = &mut block;
            left.copy_from_slice(&voice[from..from + BLOCK]);
            right.copy_from_slice(&voice[from..from + BLOCK]);
            let start = Instant::now();
            plugin.process([left, right], const { number("threshold") }, 0.5, i as f64 * BLOCK as f64 / RATE);
            times.record(start.elapsed().as_nanos() as u64)?;
        }
        let due = Duration::from_secs_f64((i + 1) as f64 * BLOCK as f64 / RATE);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(())
}

/// Gives this thread a real-time priority, if the system lets it.
#[cfg(target_os = "linux")]
fn real_time() -> bool {
    let parameters = libc::sched_param { sched_priority: 50 };
    // Threads that are started later, the inference among them, get the usual priority.
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: a call with a structure that lives through it.
    unsafe { libc::sched_setscheduler(0, policy, &parameters) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn real_time() -> bool {
    false
}

/// CPU time of this process so far, user and system, seconds; 0 where it can't be told.
#[cfg(target_os = "linux")]
fn cpu_s() -> f64 {
    // SAFETY: a structure of numbers, filled in by the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

#[cfg(not(target_os = "linux"))]
fn cpu_s() -> f64 {
    0.0
}

/// Memory of this process, kB; 0 where it can't be told.
fn resident_kb() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
