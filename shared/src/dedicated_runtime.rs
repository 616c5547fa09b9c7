//! A tokio runtime on dedicated threads, for work whose length an untrusted server decides.
//!
//! Invariants:
//! - Work there never shares a thread with its callers.
//! - A task ends when the future that waits for it is dropped.
//! - Dropping the runtime waits for nothing, not even for a name look-up that hangs.

use std::io;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinError,
};
use tokio_util::task::AbortOnDropHandle;

/// A runtime whose threads do one kind of work.
#[derive(Debug)]
pub struct DedicatedRuntime {
    handle: Handle,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl DedicatedRuntime {
    /// Starts `threads` threads named `name`, which Linux truncates after 15 bytes.
    pub fn start(name: &str, threads: usize) -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(threads).thread_name(name).enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Returns a handle that spawns tasks there.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Runs a future there. Dropping the returned future aborts it.
    pub async fn run<F>(&self, future: F) -> Result<F::Output, JoinError>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        AbortOnDropHandle::new(self.handle.spawn(future)).await
    }
}

impl Drop for DedicatedRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{Arc, mpsc},
        thread,
    };
    use tokio::sync::oneshot;

    fn caller() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    #[test]
    fn work_runs_on_the_dedicated_threads() {
        let runtime = DedicatedRuntime::start("dedicated", 1).unwrap();
        let name = caller().block_on(runtime.run(async { thread::current().name().map(str::to_owned) }));
        assert_eq!(name.unwrap().as_deref(), Some("dedicated"));
    }

    #[test]
    fn dropping_the_caller_aborts_the_work() {
        let runtime = DedicatedRuntime::start("dedicated", 1).unwrap();
        let (sender, receiver) = oneshot::channel::<()>();
        let endless = runtime.run(async move {
            let _sender = sender;
            std::future::pending::<()>().await;
        });
        caller().block_on(async {
            tokio::select! {
                biased;
                _ = endless => panic!("it never ends"),
                () = tokio::task::yield_now() => {}
            }
            receiver.await.unwrap_err();
        });
    }

    #[test]
    fn dropping_on_its_own_thread_waits_for_no_blocked_call() {
        let runtime = Arc::new(DedicatedRuntime::start("dedicated", 1).unwrap());
        let (unblock, blocked) = mpsc::channel::<()>();
        runtime.handle().spawn_blocking(move || blocked.recv());
        let (only_owner, is_only_owner) = oneshot::channel();
        let (report, dropped) = oneshot::channel();
        let owner = Arc::clone(&runtime);
        runtime.handle().spawn(async move {
            let _ = is_only_owner.await;
            drop(owner);
            let _ = report.send(());
        });
        drop(runtime);
        only_owner.send(()).unwrap();
        caller().block_on(dropped).unwrap();
        drop(unblock);
    }
}
