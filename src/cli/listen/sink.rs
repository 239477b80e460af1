//! Where a stream's records go. A log, the JSON lines and the terminal are all attached here.

use super::record::Record;

/// Something that keeps records, shared by all streams.
pub trait Sink: Send + Sync {
    /// A stream begins; its first record is the `start` with everything that is known about it.
    fn stream(&self, name: &str) -> Box<dyn StreamSink>;

    /// Open files anew: they may have been moved away (SIGHUP).
    fn reopen(&self) {}
}

/// One stream's part of it. Whatever these methods take delays this stream alone.
pub trait StreamSink: Send {
    /// Sound as it arrived, a list of samples of equal length a channel. It comes before the
    /// windows that it completes; a `window`'s `new_samples` count what came here.
    fn audio(&mut self, block: &[Vec<f32>]) {
        let _ = block;
    }

    /// Something happened; after `end` nothing follows.
    fn record(&mut self, record: &Record);
}
