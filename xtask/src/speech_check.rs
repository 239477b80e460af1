//! Real people and real machine voices, with whatever of them is on this machine. Figures are
//! printed and never asserted: a handful of voices proves nothing about a detector.

use crate::cargo::Workspace;
use crate::prove::percent;
use crate::{ort, tool};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const PEOPLE: &str = "/usr/share/sounds/alsa";

/// espeak-ng's voices and what they say, long enough for a verdict.
const MACHINES: [(&str, &str); 3] = [
    ("en-us", "The old harbour lay still in the morning light, and not one of the boats had left it yet."),
    ("en-gb+f3", "She bought nine apples, four pears and a melon, and carried all of them up the hill."),
    ("de", "Am Abend gingen wir langsam durch den Garten, bis der Regen wieder stärker wurde."),
];

pub fn run(workspace: &Workspace) -> Result<ExitCode> {
    ort::ensure_or_warn(workspace);
    let bonafide = workspace.build()?;
    let folder = workspace.target.join("speech-check");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;

    let mut files = people(&folder)?;
    files.extend(machines(&folder)?);
    let mut code = 0;
    if !files.is_empty() {
        code = scan(&bonafide, &files)?;
    }

    if let Some(corpus) = workspace.corpus() {
        println!("\nThe corpus, split dev:");
        let mut eval = Command::new(&bonafide);
        code = code.max(tool::status(eval.arg("eval").arg(corpus).args(["--split", "dev"]))?);
    } else {
        println!("skipped: ../shared/corpus is not here");
    }
    Ok(ExitCode::from(code))
}

/// The recordings of people, and all of them joined: each alone is shorter than a window.
fn people(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(PEOPLE) else {
        println!("skipped: people: {PEOPLE} is not here (Debian: apt install alsa-utils)");
        return Ok(Vec::new());
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "wav"))
        .collect();
    files.sort();
    // Noise.wav is scanned as well, but is no person's.
    let spoken: Vec<_> = files.iter().filter(|path| !path.ends_with("Noise.wav")).collect();
    if !spoken.is_empty() {
        let all = folder.join("people-joined.wav");
        join(&spoken, &all).with_context(|| format!("cannot join {PEOPLE} to one file"))?;
        files.push(all);
    }
    Ok(files)
}

fn join(parts: &[&PathBuf], out: &Path) -> hound::Result<()> {
    let spec = hound::WavReader::open(parts[0])?.spec();
    let mut writer = hound::WavWriter::create(out, spec)?;
    for part in parts {
        let mut reader = hound::WavReader::open(part)?;
        if reader.spec() != spec {
            println!("skipped in the joined file, as its format differs: {}", part.display());
            continue;
        }
        for sample in reader.samples::<i32>() {
            writer.write_sample(sample?)?;
        }
    }
    writer.finalize()
}

fn machines(folder: &Path) -> Result<Vec<PathBuf>> {
    if !tool::has_espeak() {
        println!("skipped: machines: espeak-ng is not here (Debian: apt install espeak-ng)");
        return Ok(Vec::new());
    }
    MACHINES
        .iter()
        .map(|(voice, text)| {
            let out = folder.join(format!("espeak-{voice}.wav"));
            tool::espeak(voice, text, &out)?;
            Ok(out)
        })
        .collect()
}

/// Scans the files and prints a line for each. Flagged files are no failure here, unread ones are.
fn scan(bonafide: &Path, files: &[PathBuf]) -> Result<u8> {
    let output = Command::new(bonafide)
        .args(["scan", "--json"])
        .args(files)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}", bonafide.display()))?;
    println!("{:<24} {:<20} {:>8}  {:<26} model", "file", "state", "p(spoof)", "engine");
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for row in &rows {
        println!("{}", table_line(row));
    }
    if rows.is_empty() {
        bail!("`bonafide scan --json` printed no verdict ({}): see above", output.status);
    }
    let flagged_or_not = matches!(output.status.code(), Some(0 | 1));
    Ok(if flagged_or_not { 0 } else { crate::FAILED })
}

fn table_line(row: &Value) -> String {
    let text = |key: &str| row[key].as_str().unwrap_or("–");
    let file = Path::new(text("path")).file_name().unwrap_or_default().display().to_string();
    let p_spoof = match row["p_spoof"].as_f64() {
        Some(p) => percent(p).trim().to_owned(),
        None => "–".into(),
    };
    let model = row["model"]["name"].as_str().unwrap_or("–");
    format!("{file:<24} {:<20} {p_spoof:>8}  {:<26} {}", text("state"), text("engine"), model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_what_there_is() {
        let row = serde_json::json!({"path": "/a/b.wav", "state": "scored", "p_spoof": 0.934});
        let line = table_line(&row);
        assert!(line.starts_with("b.wav ") && line.contains(" 93 %") && line.contains('–'));
        assert!(table_line(&serde_json::json!({"path": "c.wav", "p_spoof": null})).contains("c.wav"));
    }
}
