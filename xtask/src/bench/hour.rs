//! `bonafide scan` on an hour of speech.

use super::measured::{on_threads, run as measure};
use super::table::Table;
use crate::cargo::Workspace;
use crate::formant;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::Command;

/// `clip_ms`: what the Python path takes for 2 s, if that is known.
pub fn run(workspace: &Workspace, bonafide: &Path, quick: bool, clip_ms: Option<f64>) -> Result<String> {
    let seconds = if quick { 120 } else { 3600 };
    // In target, which has room for it.
    let folder = tempfile::tempdir_in(&workspace.target)?;
    let path = folder.path().join("hour.wav");
    write(&path, seconds).with_context(|| format!("cannot write {}", path.display()))?;
    let mut table = Table::new(&["path", "cores", "hop, s", "seconds", "times real time", "peak memory, MB"]);
    for (cores, hop) in [(1, "0.5"), (2, "0.5"), (1, "2")] {
        let mut scan = Command::new(bonafide);
        scan.args(["scan", "--json", "--hop", hop]).arg(&path);
        // 1: flagged, which is what a machine voice should be.
        let cost = measure(on_threads(&mut scan, cores), &[0, 1])?;
        let taken = cost.wall.as_secs_f64();
        table.rows.push(vec![
            "Bonafide, default model".to_owned(),
            cores.to_string(),
            hop.to_owned(),
            format!("{taken:.1}"),
            format!("{:.0}", f64::from(seconds) / taken),
            format!("{:.0}", cost.memory_mb),
        ]);
    }
    let mut note = String::new();
    if let Some(ms) = clip_ms {
        let taken = ms / 1e3 * f64::from(seconds) / 2.0;
        let row =
            ["published Python path *", "1", "2", &format!("{taken:.0}"), &format!("{:.0}", 2e3 / ms), "–"];
        table.rows.push(row.map(str::to_owned).to_vec());
        note = "\n\\* from its time for a clip of 2 s, above.\n".to_owned();
    }
    Ok(format!("\n`bonafide scan` on {seconds} s of speech, mono, 48 kHz:\n\n{table}{note}"))
}

/// Speech of our own synthesiser, over and over.
fn write(path: &Path, seconds: u32) -> Result<()> {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: formant::RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let speech: Vec<i16> = formant::speak().iter().map(|x| (x * 30_000.0) as i16).collect();
    let mut writer = hound::WavWriter::create(path, spec)?;
    for sample in speech.iter().cycle().take((seconds * formant::RATE) as usize) {
        writer.write_sample(*sample)?;
    }
    writer.finalize()?;
    // So that no process pays for what the one before left to be written.
    fs::File::open(path)?.sync_all()?;
    Ok(())
}
