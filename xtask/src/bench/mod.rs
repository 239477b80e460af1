//! What Bonafide costs, beside what people would use instead: one run, one machine, one report.

mod hour;
mod int8;
mod measured;
mod peers;
mod plot;
mod table;

use crate::cargo::{self, Workspace};
use crate::{ort, python};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

const USAGE: &str = "usage: cargo xtask bench [--peers] [--quick] [--model MANIFEST]… [--out DIR] [--readme]";

/// Between these lines of the README stands what this command printed last.
const README: (&str, &str) = ("<!-- cargo xtask bench: begin -->\n", "<!-- cargo xtask bench: end -->\n");

/// What is asked for.
#[derive(Default)]
struct Options {
    /// Compare with the published Python path.
    peers: bool,
    /// A few minutes less, and figures that are good for nothing but trying the command.
    quick: bool,
    /// Models to be measured besides the default one.
    models: Vec<PathBuf>,
    out: Option<PathBuf>,
    /// Write the summary into the README.
    readme: bool,
}

pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    let options = parse(args)?;
    ort::ensure_or_warn(workspace);
    let bonafide = workspace.build()?;
    let python = if options.peers { python::ensure_or_warn(workspace, &python::TRAINING) } else { None };
    let out = options.out.clone().unwrap_or_else(|| workspace.root.join("docs"));
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;

    // Each part is printed as soon as it is there.
    let told = |part: String| {
        println!("{part}");
        part
    };
    let mut summary = told(machine(options.quick));
    let mut clip_ms = None;
    if options.peers {
        let Some(python) = &python else {
            bail!("--peers needs the Python environment: see the warning above")
        };
        let peers = peers::run(workspace, &bonafide, python, &options)?;
        summary += &told(peers.markdown);
        clip_ms = Some(peers.python_clip_ms);
    }
    summary += &told(hour::run(workspace, &bonafide, options.quick, clip_ms)?);
    let mut details = String::new();
    for (title, bench) in
        [("The audio thread", "realtime"), ("The plugin", "plugin"), ("How the cost grows", "streams")]
    {
        let said = cargo_bench(bench, options.quick, &[])?;
        details += &told(format!("\n### {title}\n\n`cargo bench --bench {bench}`. {said}"));
    }
    let whole = summary.clone() + &details;
    plot::draw(&out.join("bench.svg"), &table::tables(&whole))?;
    write(&out.join("bench.md"), &format!("# What it costs\n\n{whole}\n![The same, drawn](bench.svg)\n"))?;
    if options.readme {
        let path = workspace.root.join("README.md");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        write(&path, &replaced(&text, &summary)?)?;
    }
    eprintln!("Written: {}", out.join("bench.md").display());
    Ok(ExitCode::SUCCESS)
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut path =
            || args.next().map(PathBuf::from).with_context(|| format!("{arg} needs a path; {USAGE}"));
        match arg.as_str() {
            "--peers" => options.peers = true,
            "--quick" => options.quick = true,
            "--readme" => options.readme = true,
            "--model" => options.models.push(path()?),
            "--out" => options.out = Some(path()?),
            _ => bail!("{USAGE}"),
        }
    }
    Ok(options)
}

/// One of the project's own benchmarks; what it said.
fn cargo_bench(name: &str, quick: bool, more: &[&std::ffi::OsStr]) -> Result<String> {
    let mut command = cargo::command();
    command.args(["bench", "--package", "bonafide", "--bench", name, "--"]);
    command.args(quick.then_some("--quick")).args(more);
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("`cargo bench --bench {name}` failed: see above");
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where the figures come from, and what else the machine did.
fn machine(quick: bool) -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let load = read("/proc/loadavg").split(' ').next().unwrap_or("?").to_owned();
    let kind = if quick { "`--quick`: a trial run, not to be quoted. " } else { "" };
    format!(
        "{kind}{}, {cores} cores, {} {}; load average at the start, of other work and the build: {load}.\n",
        name.unwrap_or(" a processor without a name").trim(),
        std::env::consts::OS,
        std::env::consts::ARCH,
    )
}

/// `readme` with `summary` in its place.
fn replaced(readme: &str, summary: &str) -> Result<String> {
    let find = |mark| readme.split_once(mark).with_context(|| format!("the README has no line {mark:?}"));
    let (before, (_, after)) = (find(README.0)?.0, find(README.1)?);
    Ok(format!("{before}{}\n{summary}\n{}{after}", README.0, README.1))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_a_place_for_the_summary() {
        let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
        let once = replaced(&readme, "| figures |").unwrap();
        assert!(once.contains("| figures |"));
        assert_eq!(replaced(&once, "| figures |").unwrap(), once, "and only there");
        assert!(replaced("nothing", "").is_err());
    }
}
