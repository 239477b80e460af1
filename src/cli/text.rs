//! Figures and names as words.

use std::path::Path;

/// A probability, three digits wide.
pub fn percent(p: f32) -> String {
    format!("{:3.0} %", p * 100.0)
}

/// A probability as a bar of up to 20 cells.
pub fn bar(p: f32) -> String {
    "▇".repeat((p * 20.0).round() as usize)
}

/// Minutes and seconds, and hours where there are any.
pub fn clock(seconds: f64) -> String {
    let tenths = (seconds * 10.0).round() as u64;
    let (h, m, s) = (tenths / 36_000, tenths / 600 % 60, tenths % 600);
    if h > 0 {
        format!("{h}:{m:02}:{:04.1}", s as f64 / 10.0)
    } else {
        format!("{m}:{:04.1}", s as f64 / 10.0)
    }
}

/// A state in words.
pub fn words(state: &str) -> &str {
    match state {
        "warming_up" => "too short to judge",
        "no_speech" => "no speech",
        "too_little_evidence" => "too little speech for a verdict",
        "error" => "could not be read",
        other => other,
    }
}

/// File names can hold anything; what steers a terminal, or turns the order of its letters round, must
/// not reach it.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect()
}

/// A path as a record names it; bytes that are no UTF-8 as `\xfc`, so that two names stay two.
pub fn named(path: &Path) -> String {
    let escaped = || path.as_os_str().as_encoded_bytes().escape_ascii().to_string();
    path.to_str().map_or_else(escaped, str::to_owned)
}

/// Unicode's bidirectional controls.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_and_names() {
        assert_eq!(clock(0.05), "0:00.1");
        assert_eq!(clock(61.0), "1:01.0");
        assert_eq!(clock(3_723.4), "1:02:03.4");
        assert_eq!(printable("a\u{1b}[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(printable("gpj.\u{202e}exe"), "gpj.\u{fffd}exe");
    }
}
