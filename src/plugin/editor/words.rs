//! Numbers, times and states in words.

use crate::rt::State;

/// Probability of spoof of a log-likelihood ratio, person and machine equally likely beforehand.
pub fn probability(llr: f32) -> f32 {
    1.0 / (1.0 + (-llr).exp())
}

/// Log-likelihood ratio of a probability: the inverse of [`probability`].
pub fn logit(p: f32) -> f32 {
    (p / (1.0 - p)).ln()
}

/// Whole percents; never 0 or 100, since no finite evidence makes certain.
pub fn percent(p: f32) -> String {
    let (sign, whole) = percent_parts(p);
    format!("{sign}{whole} %")
}

/// What stands before the number ("", "< " or "> "), and the number.
pub fn percent_parts(p: f32) -> (&'static str, u32) {
    match (100.0 * p).round() as u32 {
        0 => ("< ", 1),
        whole if whole > 99 => ("> ", 99),
        whole => ("", whole),
    }
}

/// `h:mm:ss`; a host's time may be negative (pre-roll).
pub fn clock(seconds: f64) -> String {
    let whole = seconds.round().abs() as u64;
    let sign = if seconds.round() < 0.0 { "-" } else { "" };
    format!("{sign}{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}

/// [`clock`] with tenths of a second.
pub fn clock_with_tenths(seconds: f64) -> String {
    let tenths = (10.0 * seconds).round();
    let sign = if tenths < 0.0 { "-" } else { "" };
    let tenths = tenths.abs() as u64;
    let (whole, tenth) = (tenths / 10, tenths % 10);
    format!("{sign}{}:{:02}:{:02}.{tenth}", whole / 3600, whole / 60 % 60, whole % 60)
}

/// A count with spaces between thousands.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

/// A state in a word or two, as it stands in a bar or on the timeline.
pub fn state(state: State) -> &'static str {
    match state {
        State::WarmingUp => "warming up",
        State::NoSpeech => "no speech",
        State::TooLittleEvidence => "too little speech",
        State::Scored => "scored",
        State::Stale => "stale",
        State::Overloaded => "overloaded",
        State::Error => "error",
    }
}

/// Why there is no verdict: the headline, and what it means or what to do.
pub fn absence(state: State) -> (&'static str, &'static str) {
    match state {
        State::WarmingUp => ("WARMING UP", "The first verdict takes two seconds of sound"),
        State::NoSpeech => ("NO SPEECH", "Nothing here sounds like a voice"),
        State::TooLittleEvidence => ("TOO LITTLE SPEECH", "A verdict takes a second of speech"),
        State::Scored => ("", ""),
        State::Stale => ("STALE", "Sound goes on, results do not arrive"),
        State::Overloaded => ("OVERLOADED", "Windows were dropped; a longer hop helps"),
        State::Error => ("ERROR", "Nothing is judged; the reason is below"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_never_certain() {
        let shown = [0.0, 0.004, 0.006, 0.5, 0.874, 0.994, 0.996, 1.0].map(percent);
        let expected = ["< 1 %", "< 1 %", "1 %", "50 %", "87 %", "99 %", "> 99 %", "> 99 %"];
        assert_eq!(shown, expected.map(str::to_owned));
        assert_eq!(percent(probability(f32::INFINITY)), "> 99 %");
        assert_eq!(percent(probability(f32::NEG_INFINITY)), "< 1 %");
    }

    #[test]
    fn logit_undoes_probability() {
        for llr in [-4.0, -0.4, 0.0, 2.5] {
            assert!((logit(probability(llr)) - llr).abs() < 1e-4);
        }
    }

    #[test]
    fn times() {
        assert_eq!(
            [0.0, 59.6, 3661.0, -5.0, -0.2].map(clock),
            ["0:00:00", "0:01:00", "1:01:01", "-0:00:05", "0:00:00"]
        );
        assert_eq!([0.04, 59.96, -1.25].map(clock_with_tenths), ["0:00:00.0", "0:01:00.0", "-0:00:01.3"]);
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!([7, 1234, 1_234_567].map(count), ["7", "1\u{2009}234", "1\u{2009}234\u{2009}567"]);
    }
}
