//! The timeline's points thinned out to what a screen can show.

use std::collections::VecDeque;

use crate::plugin::monitor::Point;
use crate::rt::{Reading, State};

/// A window's length: the first window after a gap judges the sound from here on.
const WINDOW_S: f64 = 2.0;

/// The points that share a column of the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Column {
    /// Sound heard at the column's first window's beginning, in seconds; where the one before ends
    /// unless there was a gap.
    pub from_s: f64,
    /// Sound heard at its last window's end.
    pub to_s: f64,
    /// Lowest and highest momentary log-likelihood ratio.
    pub momentary: Option<(f32, f32)>,
    /// Two short-term ratios at most, lowest and highest, in the order in which they came.
    pub short_term: Option<(f32, f32)>,
    /// Why no window of the column has a score.
    pub unscored: Option<State>,
    /// Whether an alert was on in any of its windows.
    pub alert: bool,
    /// Whether there is a gap before it.
    pub after_gap: bool,
}

/// Columns of `bin_s` seconds that hold the points from `from_s` to `to_s`, oldest first.
///
/// Columns begin at whole multiples of `bin_s`, so that a scrolling picture doesn't flicker, and
/// keep lowest and highest values, so that no peak gets lost.
pub fn columns(points: &VecDeque<Point>, from_s: f64, to_s: f64, bin_s: f64) -> Vec<Column> {
    // One more on either side, so that lines run on to the edges.
    let first = points.partition_point(|point| point.heard_s < from_s).saturating_sub(1);
    let last = (points.partition_point(|point| point.heard_s <= to_s) + 1).min(points.len());
    let mut previous = first.checked_sub(1).and_then(|i| points.get(i)).map(|point| point.heard_s);
    let mut columns: Vec<Column> = Vec::new();
    let mut bin = i64::MIN;
    for point in points.range(first.min(last)..last) {
        let reach = if point.after_gap { WINDOW_S } else { f64::INFINITY };
        let begin = (point.heard_s - reach).max(previous.unwrap_or(point.heard_s - WINDOW_S));
        previous = Some(point.heard_s);
        let this = (point.heard_s / bin_s).floor() as i64;
        match columns.last_mut() {
            Some(column) if this == bin && !point.after_gap => column.add(point),
            _ => columns.push(Column::new(point, begin)),
        }
        bin = this;
    }
    columns
}

impl Column {
    fn new(point: &Point, from_s: f64) -> Self {
        let pair = |reading: Reading| score(reading).map(|llr| (llr, llr));
        Self {
            from_s,
            to_s: point.heard_s,
            momentary: pair(point.momentary),
            short_term: pair(point.short_term),
            unscored: (point.momentary.state != State::Scored).then_some(point.momentary.state),
            alert: point.alert,
            after_gap: point.after_gap,
        }
    }

    fn add(&mut self, point: &Point) {
        self.to_s = point.heard_s;
        if let Some(llr) = score(point.momentary) {
            let (low, high) = self.momentary.unwrap_or((llr, llr));
            self.momentary = Some((low.min(llr), high.max(llr)));
        }
        if let Some(llr) = score(point.short_term) {
            self.short_term = Some(match self.short_term {
                None => (llr, llr),
                Some((a, b)) if llr < a.min(b) => (a.max(b), llr),
                Some((a, b)) if llr > a.max(b) => (a.min(b), llr),
                Some(pair) => pair,
            });
        }
        self.unscored = self.unscored.filter(|_| point.momentary.state != State::Scored);
        self.alert |= point.alert;
    }
}

/// The number of a reading that has one and stands by it.
pub fn score(reading: Reading) -> Option<f32> {
    (reading.state == State::Scored && reading.llr.is_finite()).then_some(reading.llr)
}

/// The point whose window ended nearest to `heard_s`.
pub fn nearest(points: &VecDeque<Point>, heard_s: f64) -> Option<&Point> {
    let after = points.partition_point(|point| point.heard_s < heard_s);
    let around = [after.checked_sub(1), Some(after)].into_iter().flatten().filter_map(|i| points.get(i));
    around.min_by(|a, b| (a.heard_s - heard_s).abs().total_cmp(&(b.heard_s - heard_s).abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(llr: f32) -> Reading {
        Reading { state: State::Scored, llr }
    }

    fn point(heard_s: f64, llr: f32) -> Point {
        Point {
            heard_s,
            host_s: f64::NAN,
            momentary: scored(llr),
            short_term: scored(llr),
            integrated: scored(llr),
            alert: false,
            after_gap: false,
        }
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let points: VecDeque<_> = (4..8).map(|i| point(0.5 * f64::from(i), i as f32)).collect();
        let columns = columns(&points, 0.0, 10.0, 0.1);
        let ends: Vec<_> = columns.iter().map(|column| (column.from_s, column.to_s)).collect();
        assert_eq!(ends, [(0.0, 2.0), (2.0, 2.5), (2.5, 3.0), (3.0, 3.5)]);
        assert!(columns.iter().all(|column| column.momentary.is_some_and(|(low, high)| low == high)));
    }

    #[test]
    fn many_points_keep_their_extremes() {
        let mut points: VecDeque<_> = (0..36_000).map(|i| point(0.1 * f64::from(i), 0.0)).collect();
        points[20_000].momentary = scored(9.0);
        points[20_001].short_term = scored(-9.0);
        let columns = columns(&points, 0.0, 3600.0, 4.0);
        assert!(columns.len() <= 901, "{}", columns.len());
        let highest = columns.iter().filter_map(|column| column.momentary).map(|pair| pair.1);
        assert_eq!(highest.fold(0.0, f32::max), 9.0);
        let lowest = columns.iter().filter_map(|column| column.short_term).map(|pair| pair.0.min(pair.1));
        assert_eq!(lowest.fold(0.0, f32::min), -9.0);
    }

    #[test]
    fn only_what_is_in_view_and_one_more() {
        let points: VecDeque<_> = (0..100).map(|i| point(f64::from(i), 0.0)).collect();
        let columns = columns(&points, 50.5, 60.5, 0.1);
        assert_eq!((columns[0].to_s, columns[columns.len() - 1].to_s), (50.0, 61.0));
        assert_eq!(columns[0].from_s, 49.0);
    }

    #[test]
    fn gaps_and_reasons() {
        let mut points: VecDeque<_> = (0..6).map(|i| point(f64::from(i) * 5.0, 0.0)).collect();
        points[2].momentary = Reading::none(State::NoSpeech);
        points[4].after_gap = true;
        points[5].alert = true;
        let columns = columns(&points, 0.0, 100.0, 100.0);
        assert_eq!(columns.len(), 2, "a gap parts columns");
        assert_eq!((columns[0].unscored, columns[0].alert), (None, false));
        assert_eq!((columns[1].from_s, columns[1].after_gap, columns[1].alert), (18.0, true, true));
        let thin = super::columns(&points, 0.0, 100.0, 1.0);
        assert_eq!(thin[2].unscored, Some(State::NoSpeech));
        assert_eq!(thin[2].momentary, None);
    }

    #[test]
    fn the_nearest_point() {
        let points: VecDeque<_> = [1.0, 2.0, 4.0].map(|t| point(t, 0.0)).into();
        let at = |t| nearest(&points, t).map(|point| point.heard_s);
        assert_eq!([0.0, 1.6, 2.9, 3.1, 9.0].map(at), [1.0, 2.0, 2.0, 4.0, 4.0].map(Some));
        assert_eq!(nearest(&VecDeque::new(), 0.0), None);
    }
}
