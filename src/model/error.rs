//! One clear error for everything that can be wrong with a model.

use thiserror::Error;

/// What failed, where, what was expected, and what to do about it.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("{origin}: {problem}\n  what to do: {cure}")]
pub struct ModelError {
    /// File (or "embedded model") that doesn't fit.
    pub origin: String,
    /// What was found and what was expected.
    pub problem: String,
    /// What the user can do.
    pub cure: String,
}

impl ModelError {
    pub(crate) fn new(origin: &str, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { origin: origin.to_owned(), problem: problem.into(), cure: cure.into() }
    }
}
