//! A story as a page that needs nothing but itself.

use std::borrow::Cow;

use minijinja::{AutoEscape, Environment, Value, context};

use super::card;
use super::picture::Picture;
use super::plot;
use super::story::Story;
use crate::cli::record::Record;
use crate::cli::segments::{Kind, Segment, segments};
use crate::cli::text::{clock, printable, words};
use crate::evidence::{Hash, Tail};
use crate::model::Model;

/// Rows of a table, at most; the log has the rest.
const MAX_ROWS: usize = 200;

/// What the page is made of, besides the story.
pub struct Sources<'a> {
    /// The sound, if it is at hand.
    pub picture: Option<&'a Picture>,
    /// The log that it was read from: its path and how it ends.
    pub log: Option<(&'a str, Tail)>,
    /// The model, if it is at hand.
    pub model: Option<&'a Model>,
}

/// The report's page.
///
/// # Errors
/// A figure that can't be drawn.
pub fn report(story: &Story, sources: &Sources) -> Result<String, String> {
    let header = &story.header;
    let threshold = header.settings.threshold;
    let reading = story.integrated();
    let p = reading.p_spoof.map(|p| p.clamp(0.01, 0.99));
    let found = segments(&story.points, threshold);
    let left = (found.len().saturating_sub(MAX_ROWS), story.events.len().saturating_sub(MAX_ROWS));
    let embedded = Model::embedded().is_ok_and(|model| model.manifest.model.sha256 == header.model.sha256);
    let count = |kind| found.iter().filter(|segment| segment.kind == kind).count();
    let plain = context! {
        source => printable(&header.source),
        name => printable(file_name(&header.source)),
        p => p.map(|p| (p * 100.0).round()),
        kind => verdict_kind(p, threshold),
        verdict => verdict(p, threshold, &reading.state),
        threshold => (threshold * 100.0).round(),
        peak => story.peak().map(|(at_s, p)| format!("{:.0} % at {}", p * 100.0, clock(at_s))),
        duration => clock(story.duration_s()),
        speech => format!("{:.1} s", story.speech_s),
        windows => story.points.len(),
        lost => story.end.as_ref().map(|end| end.lost),
        problem => story.end.as_ref().and_then(|end| end.problem.as_deref()).map(printable),
        ended => story.end.is_some(),
        segments => found.iter().take(MAX_ROWS).map(row).collect::<Vec<_>>(),
        segments_left => left.0,
        spoof_segments => count(Kind::Spoof),
        events => story.events.iter().take(MAX_ROWS).map(|(at_s, words)| (clock(*at_s), printable(words))).collect::<Vec<_>>(),
        events_left => left.1,
        drawn => sources.picture.is_some(),
        alerts => story.alerts(),
        facts => facts(story),
        hashes => hashes(story, sources),
        card => sources.model.map(card::facts),
        purpose => card::purpose().filter(|_| embedded),
        figures => card::figures().filter(|_| embedded),
        log => sources.log.map(|(path, _)| quoted(&printable(path))),
        sealed => sources.log.map(|(_, tail)| tail.sealed),
        program => printable(&header.program),
    };
    let figure = plot::draw(story, sources.picture)?;
    let drawn = context! {
        figure => Value::from_safe_string(figure),
        style => Value::from_safe_string(include_str!("report.css").to_owned()),
        ..plain
    };
    render("report.html", drawn)
}

/// The page of a folder: every file, worst first.
///
/// # Errors
/// None in a build that passes its tests.
pub fn index(title: &str, records: &[(&Record, Option<String>)]) -> Result<String, String> {
    let mut order: Vec<_> = records.iter().collect();
    let rank = |record: &Record| (record.p_spoof.is_none(), !record.failed());
    order.sort_by(|(a, _), (b, _)| {
        rank(a).cmp(&rank(b)).then(b.p_spoof.unwrap_or(0.0).total_cmp(&a.p_spoof.unwrap_or(0.0)))
    });
    let rows: Vec<Value> = order
        .iter()
        .map(|(record, page)| {
            context! {
                path => printable(&record.path),
                page => page,
                p => record.p_spoof.map(|p| (p * 100.0).round()),
                kind => verdict_kind(record.p_spoof, record.threshold),
                words => match &record.verdict {
                    Some(verdict) if verdict == "spoof" => "spoof",
                    Some(_) => "bona fide",
                    None => words(&record.state),
                },
                peak => record.peak.as_ref().map(|peak| (peak.p_spoof * 100.0).round()),
                peak_at => record.peak.as_ref().map(|peak| clock(peak.end_s)),
                duration => clock(record.duration_s),
                duration_s => record.duration_s,
                speech => format!("{:.1}", record.speech_s),
                problem => record.problem.as_deref().map(printable),
            }
        })
        .collect();
    let count = |test: fn(&Record) -> bool| records.iter().filter(|(record, _)| test(record)).count();
    let script = include_str!("index.js");
    let first = records.first().map(|(record, _)| record);
    let hash = Hash::of(script.as_bytes());
    let page = context! {
        title => printable(title),
        rows,
        files => records.len(),
        flagged => count(Record::flagged),
        clear => count(|record| record.verdict.is_some() && !record.flagged()),
        undecided => count(|record| record.verdict.is_none() && !record.failed()),
        failed => count(Record::failed),
        audio => clock(records.iter().map(|(record, _)| record.duration_s).sum()),
        threshold => first.map(|record| (record.threshold * 100.0).round()),
        model => first.map(|record| format!("{} {}", record.model.name, record.model.version)),
        sha256 => first.map(|record| record.model.sha256.clone()),
        engine => first.map(|record| record.engine.clone()),
        script => Value::from_safe_string(script.to_owned()),
        script_hash => base64::Engine::encode(&base64::prelude::BASE64_STANDARD, hash.0),
        style => Value::from_safe_string(include_str!("report.css").to_owned()),
    };
    render("index.html", page)
}

fn render(name: &str, page: Value) -> Result<String, String> {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    let loaded = templates
        .add_template("report.html", include_str!("report.html"))
        .and_then(|()| templates.add_template("index.html", include_str!("index.html")));
    let page = loaded.and_then(|()| templates.get_template(name)).and_then(|template| template.render(page));
    page.map_err(|error| format!("the page can't be made: {error}"))
}

/// As one word for a shell.
fn quoted(name: &str) -> String {
    shlex::try_quote(name).map_or_else(|_| name.to_owned(), Cow::into_owned)
}

fn file_name(source: &str) -> &str {
    source.rsplit(['/', '\\']).find(|part| !part.is_empty()).unwrap_or(source)
}

fn verdict_kind(p: Option<f32>, threshold: f32) -> &'static str {
    match p {
        None => "none",
        Some(p) if p >= threshold => "spoof",
        Some(_) => "bonafide",
    }
}

/// The verdict in words that claim no more than the number does.
fn verdict(p: Option<f32>, threshold: f32, state: &str) -> String {
    let Some(p) = p else {
        let why = words(state);
        return format!(
            "No verdict: {}",
            if why == state { state.replace('_', " ") } else { why.to_owned() }
        );
    };
    let lean = match p {
        0.9.. => "Very likely made by a machine",
        0.7.. => "Probably made by a machine",
        0.55.. => "Leans towards a machine",
        0.45.. => "Can't say: close to even odds",
        0.3.. => "Leans towards a person",
        0.1.. => "Probably a person",
        _ => "Very likely a person",
    };
    let flagged = if p >= threshold { "flagged" } else { "not flagged" };
    format!("{lean}; {flagged} at {:.0} %", threshold * 100.0)
}

fn row(segment: &Segment) -> Value {
    let range = match (segment.lowest, segment.highest) {
        (Some(low), Some(high)) if (low * 100.0).round() == (high * 100.0).round() => {
            format!("{:.0} %", low * 100.0)
        }
        (Some(low), Some(high)) => format!("{:.0} to {:.0} %", low * 100.0, high * 100.0),
        _ => "–".to_owned(),
    };
    context! {
        start => clock(segment.start_s),
        end => clock(segment.end_s),
        kind => segment.kind.words(),
        class => match segment.kind { Kind::Spoof => "spoof", Kind::Bonafide => "bonafide", _ => "none" },
        range,
    }
}

fn facts(story: &Story) -> Vec<(&'static str, String)> {
    let header = &story.header;
    let settings = &header.settings;
    let mut facts = vec![
        ("File", header.source.clone()),
        ("Judged", header.started.clone().unwrap_or_default()),
        ("Program", header.program.clone()),
        ("Engine", header.engine.clone()),
        ("Model", format!("{} {}", header.model.name, header.model.version)),
        ("Threshold", format!("{:.0} %", settings.threshold * 100.0)),
        ("Step between windows", format!("{} s", settings.hop_s)),
        ("Channel", settings.channel.clone()),
    ];
    if let (Some(rate), Some(channels)) = (header.rate, header.channels) {
        facts.push((
            "Sound",
            format!("{rate} Hz, {channels} channel{}", if channels == 1 { "" } else { "s" }),
        ));
    }
    if let Some(timecode) = &header.timecode {
        facts.push(("Start timecode", timecode.clone()));
    }
    facts
        .into_iter()
        .map(|(name, value)| (name, printable(&value)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

fn hashes(story: &Story, sources: &Sources) -> Vec<(&'static str, String)> {
    let mut hashes = vec![("Model (ONNX file)", printable(&story.header.model.sha256))];
    if let Some(file) = story.header.file {
        hashes.push(("The file's bytes", file.sha256.to_string()));
    }
    if let Some(whole) = story.end.as_ref().and_then(|end| end.whole) {
        hashes.push(("Its decoded samples (f32, little endian, interleaved)", whole.sha256.to_string()));
    }
    if let Some((_, tail)) = sources.log {
        hashes.push(("The log's last line", tail.hash.to_string()));
    }
    hashes
}
