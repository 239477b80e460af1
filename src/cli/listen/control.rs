//! What the outside may ask of all streams while they run.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[cfg(unix)]
use signal_hook::consts::{SIGHUP, SIGUSR1};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Flags that every thread looks at.
#[derive(Default)]
pub struct Control {
    stop: Arc<AtomicBool>,
    hang_up: Arc<AtomicBool>,
    user: Arc<AtomicBool>,
    resets: AtomicU64,
}

impl Control {
    /// Flags that signals set: SIGTERM and SIGINT stop (a second one at once), SIGUSR1 resets
    /// alarms, SIGHUP reopens where there is a file for it (`reopens`), and else stops, as it does
    /// when a terminal is closed.
    ///
    /// # Errors
    /// The system refuses.
    pub fn with_signals(reopens: bool) -> io::Result<Self> {
        let control = Self::default();
        for signal in [SIGTERM, SIGINT] {
            flag::register_conditional_shutdown(signal, 128 + signal, control.stop.clone())?;
            flag::register(signal, control.stop.clone())?;
        }
        #[cfg(unix)]
        {
            flag::register(SIGHUP, if reopens { control.hang_up.clone() } else { control.stop.clone() })?;
            flag::register(SIGUSR1, control.user.clone())?;
        }
        #[cfg(not(unix))]
        let _ = reopens;
        Ok(control)
    }

    /// Ends all streams: what has arrived is judged, nothing more is read.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether the end has been asked for.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Passes on to all streams what signals have asked for; says whether files are to be opened
    /// anew. One thread calls this, often.
    pub fn take_signals(&self) -> bool {
        if self.user.swap(false, Ordering::Relaxed) {
            self.resets.fetch_add(1, Ordering::Relaxed);
        }
        self.hang_up.swap(false, Ordering::Relaxed)
    }

    /// Counts the resets of alarms that were asked for.
    pub fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }
}
