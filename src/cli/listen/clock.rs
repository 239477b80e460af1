//! Where in a stream, and when.

use jiff::{SignedDuration, Timestamp};

use super::record::{Record, What, seconds};
use super::timecode::TimecodeClock;

/// The clocks of one stream: its own (samples), the one on the wall, and timecode.
pub struct Clock {
    rate: f64,
    timecode: Option<TimecodeClock>,
    /// Samples that have arrived.
    samples: u64,
    /// When the last block of them had, and the one before.
    arrived: Timestamp,
    before: Timestamp,
    /// Seconds known to be missing; timecode runs on meanwhile.
    missing_s: f64,
}

impl Clock {
    /// Clocks at the start of a stream of `rate` Hz that began at `opened`.
    pub fn new(rate: u32, opened: Timestamp, timecode: Option<TimecodeClock>) -> Self {
        Self { rate: rate.into(), timecode, samples: 0, arrived: opened, before: opened, missing_s: 0.0 }
    }

    /// `samples` more have arrived.
    pub fn advance(&mut self, samples: usize, arrived: Timestamp) {
        self.samples += samples as u64;
        (self.before, self.arrived) = (self.arrived, arrived);
    }

    /// Sound is missing here.
    pub fn miss(&mut self, lost_s: f64) {
        self.missing_s += lost_s;
    }

    /// Samples that have arrived.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Where a sample lies, seconds.
    pub fn seconds_at(&self, sample: u64) -> f64 {
        sample as f64 / self.rate
    }

    /// The sample at `s` seconds behind sample `from`, if it has arrived; else the last.
    pub fn sample_at(&self, from: u64, s: f64) -> u64 {
        (from + (s * self.rate).round() as u64).min(self.samples)
    }

    /// A record of what is so now, at the stream's last sample.
    pub fn now(&self, stream: &str, what: What) -> Record {
        self.record(stream, what, self.samples, Timestamp::now())
    }

    /// A record of what is so at `sample`, at the time when that had arrived: as long before the
    /// block's end as it lies before it, but not before the block before.
    pub fn at(&self, stream: &str, what: What, sample: u64) -> Record {
        let since = SignedDuration::from_secs_f64((self.samples - sample) as f64 / self.rate);
        let time = self.arrived.checked_sub(since).unwrap_or(self.arrived);
        self.record(stream, what, sample, time.max(self.before))
    }

    fn record(&self, stream: &str, what: What, sample: u64, time: Timestamp) -> Record {
        let stream_s = self.seconds_at(sample);
        Record {
            kind: what.kind(),
            stream: stream.to_owned(),
            time,
            stream_s: seconds(stream_s),
            timecode: self.timecode.map(|clock| clock.at(stream_s + self.missing_s).to_string()),
            what,
        }
    }
}
