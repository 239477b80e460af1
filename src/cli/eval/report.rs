//! What `eval` says: one JSON object, or tables.

use std::fmt::Write as _;

use serde::Serialize;

use super::figures::Figures;
use crate::cli::degrade::Degradation;
use crate::cli::metrics::{Metrics, Rate};
use crate::cli::probe::Probe;

/// All that was found out; the fields of the JSON object.
#[derive(Serialize)]
pub struct Report {
    pub model: String,
    pub engine: String,
    pub hop_s: f64,
    #[serde(flatten)]
    pub figures: Figures,
    pub unread_files: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<Grouping>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<Degraded>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
}

/// The files by the values of a column.
#[derive(Serialize)]
pub struct Grouping {
    pub column: String,
    pub groups: Vec<Group>,
}

/// The files with one value.
#[derive(Serialize)]
pub struct Group {
    value: String,
    /// Bona fide files called spoof, with the interval that so few files leave.
    false_alarms: Option<Rate>,
    /// Spoof files called bona fide.
    misses: Option<Rate>,
    #[serde(flatten)]
    figures: Figures,
}

impl Group {
    pub fn new(value: String, figures: Figures) -> Self {
        let (false_alarms, misses) = (figures.per_file.false_alarms(), figures.per_file.misses());
        Self { value, false_alarms, misses, figures }
    }
}

/// The same files, degraded.
#[derive(Serialize)]
pub struct Degraded {
    name: &'static str,
    what: &'static str,
    /// Why this was not done, if so; then there are no figures.
    skipped: Option<String>,
    eer_change_per_window: Option<f64>,
    eer_change_per_file: Option<f64>,
    #[serde(flatten)]
    figures: Option<Figures>,
}

impl Degraded {
    pub fn new(how: &Degradation, outcome: Result<Figures, String>, clean: &Figures) -> Self {
        let (figures, skipped) = match outcome {
            Ok(figures) => (Some(figures), None),
            Err(why) => (None, Some(why)),
        };
        let change = |of: fn(&Figures) -> Option<f64>| Some(of(figures.as_ref()?)? - of(clean)?);
        Self {
            name: how.name,
            what: how.what,
            skipped,
            eer_change_per_window: change(|figures| figures.per_window.eer),
            eer_change_per_file: change(|figures| figures.per_file.eer),
            figures,
        }
    }
}

impl Report {
    /// The tables.
    pub fn text(&self) -> String {
        let Figures { files, unscored_files, unscored_windows, per_window, per_file } = &self.figures;
        let mut text = format!("model {}, engine {}, hop {} s\n", self.model, self.engine, self.hop_s);
        let _ = writeln!(
            text,
            "{files} files; without a verdict: {unscored_files} files, {unscored_windows} windows\n"
        );
        text += &overview(per_window, per_file);
        for grouping in &self.by {
            text += &format!("\n{}", by_value(grouping));
        }
        if !self.degraded.is_empty() {
            text += &format!("\n{}", degraded(&self.figures, &self.degraded));
        }
        if let Some(probe) = &self.probe {
            text += &format!("\n{}", probe.text());
        }
        text
    }
}

fn number(x: Option<f64>) -> String {
    x.map_or("–".to_owned(), |x| format!("{x:.3}"))
}

fn percent(x: Option<f64>) -> String {
    x.map_or("–".to_owned(), |x| format!("{:.1} %", 100.0 * x))
}

fn overview(windows: &Metrics, files: &Metrics) -> String {
    type Column = fn(&Metrics) -> Option<f64>;
    let mut text = format!("{:<28}{:>12}{:>12}\n", "", "per window", "per file");
    let mut row = |name: &str, a: String, b: String| text += &format!("{name:<28}{a:>12}{b:>12}\n");
    row("bona fide trials", windows.bonafide.to_string(), files.bonafide.to_string());
    row("spoof trials", windows.spoof.to_string(), files.spoof.to_string());
    let rates: [(&str, Column); 6] = [
        ("equal error rate", |m| m.eer),
        ("miss rate at 1 % alarms", |m| m.miss_at_1_percent),
        ("miss rate at 5 % alarms", |m| m.miss_at_5_percent),
        ("accuracy at threshold", |m| m.accuracy),
        ("  of bona fide", |m| m.bonafide_accuracy),
        ("  of spoof", |m| m.spoof_accuracy),
    ];
    for (name, column) in rates {
        row(name, percent(column(windows)), percent(column(files)));
    }
    row("area under ROC", number(windows.auc), number(files.auc));
    row("expected calibration error", number(windows.ece), number(files.ece));
    row("Cllr (bits)", number(windows.cllr), number(files.cllr));
    let confusion =
        |m: &Metrics, truth: usize| format!("{} / {}", m.confusion[truth][0], m.confusion[truth][1]);
    row("bona fide called bf / spoof", confusion(windows, 0), confusion(files, 0));
    row("spoof called bf / spoof", confusion(windows, 1), confusion(files, 1));
    text
}

/// A line of cells under headings, the first to the left, the rest to the right.
fn line(first: &str, width: usize, cells: &[(String, usize)]) -> String {
    let mut text = format!("{first:<width$}");
    cells.iter().for_each(|(cell, width)| text += &format!("{cell:>width$}"));
    text + "\n"
}

fn by_value(grouping: &Grouping) -> String {
    let rate = |rate: Option<Rate>| {
        rate.map_or("–".to_owned(), |Rate { share, low, high }| {
            format!("{:.1} % ({:.0}–{:.0})", 100.0 * share, 100.0 * low, 100.0 * high)
        })
    };
    let shown = |value: &str| if value.is_empty() { "(blank)".to_owned() } else { value.to_owned() };
    let widest = grouping.groups.iter().map(|group| group.value.chars().count()).max().unwrap_or(0);
    let width = widest.max(grouping.column.chars().count() + 3).max(10) + 2;
    let head = ["EER window", "EER file", "bona fide", "false alarms", "spoof", "misses"];
    let widths = [11, 10, 11, 18, 7, 18];
    let row = |first: &str, cells: [String; 6]| {
        line(first, width, &cells.into_iter().zip(widths).collect::<Vec<_>>())
    };
    let mut text = row(&format!("by {}", grouping.column), head.map(str::to_owned));
    for group in &grouping.groups {
        let Figures { per_window, per_file, .. } = &group.figures;
        text += &row(
            &shown(&group.value),
            [
                percent(per_window.eer),
                percent(per_file.eer),
                per_file.bonafide.to_string(),
                rate(group.false_alarms),
                per_file.spoof.to_string(),
                rate(group.misses),
            ],
        );
    }
    text + "(counts and rates are of files with a verdict, at the threshold, with 95 % intervals)\n"
}

fn degraded(clean: &Figures, rows: &[Degraded]) -> String {
    let widths = [10, 8, 10, 8, 8, 8, 9, 9, 9, 9, 9];
    let row = |first: &str, cells: [String; 11]| {
        line(first, 12, &cells.into_iter().zip(widths).collect::<Vec<_>>())
    };
    let head = |cells: [&str; 11]| cells.map(str::to_owned);
    let mut text =
        row("", head(["EER", "", "EER", "", "AUC", "AUC", "alarms", "misses", "alarms", "misses", "no"]));
    text += &row(
        "degraded",
        head([
            "window", "change", "file", "change", "window", "file", "window", "window", "file", "file",
            "verdict",
        ]),
    );
    let points = |x: Option<f64>| x.map_or("–".to_owned(), |x| format!("{:+.1}", 100.0 * x));
    let cells = |figures: &Figures, changes: [Option<f64>; 2]| {
        let Figures { per_window: window, per_file: file, .. } = figures;
        let share = |rate: Option<Rate>| percent(rate.map(|rate| rate.share));
        [
            percent(window.eer),
            points(changes[0]),
            percent(file.eer),
            points(changes[1]),
            number(window.auc),
            number(file.auc),
            share(window.false_alarms()),
            share(window.misses()),
            share(file.false_alarms()),
            share(file.misses()),
            figures.unscored_files.to_string(),
        ]
    };
    text += &row("clean", cells(clean, [None, None]));
    for degraded in rows {
        text += &match &degraded.figures {
            Some(figures) => row(
                degraded.name,
                cells(figures, [degraded.eer_change_per_window, degraded.eer_change_per_file]),
            ),
            None => line(
                degraded.name,
                12,
                &[(format!("    {}", degraded.skipped.as_deref().unwrap_or_default()), 0)],
            ),
        };
    }
    text + "(changes in points against clean; alarms and misses at the threshold)\n"
}
