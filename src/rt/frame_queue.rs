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

/// What the queue carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A frame; its bands were written to the buffer given to [`FrameConsumer::pop`].
    Frame(FrameTag),
    /// The stream ended; `index` is the number of frames that it had.
    End(FrameTag),
}

/// The audio thread's end. Never blocks, allocates or wakes anybody.
pub struct FrameProducer {
    items: HeapProd<Item>,
    bands: HeapProd<f32>,
    dropped: Arc<AtomicU64>,
}

/// The inference thread's end. Polled; never blocks.
pub struct FrameConsumer {
    items: HeapCons<Item>,
    bands: HeapCons<f32>,
    dropped: Arc<AtomicU64>,
}

/// A queue for `capacity` frames of `n_mels` values.
pub fn frame_queue(capacity: usize, n_mels: usize) -> (FrameProducer, FrameConsumer) {
    let (items_in, items_out) = HeapRb::new(capacity).split();
    let (bands_in, bands_out) = HeapRb::new(capacity * n_mels).split();
    let dropped = Arc::new(AtomicU64::new(0));
    (
        FrameProducer { items: items_in, bands: bands_in, dropped: dropped.clone() },
        FrameConsumer { items: items_out, bands: bands_out, dropped },
    )
}

impl FrameProducer {
    /// Hands a frame over, whole or not at all: a frame that finds the queue full is dropped and
    /// counted, and every window that would have held it is lost with it. Wait-free.
    pub fn push(&mut self, tag: FrameTag, bands: &[f32]) -> bool {
        if self.items.is_full() || self.bands.vacant_len() < bands.len() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        // Bands first: whoever sees the item finds them.
        self.bands.push_slice(bands);
        self.items.try_push(Item::Frame(tag)).is_ok()
    }

    /// Marks the end of the stream; `false` if the queue is full (try again). Wait-free.
    pub fn push_end(&mut self, tag: FrameTag) -> bool {
        self.items.try_push(Item::End(tag)).is_ok()
    }

    /// Frames that can be pushed now.
    pub fn vacant(&self) -> usize {
        self.items.vacant_len()
    }
}

impl FrameConsumer {
    /// The next item; a frame's bands are written to `bands` (`n_mels` values). Wait-free.
    pub fn pop(&mut self, bands: &mut [f32]) -> Option<Item> {
        let item = self.items.try_pop()?;
        if let Item::Frame(_) = item {
            self.bands.pop_slice(bands);
        }
        Some(item)
    }

    /// Frames dropped since the queue was made.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
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
        assert!(!tx.push(tag(2), &[2.0; 3]) && !tx.push_end(tag(3)));
        assert_eq!(rx.dropped(), 1);
        let mut bands = [9.0; 3];
        assert_eq!(rx.pop(&mut bands), Some(Item::Frame(tag(0))));
        assert!(tx.push(tag(3), &[3.0; 3]));
        assert_eq!(rx.pop(&mut bands), Some(Item::Frame(tag(1))));
        assert_eq!(rx.pop(&mut bands), Some(Item::Frame(tag(3))));
        assert_eq!(bands, [3.0; 3], "the dropped frame left nothing behind");
        assert_eq!(rx.pop(&mut bands), None);
        assert!(!rx.is_finished());
        drop(tx);
        assert!(rx.is_finished());
    }
}
