//! Ardour, a whole DAW, without its window: its own scanner, then its Lua interpreter.

use super::process::{at_home, run};
use super::report::Report;
use super::{Kit, voice};
use anyhow::{Context, Result, bail};
use hound::WavReader;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

const SCRIPT: &str = "ardour.lua";
const LIMIT: Duration = Duration::from_secs(300);

/// Ardour's versions with VST3 and a Lua interpreter, newest first.
const VERSIONS: std::ops::RangeInclusive<u32> = 6..=9;

pub fn try_host(kit: &Kit, report: &mut Report) -> Result<()> {
    let found = match find() {
        Some(number) => number,
        None => {
            install(kit)?;
            find().context("there is no ardourN-lua even now")?
        }
    };
    let lua = format!("ardour{found}-lua");
    let said = run(Command::new(&lua).arg("--version"), &kit.folder.join("ardour-version.log"), LIMIT)?;
    let version = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    report.note("version", version.unwrap_or("?"));
    scan(kit, found)?;

    let session = kit.folder.join("ardour");
    if session.exists() {
        fs::remove_dir_all(&session).with_context(|| format!("cannot remove {}", session.display()))?;
    }
    let sound = voice();
    let mut script = Command::new(lua);
    script.arg(kit.scripts.join(SCRIPT)).arg(&session).arg(&kit.voice).arg(sound.len().to_string());
    let said = run(at_home(&mut script, &kit.home), &kit.folder.join("ardour.log"), LIMIT)?;
    report.read(&said);
    let exact = ["L", "R"].iter().all(|side| {
        let file = session.join(format!("interchange/ardour/audiofiles/bounced%{side}.wav"));
        read(&file).is_ok_and(|bounced| same(&bounced, &sound))
    });
    report.note("exact", if exact { "yes" } else { "NO" });
    Ok(())
}

fn find() -> Option<u32> {
    VERSIONS.rev().find(|number| {
        let mut lua = Command::new(format!("ardour{number}-lua"));
        lua.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        lua.status().is_ok_and(|status| status.success())
    })
}

/// From Debian, if that needs no password.
fn install(kit: &Kit) -> Result<()> {
    let id = Command::new("id").arg("-u").output();
    if !id.is_ok_and(|id| id.stdout.trim_ascii() == b"0") {
        bail!("it is not installed (Debian: apt install ardour)");
    }
    eprintln!("Installing Ardour with apt-get …");
    let mut apt = Command::new("apt-get");
    apt.args(["install", "-qq", "-y", "--no-install-recommends", "ardour"]);
    apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    run(&mut apt, &kit.folder.join("ardour-apt.log"), Duration::from_secs(900))
        .context("it is not installed, and can't be")?;
    Ok(())
}

/// Has Ardour's scanner look at the plugin.
fn scan(kit: &Kit, number: u32) -> Result<()> {
    // A scan counts only if it is newer than the plugin by more than a moment.
    let past = SystemTime::now() - Duration::from_secs(48 * 3600);
    for file in files(&kit.vst3) {
        let file = File::options().write(true).open(&file).context("cannot open what was just installed")?;
        file.set_modified(past).context("cannot set a file's time")?;
    }
    let folder = scanner_folder(number).context("Ardour is here without its VST3 scanner")?;
    let mut scanner = Command::new(folder.join("ardour-vst3-scanner"));
    scanner.args(["-f", "-v"]).arg(&kit.vst3).env("LD_LIBRARY_PATH", &folder);
    let said = run(at_home(&mut scanner, &kit.home), &kit.folder.join("ardour-scan.log"), LIMIT)?;
    if !said.contains("Found Plugin: Bonafide") {
        bail!("Ardour's scanner did not find the plugin: see ardour-scan.log");
    }
    Ok(())
}

fn scanner_folder(number: u32) -> Option<PathBuf> {
    let folders = ["/usr/lib", "/usr/local/lib"].map(|lib| Path::new(lib).join(format!("ardour{number}")));
    folders.into_iter().find(|folder| folder.join("ardour-vst3-scanner").is_file())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn read(wav: &Path) -> hound::Result<Vec<f32>> {
    WavReader::open(wav)?.into_samples::<f32>().collect()
}

/// Whether the bounce holds the sound, to the bit; Ardour rounds its length up to a whole block.
fn same(bounced: &[f32], sound: &[f32]) -> bool {
    bounced.len() >= sound.len() && bounced.iter().zip(sound).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn a_bounce_may_be_longer_but_not_other() {
        assert!(same(&[0.5, -0.0, 9.0], &[0.5, -0.0]));
        assert!(!same(&[0.5], &[0.5, 0.0]) && !same(&[0.5, 0.0], &[0.5, -0.0]));
    }
}
