//! Passages as other programs read them: Audacity's label track, REAPER's regions and markers.

use std::fmt::Write as _;

use super::report::Story;
use super::segments::{Kind, Segment, segments};
use super::text::percent;

fn name(segment: &Segment) -> String {
    match (segment.lowest, segment.highest) {
        (Some(low), Some(high)) if percent(low) == percent(high) => {
            format!("{} {}", segment.kind.words(), percent(high).trim())
        }
        (Some(low), Some(high)) => {
            format!("{} {:.0} to {}", segment.kind.words(), low * 100.0, percent(high).trim())
        }
        _ => segment.kind.words().to_owned(),
    }
}

/// Audacity, File → Import → Labels: begin and end in seconds, and a name, between tabs.
pub fn audacity(story: &Story) -> String {
    let mut text = String::new();
    for segment in segments(&story.points, story.header.settings.threshold) {
        let _ = writeln!(text, "{:.6}\t{:.6}\t{}", segment.start_s, segment.end_s, name(&segment));
    }
    text
}

/// REAPER, Region/Marker Manager → Options → Import regions/markers: a region for each passage with
/// speech, a marker at the highest short-term reading. Times are minutes and seconds: set the
/// project's ruler so.
pub fn reaper(story: &Story) -> String {
    let mut text = "#,Name,Start,End,Length,Color\n".to_owned();
    let speech = segments(&story.points, story.header.settings.threshold);
    let speech = speech.iter().filter(|segment| matches!(segment.kind, Kind::Spoof | Kind::Bonafide));
    for (i, segment) in speech.enumerate() {
        let colour = if segment.kind == Kind::Spoof { "E0701C" } else { "2F86D6" };
        let (start, end, length) =
            (time(segment.start_s), time(segment.end_s), time(segment.end_s - segment.start_s));
        let _ = writeln!(text, "R{},{},{start},{end},{length},{colour}", i + 1, name(segment));
    }
    if let Some((at_s, p)) = story.peak() {
        let _ = writeln!(text, "M1,peak {},{},,,", percent(p).trim(), time(at_s));
    }
    text
}

/// Minutes, seconds and milliseconds, as REAPER's ruler shows them.
fn time(seconds: f64) -> String {
    let ms = (seconds * 1000.0).round() as u64;
    let (h, m, s, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    if h > 0 { format!("{h}:{m:02}:{s:02}.{ms:03}") } else { format!("{m}:{s:02}.{ms:03}") }
}
