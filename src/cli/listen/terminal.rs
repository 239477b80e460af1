//! For people: a line a stream that follows it, and what happens above them.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::lines::Every;
use super::record::{Level, Record, What};
use super::sink::{Sink, StreamSink};
use crate::cli::text::{bar, clock, percent, printable, words};

/// The terminal, shared by all streams.
pub struct Terminal {
    /// Drawn on standard error, and only if that is a terminal.
    lines: MultiProgress,
    /// Which windows are written to standard output; `None`: nothing is.
    text: Option<Every>,
    /// Whether standard output took what was written.
    broken: Arc<AtomicBool>,
}

impl Terminal {
    /// A terminal; `text` if standard output is for people.
    pub fn new(text: Option<Every>) -> Self {
        Self { lines: MultiProgress::new(), text, broken: Arc::default() }
    }

    /// Whether there is anything to do.
    pub fn is_there(&self) -> bool {
        self.text.is_some() || std::io::stderr().is_terminal()
    }
}

impl Sink for Terminal {
    fn stream(&self, name: &str) -> Box<dyn StreamSink> {
        let line = self.lines.add(ProgressBar::new_spinner());
        line.set_style(
            ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        let name = printable(name);
        line.set_message(format!("{name}: waiting for sound"));
        Box::new(Line {
            name,
            line,
            lines: self.lines.clone(),
            text: self.text,
            broken: self.broken.clone(),
            threshold: 1.0,
        })
    }
}

struct Line {
    name: String,
    line: ProgressBar,
    lines: MultiProgress,
    text: Option<Every>,
    broken: Arc<AtomicBool>,
    threshold: f32,
}

impl StreamSink for Line {
    fn record(&mut self, record: &Record) {
        match &record.what {
            What::Start(start) => {
                self.threshold = start.alarm.threshold;
                self.show(record, "listening");
            }
            What::Window(window) => {
                // In front: what doesn't fit is cut off.
                let alarm = if window.alarm { "ALARM" } else { "     " };
                self.show(record, &format!("{alarm} {}", self.reading(&window.short_term)));
            }
            What::Stalled { .. } => self.show(record, "no data comes"),
            _ => {}
        }
        if self.text.is_some_and(|every| every.takes(record)) && !self.broken.load(Ordering::Relaxed) {
            let text = format!("{}  {}", self.place(record), self.words(record));
            // A status line would be written over otherwise.
            let written = self.lines.suspend(|| writeln!(std::io::stdout(), "{text}"));
            self.broken.fetch_or(written.is_err(), Ordering::Relaxed);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.line.finish_and_clear();
        // A line that calls come in on has thousands of them.
        self.lines.remove(&self.line);
    }
}

impl Line {
    fn show(&self, record: &Record, what: &str) {
        self.line.set_message(format!("{}  {what}", self.place(record)));
    }

    fn place(&self, record: &Record) -> String {
        let zoned = record.time.to_zoned(jiff::tz::TimeZone::system());
        let timecode = record.timecode.as_ref().map(|timecode| format!("  {timecode}")).unwrap_or_default();
        format!("{}  {:>8}{timecode}  {}", zoned.strftime("%H:%M:%S"), clock(record.stream_s), self.name)
    }

    fn reading(&self, level: &Level) -> String {
        match level.p_spoof {
            Some(p) => {
                let verdict = if p >= self.threshold { "SPOOF    " } else { "bona fide" };
                format!("{}  {verdict}  {}", percent(p), bar(p))
            }
            None => format!("   –  {}", words(level.state)),
        }
    }

    fn words(&self, record: &Record) -> String {
        match &record.what {
            What::Start(start) => format!(
                "listening to {}: {}, {} Hz, {} channels; model {} {}, {}",
                printable(&start.input),
                start.format,
                start.sample_rate,
                start.channels,
                start.model,
                start.model_version,
                start.engine
            ),
            What::Window(window) => {
                let problem = window.problem.as_ref().map(|problem| format!("  {}", printable(problem)));
                format!("{}{}", self.reading(&window.short_term), problem.unwrap_or_default())
            }
            What::Alarm(alarm) => {
                let suppressed = if alarm.suppressed { "; too soon for actions" } else { "" };
                format!("ALARM {}: {}{suppressed}", alarm.alarm, percent(alarm.p_spoof).trim_start())
            }
            What::AlarmEnd { lasted_s } => format!("alarm over, after {lasted_s:.1} s"),
            What::AlarmReset {} => "alarm reset".to_owned(),
            What::Action(action) => match &action.problem {
                None => format!("{} for {}: done", action.action, action.event),
                Some(problem) => format!(
                    "{} for {}: NOT done, {} tries: {}",
                    action.action,
                    action.event,
                    action.attempts,
                    printable(problem)
                ),
            },
            What::Stalled { waited_s } => format!("no data for {waited_s:.1} s"),
            What::Resumed { waited_s } => format!("data again, after {waited_s:.1} s"),
            What::Gap { lost_s, reason } => {
                format!("gap of some {lost_s:.1} s ({reason}): the window starts anew")
            }
            What::Overloaded { behind_s } => {
                format!("OVERLOADED: {behind_s:.1} s behind; sound may be lost at the source")
            }
            What::Engine(now) => {
                let why = now.note.as_ref().map(|note| format!(": {}", printable(note)));
                format!("judged by {} from here on{}", printable(&now.engine), why.unwrap_or_default())
            }
            What::CaughtUp { behind_s } => format!("keeps up again; was {behind_s:.1} s behind"),
            What::End(end) => {
                let problem = end.problem.as_ref().map(|problem| format!(": {}", printable(problem)));
                format!(
                    "{}{}; {} heard, {} windows, {} alarms",
                    end.reason,
                    problem.unwrap_or_default(),
                    clock(end.duration_s),
                    end.windows,
                    end.alarms
                )
            }
        }
    }
}
