//! A picture of the editor in DawDreamer, on a screen that nobody sees.

use super::process::{Running, at_home, logged, run};
use super::{Kit, python};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// An empty screen has two colours, a window's frame alone some dozen.
const COLOURS_OF_AN_EDITOR: u32 = 300;

const PATIENCE: Duration = Duration::from_secs(40);

/// Opens the editor after a voice has passed, and returns the picture's path.
pub fn photograph(kit: &Kit) -> Result<PathBuf> {
    let (_screen, display) = screen()?;
    let mut openbox = Command::new("openbox");
    let openbox = at_home(&mut openbox, &kit.home).env("DISPLAY", &display);
    // Without a window manager DawDreamer opens no window.
    let _openbox = Running::start(logged(openbox, &kit.folder.join("openbox.log"))?)
        .context("a window manager is needed (Debian: apt install openbox)")?;
    let mut host = Command::new(python::venv(kit)?);
    host.arg(kit.scripts.join("dawdreamer_editor.py")).args([&kit.vst3, &kit.voice]);
    host.env("DISPLAY", &display);
    let log = kit.folder.join("dawdreamer-editor.log");
    let mut host = Running::start(logged(at_home(&mut host, &kit.home), &log)?)?;

    let picture = kit.folder.join("dawdreamer-editor.png");
    let begun = Instant::now();
    loop {
        sleep(Duration::from_secs(2));
        if let Some(status) = host.child().try_wait()? {
            bail!("DawDreamer ended ({status}) before its editor was seen: see {}", log.display());
        }
        let mut import = Command::new("import");
        let import = import.args(["-window", "root"]).arg(&picture).env("DISPLAY", &display);
        run(import, &kit.folder.join("import.log"), PATIENCE)
            .context("no picture could be taken (Debian: apt install imagemagick)")?;
        let mut identify = Command::new("identify");
        let said =
            run(identify.args(["-format", "%k"]).arg(&picture), &kit.folder.join("identify.log"), PATIENCE)?;
        if said.trim().parse().is_ok_and(|colours: u32| colours >= COLOURS_OF_AN_EDITOR) {
            return Ok(picture);
        }
        if begun.elapsed() > PATIENCE {
            bail!("no editor was seen in {} s: see {}", PATIENCE.as_secs(), picture.display());
        }
    }
}

/// A virtual screen and its name.
fn screen() -> Result<(Running, String)> {
    let mut xvfb = Command::new("Xvfb");
    xvfb.args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-noreset"]);
    xvfb.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut xvfb =
        Running::start(&mut xvfb).context("a virtual screen is needed (Debian: apt install xvfb)")?;
    let said = xvfb.child().stdout.take().context("Xvfb says nothing")?;
    let mut number = String::new();
    BufReader::new(said).read_line(&mut number).context("Xvfb does not name its screen")?;
    if number.trim().is_empty() {
        bail!("Xvfb could not open a screen");
    }
    Ok((xvfb, format!(":{}", number.trim())))
}
