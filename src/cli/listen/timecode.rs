//! SMPTE timecode: a name for each frame of picture.

use std::fmt;
use std::str::FromStr;

/// Frames a second, and how they are counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameRate {
    /// Frames of a timecode second.
    nominal: u64,
    /// Whether the true rate is 1000/1001 of the nominal one.
    slow: bool,
}

/// A start timecode as it was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timecode {
    fields: [u64; 4],
    drop_frame: bool,
}

/// A timecode that runs with the stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimecodeClock {
    rate: FrameRate,
    drop_frame: bool,
    /// Frames since 00:00:00:00.
    start: u64,
}

impl FromStr for FrameRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (nominal, slow) = match text {
            "23.976" | "23.98" => (24, true),
            "24" => (24, false),
            "25" => (25, false),
            "29.97" => (30, true),
            "30" => (30, false),
            "50" => (50, false),
            "59.94" => (60, true),
            "60" => (60, false),
            _ => return Err("expected 23.976, 24, 25, 29.97, 30, 50, 59.94 or 60".to_owned()),
        };
        Ok(Self { nominal, slow })
    }
}

impl FromStr for Timecode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected HH:MM:SS:FF, or HH:MM:SS;FF for drop-frame".to_owned();
        let drop_frame = text.contains(';');
        let parts: Vec<&str> = text.split([':', ';']).collect();
        let number = |part: &&str| match part.len() {
            1 | 2 if part.bytes().all(|x| x.is_ascii_digit()) => part.parse().map_err(|_| wrong()),
            _ => Err(wrong()),
        };
        let fields: Vec<u64> = parts.iter().map(number).collect::<Result<_, _>>()?;
        let fields: [u64; 4] = fields.try_into().map_err(|_| wrong())?;
        if fields[0] > 23 || fields[1] > 59 || fields[2] > 59 {
            return Err(wrong());
        }
        Ok(Self { fields, drop_frame })
    }
}

impl FrameRate {
    fn frames_per_second(self) -> f64 {
        self.nominal as f64 * if self.slow { 1000.0 / 1001.0 } else { 1.0 }
    }

    /// Frame numbers left out in a minute of drop-frame.
    fn dropped(self) -> u64 {
        self.nominal / 15
    }
}

impl TimecodeClock {
    /// A timecode that shows `start` at the stream's first sample.
    ///
    /// # Errors
    /// A frame that the rate doesn't have; drop-frame at a rate that has none.
    pub fn new(start: Timecode, rate: FrameRate) -> Result<Self, String> {
        let [h, m, s, f] = start.fields;
        if f >= rate.nominal {
            return Err(format!(
                "the timecode's frame {f} does not exist at {} frames a second",
                rate.nominal
            ));
        }
        let mut frames = ((h * 60 + m) * 60 + s) * rate.nominal + f;
        if start.drop_frame {
            if !(rate.slow && rate.nominal.is_multiple_of(30)) {
                return Err("drop-frame timecode (with `;`) needs --fps 29.97 or 59.94".to_owned());
            }
            if s == 0 && f < rate.dropped() && m % 10 != 0 {
                return Err(format!("the timecode's frame {f} is one of those that drop-frame leaves out"));
            }
            let minutes = h * 60 + m;
            frames -= rate.dropped() * (minutes - minutes / 10);
        }
        Ok(Self { rate, drop_frame: start.drop_frame, start: frames })
    }

    /// The timecode at `seconds` of the stream.
    pub fn at(&self, seconds: f64) -> Shown {
        // A hair's breadth forward: the first sample of a frame belongs to it.
        let frames = (seconds * self.rate.frames_per_second() + 1e-6).floor() as u64;
        let mut number = self.start + frames;
        let nominal = self.rate.nominal;
        if self.drop_frame {
            let dropped = self.rate.dropped();
            let (minute, ten) = (nominal * 60 - dropped, nominal * 600 - 9 * dropped);
            let (tens, within) = (number / ten, number % ten);
            number += 9 * dropped * tens;
            if within >= nominal * 60 {
                number += dropped * (1 + (within - nominal * 60) / minute);
            }
        }
        let s = number / nominal;
        Shown { fields: [s / 3600 % 24, s / 60 % 60, s % 60, number % nominal], drop_frame: self.drop_frame }
    }
}

/// A timecode to be shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    fields: [u64; 4],
    drop_frame: bool,
}

impl fmt::Display for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [h, m, s, f] = self.fields;
        let separator = if self.drop_frame { ';' } else { ':' };
        write!(out, "{h:02}:{m:02}:{s:02}{separator}{f:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(start: &str, fps: &str) -> Result<TimecodeClock, String> {
        TimecodeClock::new(start.parse()?, fps.parse()?)
    }

    fn at(start: &str, fps: &str, seconds: f64) -> String {
        clock(start, fps).unwrap().at(seconds).to_string()
    }

    #[test]
    fn runs_with_the_stream() {
        assert_eq!(at("10:00:00:00", "25", 0.0), "10:00:00:00");
        assert_eq!(at("10:00:00:00", "25", 61.04), "10:01:01:01");
        assert_eq!(at("23:59:59:24", "25", 0.04), "00:00:00:00", "midnight");
        assert_eq!(at("00:00:00:00", "24", 1.5), "00:00:01:12");
        // Non-drop at 29.97 falls behind the clock on the wall: 3.6 s an hour.
        assert_eq!(at("00:00:00:00", "29.97", 3600.0), "00:59:56:12");
    }

    #[test]
    fn drop_frame_follows_the_clock_on_the_wall() {
        assert_eq!(at("01:00:00;00", "29.97", 3600.0), "02:00:00;00");
        assert_eq!(at("00:00:59;29", "29.97", 1001.0 / 30_000.0), "00:01:00;02");
        assert_eq!(at("00:09:59;29", "29.97", 1001.0 / 30_000.0), "00:10:00;00");
        assert_eq!(at("00:00:59;59", "59.94", 1001.0 / 60_000.0), "00:01:00;04");
        for start in ["00:00:59;29", "00:10:00;00", "12:34:56;07", "00:11:00;02", "23:59:59;29"] {
            assert_eq!(at(start, "29.97", 0.0), start, "there and back");
        }
    }

    #[test]
    fn what_can_not_be_is_said() {
        for (start, fps, expected) in [
            ("1:2:3", "25", "HH:MM:SS:FF"),
            ("24:00:00:00", "25", "HH:MM:SS:FF"),
            ("00:00:00:+1", "25", "HH:MM:SS:FF"),
            ("00:00:00:25", "25", "frame 25"),
            ("00:00:00;00", "25", "29.97"),
            ("00:01:00;01", "29.97", "leaves out"),
            ("00:00:00:00", "26", "23.976"),
        ] {
            let problem = clock(start, fps).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
