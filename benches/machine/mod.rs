//! What the benchmarks ask of the machine: priority, its own noise, time and memory of the process.
#![allow(dead_code, reason = "each benchmark uses its own part")]

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Whether the command line asks for a short run: `cargo bench --bench NAME -- --quick`.
pub fn is_quick() -> bool {
    std::env::args().any(|argument| argument == "--quick")
}

/// Gives this thread the highest real-time priority that the system lets it have; says which.
#[cfg(target_os = "linux")]
pub fn raise_priority() -> &'static str {
    // Threads that are started later, the inference among them, get the usual priority.
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: calls with a number, and with a structure that lives through the call.
    let raised = unsafe {
        let parameters = libc::sched_param { sched_priority: libc::sched_get_priority_max(libc::SCHED_FIFO) };
        libc::sched_setscheduler(0, policy, &parameters) == 0
    };
    if raised { "real-time, the highest" } else { "usual; a host's is higher" }
}

/// Gives this thread the highest real-time priority that the system lets it have; says which.
#[cfg(not(target_os = "linux"))]
pub fn raise_priority() -> &'static str {
    "usual; a host's is higher"
}

/// Work of a known length that touches no memory: when it takes longer, that is the machine's doing
/// (interrupts, other processes, a virtual machine's neighbours), not ours.
pub struct Spin(u64);

impl Spin {
    /// One that lasts about `duration` on a quiet machine.
    pub fn lasting(duration: Duration) -> Self {
        const ROUNDS: u64 = 1_000;
        let quickest = (0..1_000).map(|_| time(|| spin(ROUNDS))).min().unwrap_or(duration);
        Self((duration.as_nanos() as u64 * ROUNDS / quickest.as_nanos().max(1) as u64).max(1))
    }

    /// How long it took now.
    pub fn run(&self) -> Duration {
        time(|| spin(self.0))
    }
}

fn spin(rounds: u64) {
    black_box((0..rounds).fold(black_box(1_u64), |x, i| (x ^ i).wrapping_mul(6_364_136_223_846_793_005)));
}

/// How long `work` takes.
pub fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// CPU time of this process so far, user and system, seconds; 0 where it can't be told.
#[cfg(target_os = "linux")]
pub fn cpu_s() -> f64 {
    // SAFETY: a structure of numbers, filled in by the call.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// CPU time of this process so far, user and system, seconds; 0 where it can't be told.
#[cfg(not(target_os = "linux"))]
pub fn cpu_s() -> f64 {
    0.0
}

/// Memory of this process that no other shares, and all that is resident, kB; 0 where it can't be
/// told.
pub fn memory_kb(key: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
