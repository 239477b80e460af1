//! Log-mel frames from the audio thread to the inference thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

/// Where a frame belongs. Frames are joined into a window only if session and segment are the
/// same and the indices follow on each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameTag {
    /// Counts resets: each starts a new measurement.
    pub session: u32,
    /// Counts discontinuities (transport jumps) within a session.
    pub segment: u32,
    /// Frame number since the segment began; the frame lies at sample `index · hop`.
    pub index: u64,
}

/// How a stream is judged. Travels in the queue, between the frames, so that a change takes effect
/// at its place in the sound however far behind the consumer is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Step between windows in seconds.
    pub hop_s: f32,
    /// Added to the floor below which the gate hears no speech, dB.
    pub gate_trim_db: f32,
    /// Log-likelihood ratio (nats) from which on an alert begins.
    pub threshold_llr: f32,
    /// Seconds that an alert outlasts its cause; infinite: until reset.
    pub hold_s: f32,
}

/// What the queue carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Item {
    /// A frame; its bands were written to the buffer given to [`FrameConsumer::pop`].
    Frame(FrameTag),
    /// The stream ended; `index` is the number of frames that it had.
    End(FrameTag),
    /// From here on.
    Settings(Settings),
    /// Host time of the coming segment's first sample, in seconds.
    Timecode(f64),
}

/// Room for marks besides the frames, so that they needn't wait behind them.
const MARKS: usize = 4;

/// The audio thread's end. Never blocks, allocates or wakes anybody.
pub struct FrameProducer {
    items: HeapProd<Item>,
    bands: HeapProd<f32>,
    n_bands: usize,
    counts: Arc<Counts>,
    pushed: u64,
}

/// The inference thread's end. Polled; never blocks.
pub struct FrameConsumer {
    items: HeapCons<Item>,
    bands: HeapCons<f32>,
    n_bands: usize,
    counts: Arc<Counts>,
    popped: u64,
}

/// What both ends know.
#[derive(Default)]
struct Counts {
    /// Frames that found the queue full.
    dropped: AtomicU64,
    /// Items that were popped and need no more work.
    settled: AtomicU64,
}

/// A queue for `capacity` frames of `n_bands` values.
pub fn frame_queue(capacity: usize, n_bands: usize) -> (FrameProducer, FrameConsumer) {
    let (items_in, items_out) = HeapRb::new(capacity + MARKS).split();
    let (mut bands_in, mut bands_out) = HeapRb::new(capacity * n_bands).split();
    // A page that was never written to is only made when it is: here, not on the audio thread.
    bands_in.push_iter(std::iter::repeat_n(0.0, capacity * n_bands));
    bands_out.clear();
    let counts = Arc::new(Counts::default());
    (
        FrameProducer { items: items_in, bands: bands_in, n_bands, counts: counts.clone(), pushed: 0 },
        FrameConsumer { items: items_out, bands: bands_out, n_bands, counts, popped: 0 },
    )
}

impl FrameProducer {
    /// Hands a frame over, whole or not at all: a frame that finds the queue full is dropped and
    /// counted, and every window that would have held it is lost with it. Wait-free.
    pub fn push(&mut self, tag: FrameTag, bands: &[f32]) -> bool {
        if self.items.is_full() || self.bands.vacant_len() < bands.len() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        // Bands first: whoever sees the item finds them.
        self.bands.push_slice(bands);
        self.push_item(Item::Frame(tag))
    }

    /// Puts an item other than a frame into the queue; `false` if it is full (try again).
    /// Wait-free.
    pub fn push_mark(&mut self, mark: Item) -> bool {
        debug_assert!(!matches!(mark, Item::Frame(_)), "a frame has bands");
        self.push_item(mark)
    }

    fn push_item(&mut self, item: Item) -> bool {
        let pushed = self.items.try_push(item).is_ok();
        self.pushed += u64::from(pushed);
        pushed
    }

    /// Whether the consumer has popped everything and has no more work with it. Wait-free.
    pub fn is_settled(&self) -> bool {
        self.counts.settled.load(Ordering::Acquire) == self.pushed
    }

    /// Frames that can be pushed now.
    pub fn vacant(&self) -> usize {
        self.items.vacant_len().min(self.bands.vacant_len() / self.n_bands)
    }
}

impl FrameConsumer {
    /// The next item; a frame's bands are written to `bands` (`n_bands` values). Wait-free.
    pub fn pop(&mut self, bands: &mut [f32]) -> Option<Item> {
        let item = self.items.try_pop()?;
        self.popped += 1;
        if let Item::Frame(_) = item {
            self.bands.pop_slice(bands);
        }
        Some(item)
    }

    /// Frames that it has room for.
    pub fn capacity(&self) -> usize {
        self.bands.capacity().get() / self.n_bands
    }

    /// Frames that wait: how far the stream is ahead of what was popped. Wait-free.
    pub fn waiting(&self) -> usize {
        self.bands.occupied_len() / self.n_bands
    }

    /// Tells the producer that all that was popped needs no more work.
    pub fn settle(&self) {
        self.counts.settled.store(self.popped, Ordering::Release);
    }

    /// Frames dropped since the queue was made.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Whether the producer is gone and everything was read.
    pub fn is_finished(&self) -> bool {
        self.items.is_empty() && !self.items.write_is_held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_whole_frames_and_counts_them() {
        let (mut tx, mut rx) = frame_queue(2, 3);
        let tag = |index| FrameTag { index, ..FrameTag::default() };
        assert!(tx.push(tag(0), &[0.0; 3]) && tx.push(tag(1), &[1.0; 3]));
        assert!(!tx.push(tag(2), &[2.0; 3]));
        assert_eq!((rx.dropped(), tx.vacant(), rx.waiting()), (1, 0, 2));
        assert!(tx.push_mark(Item::Timecode(1.0)), "marks have room of their own");
        let mut bands = [9.0; 3];
        assert_eq!(rx.pop(&mut bands), Some(Item::Frame(tag(0))));
        assert!(tx.push(tag(3), &[3.0; 3]));
        assert_eq!(rx.pop(&mut bands), Some(Item::Frame(tag(1))));
        assert_eq!(rx.pop(&mut bands), Some(Item::Timecode(1.0)));
        assert_eq!(rx.pop(&mut bands), Some(Item::Frame(tag(3))));
        assert_eq!(bands, [3.0; 3], "the dropped frame left nothing behind");
        assert_eq!(rx.pop(&mut bands), None);
        assert!(!tx.is_settled(), "popped, but perhaps still at work");
        rx.settle();
        assert!(tx.is_settled());
        assert!(!rx.is_finished());
        drop(tx);
        assert!(rx.is_finished());
    }
}
