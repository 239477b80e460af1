//! Cost of the real-time half per block: `cargo bench --bench realtime`.
//!
//! Stereo noise, the default model's front end. What counts is the tail, so no benchmark harness that
//! averages: every block is timed. On a shared machine the tail is mostly the machine's. So the same
//! blocks are played several times, and of each block the quickest time is kept: the tail of those is
//! the code's own. Beside each block a spin of the same mean length is timed: its tail is the machine's.

use std::time::Duration;

use bonafide::engine::{StreamConfig, StreamProcessor};
use bonafide::model::Model;
use bonafide::rt::FrameConsumer;
use hdrhistogram::Histogram;
use machine::{Spin, is_quick, raise_priority, time};

#[path = "../tests/common/mod.rs"]
mod common;
mod machine;

/// Times that the same blocks are played.
const PASSES: usize = 9;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds = if is_quick() { 2 } else { 20 };
    println!("The audio thread's half alone: stereo, µs a block, {PASSES} times the same {seconds} s.");
    println!("Priority: {}.\n", raise_priority());
    println!(
        "| host rate, kHz | block | block lasts | mean | p99.9 | share | own p99.9 | own maximum | spin p99.9 |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (rate, block) in [
        (48_000.0, 32),
        (48_000.0, 64),
        (48_000.0, 128),
        (48_000.0, 512),
        (48_000.0, 1024),
        (44_100.0, 64),
        (88_200.0, 64),
        (96_000.0, 64),
        (192_000.0, 64),
    ] {
        measure(rate, block, seconds)?;
    }
    println!(
        "\np99.9: of all blocks as timed; share: of what a block lasts. Own: each block at its quickest."
    );
    println!(
        "Spin: an empty loop as long as a block's mean, timed beside it: the machine's share of a tail."
    );
    Ok(())
}

fn measure(rate: f64, block: usize, seconds: usize) -> Result<(), Box<dyn std::error::Error>> {
    let mut player = Player::new(rate, block)?;
    // Caches and branch predictors settle first.
    let warm: Duration = (0..1000).map(|i| player.play(i)).sum();
    let spin = Spin::lasting(warm / 1000);
    let (mut all, mut spins) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    let mut quickest = vec![Duration::MAX; seconds * rate as usize / block];
    for _ in 0..PASSES {
        // So that frames fall into the same blocks each time.
        player.processor.reset();
        for (i, quickest) in quickest.iter_mut().enumerate() {
            let took = player.play(i);
            *quickest = took.min(*quickest);
            all.record(took.as_nanos() as u64)?;
            spins.record(spin.run().as_nanos() as u64)?;
        }
    }
    let mut own = Histogram::<u64>::new(3)?;
    for quickest in quickest {
        own.record(quickest.as_nanos() as u64)?;
    }
    let us = |ns: f64| ns / 1000.0;
    let p999 = |times: &Histogram<u64>| us(times.value_at_quantile(0.999) as f64);
    let lasts = block as f64 / rate * 1e6;
    println!(
        "| {} | {block} | {lasts:.0} | {:.2} | {:.1} | {:.2} % | {:.1} | {:.1} | {:.1} |",
        rate / 1000.0,
        us(all.mean()),
        p999(&all),
        100.0 * p999(&all) / lasts,
        p999(&own),
        us(own.max() as f64),
        p999(&spins),
    );
    Ok(())
}

struct Player {
    processor: StreamProcessor,
    queue: FrameConsumer,
    bands: Vec<f32>,
    sound: [Vec<f32>; 2],
    block: usize,
}

impl Player {
    fn new(rate: f64, block: usize) -> Result<Self, Box<dyn std::error::Error>> {
        let front_end = &Model::embedded()?.manifest.front_end;
        let (processor, queue) = StreamProcessor::new(front_end, StreamConfig::at(rate))?;
        let sound = [common::noise(48_000, 1), common::noise(48_000, 2)];
        Ok(Self { processor, queue, bands: vec![0.0; front_end.n_bands()], sound, block })
    }

    /// Plays block `i`; says how long the audio thread was kept.
    fn play(&mut self, i: usize) -> Duration {
        let from = i * self.block % (48_000 - self.block);
        let parts = [0, 1].map(|channel| &self.sound[channel][from..from + self.block]);
        let took = time(|| self.processor.process(std::hint::black_box(&parts)));
        while self.queue.pop(&mut self.bands).is_some() {}
        took
    }
}
