//! Files through the engine, on all cores, in order.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_channel::bounded;

use super::reading::Reading;
use super::sound::Sound;
use crate::dsp::ChannelChoice;
use crate::engine::{Event, OfflineStream, ScorerPool, StreamConfig, WindowScore};
use crate::evidence::{FileId, Span, WholeAudio};
use crate::rt::Scores;

/// Files whose last windows are judged together, at most: they are kept meanwhile.
const TOGETHER: usize = 16;

/// Groups of such files for each thread, at least, so that all have work up to the end.
const GROUPS: usize = 4;

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
    /// Notes what came of a stream.
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Window(window) => {
                self.scores = window.scores;
                self.windows.push(window);
            }
            Event::Ended(scores) => self.scores = scores,
        }
    }

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
    Reading::of(path, pool, settings, progress).finish()
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
    let pushed = stream.push(&sound.channels, |event| judgement.take(event));
    pushed.map_err(|error| error.to_string())?;
    stream.finish(|event| judgement.take(event)).map_err(|error| error.to_string())
}

/// Judges files on as many threads as there are cores; `sink` gets them in the order of `paths`.
pub fn judge_files(
    paths: &[PathBuf],
    pool: &ScorerPool,
    settings: Settings,
    mut sink: impl FnMut(usize, Judgement) -> ControlFlow<()>,
) {
    let most = pool.at_once().clamp(1, TOGETHER);
    let together = (paths.len() / rayon::current_num_threads() / GROUPS).clamp(1, most);
    let groups: Vec<_> = paths.chunks(together).collect();
    let read = |path: &PathBuf| Reading::of(path, pool, settings, |_, _| {});
    let judge = |group: &&[PathBuf]| Reading::finish_together(group.iter().map(read).collect());
    in_order(&groups, judge, |i, judgements| {
        (i * together..).zip(judgements).try_for_each(|(i, judgement)| sink(i, judgement))
    });
}

/// Works on `items` on as many threads as there are cores; `sink` gets what comes out in their order, and
/// breaks off where nothing more is wanted.
pub fn in_order<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut sink: impl FnMut(usize, R) -> ControlFlow<()>,
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
                if sink(due, result).is_break() {
                    return; // and threads find nobody who takes what they have
                }
                due += 1;
            }
        }
    });
}
