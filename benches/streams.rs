//! How the cost grows with streams and hop: `cargo bench --bench streams`.
//!
//! Speech-like streams at 48 kHz, all in phase, in blocks of 512 samples, played in real time beside
//! the inference thread, as the plugin's instances are. The capacity is stated before: four fifths of
//! the windows that one thread judges when it does nothing else.

use std::time::{Duration, Instant};

use bonafide::detect::{EngineChoice, Scorer};
use bonafide::engine::{
    InferenceService, StreamConfig, StreamHandle, StreamProcessor, StreamWorker, WorkerConfig,
};
use bonafide::model::Model;
use bonafide::rt::{Scores, State};
use machine::{cpu_s, is_quick, time};

#[path = "../tests/common/mod.rs"]
mod common;
mod machine;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const RATE: f64 = 48_000.0;
const BLOCK: usize = 512;

fn main() -> Outcome<()> {
    let (engine, capacity) = capacity()?;
    println!("{engine}; one thread that does nothing else judges {:.0} windows a second.", capacity / 0.8);
    println!("Stated capacity, four fifths of it: {capacity:.0} windows a second in all streams together.\n");
    println!(
        "| streams | hop, s | windows a second | share of capacity | CPU, share of one core | judged | dropped | streams that said *overloaded* | behind, s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let seconds = if is_quick() { 3.0 } else { 10.0 };
    for streams in [1, 2, 4, 8, 16, 32, 64, 128] {
        measure(streams, 1.0, capacity, seconds)?;
    }
    for hop_s in [0.1, 0.2, 0.5, 2.0] {
        measure(8, hop_s, capacity, seconds)?;
    }
    println!(
        "\nDropped: windows skipped because they could no longer be shown in time. Behind: of the stream"
    );
    println!("that is worst off at the end, sound that should be judged and isn't.");
    Ok(())
}

/// Name of the engine, and windows a second that are stated to be judged without loss.
fn capacity() -> Outcome<(String, f64)> {
    let model = Model::embedded()?;
    let mut scorer = Scorer::open(model.clone(), EngineChoice::Auto)?;
    let window: Vec<f32> =
        common::noise(model.manifest.window.frames * model.manifest.front_end.n_bands(), 1);
    let mut times: Vec<Duration> = (0..50).map(|_| time(|| drop(scorer.llr(&window)))).collect();
    times.sort_unstable();
    Ok((scorer.engine().to_owned(), 0.8 / times[25].as_secs_f64()))
}

struct Stream {
    processor: StreamProcessor,
    handle: StreamHandle,
    was_overloaded: bool,
}

fn measure(streams: usize, hop_s: f64, capacity: f64, seconds: f64) -> Outcome<()> {
    let manifest = &Model::embedded()?.manifest;
    let mut streams = (0..streams).map(|_| open(hop_s)).collect::<Outcome<Vec<_>>>()?;
    let voice = common::speech_like(RATE as u32, 10.0, 1);
    // The model is open and the first windows are full before it counts.
    play(&mut streams, &voice, 0.0, 3.0);
    let (begun, cpu, before) = (Instant::now(), cpu_s(), total(&streams));
    streams.iter_mut().for_each(|stream| stream.was_overloaded = false);
    play(&mut streams, &voice, 3.0, seconds);
    let share = (cpu_s() - cpu) / begun.elapsed().as_secs_f64();
    let after = total(&streams);
    let behind = streams.iter().map(|stream| {
        let now = stream.processor.position() as f64 / f64::from(manifest.front_end.sample_rate);
        let judged = scores(stream).end as f64 / f64::from(manifest.front_end.sample_rate);
        (now - judged - hop_s).max(0.0)
    });
    let wanted = streams.len() as f64 / hop_s;
    println!(
        "| {} | {hop_s} | {wanted:.0} | {:.0} % | {:.0} % | {} | {} | {} | {:.1} |",
        streams.len(),
        100.0 * wanted / capacity,
        100.0 * share,
        after.0 - before.0,
        after.1 - before.1,
        streams.iter().filter(|stream| stream.was_overloaded).count(),
        behind.fold(0.0, f64::max),
    );
    Ok(())
}

fn open(hop_s: f64) -> Outcome<Stream> {
    let model = Model::embedded()?;
    let (processor, queue) = StreamProcessor::new(&model.manifest.front_end, StreamConfig::at(RATE))?;
    let config = WorkerConfig { hop_s, max_pending: 1, lossless: false };
    let worker = StreamWorker::new(&model.manifest, queue, config);
    // Nobody listens to the events: the readings are enough.
    let events = crossbeam_channel::unbounded().0;
    let handle = InferenceService::shared()?.add(worker, model, EngineChoice::Auto, events);
    Ok(Stream { processor, handle, was_overloaded: false })
}

/// Plays to all streams in turn, block after block, no faster than real time.
fn play(streams: &mut [Stream], voice: &[f32], from_s: f64, seconds: f64) {
    let (begun, first) = (Instant::now(), (from_s * RATE) as usize / BLOCK);
    for i in 0..(seconds * RATE) as usize / BLOCK {
        let from = (first + i) * BLOCK % (voice.len() - BLOCK);
        for stream in &mut *streams {
            stream.processor.process(&[&voice[from..from + BLOCK]]);
            stream.was_overloaded |= scores(stream).momentary.state == State::Overloaded;
        }
        let due = Duration::from_secs_f64((i + 1) as f64 * BLOCK as f64 / RATE);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
    }
}

fn scores(stream: &Stream) -> Scores {
    stream.handle.cell().read().unwrap_or_default()
}

/// Windows judged and dropped so far.
fn total(streams: &[Stream]) -> (u64, u64) {
    streams.iter().map(scores).fold((0, 0), |sum, scores| (sum.0 + scores.windows, sum.1 + scores.dropped))
}
