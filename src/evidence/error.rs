//! One clear error for everything that keeps a log from being written or read.

use std::path::Path;

use thiserror::Error;

/// What failed, where, and what to do about it.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("{path}: {problem}\n  what to do: {cure}")]
pub struct LogError {
    /// The log's file.
    pub path: String,
    /// What was found.
    pub problem: String,
    /// What the user can do.
    pub cure: String,
}

impl LogError {
    pub(super) fn new(path: &Path, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { path: path.display().to_string(), problem: problem.into(), cure: cure.into() }
    }

    pub(super) fn unwritten(path: &Path, error: &std::io::Error) -> Self {
        let cure = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                "make room on the disk; judging goes on, and the next record that can be written says \
                 how many could not"
            }
            std::io::ErrorKind::NotFound => "make the folder first, or choose another place",
            std::io::ErrorKind::PermissionDenied => "choose a place that can be written to",
            _ => "check the disk, or choose another place",
        };
        Self::new(path, format!("the log can't be written: {error}"), cure)
    }
}
