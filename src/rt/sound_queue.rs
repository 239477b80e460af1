//! Sound from the audio thread to whoever keeps a log of it.

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use super::frame_queue::Settings;
use crate::dsp::ChannelChoice;

/// Marks that may wait; each automated setting makes one a block.
const MARKS: usize = 1024;

/// Samples that are taken out at a time, of all channels.
const CHUNK: usize = 1 << 14;

/// Which sound it is, and how it is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Passage {
    /// Counts resets.
    pub session: u32,
    /// Counts cuts within a session.
    pub segment: u32,
    /// How many channels it has.
    pub channels: usize,
    /// Which of them is judged.
    pub channel: ChannelChoice,
    /// How.
    pub settings: Settings,
}

/// What lies between samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SoundMark {
    /// The sound that follows.
    Passage(Passage),
    /// So many samples (of each channel) found the queue full.
    Missing(u64),
    /// The sound ended.
    End,
}

/// What the queue carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SoundItem {
    /// Samples, interleaved, in the buffer given to [`SoundConsumer::pop`].
    Samples,
    /// A mark.
    Mark(SoundMark),
}

/// The audio thread's end. Never blocks, allocates or wakes anybody.
pub struct SoundProducer {
    samples: HeapProd<f32>,
    marks: HeapProd<(u64, SoundMark)>,
    /// Samples (of each channel) handed over or missing so far.
    at: u64,
    passage: Option<Passage>,
    /// Samples that found the queue full, and that no mark tells of yet.
    missing: u64,
}

/// The other end. Polled; never blocks.
pub struct SoundConsumer {
    samples: HeapCons<f32>,
    marks: HeapCons<(u64, SoundMark)>,
    at: u64,
    channels: usize,
}

/// A queue for `capacity` samples, those of all channels together.
pub fn sound_queue(capacity: usize) -> (SoundProducer, SoundConsumer) {
    let (mut samples_in, mut samples_out) = HeapRb::new(capacity).split();
    // A page that was never written to is only made when it is: here, not on the audio thread.
    samples_in.push_iter(std::iter::repeat_n(0.0, capacity));
    samples_out.clear();
    let (marks_in, marks_out) = HeapRb::new(MARKS).split();
    (
        SoundProducer { samples: samples_in, marks: marks_in, at: 0, passage: None, missing: 0 },
        SoundConsumer { samples: samples_out, marks: marks_out, at: 0, channels: 1 },
    )
}

impl SoundProducer {
    /// Hands a block over, channels of equal length, whole or not at all: one that finds the queue
    /// full is missing, and the next that finds room says how much is. Wait-free.
    pub fn push<C: AsRef<[f32]>>(&mut self, channels: &[C], passage: Passage) {
        let len = channels.first().map_or(0, |x| x.as_ref().len());
        let room = self.vacant() >= len * channels.len();
        let marked = if room || self.passage != Some(passage) { self.mark(passage) } else { true };
        if !(room && marked) {
            self.missing += len as u64;
            return;
        }
        let sample = |i: usize| channels.iter().map(move |x| x.as_ref().get(i).copied().unwrap_or_default());
        self.samples.push_iter((0..len).flat_map(sample));
        self.at += len as u64;
    }

    /// Marks come before the samples that they speak of: who sees those finds them.
    fn mark(&mut self, passage: Passage) -> bool {
        if self.missing > 0 {
            if !self.put(SoundMark::Missing(self.missing)) {
                return false;
            }
            self.at += std::mem::take(&mut self.missing);
        }
        if self.passage != Some(passage) {
            if !self.put(SoundMark::Passage(passage)) {
                return false;
            }
            self.passage = Some(passage);
        }
        true
    }

    /// The sound ends here. `false` if there was no room for the mark (try again). Wait-free.
    pub fn end(&mut self) -> bool {
        let ended = match self.passage {
            Some(passage) => self.mark(passage) && self.put(SoundMark::End),
            None => true,
        };
        if ended {
            self.passage = None;
        }
        ended
    }

    fn put(&mut self, mark: SoundMark) -> bool {
        self.marks.try_push((self.at, mark)).is_ok()
    }

    /// Samples, of all channels together, for which there is room. Wait-free.
    pub fn vacant(&self) -> usize {
        self.samples.vacant_len()
    }
}

impl SoundConsumer {
    /// The next item; `samples` is overwritten. Wait-free but for the buffer's growth.
    pub fn pop(&mut self, samples: &mut Vec<f32>) -> Option<SoundItem> {
        // Counted before the marks are looked at: so every mark before these samples is there.
        let held = self.samples.occupied_len();
        let next = self.marks.try_peek().map(|(at, _)| at - self.at);
        if next == Some(0) {
            let (_, mark) = self.marks.try_pop()?;
            match mark {
                SoundMark::Passage(passage) => self.channels = passage.channels.max(1),
                SoundMark::Missing(count) => self.at += count,
                SoundMark::End => {}
            }
            return Some(SoundItem::Mark(mark));
        }
        let most = next.unwrap_or(u64::MAX).min((held.min(CHUNK) / self.channels) as u64) as usize;
        if most == 0 {
            return None;
        }
        samples.resize(most * self.channels, 0.0);
        self.samples.pop_slice(samples);
        self.at += most as u64;
        Some(SoundItem::Samples)
    }

    /// Whether the producer is gone and everything was taken.
    pub fn is_finished(&self) -> bool {
        !self.samples.write_is_held() && self.samples.is_empty() && self.marks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(segment: u32) -> Passage {
        let settings = Settings { hop_s: 0.5, gate_trim_db: 0.0, threshold_llr: 0.0, hold_s: 0.0 };
        Passage { session: 0, segment, channels: 2, channel: ChannelChoice::Mid, settings }
    }

    fn all(queue: &mut SoundConsumer) -> (Vec<f32>, Vec<(usize, SoundMark)>) {
        let (mut heard, mut marks, mut part) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(item) = queue.pop(&mut part) {
            match item {
                SoundItem::Samples => heard.extend(&part),
                SoundItem::Mark(mark) => marks.push((heard.len(), mark)),
            }
        }
        (heard, marks)
    }

    #[test]
    fn marks_keep_their_places_whatever_the_blocks() {
        let (left, right): (Vec<f32>, Vec<f32>) = (0..60_000).map(|i| (i as f32, -(i as f32))).unzip();
        for block in [1, 7, 4096] {
            let (mut tx, mut rx) = sound_queue(120_000);
            for from in (0..60_000).step_by(block) {
                let to = 60_000.min(from + block);
                let part = if from < 30_000 { passage(0) } else { passage(1) };
                tx.push(&[&left[from..to], &right[from..to]], part);
            }
            assert!(tx.end());
            let (heard, marks) = all(&mut rx);
            let cut = 2 * 30_000_usize.next_multiple_of(block);
            assert!(heard.chunks(2).enumerate().all(|(i, x)| x == [i as f32, -(i as f32)]));
            let (first, second) = (SoundMark::Passage(passage(0)), SoundMark::Passage(passage(1)));
            assert_eq!(marks, [(0, first), (cut, second), (120_000, SoundMark::End)]);
            assert!(!rx.is_finished());
            drop(tx);
            assert!(rx.is_finished());
        }
    }

    #[test]
    fn what_finds_no_room_is_told_in_its_place() {
        let (mut tx, mut rx) = sound_queue(8);
        let block = [[1.0_f32; 3]; 2];
        tx.push(&block, passage(0));
        tx.push(&block, passage(0));
        tx.push(&block, passage(1));
        let (heard, marks) = all(&mut rx);
        assert_eq!(heard.len(), 6);
        // Of the three that are missing at the end nobody knows yet.
        let told = [(0, SoundMark::Passage(passage(0))), (6, SoundMark::Missing(3))];
        assert_eq!(marks, [told[0], told[1], (6, SoundMark::Passage(passage(1)))]);
        tx.push(&block, passage(1));
        assert_eq!(all(&mut rx), (vec![1.0; 6], vec![(0, SoundMark::Missing(3))]));
    }
}
