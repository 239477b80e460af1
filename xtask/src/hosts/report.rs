//! What hosts did, as tables.

use std::collections::HashMap;

/// What a host's script has found out, and how it ended.
pub struct Report {
    host: &'static str,
    found: HashMap<String, String>,
}

/// Columns of the first table: (title, key in a script's results).
const COLUMNS: [(&str, &str); 7] = [
    ("version", "version"),
    ("loads", "loads"),
    ("bit-exact", "exact"),
    ("Score", "score"),
    ("state", "state"),
    ("editor", "editor"),
    ("notes", "notes"),
];

/// Columns of the second: what is seen in each output mode.
const MODES: [(&str, &str); 4] =
    [("Off", "Off"), ("Meter", "Meter"), ("Automation", "Automation"), ("MIDI", "MIDI")];

impl Report {
    pub fn new(host: &'static str) -> Self {
        Self { host, found: HashMap::new() }
    }

    pub fn note(&mut self, key: &str, value: impl Into<String>) {
        self.found.insert(key.to_owned(), value.into());
    }

    /// Takes the results from what a script printed: lines like `RESULT loads: yes`.
    pub fn read(&mut self, said: &str) {
        for line in said.lines() {
            if let Some((key, value)) = line.strip_prefix("RESULT ").and_then(|line| line.split_once(": ")) {
                self.note(key, value.trim());
            }
        }
    }

    fn cell(&self, key: &str) -> &str {
        self.found.get(key).map_or("–", String::as_str)
    }
}

/// Both tables, in Markdown that can be read as it is.
pub fn tables(reports: &[Report]) -> String {
    let modes = table(reports, &MODES);
    format!("{}\nAt the end of a machine voice, by Output Mode:\n\n{modes}", table(reports, &COLUMNS))
}

fn table(reports: &[Report], columns: &[(&str, &str)]) -> String {
    let titles: Vec<&str> = ["host"].into_iter().chain(columns.iter().map(|(title, _)| *title)).collect();
    let mut rows = vec![titles];
    for report in reports {
        rows.push([report.host].into_iter().chain(columns.iter().map(|(_, key)| report.cell(key))).collect());
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &[&str]| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let rule: Vec<&str> = rule.iter().map(String::as_str).collect();
    let mut text = line(&rows[0]) + &line(&rule);
    text.extend(rows[1..].iter().map(|row| line(row)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_found_among_other_words() {
        let mut report = Report::new("H");
        report.read("warming up\nRESULT loads: yes\nRESULT Meter: score: 9 %\nRESULT\nRESULT odd\n");
        assert_eq!((report.cell("loads"), report.cell("Meter")), ("yes", "score: 9 %"));
        assert_eq!(report.cell("exact"), "–");
    }

    #[test]
    fn columns_line_up() {
        let mut report = Report::new("Ardour");
        report.note("version", "7.3");
        let text = tables(&[report, Report::new("X")]);
        let (first, second) = text.split_once("\n\n").unwrap();
        assert!(first.starts_with("| host   | version | loads |"), "{first}");
        let widths: Vec<_> = first.lines().take(4).map(|line| line.chars().count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{widths:?}");
        assert!(second.contains("| Automation |"), "{second}");
    }
}
