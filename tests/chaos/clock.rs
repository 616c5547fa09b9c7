//! The clock that the programs see, and nobody else.

use anyhow::{Context as _, ensure};
use chrono::TimeDelta;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A clock that can be wrong.
pub(crate) struct Clock {
    library: PathBuf,
    offset: PathBuf,
}

impl Clock {
    /// Made in `folder` by the C compiler that Rust links with; right until it is shifted.
    pub(crate) fn build(folder: &Path) -> anyhow::Result<Self> {
        let (library, offset) = (folder.join("clock.so"), folder.join("clock.offset"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/chaos/clock.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", source, "-ldl", "-o"])
            .arg(&library)
            .status()
            .context("cc")?;
        ensure!(compiled.success(), "{source} does not compile");
        let clock = Self { library, offset };
        clock.shift(TimeDelta::zero())?;
        Ok(clock)
    }

    /// What a program has to be started with.
    pub(crate) fn settings(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("CLOCK_OFFSET_FILE", &self.offset)]
    }

    /// From now on the clock is wrong by this much.
    pub(crate) fn shift(&self, by: TimeDelta) -> anyhow::Result<()> {
        // In place, since the programs have mapped this very file.
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&self.offset);
        std::os::unix::fs::FileExt::write_all_at(&file?, &by.num_seconds().to_ne_bytes(), 0)?;
        Ok(())
    }
}
