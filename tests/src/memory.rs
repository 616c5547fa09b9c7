//! Memory of a running program, watched from outside.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Milliseconds between two measurements. What a program holds for a shorter time is not seen.
const INTERVAL: Duration = Duration::from_millis(5);

/// Watch on the memory that a process itself has allocated: pages of its binary do not count.
pub struct MemoryWatch {
    peak: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MemoryWatch {
    /// Starts to watch a process.
    pub fn start(pid: u32) -> Self {
        let (peak, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (highest, stop) = (Arc::clone(&peak), Arc::clone(&ends));
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                highest.fetch_max(allocated_bytes(pid).unwrap_or_default(), Ordering::Relaxed);
                thread::sleep(INTERVAL);
            }
        });
        Self { peak, ends, thread: Some(thread) }
    }

    /// Returns the highest amount so far, in MiB.
    pub fn peak_mib(&self) -> u64 {
        self.peak.load(Ordering::Relaxed) / (1024 * 1024)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns the resident anonymous memory of a process, in bytes.
fn allocated_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = resident.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_written_counts() {
        let watch = MemoryWatch::start(std::process::id());
        let before = allocated_bytes(std::process::id()).unwrap();
        let held = vec![1_u8; 64 * 1024 * 1024];
        let after = allocated_bytes(std::process::id()).unwrap();
        assert!(after > before + 60 * 1024 * 1024, "{before} {after}");
        while watch.peak_mib() < 60 {
            thread::yield_now();
        }
        drop(held);
    }
}
