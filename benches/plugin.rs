//! Cost of the whole plugin: `cargo bench --bench plugin`.
//!
//! CLAP in process, stereo at 48 kHz, speech-like sound, hop 0.5 s, played in real time beside the
//! inference thread, as a host does. Every call of `process()` is timed; the tail is what counts.

use std::time::{Duration, Instant};

use bonafide::plugin::edits::number;
use hdrhistogram::Histogram;
use machine::{Spin, cpu_s, is_quick, memory_kb, raise_priority};
use processor::{Processor, RATE};
use raw_clap::Clap;

#[path = "../tests/common/mod.rs"]
mod common;
mod machine;
#[path = "../tests/common/processor.rs"]
mod processor;
#[path = "../tests/common/raw_clap.rs"]
mod raw_clap;

const BLOCK: usize = 64;
const INSTANCES: usize = 64;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let seconds = if is_quick() { 3.0 } else { 20.0 };
    let voice = common::speech_like(48_000, 10.0, 1);
    // The thread that opens models and the inference thread keep the usual priority.
    println!("The plugin, CLAP in process. Priority of the audio thread: {}.\n", raise_priority());
    let empty_kb = memory_kb("VmRSS");

    let mut starts = Vec::new();
    let mut plugins = vec![start(&voice, &mut starts)?];
    let one = measure(&mut plugins, &voice, seconds)?;
    let one_kb = memory_kb("VmRSS");
    while plugins.len() < INSTANCES {
        plugins.push(start(&voice, &mut starts)?);
    }
    let all = measure(&mut plugins, &voice, seconds)?;
    let all_kb = memory_kb("VmRSS");

    println!("| instance | created and active, ms | first verdict, ms |");
    println!("|---|---|---|");
    for i in [1, 2, INSTANCES] {
        let (active, verdict) = starts[i - 1];
        println!("| {i} | {:.1} | {:.0} |", ms(active), ms(verdict));
    }
    println!("\nFirst verdict: from nothing to a judged window, where 2 s of sound are there at once.\n");
    println!(
        "| instances | process(), mean, µs | p99.9 | spin p99.9 | CPU, share of one core | memory, MB | each further one, MB |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mb = |kb: i64| kb as f64 / 1e3;
    println!("| 1 | {one} | {:.0} | |", mb(one_kb - empty_kb));
    let further = mb(all_kb - one_kb) / (INSTANCES - 1) as f64;
    println!("| {INSTANCES} | {all} | {:.0} | {further:.2} |", mb(all_kb - empty_kb));
    println!(
        "\nBlocks of {BLOCK} samples at 48 kHz, 1,333 µs each, for {seconds} s in real time at a hop of 0.5 s;"
    );
    println!(
        "CPU and (resident) memory of the process, inference included. Between blocks the thread sleeps and"
    );
    println!(
        "wakes cold. Spin: an empty loop as long as the mean, timed beside each call: the machine's own tail."
    );
    Ok(())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A new instance; notes how long it took to be active, and to tell what it makes of a window.
fn start(voice: &[f32], starts: &mut Vec<(Duration, Duration)>) -> Outcome<Clap> {
    let begun = Instant::now();
    let mut plugin = raw_clap::started();
    let active = begun.elapsed();
    let mut at_s = 0.0;
    let mut play = |sound: &[f32]| {
        let (mut left, mut right) = (sound.to_vec(), sound.to_vec());
        at_s += sound.len() as f64 / RATE;
        let start_s = at_s - sound.len() as f64 / RATE;
        plugin.process([&mut left, &mut right], const { number("threshold") }, 0.5, start_s)
    };
    voice[..(2.2 * RATE) as usize].chunks(4096).for_each(|part| {
        play(part);
    });
    while play(&[0.0]) == 0 {
        if begun.elapsed() > Duration::from_secs(60) {
            return Err("no verdict after a minute".into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    starts.push((active, begun.elapsed()));
    Ok(plugin)
}

/// What `process()` and the process cost: the columns from mean to CPU.
fn measure(plugins: &mut [Clap], voice: &[f32], seconds: f64) -> Outcome<String> {
    let (mut times, mut spins) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    // The caches are warm before it counts.
    play(plugins, voice, 3.0, |took| times.record(took).is_ok())?;
    let spin = Spin::lasting(Duration::from_nanos(times.mean() as u64));
    times.reset();
    let (begun, cpu, mut spun) = (Instant::now(), cpu_s(), Duration::ZERO);
    play(plugins, voice, seconds, |took| {
        let spin = spin.run();
        spun += spin;
        times.record(took).is_ok() && spins.record(spin.as_nanos() as u64).is_ok()
    })?;
    let share = (cpu_s() - cpu - spun.as_secs_f64()) / begun.elapsed().as_secs_f64();
    let us = |ns: f64| ns / 1000.0;
    Ok(format!(
        "{:.2} | {:.1} | {:.1} | {:.0} %",
        us(times.mean()),
        us(times.value_at_quantile(0.999) as f64),
        us(spins.value_at_quantile(0.999) as f64),
        100.0 * share,
    ))
}

/// Plays to all of `plugins` in turn, block after block, no faster than real time; tells `each` how
/// many nanoseconds a call took.
fn play(plugins: &mut [Clap], voice: &[f32], seconds: f64, mut each: impl FnMut(u64) -> bool) -> Outcome<()> {
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
            if !each(start.elapsed().as_nanos() as u64) {
                return Err("a call took an hour".into());
            }
        }
        let due = Duration::from_secs_f64((i + 1) as f64 * BLOCK as f64 / RATE);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
    Ok(())
}
