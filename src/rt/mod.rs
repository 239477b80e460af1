//! What lies between the audio thread and the inference thread: wait-free in both directions.

mod frame_queue;
mod score_cell;

pub use frame_queue::{FrameConsumer, FrameProducer, FrameTag, Item, frame_queue};
pub use score_cell::{Freshness, Reading, ScoreCell, Scores, State};
