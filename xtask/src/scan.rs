//! From a clean clone to a verdict in one command.

use crate::cargo::Workspace;
use crate::{ort, sample, tool};
use anyhow::Result;
use std::process::{Command, ExitCode};

/// The options of `bonafide scan` whose value is the next argument, which is then no FILE.
const WITH_VALUE: [&str; 13] = [
    "--threshold",
    "-t",
    "--model",
    "-m",
    "--engine",
    "-e",
    "--hop",
    "--channel",
    "--format",
    "-f",
    "--output",
    "-o",
    "--log",
];

pub fn run(workspace: &Workspace, args: &[String]) -> Result<ExitCode> {
    ort::ensure_or_warn(workspace);
    let bonafide = workspace.build()?;
    let mut scan = Command::new(bonafide);
    scan.arg("scan").args(args);
    if !names_a_file(args) && !asks_for_help(args) {
        let path = sample::default_path(workspace);
        sample::make(&path)?;
        scan.arg(path);
    }
    Ok(ExitCode::from(tool::status(&mut scan)?))
}

fn asks_for_help(args: &[String]) -> bool {
    args.iter().any(|arg| arg == "--help" || arg == "-h")
}

fn names_a_file(args: &[String]) -> bool {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            return args.next().is_some();
        }
        if WITH_VALUE.contains(&arg.as_str()) {
            args.next();
        } else if arg == "-" || !arg.starts_with('-') {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_from_options_and_their_values() {
        for (line, file) in [
            ("", false),
            ("--json", false),
            ("--threshold 0.7 --json", false),
            ("--format html --output page.html --log log.jsonl", false),
            ("--model=m.toml", false),
            ("--", false),
            ("--json a.wav", true),
            ("--threshold 0.7 a.wav", true),
            ("-- --odd.wav", true),
        ] {
            let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(names_a_file(&args), file, "{line:?}");
        }
    }
}
