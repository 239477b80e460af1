//! What an engine says of itself, which may change while it judges.

use crate::detect::Scorer;

/// A scorer's engine and note, as they were last heard.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Spoken {
    /// See [`Scorer::engine`].
    pub engine: String,
    /// See [`Scorer::note`].
    pub note: Option<String>,
}

impl Spoken {
    /// Of a scorer.
    pub fn of(scorer: &Scorer) -> Self {
        Self { engine: scorer.engine().to_owned(), note: scorer.note().map(str::to_owned) }
    }

    /// Hears a scorer again; whether it says something else now.
    pub fn hear(&mut self, scorer: &Scorer) -> bool {
        let news = self.engine != scorer.engine() || self.note.as_deref() != scorer.note();
        if news {
            *self = Self::of(scorer);
        }
        news
    }
}
