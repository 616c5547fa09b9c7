//! Isolation layers around the isolate, applied before any script runs.
//!
//! Each layer is one function that returns whether the layer is in force. None depends on another, so that a host that
//! forbids one still gets the rest. The first layers are applied with one thread and with access to files, the last
//! ones after V8 has started. A layer that is only partly in force counts as missing.
//!
//! A process that runs scripts is started as such ([`Lockdown::seal`]) or made by a template. The template has all the
//! layers that leave it able to make processes ([`Lockdown::seal_template`]). These inherit them, and apply the rest
//! themselves ([`Lockdown::enter_forked`], [`Lockdown::seal_forked`]).

use crate::{platform, seccomp};
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetStatus, Scope,
};
use sandbox_protocol::EXIT_SETUP;
use std::ffi::OsStr;

const MIB: usize = 1024 * 1024;
/// Memory of a process beyond its script's limit, in bytes: V8's tables, code and young generation, one frame in each
/// direction, two stacks. An idle process maps 137 MiB of it and touches 9 MiB.
const OVERHEAD_BYTES: usize = 256 * MIB;

/// Name of a layer, and the function that applies it and returns whether it is in force.
type Layer = (&'static str, fn() -> bool);

/// Layers in the order of their application. Earlier ones may need rights that later ones remove.
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

/// Maximum number of descriptors of a template: the socket of its supervisor, and the two of a process that it makes.
const TEMPLATE_DESCRIPTORS: u64 = 3;

/// Applied layers.
pub(super) struct Lockdown {
    layers: Vec<&'static str>,
    /// The process runs as real root, for which the kernel does not enforce `RLIMIT_NPROC`.
    is_root: bool,
    /// Process id of the supervisor, the parent of a template and of its copies.
    supervisor: libc::pid_t,
}

impl Lockdown {
    /// Applies the layers that are possible before V8 starts to a process that runs scripts.
    pub(super) fn enter() -> Self {
        Self::enter_with(0)
    }

    /// Applies the layers that are possible before V8 starts to a template.
    pub(super) fn enter_template() -> Self {
        Self::enter_with(TEMPLATE_DESCRIPTORS)
    }

    fn enter_with(descriptors: u64) -> Self {
        prefer_for_oom_killer();
        ignore_stop_signals();
        // SAFETY: no pointers. Called before a user namespace changes the id.
        let (is_root, supervisor) = unsafe { (libc::getuid() == 0, libc::getppid()) };
        let layers = LAYERS.iter().filter(|(_, apply)| apply()).map(|(name, _)| *name).collect();
        let mut lockdown = Self { layers, is_root, supervisor };
        lockdown.require("rlimits", limit_descriptors(descriptors));
        lockdown
    }

    /// Applies the other layers to all threads, after V8 and every thread have started.
    pub(super) fn seal(&mut self, memory_bytes: usize) {
        self.end_with_supervisor();
        self.add("memory_rlimit", limit_memory(memory_bytes));
        self.add("process_rlimit", limit_processes() && !self.is_root);
        self.add("seccomp", seccomp::enter());
    }

    /// Applies the layers of a template, after V8 has started. Returns whether it may make processes: without its
    /// filter those would have no complete one either.
    pub(super) fn seal_template(&mut self, memory_bytes: usize) -> bool {
        self.end_with_supervisor();
        self.add("memory_rlimit", limit_memory(memory_bytes));
        seccomp::enter_template()
    }

    /// Applies the layers of a process that a template made, while it has one thread.
    ///
    /// A Landlock domain of its own keeps the process from its siblings and from the template, which share theirs.
    pub(super) fn enter_forked(&mut self) {
        self.require("descriptors", close_descriptors());
        if self.layers.contains(&"landlock") {
            self.require("landlock", landlock_from_siblings());
        }
        self.require("rlimits", limit_descriptors(0));
        self.end_with_supervisor();
    }

    /// Applies the other layers to all threads, after every thread has started.
    pub(super) fn seal_forked(&mut self) {
        self.add("process_rlimit", limit_processes() && !self.is_root);
        self.add("seccomp", seccomp::leave_template());
    }

    /// Makes the kernel kill this process when the supervisor's thread that started it ends. Exits if that has
    /// happened.
    ///
    /// Without it, a process that a script has taken over, which no longer reads its socket, outlives the supervisor.
    /// The kernel forgets it for each new process, and when capabilities change.
    fn end_with_supervisor(&self) {
        // SAFETY: no pointers.
        let is_set = (unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) }) == 0;
        // SAFETY: no pointers. The supervisor may have ended before the call.
        if !is_set || (unsafe { libc::getppid() }) != self.supervisor {
            platform::exit(EXIT_SETUP);
        }
    }

    /// Removes a layer of which a part failed.
    fn require(&mut self, layer: &str, holds: bool) {
        self.layers.retain(|&name| holds || name != layer);
    }

    fn add(&mut self, layer: &'static str, holds: bool) {
        if holds {
            self.layers.push(layer);
        }
    }

    /// Returns the names of the layers in force.
    pub(super) fn layers(&self) -> Vec<String> {
        self.layers.iter().map(|&name| name.to_owned()).collect()
    }
}

/// Applies a single layer, for tests of its effect.
#[cfg(debug_assertions)]
pub(super) fn apply(layer: &str) -> bool {
    match layer {
        "memory_rlimit" => limit_memory(128 * MIB),
        "process_rlimit" => limit_processes(),
        "rlimits" => limit_resources() && limit_descriptors(0),
        "landlock_from_siblings" => landlock_from_siblings(),
        "seccomp" => seccomp::enter(),
        _ => LAYERS.iter().any(|(name, apply)| *name == layer && apply()),
    }
}

/// Makes the kernel kill a sandbox first if the host runs out of memory. Best effort, and not a layer.
fn prefer_for_oom_killer() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Ignores the signals that ask a program to stop. Service managers and terminals send them to every process of a
/// worker; its runs go on during the drain, and the supervisor ends its sandboxes itself.
fn ignore_stop_signals() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: installs no handler, so no code runs in signal context.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Closes all descriptors except 0, the socket.
fn close_descriptors() -> bool {
    // SAFETY: no Rust object owns a descriptor yet; standard streams may be closed.
    (unsafe { libc::close_range(1, libc::c_uint::MAX, 0) }) == 0
}

/// Checks that the environment contains only the time zone, which ICU reads at start.
#[expect(clippy::disallowed_methods, reason = "checks that the environment is empty, not configuration")]
fn environment_is_empty() -> bool {
    std::env::vars_os().all(|(name, _)| name == OsStr::new("TZ"))
}

fn no_new_privs() -> bool {
    // SAFETY: no pointers.
    (unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }) == 0
}

/// Disables core dumps and ptrace by processes of the same user, and makes root the owner of `/proc/<pid>`.
fn not_dumpable() -> bool {
    // SAFETY: no pointers.
    (unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }) == 0
}

/// Enters a network namespace without interfaces. Needs privileges or a new user namespace.
fn network_namespace() -> bool {
    // SAFETY: no pointers; the process has one thread.
    unsafe {
        libc::unshare(libc::CLONE_NEWNET) == 0 || libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) == 0
    }
}

/// Denies all paths, TCP ports, abstract sockets, and signals to outside processes.
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

/// Enters a Landlock domain below the present one, and denies signals to all processes outside of it. No process
/// outside may be traced from a domain either.
fn landlock_from_siblings() -> bool {
    /// Version 6 of the kernel's structure, in which only the last field is set.
    #[repr(C)]
    struct Attributes {
        handled_access_fs: u64,
        handled_access_net: u64,
        scoped: u64,
    }
    const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
    const SCOPE_SIGNAL: u64 = 2;
    let attributes = Attributes {
        handled_access_fs: 0,
        handled_access_net: 0,
        scoped: SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL,
    };
    // SAFETY: the pointer and the size are of a live structure.
    let ruleset = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attributes, size_of::<Attributes>(), 0)
    };
    // SAFETY: no pointers. The descriptor is the one just made, and closed only once.
    ruleset >= 0
        && unsafe {
            let restricted = libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) == 0;
            libc::syscall(libc::SYS_close, ruleset) == 0 && restricted
        }
}

/// Drops every capability, including those gained from a user namespace.
fn drop_capabilities() -> bool {
    /// Version 3 of the kernel's structure, with two words of 32 capabilities.
    const VERSION: u32 = 0x2008_0522;
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    let header = Header { version: VERSION, pid: 0 };
    let none = [0_u32; 6];
    for capability in 0..64 {
        // SAFETY: no pointers. Fails harmlessly past the last capability, and without the right to drop any.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // SAFETY: both pointers are to live structures of the size that version 3 requires.
    (unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) }) == 0
}

fn limit_resources() -> bool {
    let limits = [
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_FSIZE, 0),
        (libc::RLIMIT_MEMLOCK, 0),
        (libc::RLIMIT_MSGQUEUE, 0),
    ];
    limits.iter().fold(true, |all, &(resource, max)| limit(resource, max) && all)
}

/// Forbids descriptors from this number on. Those that are open stay usable.
fn limit_descriptors(max: u64) -> bool {
    limit(libc::RLIMIT_NOFILE, max)
}

/// Limits private writable memory, touched or not, as the kernel's backstop behind V8's own limit.
fn limit_memory(memory_bytes: usize) -> bool {
    let max = memory_bytes.saturating_mul(2).saturating_add(OVERHEAD_BYTES);
    limit(libc::RLIMIT_DATA, u64::try_from(max).unwrap_or(u64::MAX))
}

/// Forbids new processes and threads.
fn limit_processes() -> bool {
    limit(libc::RLIMIT_NPROC, 0)
}

fn limit(resource: libc::__rlimit_resource_t, max: u64) -> bool {
    let limit = libc::rlimit { rlim_cur: max, rlim_max: max };
    // SAFETY: the pointer is to a live rlimit.
    (unsafe { libc::setrlimit(resource, &raw const limit) }) == 0
}
