//! Cost of the real-time half per block: `cargo bench --bench realtime`.
//!
//! Stereo at 48 kHz, the default model's front end, five minutes of noise for each block size.
//! What counts is the tail, so no benchmark harness that averages: every block is timed, and the
//! mean, the 99.9th percentile and the maximum are printed beside the time that a block lasts.

use std::time::Instant;

use bonafide::engine::{StreamConfig, StreamProcessor};
use bonafide::model::Model;
use hdrhistogram::Histogram;

#[path = "../tests/common/mod.rs"]
mod common;

const RATE: f64 = 48_000.0;
const SECONDS: usize = 300;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let front_end = &Model::embedded()?.manifest.front_end;
    let channels = [common::noise(48_000, 1), common::noise(48_000, 2)];
    println!("real-time half, stereo at 48 kHz, µs a block of {SECONDS} s of audio\n");
    println!("| block | mean | p99.9 | maximum | block lasts | p99.9 / block |");
    println!("|---|---|---|---|---|---|");
    for block in [32, 64, 128, 512, 1024] {
        let (mut processor, mut queue) = StreamProcessor::new(front_end, StreamConfig::at(RATE))?;
        let mut bands = vec![0.0; front_end.n_mels];
        let mut nanoseconds = Histogram::<u64>::new(3)?;
        let blocks = SECONDS * RATE as usize / block;
        for i in 0..blocks + 1000 {
            let from = i * block % (48_000 - block);
            let parts = [&channels[0][from..from + block], &channels[1][from..from + block]];
            let start = Instant::now();
            processor.process(std::hint::black_box(&parts));
            let elapsed = start.elapsed();
            // Let caches and branch predictors settle first.
            if i >= 1000 {
                nanoseconds.record(elapsed.as_nanos() as u64)?;
            }
            while queue.pop(&mut bands).is_some() {}
        }
        let us = |ns: f64| ns / 1000.0;
        let (mean, p999) = (us(nanoseconds.mean()), us(nanoseconds.value_at_quantile(0.999) as f64));
        let (max, lasts) = (us(nanoseconds.max() as f64), block as f64 / RATE * 1e6);
        println!(
            "| {block} | {mean:.2} | {p999:.1} | {max:.0} | {lasts:.0} | {:.2} % |",
            100.0 * p999 / lasts
        );
    }
    Ok(())
}
