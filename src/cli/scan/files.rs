//! Which files are scanned.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::cli::decode::EXTENSIONS;
use crate::cli::text::printable;

/// Named files as they are; folders' audio files, sorted. What can't be searched is told and counted.
/// Nothing in `without` (where the results go) is taken for a file to judge.
pub fn find(paths: &[PathBuf], without: Option<&Path>) -> (Vec<PathBuf>, usize) {
    let (mut files, mut failed) = (Vec::new(), 0);
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        let walk = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| Some(entry.path()) != without) {
            match entry {
                Ok(entry) if entry.file_type().is_file() && is_audio(entry.path()) => {
                    files.push(entry.into_path());
                }
                Ok(_) => {}
                Err(error) => {
                    eprintln!("bonafide: {}", printable(&error.to_string()));
                    failed += 1;
                }
            }
        }
        if files.len() == before {
            let (path, known) = (printable(&path.display().to_string()), EXTENSIONS.join(", "));
            eprintln!("bonafide: {path}: no audio files in this folder ({known})");
            failed += 1;
        }
    }
    (files, failed)
}

fn is_audio(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}
