//! Clock that only the tested programs see.

use anyhow::{Context as _, ensure};
use chrono::TimeDelta;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Clock that can be shifted.
pub(crate) struct Clock {
    library: PathBuf,
    offset: PathBuf,
}

impl Clock {
    /// Builds the library in `folder` with the C compiler that Rust uses for linking. The clock is right until it is
    /// shifted.
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

    /// Returns the environment variables with which programs must be started.
    pub(crate) fn settings(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("CLOCK_OFFSET_FILE", &self.offset)]
    }

    /// Sets the offset of the clock.
    pub(crate) fn shift(&self, by: TimeDelta) -> anyhow::Result<()> {
        // In place, because the programs have mapped this file.
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(&self.offset);
        std::os::unix::fs::FileExt::write_all_at(&file?, &by.num_seconds().to_ne_bytes(), 0)?;
        Ok(())
    }
}
