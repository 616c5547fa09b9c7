//! System call filters: allow the calls that V8 and the socket need. Any other call kills the process.

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

/// System calls that a template needs besides, to make sandbox processes, and each of these to lock itself down. Its
/// own last filter takes them away again.
const FORKING: &[libc::c_long] = &[
    // Descriptors of the supervisor's requests and of the template's answers.
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_dup3,
    // Start of the thread that reads the socket.
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    // The supervisor's id, to notice its death.
    libc::SYS_getppid,
    // The last layers of a process.
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_restrict_self,
    libc::SYS_prlimit64,
    libc::SYS_seccomp,
];

/// Flags of the only call that makes a process: a sibling of the template, so that the supervisor is its parent.
pub(super) const FORK_FLAGS: libc::c_int = libc::CLONE_PARENT
    | libc::CLONE_PIDFD
    | libc::CLONE_CHILD_SETTID
    | libc::CLONE_CHILD_CLEARTID
    | libc::SIGCHLD;
/// Flags of the call by which the C library makes a thread.
const THREAD_FLAGS: libc::c_int = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Installs the filter of a process that runs scripts, on all of its threads. Returns whether it is in force.
pub(super) fn enter() -> bool {
    let filter = allowed().and_then(|mut rules| {
        // V8 names its mappings for debugging tools.
        rules.insert(libc::SYS_prctl, vec![when(0, SeccompCmpOp::Eq, unsigned(libc::PR_SET_VMA)?)?]);
        // `abort` signals its own thread, and no other process may be signalled.
        rules.insert(libc::SYS_tgkill, vec![when(0, SeccompCmpOp::Eq, u64::from(std::process::id()))?]);
        only(rules)
    });
    install(filter)
}

/// Installs the filter of a template on all of its threads. Returns whether it is in force.
///
/// It allows what [`enter`] does, [`FORKING`], and calls of `clone` with the flags of a process or of a thread.
pub(super) fn enter_template() -> bool {
    // The arguments of `clone3` are in memory, which a filter can't read. The C library then calls `clone`.
    let clone3 = Rules::from([(libc::SYS_clone3, Vec::new())]);
    let no_clone3 = program(clone3, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()));
    let filter = allowed().and_then(|mut rules| {
        rules.extend(FORKING.iter().map(|&call| (call, Vec::new())));
        // Asserts of the standard library, in builds that have them, look at a descriptor before it is closed.
        rules.insert(libc::SYS_fcntl, vec![when(1, SeccompCmpOp::Eq, unsigned(libc::F_GETFD)?)?]);
        let flags = [FORK_FLAGS, THREAD_FLAGS];
        let flags = flags.map(|flags| when(0, SeccompCmpOp::Eq, unsigned(flags)?));
        rules.insert(libc::SYS_clone, flags.into_iter().collect::<Option<_>>()?);
        let options = [libc::PR_SET_VMA, libc::PR_SET_NO_NEW_PRIVS, libc::PR_SET_PDEATHSIG];
        let options = options.map(|option| when(0, SeccompCmpOp::Eq, unsigned(option)?));
        rules.insert(libc::SYS_prctl, options.into_iter().collect::<Option<_>>()?);
        // The id of a process that is made later is not known here: that process excludes all others itself.
        rules.insert(libc::SYS_tgkill, Vec::new());
        only(rules)
    });
    install(no_clone3) && install(filter)
}

/// Installs the last filter of a process that a template made, on all of its threads. Returns whether it is in force.
///
/// It kills the process for every call that [`enter_template`] allows and [`enter`] does not. Both together are
/// [`enter`].
pub(super) fn leave_template() -> bool {
    let filter = || {
        let mut rules: Rules = FORKING.iter().map(|&call| (call, Vec::new())).collect();
        rules.insert(libc::SYS_clone, Vec::new());
        rules.insert(libc::SYS_fcntl, Vec::new());
        rules.insert(libc::SYS_prctl, vec![when(0, SeccompCmpOp::Ne, unsigned(libc::PR_SET_VMA)?)?]);
        rules.insert(libc::SYS_tgkill, vec![when(0, SeccompCmpOp::Ne, u64::from(std::process::id()))?]);
        program(rules, SeccompAction::Allow, SeccompAction::KillProcess)
    };
    install(filter())
}

/// Rules of the calls that V8 and the socket need, for all processes.
fn allowed() -> Option<Rules> {
    let mut rules: Rules = ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    // Only anonymous memory: no file may be mapped.
    let anonymous = unsigned(libc::MAP_ANONYMOUS)?;
    rules.insert(libc::SYS_mmap, vec![when(3, SeccompCmpOp::MaskedEq(anonymous), anonymous)?]);
    Some(rules)
}

/// Makes a filter that kills the process for any call that no rule allows.
fn only(rules: Rules) -> Option<BpfProgram> {
    program(rules, SeccompAction::KillProcess, SeccompAction::Allow)
}

fn program(rules: Rules, otherwise: SeccompAction, matching: SeccompAction) -> Option<BpfProgram> {
    let filter = SeccompFilter::new(rules, otherwise, matching, std::env::consts::ARCH.try_into().ok()?);
    filter.ok()?.try_into().ok()
}

fn install(program: Option<BpfProgram>) -> bool {
    program.is_some_and(|program| seccompiler::apply_filter_all_threads(&program).is_ok())
}

fn unsigned(value: libc::c_int) -> Option<u64> {
    u64::try_from(value).ok()
}

fn when(argument: u8, comparison: SeccompCmpOp, value: u64) -> Option<SeccompRule> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, comparison, value).ok()?;
    SeccompRule::new(vec![condition]).ok()
}
