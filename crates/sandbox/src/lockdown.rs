//! The layers around the isolate, applied before any script runs.
//!
//! Each is one function that says whether it holds; none depends on another, so that a host which forbids one
//! still gets the rest. It is entered with one thread and files still open to us, and sealed when V8 stands. A layer
//! that holds only in part counts as missing.

use crate::seccomp;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetStatus, Scope,
};
use std::ffi::OsStr;

const MIB: usize = 1024 * 1024;
/// What a process needs beside the memory its script may use: V8's own tables, code and young generation,
/// one frame each way, two stacks. At rest 137 MiB are mapped so, of which 9 are touched.
const OVERHEAD_BYTES: usize = 256 * MIB;

/// A layer's name and the function that applies it; true when it holds.
type Layer = (&'static str, fn() -> bool);

/// In this order: what a later one takes away, an earlier one may need.
const LAYERS: [Layer; 8] = [
    ("descriptors", close_descriptors),
    ("environment", environment_is_empty),
    ("no_new_privs", no_new_privs),
    ("network_namespace", network_namespace),
    ("landlock", landlock),
    ("capabilities", drop_capabilities),
    ("not_dumpable", not_dumpable),
    ("rlimits", limit_resources),
];

/// What was applied, and holds.
pub(super) struct Lockdown {
    layers: Vec<&'static str>,
    /// The kernel holds the real root to no number of processes.
    is_root: bool,
}

impl Lockdown {
    /// Applies what can be applied before V8 starts.
    pub(super) fn enter() -> Self {
        prefer_for_oom_killer();
        // SAFETY: no pointers. Asked before a user namespace changes the answer.
        let is_root = (unsafe { libc::getuid() }) == 0;
        let layers = LAYERS.iter().filter(|(_, apply)| apply()).map(|(name, _)| *name).collect();
        Self { layers, is_root }
    }

    /// Applies the rest, on all threads, when V8 and every thread stand.
    pub(super) fn seal(&mut self, memory_bytes: usize) {
        let layers = [
            ("memory_rlimit", limit_memory(memory_bytes)),
            ("process_rlimit", limit_processes() && !self.is_root),
            ("seccomp", seccomp::enter()),
        ];
        self.layers.extend(layers.iter().filter(|(_, holds)| *holds).map(|(name, _)| *name));
    }

    /// Names of the layers that hold.
    pub(super) fn layers(&self) -> Vec<String> {
        self.layers.iter().map(|&name| name.to_owned()).collect()
    }
}

/// Applies one layer alone, to see what it does.
#[cfg(debug_assertions)]
pub(super) fn apply(layer: &str) -> bool {
    match layer {
        "memory_rlimit" => limit_memory(128 * MIB),
        "process_rlimit" => limit_processes(),
        "seccomp" => seccomp::enter(),
        _ => LAYERS.iter().any(|(name, apply)| *name == layer && apply()),
    }
}

/// When the machine itself runs out of memory, a sandbox goes first. Not a layer: best effort.
fn prefer_for_oom_killer() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Leaves descriptor 0, the socket.
fn close_descriptors() -> bool {
    // SAFETY: no object of ours owns a descriptor yet; standard streams may be closed.
    (unsafe { libc::close_range(1, libc::c_uint::MAX, 0) }) == 0
}

/// The supervisor passes nothing but the time zone, which ICU reads at start.
#[expect(clippy::disallowed_methods, reason = "nothing is configured here: there must be nothing")]
fn environment_is_empty() -> bool {
    std::env::vars_os().all(|(name, _)| name == OsStr::new("TZ"))
}

fn no_new_privs() -> bool {
    // SAFETY: no pointers.
    (unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }) == 0
}

/// No core dumps, no ptrace by equals, and `/proc/<pid>` belongs to root.
fn not_dumpable() -> bool {
    // SAFETY: no pointers.
    (unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }) == 0
}

/// A network without interfaces. Needs privilege, or a user namespace of its own.
fn network_namespace() -> bool {
    // SAFETY: no pointers; the process has one thread.
    unsafe {
        libc::unshare(libc::CLONE_NEWNET) == 0 || libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) == 0
    }
}

/// No path granted, no TCP port, no abstract socket, no signal outside.
fn landlock() -> bool {
    let abi = ABI::V6;
    let restricted = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(abi)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    restricted.is_ok_and(|status| status.ruleset == RulesetStatus::FullyEnforced)
}

/// Gives up every capability, also those a user namespace lent.
fn drop_capabilities() -> bool {
    /// Version 3 of the kernel's structure: two words of 32 capabilities.
    const VERSION: u32 = 0x2008_0522;
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let header = Header { version: VERSION, pid: 0 };
    let none = [0_u32; 6];
    for capability in 0..64 {
        // SAFETY: no pointers. Fails past the last capability, and without the right to drop any: harmless.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: both pointers are to live structures of the size version 3 asks for.
    (unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) }) == 0
}

fn limit_resources() -> bool {
    let limits = [
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_FSIZE, 0),
        // Descriptor 0 stays usable; no number is left for another.
        (libc::RLIMIT_NOFILE, 0),
        (libc::RLIMIT_MEMLOCK, 0),
        (libc::RLIMIT_MSGQUEUE, 0),
    ];
    limits.iter().fold(true, |all, &(resource, most)| limit(resource, most) && all)
}

/// The kernel's backstop behind V8's own limit: private writable memory, touched or not.
fn limit_memory(memory_bytes: usize) -> bool {
    let most = memory_bytes.saturating_mul(2).saturating_add(OVERHEAD_BYTES);
    limit(libc::RLIMIT_DATA, u64::try_from(most).unwrap_or(u64::MAX))
}

/// No process and no thread beside those that stand.
fn limit_processes() -> bool {
    limit(libc::RLIMIT_NPROC, 0)
}

fn limit(resource: libc::__rlimit_resource_t, most: u64) -> bool {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: the pointer is to a live rlimit.
    (unsafe { libc::setrlimit(resource, &raw const limit) }) == 0
}
