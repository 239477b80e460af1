//! Proves that an installed CLAP works: it loads, passes sound untouched, and tells scores.

mod clap;
mod timeline;
mod wav;

use anyhow::{Context, Result, bail};
use clap::Plugin;
use std::path::Path;
use timeline::{Reading, Timeline};

pub use timeline::percent;
pub use wav::Wav;

/// Streams `source` through the plugin in the file `path` and prints what its meters say.
pub fn run(path: &Path, mut source: Wav) -> Result<()> {
    let (timeline, threshold) = listen(path, &mut source)
        .with_context(|| format!("the installed plugin does not work: {}", path.display()))?;
    let verdict = timeline.verdict(threshold).with_context(|| {
        format!(
            "the plugin works, but no window of {} had a score, and its last state was \"{}\": give it some seconds of speech",
            source.name(),
            timeline.last_state()
        )
    })?;
    println!("{verdict}  {}", source.name());
    Ok(())
}

/// Returns what the meters said and the threshold.
fn listen(path: &Path, source: &mut Wav) -> Result<(Timeline, f64)> {
    let mut plugin = Plugin::load(path)?;
    let (score, state) = (plugin.id("Score")?, plugin.id("State")?);
    let hop_s = shown(&mut plugin, "Hop")?;
    let threshold = shown(&mut plugin, "Threshold")? / 100.0;
    let states = states(&mut plugin, state)?;
    eprintln!("Loaded {} as a host does; streaming {} through it", plugin.title, source.name());

    let mut timeline = Timeline::new(hop_s);
    let mut note = |seconds, state: f64, score| {
        let state = states.get(state as usize).cloned().unwrap_or_else(|| format!("state {state}"));
        if let Some(reading) = timeline.note(Reading { seconds, state, score }) {
            println!("{}", timeline::line(reading));
        }
    };
    let rate = source.rate();
    let (mut now, mut end_s) = ((None, None), 0.0);
    let read = |channels: &mut [Vec<f32>; 2]| source.read(channels, clap::BLOCK);
    plugin.stream(rate, read, |seconds, told| {
        let last = |id| told.iter().rev().find(|(told, _)| *told == id).map(|(_, value)| *value);
        now = (last(state).or(now.0), last(score).or(now.1));
        if let (Some(state), Some(score)) = now {
            note(seconds, state, score);
        }
        end_s = seconds;
    })?;
    if now.1.is_none() {
        bail!("it tells its host nothing: no value of the parameter Score came out");
    }
    // When it is stopped, an offline render's last, partial window is judged as well.
    note(end_s, plugin.value(state)?, plugin.value(score)?);
    eprintln!("The sound came out as it went in, bit for bit.");
    Ok((timeline, threshold))
}

/// The number that a parameter shows: its value may be scaled in any way.
fn shown(plugin: &mut Plugin, name: &str) -> Result<f64> {
    let id = plugin.id(name)?;
    let value = plugin.value(id)?;
    let text = plugin.text(id, value)?;
    number(&text).with_context(|| format!("the plugin shows {text:?} for {name}, which is no number"))
}

/// The number that a text begins with: "0.50 s", "50 %".
fn number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The plugin's words for its states.
fn states(plugin: &mut Plugin, state: clap::Id) -> Result<Vec<String>> {
    (0..8).map(|value| plugin.text(state, f64::from(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_units() {
        assert_eq!((number("0.50 s"), number("50 %"), number("until reset")), (Some(0.5), Some(50.0), None));
    }
}
