//! Whether a stream keeps pace: stalls of the source, and sound that waits for the machine.

use std::time::{Duration, Instant};

/// A live source that waits this long has been outrun; less is ordinary buffering, seconds.
const BEHIND_S: f64 = 2.0;

/// Watches one stream's pace.
pub struct Pace {
    stall_after: Duration,
    /// When data came last.
    heard: Instant,
    stalled: bool,
    /// Sound that a source in real time has made, and that was not taken yet, seconds: it grows
    /// while the machine works longer on a block than the block lasts, and nothing is left when
    /// the stream has to wait for its source.
    behind_s: f64,
    worst_s: f64,
    overloaded: bool,
}

/// A change of pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PaceChange {
    /// No data has come for so many seconds.
    Stalled(f64),
    /// Data comes again, after so many.
    Resumed(f64),
    /// So many seconds of sound wait.
    Overloaded(f64),
    /// None waits any more; so many did.
    CaughtUp(f64),
}

impl Pace {
    /// A stream that begins now, and stalls when nothing comes for `stall_s` seconds.
    pub fn new(stall_s: f64, now: Instant) -> Self {
        Self {
            stall_after: Duration::from_secs_f64(stall_s),
            heard: now,
            stalled: false,
            behind_s: 0.0,
            worst_s: 0.0,
            overloaded: false,
        }
    }

    /// All that had come was taken: the stream waits for its source.
    pub fn waits(&mut self, now: Instant) -> Option<PaceChange> {
        self.behind_s = 0.0;
        if std::mem::take(&mut self.overloaded) {
            return Some(PaceChange::CaughtUp(std::mem::take(&mut self.worst_s)));
        }
        let waited = now.saturating_duration_since(self.heard);
        (!self.stalled && waited >= self.stall_after).then(|| {
            self.stalled = true;
            PaceChange::Stalled(waited.as_secs_f64())
        })
    }

    /// Data came.
    pub fn hears(&mut self, now: Instant) -> Option<PaceChange> {
        let waited = now.saturating_duration_since(self.heard);
        self.heard = now;
        std::mem::take(&mut self.stalled).then_some(PaceChange::Resumed(waited.as_secs_f64()))
    }

    /// A block of `block_s` seconds that had come has been judged.
    pub fn judged(&mut self, block_s: f64, now: Instant) -> Option<PaceChange> {
        let took = now.saturating_duration_since(self.heard).as_secs_f64();
        self.heard = now;
        self.behind_s = (self.behind_s + took - block_s).max(0.0);
        self.worst_s = self.worst_s.max(self.behind_s);
        (!self.overloaded && self.behind_s > BEHIND_S).then(|| {
            self.overloaded = true;
            PaceChange::Overloaded(self.behind_s)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stalls_are_told_once() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs_f64(s);
        let mut pace = Pace::new(2.0, start);
        assert_eq!(pace.waits(at(1.9)), None);
        assert_eq!(pace.waits(at(2.0)), Some(PaceChange::Stalled(2.0)));
        assert_eq!(pace.waits(at(9.0)), None);
        assert_eq!(pace.hears(at(10.0)), Some(PaceChange::Resumed(10.0)));
        assert_eq!(pace.hears(at(10.1)), None);
    }

    #[test]
    fn a_slow_machine_is_overloaded_a_slow_source_is_not() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs_f64(s);
        let mut pace = Pace::new(60.0, start);
        // The source is slow: each block of 1 s comes after 3 s and is judged in 0.5 s.
        for i in 0..10 {
            let came = 3.0 * f64::from(i);
            assert_eq!(pace.hears(at(came)), None);
            assert_eq!(pace.judged(1.0, at(came + 0.5)), None);
            assert_eq!(pace.waits(at(came + 0.5)), None);
        }
        // The machine is slow: each block of 1 s takes 2 s, and the next one waits already.
        pace.hears(at(40.0));
        assert_eq!(pace.judged(1.0, at(42.0)), None);
        assert_eq!(pace.judged(1.0, at(44.0)), None);
        assert_eq!(pace.judged(1.0, at(46.0)), Some(PaceChange::Overloaded(3.0)));
        assert_eq!(pace.judged(1.0, at(48.0)), None);
        // Then it catches up.
        assert_eq!(pace.judged(5.0, at(48.1)), None);
        assert_eq!(pace.waits(at(48.1)), Some(PaceChange::CaughtUp(4.0)));
    }
}
