//! Where the next file will be, and what the editor hears of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::new_file;
use crate::evidence::{LogError, Pen};
use crate::plugin::monitor::{LogState, Monitor};

/// A folder, and in it the file that the next measurement will fill.
pub struct Place {
    folder: PathBuf,
    monitor: Arc<Monitor>,
    /// This log's number: one that goes on in the editor doesn't hear of one that has ended.
    number: u64,
    reserved: Option<PathBuf>,
}

impl Place {
    /// Files in `folder`.
    pub fn new(folder: PathBuf, monitor: Arc<Monitor>) -> Self {
        let number = {
            let log = &mut monitor.lock().log;
            log.number += 1;
            (log.file, log.windows, log.problem) = (None, 0, None);
            log.number
        };
        Self { folder, monitor, number, reserved: None }
    }

    /// Makes the file, empty, so that it is known at once whether it can be made.
    pub fn reserve(&mut self) {
        if self.reserved.is_some() {
            return;
        }
        let made = fs::create_dir_all(&self.folder).and_then(|()| new_file(&self.folder, "jsonl"));
        match made {
            Ok((_, path)) => {
                self.update(|log| (log.file, log.problem) = (Some(path.clone()), None));
                self.reserved = Some(path);
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&self, error: &io::Error) {
        let problem = format!(
            "{}: no log can be begun: {error}\n  what to do: make room, or let the folder be written to; \
             judging goes on, and the log begins when it can",
            self.folder.display()
        );
        self.update(|log| log.problem = Some(problem));
    }

    /// A pen for the file, which is the measurement's from here on. Where none could be made it is
    /// tried again with each record.
    pub fn pen(&mut self) -> Pen {
        self.reserve();
        let path = self.reserved.take().unwrap_or_else(|| self.folder.join(unmade()));
        let (monitor, number) = (self.monitor.clone(), self.number);
        Pen::new(
            path,
            Box::new(move |at: &Path, problem: Option<&LogError>| {
                let problem = problem.map(ToString::to_string);
                let log = &mut monitor.lock().log;
                if log.number == number {
                    log.file = Some(at.to_owned());
                }
                if log.number == number || problem.is_some() {
                    log.problem = problem;
                }
            }),
        )
    }

    /// Tells the editor of the file's windows. Where it can't be written, its folder may be what lacks.
    pub fn show(&self, windows: u64) {
        let mut failing = false;
        self.update(|log| (log.windows, failing) = (windows, log.problem.is_some()));
        if failing {
            let _ = fs::create_dir_all(&self.folder);
        }
    }

    /// A file that nothing was written to goes.
    pub fn release(&mut self) {
        let Some(path) = self.reserved.take() else { return };
        if fs::metadata(&path).is_ok_and(|data| data.len() == 0) && fs::remove_file(&path).is_ok() {
            self.update(|log| log.file = None);
        }
    }

    fn update(&self, update: impl FnOnce(&mut LogState)) {
        let log = &mut self.monitor.lock().log;
        if log.number == self.number {
            update(log);
        }
    }
}

/// A name for a file that can't be made yet.
fn unmade() -> String {
    format!("Bonafide {}.jsonl", jiff::Zoned::now().strftime("%Y-%m-%d %H.%M.%S.%3f"))
}
