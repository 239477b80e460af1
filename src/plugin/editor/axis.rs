//! The timeline's time axis: the host's timecode where there is one, else time heard.

use std::collections::VecDeque;

use crate::plugin::monitor::Point;

/// Spans that can be chosen, with their names.
pub const SPANS: [(f64, &str); 5] =
    [(30.0, "30 s"), (60.0, "1 min"), (300.0, "5 min"), (900.0, "15 min"), (3600.0, "1 h")];

/// Distances between ticks that read well, in seconds.
const STEPS: [f64; 11] = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0];

/// Host times beyond this (some thirty years) are nonsense.
const MAX_HOST_S: f64 = 1e9;

/// A tick of the axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick {
    /// Where it is, in seconds of sound heard.
    pub heard_s: f64,
    /// What it says, in seconds.
    pub label_s: f64,
}

/// A stretch in which host time and time heard run side by side.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Run {
    from_s: f64,
    to_s: f64,
    /// Host time less time heard.
    offset: f64,
}

/// Ticks from `from_s` to `to_s`, at least `min_step_s` apart within a stretch.
pub fn ticks(points: &VecDeque<Point>, from_s: f64, to_s: f64, min_step_s: f64) -> Vec<Tick> {
    let longest = STEPS[STEPS.len() - 1];
    let step = STEPS.into_iter().find(|step| *step >= min_step_s).unwrap_or(longest);
    let mut ticks: Vec<Tick> = Vec::new();
    for run in runs(points, from_s, to_s) {
        let mut label_s = ((run.from_s + run.offset) / step).ceil() * step;
        while label_s - run.offset < run.to_s {
            let heard_s = label_s - run.offset;
            if ticks.last().is_none_or(|last| heard_s - last.heard_s >= 0.9 * min_step_s) {
                ticks.push(Tick { heard_s, label_s });
            }
            label_s += step;
        }
    }
    ticks
}

/// Splits the view where the host's time jumps. The first and the last stretch reach to the edges.
fn runs(points: &VecDeque<Point>, from_s: f64, to_s: f64) -> Vec<Run> {
    let first = points.partition_point(|point| point.heard_s < from_s).saturating_sub(1);
    let last = points.partition_point(|point| point.heard_s <= to_s);
    let mut runs: Vec<Run> = Vec::new();
    for point in points.range(first.min(last)..last) {
        let host = Some(point.host_s).filter(|host| host.abs() < MAX_HOST_S);
        let offset = host.map_or(0.0, |host| host - point.heard_s);
        match runs.last_mut() {
            // Hosts round to blocks; a jump is more than that.
            Some(run) if (run.offset - offset).abs() < 0.1 => run.to_s = point.heard_s,
            Some(run) => {
                let begin = run.to_s;
                runs.push(Run { from_s: begin, to_s: point.heard_s, offset });
            }
            None => runs.push(Run { from_s, to_s: point.heard_s, offset }),
        }
    }
    match runs.last_mut() {
        Some(run) => run.to_s = to_s,
        None => runs.push(Run { from_s, to_s, offset: 0.0 }),
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::Reading;

    fn point(heard_s: f64, host_s: f64) -> Point {
        let reading = Reading::default();
        Point {
            heard_s,
            host_s,
            momentary: reading,
            short_term: reading,
            integrated: reading,
            alert: false,
            after_gap: false,
        }
    }

    fn pairs(ticks: &[Tick]) -> Vec<(f64, f64)> {
        ticks.iter().map(|tick| (tick.heard_s, tick.label_s)).collect()
    }

    #[test]
    fn time_heard_without_a_host() {
        let points: VecDeque<_> = (0..40).map(|i| point(f64::from(i), f64::NAN)).collect();
        assert_eq!(pairs(&ticks(&points, 9.0, 39.0, 7.0)), [(10.0, 10.0), (20.0, 20.0), (30.0, 30.0)]);
        assert_eq!(ticks(&VecDeque::new(), 0.0, 30.0, 7.0).len(), 3);
    }

    #[test]
    fn nonsense_is_no_host_time() {
        let points: VecDeque<_> =
            [(0.0, 1e300), (10.0, f64::INFINITY)].map(|(t, host)| point(t, host)).into();
        assert_eq!(pairs(&ticks(&points, 0.0, 20.0, 7.0)), [(0.0, 0.0), (10.0, 10.0)]);
    }

    #[test]
    fn host_time_and_its_jumps() {
        let host = |i: i32| f64::from(if i < 20 { i + 100 } else { i + 983 });
        let points: VecDeque<_> = (0..40).map(|i| point(f64::from(i), host(i))).collect();
        let ticks = ticks(&points, 0.0, 39.0, 10.0);
        assert_eq!(pairs(&ticks), [(0.0, 100.0), (10.0, 110.0), (27.0, 1010.0), (37.0, 1020.0)]);
    }
}
