//! One worker for many threads: whoever gets it works for all who queued before.

use std::collections::VecDeque;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use parking_lot::{FairMutex, Mutex};

/// A worker that does things one by one, or several that wait together; first come, first served.
pub struct Together<W, I, O> {
    worker: FairMutex<W>,
    /// In the order in which they came.
    waiting: Mutex<VecDeque<(I, Sender<O>)>>,
}

impl<W, I, O> Together<W, I, O> {
    /// Nobody waits yet.
    pub fn new(worker: W) -> Self {
        Self { worker: FairMutex::new(worker), waiting: Mutex::default() }
    }

    /// What comes of `items`, in their order; `None` for one whose work panicked. `work` gets those of
    /// others too, as many at once as `most` says, and gives as many results.
    pub fn run(
        &self,
        items: impl IntoIterator<Item = I>,
        most: impl Fn(&W) -> usize,
        work: impl Fn(&mut W, &[I]) -> Vec<O>,
    ) -> Vec<Option<O>> {
        let queue = |item| {
            let (result, own) = bounded(1);
            self.waiting.lock().push_back((item, result));
            own
        };
        let own: Vec<Receiver<O>> = items.into_iter().map(queue).collect();
        own.into_iter().map(|own| self.wait(&own, &most, &work)).collect()
    }

    fn wait(
        &self,
        own: &Receiver<O>,
        most: &impl Fn(&W) -> usize,
        work: &impl Fn(&mut W, &[I]) -> Vec<O>,
    ) -> Option<O> {
        loop {
            let mut worker = self.worker.lock();
            match own.try_recv() {
                Ok(result) => return Some(result),
                Err(TryRecvError::Disconnected) => return None,
                Err(TryRecvError::Empty) => {}
            }
            let taken: Vec<_> = {
                let mut waiting = self.waiting.lock();
                let n = waiting.len().min(most(&worker).max(1));
                waiting.drain(..n).collect()
            };
            let (items, results): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
            for (result, out) in results.iter().zip(work(&mut worker, &items)) {
                // Who waits hears it as soon as it gets the worker.
                let _ = result.send(out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_gets_its_own_and_those_that_wait_go_together() {
        let together = Together::new(Vec::new());
        let work = |sizes: &mut Vec<usize>, items: &[u64]| {
            sizes.push(items.len());
            std::thread::sleep(Duration::from_millis(2));
            items.iter().map(|x| x * x).collect()
        };
        let run = |i: u64| together.run(3 * i..3 * i + 3, |_| 4, work);
        let results: Vec<Vec<Option<u64>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..20)
                .map(|i| {
                    scope.spawn({
                        let run = &run;
                        move || run(i)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (i, found) in results.iter().enumerate() {
            let first = 3 * i as u64;
            assert_eq!(*found, (first..first + 3).map(|x| Some(x * x)).collect::<Vec<_>>());
        }
        let sizes = together.worker.into_inner();
        assert_eq!(sizes.iter().sum::<usize>(), 60);
        assert!(sizes.iter().all(|n| (1..=4).contains(n)) && sizes.len() < 40, "{sizes:?}");
    }
}
