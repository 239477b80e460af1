//! Frames to windows, never across a gap.

use std::collections::VecDeque;

use crate::detect::{Speech, SpeechGate};
use crate::model::Manifest;
use crate::rt::{FrameTag, Item};

/// A window of consecutive frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// `frames · n_bands` dB values, frame after frame. A stream shorter than a window is repeated
    /// until it fills one.
    pub bands: Vec<f32>,
    /// Speech in it, repetitions not counted.
    pub speech: Speech,
    /// Session and segment; `index` is its first frame.
    pub tag: FrameTag,
    /// One past its last frame.
    pub end: u64,
    /// Host time of its segment's first sample in seconds, if the host has told.
    pub timecode_s: Option<f64>,
}

/// Joins frames to windows that begin at multiples of the hop since the segment began, whatever
/// the pace of arrival. Where a frame is missing, every window that would hold it is lost whole,
/// and counted.
pub struct WindowAssembler {
    n_bands: usize,
    frame_rate: f64,
    frames: usize,
    hop: u64,
    gate: SpeechGate,
    /// Frames held without a gap, a window's at most: bands and levels.
    bands: VecDeque<f32>,
    levels: Vec<f32>,
    /// Tag that the next frame must have to follow on.
    next: FrameTag,
    /// First frame of the next window.
    start: u64,
    /// One past the last frame that a window of this segment held.
    covered: u64,
    /// Host time of the segment's first sample.
    timecode_s: Option<f64>,
    lost: u64,
}

impl WindowAssembler {
    /// An assembler of `manifest`'s windows, one every `hop_s` seconds (rounded to frames).
    pub fn new(manifest: &Manifest, hop_s: f64) -> Self {
        let (n_bands, frames) = (manifest.front_end.n_bands(), manifest.window.frames);
        let hop = manifest.hop_frames(hop_s);
        Self {
            n_bands,
            frame_rate: manifest.front_end.frame_rate(),
            frames,
            hop: hop as u64,
            gate: SpeechGate::new(manifest.gate, &manifest.front_end),
            bands: VecDeque::with_capacity(frames * n_bands),
            levels: Vec::with_capacity(frames),
            next: FrameTag::default(),
            start: 0,
            covered: 0,
            timecode_s: None,
            lost: 0,
        }
    }

    /// Takes the queue's next item (with its bands, `n_bands` values, if it is a frame), once the
    /// complete window, if there is one, has been [taken](Self::take); returns the last window of a
    /// stream that ends.
    pub fn push(&mut self, item: Item, bands: &[f32]) -> Option<Window> {
        debug_assert!(!self.is_complete(), "a window would be lost");
        match item {
            Item::Frame(tag) => {
                self.follow(tag);
                // A window's length is kept: the last window of a stream is taken back from its end.
                if self.levels.len() == self.frames {
                    self.bands.drain(..self.n_bands);
                    self.levels.remove(0);
                }
                self.bands.extend(bands);
                self.levels.push(self.gate.level(bands));
                self.next.index += 1;
                None
            }
            Item::Timecode(seconds) => {
                // All frames of the segment before have been taken: the queue keeps the order.
                self.timecode_s = seconds.is_finite().then_some(seconds);
                None
            }
            Item::Settings(settings) => {
                self.set_hop(settings.hop_s);
                self.gate.set_trim(settings.gate_trim_db);
                None
            }
            Item::End(tag) => {
                self.follow(tag);
                let last = self.last();
                self.restart(FrameTag { segment: tag.segment.wrapping_add(1), index: 0, ..tag });
                last
            }
        }
    }

    /// Whether a window is complete. Until it is taken, its frames are held once.
    pub fn is_complete(&self) -> bool {
        self.next.index == self.start + self.frames as u64
    }

    /// The complete window, if there is one.
    pub fn take(&mut self) -> Option<Window> {
        if !self.is_complete() {
            return None;
        }
        let window = self.cut(self.start);
        self.start += self.hop;
        Some(window)
    }

    /// Windows begin at multiples of another hop from here on; none that is already complete is
    /// made up for.
    fn set_hop(&mut self, hop_s: f32) {
        let hop = ((f64::from(hop_s) * self.frame_rate).round() as u64).max(1);
        if hop == self.hop {
            return;
        }
        self.hop = hop;
        let complete = (self.next.index + 1).saturating_sub(self.frames as u64);
        self.start = self.first().max(complete).next_multiple_of(hop);
    }

    /// Windows lost to gaps since the session began.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn follow(&mut self, tag: FrameTag) {
        if tag == self.next {
            return;
        }
        if tag.session != self.next.session {
            self.lost = 0;
        }
        let missing_from =
            if (tag.session, tag.segment) == (self.next.session, self.next.segment) { self.start } else { 0 };
        self.restart(tag);
        // Begin on the grid, so that windows lie where they would without the gap.
        self.start = tag.index.next_multiple_of(self.hop);
        self.lost += self.start.saturating_sub(missing_from) / self.hop;
    }

    fn restart(&mut self, next: FrameTag) {
        self.bands.clear();
        self.levels.clear();
        self.next = next;
        self.start = next.index;
        self.covered = next.index;
    }

    /// First frame held.
    fn first(&self) -> u64 {
        self.next.index - self.levels.len() as u64
    }

    /// The window that ends with the stream, if some of its frames were in none.
    fn last(&mut self) -> Option<Window> {
        if self.levels.is_empty() || self.next.index <= self.covered {
            return None;
        }
        let start = self.next.index.saturating_sub(self.frames as u64).max(self.first());
        Some(self.cut(start))
    }

    /// The frames held from `start` on, at most a window, as a window.
    fn cut(&mut self, start: u64) -> Window {
        let from = (start - self.first()) as usize;
        let to = self.levels.len().min(from + self.frames);
        let end = start + (to - from) as u64;
        let new = end.saturating_sub(self.covered.max(start)) as usize;
        let speech = self.gate.speech(&self.levels[from..to], new);
        self.covered = end;
        let whole = self.frames * self.n_bands;
        let bands = self.bands.range(from * self.n_bands..to * self.n_bands);
        // Nearly all are whole, and such are copied at once.
        let bands: Vec<f32> = match bands.len() == whole {
            true => bands.copied().collect(),
            false => bands.copied().cycle().take(whole).collect(),
        };
        Window {
            bands,
            speech,
            tag: FrameTag { index: start, ..self.next },
            end,
            timecode_s: self.timecode_s,
        }
    }
}
