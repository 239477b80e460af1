//! The timeline: every judged window as a row of CSV, for the clipboard or a file.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use super::columns::score;
use super::words::probability;
use crate::plugin::log::{documents, new_file};
use crate::plugin::monitor::Point;
use crate::rt::Reading;

const HEADER: [&str; 13] = [
    "heard_s",
    "host_s",
    "momentary_state",
    "momentary_p_spoof",
    "momentary_llr",
    "short_term_state",
    "short_term_p_spoof",
    "short_term_llr",
    "integrated_state",
    "integrated_p_spoof",
    "integrated_llr",
    "alert",
    "after_gap",
];

/// The points as CSV with a header. Without a score or host time, fields are empty.
pub fn to_csv<'a>(points: impl IntoIterator<Item = &'a Point>) -> io::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for point in points {
        let mut row = Vec::with_capacity(HEADER.len());
        row.push(format!("{:.3}", point.heard_s));
        row.push(if point.host_s.is_finite() { format!("{:.3}", point.host_s) } else { String::new() });
        for reading in [point.momentary, point.short_term, point.integrated] {
            row.extend(fields(reading));
        }
        row.extend([point.alert, point.after_gap].map(|flag| flag.to_string()));
        writer.write_record(&row)?;
    }
    let bytes = writer.into_inner().map_err(|error| error.into_error())?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

fn fields(reading: Reading) -> [String; 3] {
    let number = |value: Option<f32>| value.map_or_else(String::new, |value| format!("{value:.4}"));
    let llr = score(reading);
    [reading.state.name().to_owned(), number(llr.map(probability)), number(llr)]
}

/// Writes `csv` to a new file among the user's documents and says where. No file is overwritten.
pub fn export(csv: &str) -> io::Result<PathBuf> {
    let folder = documents().ok_or_else(|| io::Error::other("there is no home folder to write to"))?;
    let (mut file, path) = new_file(&folder, "csv")?;
    file.write_all(csv.as_bytes()).map(|()| path.clone()).inspect_err(|_| {
        // Half a table is worse than none; what is said is why it couldn't be written.
        _ = fs::remove_file(&path);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::State;

    #[test]
    fn one_row_a_window() {
        let point = Point {
            heard_s: 12.5,
            host_s: f64::NAN,
            momentary: Reading::none(State::NoSpeech),
            short_term: Reading { state: State::Scored, llr: 1.0 },
            integrated: Reading { state: State::Stale, llr: 3.0 },
            alert: true,
            after_gap: false,
        };
        let csv = to_csv([&point, &Point { host_s: -1.0, ..point }]).expect("CSV");
        let rows: Vec<_> = csv.lines().collect();
        assert_eq!(rows[0].split(',').count(), 13);
        assert_eq!(rows[1], "12.500,,no_speech,,,scored,0.7311,1.0000,stale,,,true,false");
        assert!(rows[2].starts_with("12.500,-1.000,no_speech"));
        assert_eq!(rows.len(), 3);
    }
}
