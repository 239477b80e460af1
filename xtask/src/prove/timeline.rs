//! What the plugin's meters said over time, in words.

/// One thing that the meters said.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    pub seconds: f64,
    /// The parameter `State` as the plugin spells it.
    pub state: String,
    pub score: f64,
}

impl Reading {
    fn is_scored(&self) -> bool {
        self.state == "Scored"
    }
}

/// Readings, one a window: a host is told changes alone, so a score that stays for a hop is a
/// window's as well.
#[derive(Debug)]
pub struct Timeline {
    hop_s: f64,
    readings: Vec<Reading>,
}

impl Timeline {
    pub fn new(hop_s: f64) -> Self {
        Self { hop_s, readings: Vec::new() }
    }

    /// Takes what the meters show at this moment; returns the reading if it is a new one.
    pub fn note(&mut self, now: Reading) -> Option<&Reading> {
        if let Some(last) = self.readings.last() {
            let same = last.state == now.state && (last.score == now.score || !now.is_scored());
            // A window's score comes up to a few blocks after its end.
            let stays = now.seconds < last.seconds + 1.2 * self.hop_s;
            if same && (stays || !now.is_scored()) {
                return None;
            }
            if same {
                let seconds = last.seconds + self.hop_s;
                self.readings.push(Reading { seconds, ..now });
                return self.readings.last();
            }
        }
        self.readings.push(now);
        self.readings.last()
    }

    /// The last line: how many windows were above the threshold; nothing if none had a score.
    pub fn verdict(&self, threshold: f64) -> Option<String> {
        let scores: Vec<f64> = self.readings.iter().filter(|r| r.is_scored()).map(|r| r.score).collect();
        let last = scores.last()?;
        let above = scores.iter().filter(|score| **score >= threshold).count();
        let peak = scores.iter().copied().fold(0.0, f64::max);
        let word = if *last >= threshold { "SPOOF    " } else { "bona fide" };
        Some(format!(
            "{}  {word}  the last of {} windows, {above} of them at {:.0} % or more, peak {}",
            percent(*last),
            scores.len(),
            100.0 * threshold,
            percent(peak)
        ))
    }

    /// The last thing that was said.
    pub fn last_state(&self) -> &str {
        self.readings.last().map_or("nothing", |reading| &reading.state)
    }
}

/// A line of the timeline, as `bonafide scan --timeline` would put it.
pub fn line(reading: &Reading) -> String {
    let tenths = (reading.seconds * 10.0).round() as u64;
    let clock = format!("{}:{:04.1}", tenths / 600, (tenths % 600) as f64 / 10.0);
    if reading.is_scored() {
        let bar = "▇".repeat((20.0 * reading.score).round() as usize);
        format!("      {clock}  {} {bar}", percent(reading.score))
    } else {
        format!("      {clock}     –  {}", reading.state.to_lowercase())
    }
}

/// As the plugin and the command line do, never 0 or 100 %.
pub fn percent(p: f64) -> String {
    format!("{:3.0} %", (100.0 * p).clamp(1.0, 99.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(seconds: f64, state: &str, score: f64) -> Reading {
        Reading { seconds, state: state.into(), score }
    }

    fn timeline(readings: &[(f64, &str, f64)]) -> Timeline {
        let mut timeline = Timeline::new(0.5);
        for (seconds, state, score) in readings {
            timeline.note(reading(*seconds, state, *score));
        }
        timeline
    }

    #[test]
    fn a_score_that_stays_for_a_hop_is_another_window() {
        let blocks: Vec<_> = (0..150).map(|i| (f64::from(i) * 0.01, "Scored", 0.9)).collect();
        assert_eq!(timeline(&blocks).readings.len(), 3);
        let silent: Vec<_> = (0..150).map(|i| (f64::from(i) * 0.01, "No speech", 0.5)).collect();
        assert_eq!(timeline(&silent).readings.len(), 1);
    }

    #[test]
    fn the_verdict_counts_windows_with_a_score() {
        let timeline = timeline(&[
            (0.0, "Warming up", 0.5),
            (2.0, "Scored", 0.2),
            (2.5, "Scored", 0.98),
            (3.0, "No speech", 0.5),
            (3.5, "Scored", 0.6),
        ]);
        let verdict = timeline.verdict(0.5).unwrap();
        assert_eq!(verdict, " 60 %  SPOOF      the last of 3 windows, 2 of them at 50 % or more, peak  98 %");
        assert_eq!([percent(0.998), percent(0.001)], [" 99 %", "  1 %"]);
        assert!(timeline.verdict(0.7).unwrap().contains("bona fide  the last of 3 windows, 1 of them"));
    }

    #[test]
    fn without_a_score_there_is_no_verdict() {
        let timeline = timeline(&[(0.0, "Warming up", 0.5), (2.0, "No speech", 0.5)]);
        assert_eq!((timeline.verdict(0.5), timeline.last_state()), (None, "No speech"));
    }

    #[test]
    fn lines_look_like_scans() {
        assert_eq!(line(&reading(62.04, "Scored", 0.1)), "      1:02.0   10 % ▇▇");
        assert_eq!(line(&reading(0.0, "Warming up", 0.5)), "      0:00.0     –  warming up");
    }
}
