//! The editor's own copy of the display, brought up to date once a frame.

use std::collections::VecDeque;

use crate::plugin::monitor::{LogState, Monitor, Point, Status, Strip};
use crate::rt::Scores;

/// Sound that may be ahead of its verdicts before the timeline waits for them, in seconds.
const MAX_LEAD_S: f64 = 4.0;

/// A copy of the display.
#[derive(Debug, Default)]
pub struct Live {
    /// Judged windows, oldest first.
    pub points: VecDeque<Point>,
    /// The picture that the model sees.
    pub strip: Strip,
    /// The words.
    pub status: Status,
    /// The evidence log.
    pub log: LogState,
    /// The latest readings and counts.
    pub scores: Scores,
    /// Frames that had been received when the newest point came.
    received_at_point: u64,
    /// The timeline's right edge, which follows the sound smoothly.
    edge_s: f64,
}

impl Live {
    /// Copies what is new, and says whether sound went on. The lock is held for the copies alone.
    pub fn sync(&mut self, monitor: &Monitor) -> bool {
        let display = monitor.lock();
        self.scores = display.current();
        if self.status != display.status {
            self.status.clone_from(&display.status);
        }
        if self.log != display.log {
            self.log.clone_from(&display.log);
        }
        let frames = self.strip.received != display.strip.received;
        if frames {
            let mut levels = std::mem::take(&mut self.strip.levels);
            levels.clone_from(&display.strip.levels);
            let Strip { n_mels, frame_rate, range_db, received, .. } = display.strip;
            self.strip = Strip { n_mels, frame_rate, levels, range_db, received };
        }
        let points = self.copy_points(&display.points);
        drop(display);
        if points {
            self.received_at_point = self.strip.received;
        }
        self.follow();
        frames || points
    }

    /// Copies the points that are new, all of them if these are others than before.
    fn copy_points(&mut self, source: &VecDeque<Point>) -> bool {
        let ends = |points: &VecDeque<Point>| {
            let time = |point: Option<&Point>| point.map(|point| point.heard_s.to_bits());
            (points.len(), time(points.front()), time(points.back()))
        };
        if ends(&self.points) == ends(source) {
            return false;
        }
        let newest = self.points.back().map_or(f64::NEG_INFINITY, |point| point.heard_s);
        let new = source.iter().rev().take_while(|point| point.heard_s > newest).count();
        self.points.extend(source.range(source.len() - new..));
        while self.points.len() > source.len() {
            self.points.pop_front();
        }
        if ends(&self.points) != ends(source) {
            self.points.clone_from(source);
        }
        true
    }

    /// Moves the timeline's edge to where the sound is, which frames tell between two points.
    fn follow(&mut self) {
        let Some(newest) = self.points.back() else {
            self.edge_s = 0.0;
            return;
        };
        let frames = self.strip.received.saturating_sub(self.received_at_point);
        let lead = if self.strip.frame_rate > 0.0 { frames as f64 / self.strip.frame_rate } else { 0.0 };
        let target = newest.heard_s + lead.min(MAX_LEAD_S);
        let behind = target - self.edge_s;
        // A verdict comes a little after its sound; half-way steps hide that it does.
        self.edge_s = if behind.abs() < 2.0 { self.edge_s + 0.5 * behind } else { target };
    }

    /// Sound heard until the timeline's right edge, in seconds.
    pub fn edge_s(&self) -> f64 {
        self.edge_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::monitor::Display;
    use crate::rt::Reading;

    fn point(heard_s: f64) -> Point {
        let reading = Reading::default();
        Point {
            heard_s,
            host_s: f64::NAN,
            momentary: reading,
            short_term: reading,
            integrated: reading,
            alert: false,
            after_gap: false,
        }
    }

    fn times(points: &VecDeque<Point>) -> Vec<f64> {
        points.iter().map(|point| point.heard_s).collect()
    }

    #[test]
    fn follows_the_display() {
        let monitor = Monitor::new(Display::default());
        let mut live = Live::default();
        assert!(!live.sync(&monitor));
        let mut check = |change: &dyn Fn(&mut VecDeque<Point>)| {
            change(&mut monitor.lock().points);
            assert!(live.sync(&monitor));
            assert_eq!(times(&live.points), times(&monitor.lock().points));
            assert!(!live.sync(&monitor), "nothing new");
        };
        check(&|points| points.extend([point(2.0), point(2.5)]));
        check(&|points| points.push_back(point(3.0)));
        check(&|points| {
            points.pop_front();
            points.push_back(point(3.5));
        });
        check(&|points| *points = VecDeque::from([point(2.0), point(2.5), point(3.0)]));
        check(&|points| *points = VecDeque::from([point(7.0), point(8.0), point(9.0)]));
        check(&VecDeque::clear);
    }

    #[test]
    fn the_edge_runs_ahead_of_the_points_with_the_sound() {
        let monitor = Monitor::default();
        let mut live = Live::default();
        monitor.lock().strip.frame_rate = 100.0;
        monitor.lock().points.push_back(point(10.0));
        monitor.lock().strip.received = 1000;
        live.sync(&monitor);
        assert_eq!(live.edge_s(), 10.0);
        monitor.lock().strip.received = 1030;
        (0..20).for_each(|_| _ = live.sync(&monitor));
        assert!((live.edge_s() - 10.3).abs() < 1e-3);
        monitor.lock().strip.received = 9000;
        (0..20).for_each(|_| _ = live.sync(&monitor));
        assert!((live.edge_s() - (10.0 + MAX_LEAD_S)).abs() < 1e-3);
    }
}
