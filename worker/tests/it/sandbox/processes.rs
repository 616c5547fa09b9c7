//! Processes of this machine, as procfs shows them.

use super::eventually;
use std::{fs, sync::Arc};
use worker::testing::supervisor::Pool;

pub(crate) struct Seen {
    pub(crate) id: u32,
    pub(crate) state: String,
    pub(crate) parent: u32,
    /// Processor time of the process and of its reaped children, in hundredths of a second.
    pub(crate) ticks: u64,
}

pub(crate) fn seen(id: u32) -> Option<Seen> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = fields[11..15].iter().map(|ticks| ticks.parse::<u64>().unwrap_or_default()).sum();
    Some(Seen { id, state: fields[0].to_owned(), parent: fields[1].parse().ok()?, ticks })
}

pub(crate) fn children_of(parent: u32) -> Vec<Seen> {
    fs::read_dir("/proc")
        .expect("procfs")
        .filter_map(|entry| seen(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .filter(|seen| seen.parent == parent)
        .collect()
}

pub(crate) fn children() -> Vec<Seen> {
    children_of(std::process::id())
}

/// Returns a field of a process's memory, in KiB.
pub(crate) fn memory(id: u32, field: &str) -> u64 {
    ["status", "smaps_rollup"]
        .iter()
        .filter_map(|file| fs::read_to_string(format!("/proc/{id}/{file}")).ok())
        .find_map(|text| {
            let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
            value.trim().strip_suffix(" kB")?.parse().ok()
        })
        .unwrap_or_default()
}

/// Waits until every process of the pool is ready and no other is left.
pub(crate) async fn settled(pool: &Arc<Pool>, processes: usize) {
    let is_settled =
        || pool.status().ready == processes && !children().iter().any(|child| child.state == "Z");
    eventually("the pool is whole, and every other process reaped", is_settled).await;
}
