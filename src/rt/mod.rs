//! What lies between the audio thread and the inference thread: wait-free in both directions.

mod frame_queue;
mod score_cell;
mod sound_queue;

pub use frame_queue::{FrameConsumer, FrameProducer, FrameTag, Item, Settings, frame_queue};
pub use score_cell::{Alert, Freshness, Reading, ScoreCell, Scores, State};
pub use sound_queue::{Passage, SoundConsumer, SoundItem, SoundMark, SoundProducer, sound_queue};
