//! Files through the engine, on all cores, in order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::bounded;

use super::audio_log::file_id;
use super::decode::Audio;
use super::sound::Sound;
use crate::dsp::ChannelChoice;
use crate::engine::{Event, OfflineStream, ScorerPool, StreamConfig, WindowScore};
use crate::evidence::{AudioDigest, FileId, Span, WholeAudio};
use crate::rt::Scores;

/// How files are judged.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Step between windows in seconds.
    pub hop_s: f64,
    /// Which channel is judged.
    pub channel: ChannelChoice,
    /// Whether the audio is hashed, for a log.
    pub digests: bool,
}

impl Settings {
    /// A window every `hop_s` seconds of `channel`; the audio is not hashed.
    pub fn new(hop_s: f64, channel: ChannelChoice) -> Self {
        Self { hop_s, channel, digests: false }
    }
}

/// The audio's hashes.
#[derive(Clone, Debug)]
pub struct Trail {
    /// Of the stretch that each window brought.
    pub spans: Vec<Span>,
    /// Of what no window brought.
    pub rest: Span,
    /// Of everything.
    pub whole: WholeAudio,
}

/// What is known of a file.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// Every window, in order.
    pub windows: Vec<WindowScore>,
    /// The readings at its end.
    pub scores: Scores,
    /// Seconds that were read.
    pub duration_s: f64,
    /// Sample rate in Hz; 0 if the file could not be opened.
    pub rate: u32,
    /// Number of channels; 0 if the file could not be opened.
    pub channels: usize,
    /// What could not be read, if anything; the rest is judged all the same.
    pub problem: Option<String>,
    /// The audio's hashes, if they were asked for.
    pub trail: Option<Trail>,
    /// The file's own bytes, likewise.
    pub file: Option<FileId>,
}

impl Judgement {
    /// Seconds of speech, each counted once.
    pub fn speech_s(&self) -> f64 {
        let mut end = 0.0;
        let mut speech = 0.0;
        for window in &self.windows {
            let length = window.end_s - window.start_s;
            let new = (window.end_s - f64::max(end, window.start_s)) / length;
            speech += f64::from(window.speech_s) * new;
            end = window.end_s;
        }
        speech
    }
}

/// Judges one file; `progress` hears of the seconds read.
pub fn judge_file(
    path: &Path,
    pool: &ScorerPool,
    settings: Settings,
    progress: impl Fn(f64, Option<f64>),
) -> Judgement {
    let mut judgement = Judgement::default();
    let outcome = read(path, pool, settings, &mut judgement, progress);
    if let Err(problem) = outcome {
        judgement.problem = Some(problem);
    }
    judgement
}

fn read(
    path: &Path,
    pool: &ScorerPool,
    settings: Settings,
    judgement: &mut Judgement,
    progress: impl Fn(f64, Option<f64>),
) -> Result<(), String> {
    // What can't be opened is told by what follows.
    judgement.file = settings.digests.then(|| file_id(path).ok()).flatten();
    let mut audio = Audio::open(path).map_err(|error| error.to_string())?;
    let rate = f64::from(audio.rate);
    (judgement.rate, judgement.channels) = (audio.rate, audio.channels);
    let total_s = audio.samples.map(|samples| samples as f64 / rate);
    let config = StreamConfig { channel: settings.channel, ..StreamConfig::at(rate) };
    let mut stream = OfflineStream::new(pool, config, settings.hop_s).map_err(|error| error.to_string())?;
    let mut digest = settings.digests.then(AudioDigest::new);
    let mut spans = Vec::new();
    let mut problem = None;
    loop {
        match audio.next_block() {
            Ok(Some(block)) => {
                judgement.duration_s += block[0].len() as f64 / rate;
                if let Some(digest) = &mut digest {
                    digest.push(block);
                }
                let pushed = stream.push(block, |event| {
                    cover(&mut digest, &mut spans, &event, rate);
                    take(judgement, event);
                });
                pushed.map_err(|error| error.to_string())?;
            }
            Ok(None) => break,
            // What was read so far is judged; the problem is told.
            Err(error) => {
                problem = Some(format!("{error} (from {:.1} s on)", judgement.duration_s));
                break;
            }
        }
        audio.consume();
        progress(judgement.duration_s, total_s);
    }
    let finished = stream.finish(|event| {
        cover(&mut digest, &mut spans, &event, rate);
        take(judgement, event);
    });
    judgement.trail = digest.map(|mut digest| {
        let (rest, whole) = (digest.span(u64::MAX), digest.whole());
        Trail { spans, rest, whole }
    });
    finished.map_err(|error| error.to_string())?;
    if audio.damaged > 0 {
        problem.get_or_insert_with(|| format!("{} damaged packets were left out", audio.damaged));
    }
    problem.map_or(Ok(()), Err)
}

/// Notes the stretch that a window brought.
fn cover(digest: &mut Option<AudioDigest>, spans: &mut Vec<Span>, event: &Event, rate: f64) {
    if let (Some(digest), Event::Window(window)) = (digest, event) {
        spans.push(digest.span((window.end_s * rate).round() as u64));
    }
}

fn take(judgement: &mut Judgement, event: Event) {
    match event {
        Event::Window(window) => {
            judgement.scores = window.scores;
            judgement.windows.push(window);
        }
        Event::Ended(scores) => judgement.scores = scores,
    }
}

/// Judges sound in memory; the same as its file.
pub fn judge_sound(sound: &Sound, pool: &ScorerPool, settings: Settings) -> Judgement {
    let mut judgement = Judgement {
        rate: sound.rate,
        channels: sound.channels.len(),
        duration_s: sound.seconds(),
        problem: sound.problem.clone(),
        ..Judgement::default()
    };
    // Without a channel the file could not be opened, and the problem says why.
    if !sound.channels.is_empty()
        && let Err(problem) = hear(sound, pool, settings, &mut judgement)
    {
        judgement.problem = Some(problem);
    }
    judgement
}

fn hear(
    sound: &Sound,
    pool: &ScorerPool,
    settings: Settings,
    judgement: &mut Judgement,
) -> Result<(), String> {
    let config = StreamConfig { channel: settings.channel, ..StreamConfig::at(f64::from(sound.rate)) };
    let mut stream = OfflineStream::new(pool, config, settings.hop_s).map_err(|error| error.to_string())?;
    let pushed = stream.push(&sound.channels, |event| take(judgement, event));
    pushed.map_err(|error| error.to_string())?;
    stream.finish(|event| take(judgement, event)).map_err(|error| error.to_string())
}

/// Judges files on as many threads as there are cores; `sink` gets them in the order of `paths`.
pub fn judge_files(
    paths: &[PathBuf],
    pool: &ScorerPool,
    settings: Settings,
    sink: impl FnMut(usize, Judgement),
) {
    in_order(paths, |path| judge_file(path, pool, settings, |_, _| {}), sink);
}

/// Works on `items` on as many threads as there are cores; `sink` gets what comes out in their order.
pub fn in_order<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut sink: impl FnMut(usize, R),
) {
    let threads = rayon::current_num_threads().min(items.len());
    let next = AtomicUsize::new(0);
    let (results, received) = bounded(threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (results, next, work) = (results.clone(), &next, &work);
            scope.spawn(move || {
                while let Some((i, item)) = {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    items.get(i).map(|item| (i, item))
                } {
                    if results.send((i, work(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        for (i, result) in received {
            waiting.insert(i, result);
            while let Some(result) = waiting.remove(&due) {
                sink(due, result);
                due += 1;
            }
        }
    });
}
