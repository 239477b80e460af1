//! From the inference thread to the editor's display, and to the log.

use std::collections::VecDeque;
use std::sync::Arc;

use super::log::LogSender;
use super::monitor::{Monitor, Point, Status, Strip};
use crate::engine::{self, Event, Observer};
use crate::model::{Manifest, Reference};

/// Writes what happens in a stream to its instance's display, and hands it to the log.
pub struct Recorder {
    monitor: Arc<Monitor>,
    log: Option<LogSender>,
    /// What is drawn brightest, dB.
    reference_db: f32,
    /// Values that the strip holds at most.
    capacity: usize,
    session: u32,
    /// Sound heard before this session, seconds.
    heard_before_s: f64,
    heard_s: f64,
    /// The next window is a stream's or a session's first.
    fresh: bool,
}

impl Recorder {
    /// A recorder for a stream that `title`'s model judges; the timeline goes on where it was.
    pub fn new(monitor: Arc<Monitor>, manifest: &Manifest, title: String, log: Option<LogSender>) -> Self {
        let n_mels = manifest.front_end.n_mels;
        let reference_db = match manifest.image.reference {
            Reference::Fixed(level) => level,
            // Where 0 dB is each window's loudest band, full scale stands in for it.
            Reference::Max(_) => 0.0,
        };
        let capacity = n_mels * manifest.window.frames;
        let mut display = monitor.lock();
        let received = display.strip.received;
        display.strip = Strip {
            n_mels,
            frame_rate: manifest.front_end.frame_rate(),
            range_db: manifest.image.range_db.max(1.0),
            received: received + 1,
            levels: VecDeque::with_capacity(capacity),
        };
        display.status = Status { model: title, ..Status::default() };
        let heard_before_s = display.points.back().map_or(0.0, |point| point.heard_s);
        drop(display);
        Self {
            monitor,
            log,
            reference_db,
            capacity,
            session: 0,
            heard_before_s,
            heard_s: heard_before_s,
            fresh: true,
        }
    }
}

impl Observer for Recorder {
    fn frame(&mut self, bands: &[f32]) {
        let strip = &mut self.monitor.lock().strip;
        // The first bank is a picture by itself.
        let bands = &bands[..strip.n_mels.min(bands.len())];
        let surplus = (strip.levels.len() + bands.len()).saturating_sub(self.capacity);
        strip.levels.drain(..surplus.min(strip.levels.len()));
        let level = |db: &f32| level(*db, self.reference_db, strip.range_db);
        strip.levels.extend(bands.iter().map(level));
        strip.received += 1;
    }

    fn event(&mut self, event: &Event) {
        if let Some(log) = &mut self.log {
            log.event(event);
        }
        let (Event::Window(engine::WindowScore { scores, .. }) | Event::Ended(scores)) = event;
        let mut display = self.monitor.lock();
        display.scores = *scores;
        let Event::Window(window) = event else { return };
        if scores.session != self.session {
            (self.session, self.heard_before_s, self.fresh) = (scores.session, self.heard_s, true);
        }
        self.heard_s = self.heard_before_s + window.heard_s;
        display.push(Point {
            heard_s: self.heard_s,
            host_s: window.host_s.unwrap_or(f64::NAN),
            momentary: window.reading,
            short_term: scores.short_term,
            integrated: scores.integrated,
            alert: scores.alert.active,
            after_gap: self.fresh || !window.contiguous,
        });
        self.fresh = false;
    }

    fn status(&mut self, status: &engine::Status) {
        if let Some(log) = &mut self.log {
            log.status(status);
        }
        let mut display = self.monitor.lock();
        display.status.engine = status.engine.clone().unwrap_or_default();
        display.status.note = status.note.clone();
        display.status.error = status.error.as_ref().map(ToString::to_string);
    }
}

/// A band of the strip: 255 for the reference and more, 0 for `range_db` below it and less.
fn level(db: f32, reference_db: f32, range_db: f32) -> u8 {
    // `as` takes what is out of range to its ends, and NaN to 0.
    (255.0 * (1.0 + (db - reference_db) / range_db)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strip_holds_what_is_within_range() {
        let levels = [-80.0, 0.0, f32::NAN, -200.0, 60.0, -40.0].map(|db| level(db, 0.0, 80.0));
        assert_eq!(levels, [0, 255, 0, 0, 255, 127]);
        assert_eq!(level(-30.0, -20.0, 40.0), 191);
    }
}
