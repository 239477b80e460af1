//! Windows to passages: what an ear would call "here it speaks, and here something else does".

use super::report::Point;

/// What a passage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Windows at the threshold or above.
    Spoof,
    /// Windows below.
    Bonafide,
    /// The gate was closed.
    NoSpeech,
    /// Lost, or failed.
    Unknown,
}

impl Kind {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Spoof => "spoof",
            Self::Bonafide => "bona fide",
            Self::NoSpeech => "no speech",
            Self::Unknown => "not judged",
        }
    }

    /// What a window is.
    pub fn of(point: &Point, threshold: f32) -> Self {
        match point.p {
            Some(p) if p >= threshold => Self::Spoof,
            Some(_) => Self::Bonafide,
            None if point.silent => Self::NoSpeech,
            None => Self::Unknown,
        }
    }
}

/// Neighbouring windows of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// Begin, seconds.
    pub start_s: f64,
    /// End.
    pub end_s: f64,
    /// What it is.
    pub kind: Kind,
    /// Highest probability in it.
    pub highest: Option<f32>,
    /// Lowest.
    pub lowest: Option<f32>,
}

/// The part of time that each window speaks for: up to halfway to its neighbours' middles, as windows
/// overlap. Where windows lie apart, something is missing between them.
pub fn cells(points: &[Point]) -> impl Iterator<Item = (f64, f64)> {
    let middle = |point: &Point| f64::midpoint(point.start_s, point.end_s);
    let joins = |a: &Point, b: &Point| b.start_s <= a.end_s && b.start_s >= a.start_s;
    (0..points.len()).map(move |i| {
        let point = &points[i];
        let before = i.checked_sub(1).map(|i| &points[i]).filter(|before| joins(before, point));
        let after = points.get(i + 1).filter(|after| joins(point, after));
        let start = before.map_or(point.start_s, |before| f64::midpoint(middle(before), middle(point)));
        let end = after.map_or(point.end_s, |after| f64::midpoint(middle(point), middle(after)));
        (start, end)
    })
}

/// Joins windows of one kind; they cover the time without overlap.
pub fn segments(points: &[Point], threshold: f32) -> Vec<Segment> {
    let mut all: Vec<Segment> = Vec::new();
    for (point, (start_s, end_s)) in points.iter().zip(cells(points)) {
        let kind = Kind::of(point, threshold);
        match all.last_mut() {
            Some(last) if last.kind == kind && start_s - last.end_s < 0.01 => {
                last.end_s = end_s;
                // Windows of one kind have all a score, or none.
                last.highest = last.highest.zip(point.p).map(|(a, b)| a.max(b));
                last.lowest = last.lowest.zip(point.p).map(|(a, b)| a.min(b));
            }
            _ => all.push(Segment { start_s, end_s, kind, highest: point.p, lowest: point.p }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(start_s: f64, p: Option<f32>) -> Point {
        Point { start_s, end_s: start_s + 2.0, p, short_term: p, silent: p.is_none(), alert: false }
    }

    #[test]
    fn passages_cover_the_time_without_overlap() {
        let readings = [Some(0.2), Some(0.3), Some(0.9), Some(0.8), None, Some(0.6)];
        let mut points: Vec<_> =
            (0..).map(|i| f64::from(i) * 0.5).zip(readings).map(|(s, p)| point(s, p)).collect();
        // After a gap.
        points.push(point(20.0, Some(0.7)));
        let found = segments(&points, 0.5);
        let kinds: Vec<_> = found.iter().map(|segment| segment.kind).collect();
        assert_eq!(kinds, [Kind::Bonafide, Kind::Spoof, Kind::NoSpeech, Kind::Spoof, Kind::Spoof]);
        let times: Vec<_> = found.iter().map(|segment| (segment.start_s, segment.end_s)).collect();
        assert_eq!(times, [(0.0, 1.75), (1.75, 2.75), (2.75, 3.25), (3.25, 4.5), (20.0, 22.0)]);
        assert_eq!((found[0].lowest, found[0].highest), (Some(0.2), Some(0.3)));
        assert_eq!((found[1].lowest, found[1].highest), (Some(0.8), Some(0.9)));
    }
}
