//! Where files go, and what they are called.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use directories::UserDirs;

/// Files of one second's name, at most.
const MAX_NAMES: u32 = 1000;

/// The variable of the environment that names a folder, and so switches logging on in every instance.
const VARIABLE: &str = "BONAFIDE_LOG";

/// Documents, also where a system has the folder but doesn't name it, or else home.
pub fn documents() -> Option<PathBuf> {
    let dirs = UserDirs::new()?;
    let named = dirs.document_dir().map(Path::to_owned);
    let usual = dirs.home_dir().join("Documents");
    let documents = named.into_iter().chain([usual]).find(|path| path.is_dir());
    Some(documents.unwrap_or_else(|| dirs.home_dir().to_owned()))
}

/// The folder that logging is switched on for from the start, if it is.
pub fn wanted() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// Where logs go if nobody says otherwise.
pub fn folder() -> Option<PathBuf> {
    wanted().or_else(|| Some(documents()?.join("Bonafide logs")))
}

/// Makes a new file in `folder`, named after the time and never one that was there.
///
/// # Errors
/// It can't be made.
pub fn new_file(folder: &Path, ending: &str) -> io::Result<(File, PathBuf)> {
    named(folder, &jiff::Zoned::now().strftime("%Y-%m-%d %H.%M.%S").to_string(), ending)
}

fn named(folder: &Path, time: &str, ending: &str) -> io::Result<(File, PathBuf)> {
    for number in 1..=MAX_NAMES {
        let suffix = if number == 1 { String::new() } else { format!(" ({number})") };
        let path = folder.join(format!("Bonafide {time}{suffix}.{ending}"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many files of this second"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_overwritten() {
        let folder = std::env::temp_dir().join(format!("bonafide-files-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let names =
            [named(&folder, "now", "csv"), named(&folder, "now", "csv"), named(&folder, "now", "jsonl")];
        let names = names.map(|made| made.expect("a file").1.file_name().map(ToOwned::to_owned));
        let expected = ["Bonafide now.csv", "Bonafide now (2).csv", "Bonafide now.jsonl"];
        assert_eq!(names, expected.map(|name| Some(name.into())));
        assert!(named(&folder.join("missing"), "now", "csv").is_err());
        std::fs::remove_dir_all(folder).expect("to clean up");
    }
}
