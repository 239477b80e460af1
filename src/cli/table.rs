//! Records as CSV, safe to open in a spreadsheet.

use std::io::{self, Write};

use super::record::Record;

/// Columns of a file's row.
const FILE: [&str; 16] = [
    "path",
    "state",
    "verdict",
    "p_spoof",
    "llr",
    "flagged",
    "threshold",
    "peak_p_spoof",
    "peak_end_s",
    "duration_s",
    "speech_s",
    "sample_rate",
    "channels",
    "windows",
    "model_sha256",
    "problem",
];

/// Columns of a window's row.
const WINDOW: [&str; 7] = ["path", "start_s", "end_s", "state", "p_spoof", "llr", "speech_s"];

/// Writes rows, with a line of names before the first: a row a file, or, of records with a timeline, a
/// row a window.
pub struct Table<W: Write> {
    rows: csv::Writer<W>,
    windows: bool,
}

impl<W: Write> Table<W> {
    /// A table of files, or of their windows.
    pub fn new(out: W, windows: bool) -> io::Result<Self> {
        let mut rows = csv::Writer::from_writer(out);
        if windows {
            rows.write_record(WINDOW)?
        } else {
            rows.write_record(FILE)?
        };
        Ok(Self { rows, windows })
    }

    /// Adds a file.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        if self.windows {
            for point in record.timeline.iter().flatten() {
                self.rows.write_record([
                    cell(&record.path),
                    format!("{:.3}", point.start_s),
                    format!("{:.3}", point.end_s),
                    point.state.clone(),
                    number(point.p_spoof),
                    number(point.llr),
                    number(Some(point.speech_s)),
                ])?;
            }
        } else {
            let peak = record.peak.as_ref();
            self.rows.write_record([
                cell(&record.path),
                record.state.clone(),
                record.verdict.clone().unwrap_or_default(),
                number(record.p_spoof),
                number(record.llr),
                record.flagged().to_string(),
                number(Some(record.threshold)),
                number(peak.map(|peak| peak.p_spoof)),
                number(peak.map(|peak| peak.end_s)),
                number(Some(record.duration_s)),
                number(Some(record.speech_s)),
                record.sample_rate.to_string(),
                record.channels.to_string(),
                record.windows.to_string(),
                cell(&record.model.sha256),
                cell(record.problem.as_deref().unwrap_or_default()),
            ])?;
        }
        self.rows.flush()
    }
}

fn number<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A spreadsheet takes text that begins so for a formula, which could run a program or fetch an
/// address; an apostrophe before it keeps it text. Control characters become visible.
fn cell(text: &str) -> String {
    let text = super::text::printable(text);
    let formula =
        text.trim_start().starts_with(['=', '+', '-', '@', '|', '%', '\u{fffd}', '＝', '＋', '－', '＠']);
    if formula { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        for (text, expected) in [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("  +1", "'  +1"),
            ("-2.wav", "'-2.wav"),
            ("@x", "'@x"),
            ("\t=x", "'\u{fffd}=x"),
            ("a=b.wav", "a=b.wav"),
            ("a\r\nb", "a\u{fffd}\u{fffd}b"),
        ] {
            assert_eq!(cell(text), expected);
        }
    }
}
