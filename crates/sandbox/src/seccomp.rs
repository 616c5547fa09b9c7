//! System call filter: allows the calls that V8 and the socket need. Any other call kills the process.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;

/// System calls that are allowed with any arguments.
const ALLOWED: &[libc::c_long] = &[
    // The socket, through its open descriptor.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
    // Existing threads.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    // Time.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    // Randomness.
    libc::SYS_getrandom,
    // Signals of this process, and its exit.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Installs the filter on every thread of the process. Returns whether it is in force.
pub(super) fn enter() -> bool {
    filter().is_some_and(|program| seccompiler::apply_filter_all_threads(&program).is_ok())
}

fn filter() -> Option<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    // Only anonymous memory: no file may be mapped.
    let anonymous = u64::try_from(libc::MAP_ANONYMOUS).ok()?;
    rules.insert(libc::SYS_mmap, vec![when(3, SeccompCmpOp::MaskedEq(anonymous), anonymous)?]);
    // V8 names its mappings for debugging tools.
    let name_mapping = u64::try_from(libc::PR_SET_VMA).ok()?;
    rules.insert(libc::SYS_prctl, vec![when(0, SeccompCmpOp::Eq, name_mapping)?]);
    // `abort` signals its own thread, and no other process may be signalled.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![when(0, SeccompCmpOp::Eq, own)?]);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into().ok()?,
    );
    filter.ok()?.try_into().ok()
}

fn when(argument: u8, comparison: SeccompCmpOp, value: u64) -> Option<SeccompRule> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, comparison, value).ok()?;
    SeccompRule::new(vec![condition]).ok()
}
