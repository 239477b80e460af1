//! A named pipe as a telephone line: when a writer closes it the call ends, and the next writer's begins.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Between looks for the next writer.
const PAUSE: Duration = Duration::from_millis(20);

/// One pipe, open as long as the program runs: no writer ever finds it without a reader.
pub struct Line {
    path: PathBuf,
    pipe: Mutex<File>,
    /// The last call was read to its end.
    ended: AtomicBool,
}

impl Line {
    /// Waits for the first writer.
    ///
    /// # Errors
    /// The pipe can't be opened.
    pub fn open(path: &Path) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            path: path.to_owned(),
            pipe: Mutex::new(File::open(path)?),
            ended: AtomicBool::new(true),
        }))
    }

    /// The next call. Reading it waits for its first byte, and ends when its writer does.
    pub fn call(self: &Arc<Self>) -> Call {
        Call { line: self.clone(), begun: false, ended: false }
    }

    /// Reads what a call left behind that could not be judged to its end.
    ///
    /// # Errors
    /// The pipe can't be read.
    pub fn hang_up(&self) -> io::Result<()> {
        let mut rest = [0; 4096];
        while !self.ended.load(Ordering::Relaxed) {
            let left = self.pipe.lock().read(&mut rest)?;
            self.ended.store(left == 0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Opens the pipe that stands in this one's place, if another does.
    fn follow(&self) -> io::Result<()> {
        let mut pipe = self.pipe.lock();
        if is_replaced(&self.path, &pipe) {
            *pipe = File::open(&self.path)?;
        }
        Ok(())
    }
}

/// Sound from one writer.
pub struct Call {
    line: Arc<Line>,
    begun: bool,
    ended: bool,
}

impl Read for Call {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Who asks again must not get the next call's sound.
        while !self.ended {
            let got = self.line.pipe.lock().read(buffer)?;
            self.begun |= got > 0;
            if self.begun {
                self.ended = got == 0;
                self.line.ended.store(self.ended, Ordering::Relaxed);
                return Ok(got);
            }
            // Nobody writes.
            std::thread::sleep(PAUSE);
            self.line.follow()?;
        }
        Ok(0)
    }
}

/// Whether `path` is a pipe that can be written to again and again.
#[cfg(unix)]
pub fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::metadata(path).is_ok_and(|data| data.file_type().is_fifo())
}

/// Pipes of other systems end with their writer.
#[cfg(not(unix))]
pub fn is_pipe(_: &Path) -> bool {
    false
}

#[cfg(unix)]
fn is_replaced(path: &Path, pipe: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |data: &fs::Metadata| (data.dev(), data.ino());
    matches!((fs::metadata(path), pipe.metadata()), (Ok(a), Ok(b)) if id(&a) != id(&b))
}

#[cfg(not(unix))]
fn is_replaced(_: &Path, _: &File) -> bool {
    false
}
