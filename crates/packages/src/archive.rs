//! Unpacking of a package's archive into its folder.
//!
//! Archives are untrusted: paths must stay below the folder, only plain files are written, and sizes are counted while
//! reading.

use flate2::read::GzDecoder;
use std::{
    fs,
    io::{self, Read},
    path::{Component, Path, PathBuf},
};
use tar::{Archive, EntryType};

/// Maximum unpacked size of all archives of one bundle together, in bytes.
pub(crate) const MAX_BYTES: u64 = 128 * 1024 * 1024;
/// Maximum number of files of all archives of one bundle together.
const MAX_FILES: usize = 50_000;
/// Extensions of files that the bundler reads. Type declarations, source maps and documents are not unpacked.
const READ_EXTENSIONS: [&str; 4] = ["js", "mjs", "cjs", "json"];

/// Remaining bytes and files that may be unpacked.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: u64,
    files: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: MAX_BYTES, files: MAX_FILES }
    }
}

/// Errors of archives. The texts are shown to the author.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("the archive has a path outside of its folder")]
    Path,
    #[error("the archive has a link or a device; only files are allowed")]
    NotAFile,
    #[error("the archives are over {} MiB or {MAX_FILES} files unpacked", MAX_BYTES >> 20)]
    TooLarge,
    #[error("the archive can't be read")]
    Malformed,
    #[error("the files of the archive can't be written")]
    Write(#[source] io::Error),
}

/// Unpacks a gzipped archive into `folder`, without the archive's top folder.
pub(crate) fn unpack(archive: &[u8], folder: &Path, budget: &mut Budget) -> Result<(), ArchiveError> {
    // One byte more than allowed reveals an archive that is too large.
    let unpacked = GzDecoder::new(archive).take(budget.bytes + 1);
    let mut archive = Archive::new(unpacked);
    let mut read = 0;
    for entry in archive.entries().map_err(|_| ArchiveError::Malformed)? {
        let mut entry = entry.map_err(|_| ArchiveError::Malformed)?;
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            EntryType::Directory | EntryType::XGlobalHeader => continue,
            _ => return Err(ArchiveError::NotAFile),
        }
        read += entry.size();
        if read > budget.bytes || budget.files == 0 {
            return Err(ArchiveError::TooLarge);
        }
        budget.files -= 1;
        let path = inside(&entry.path().map_err(|_| ArchiveError::Path)?)?;
        if !path.extension().is_some_and(|extension| READ_EXTENSIONS.iter().any(|known| extension == *known))
        {
            continue;
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|_| ArchiveError::Malformed)?;
        let target = folder.join(path);
        let parent = target.parent().unwrap_or(folder);
        fs::create_dir_all(parent).and_then(|()| fs::write(&target, content)).map_err(ArchiveError::Write)?;
    }
    budget.bytes -= read;
    Ok(())
}

/// Returns the path without its first folder. Every component must be a plain name.
fn inside(path: &Path) -> Result<PathBuf, ArchiveError> {
    let mut steps = path.components().filter(|step| *step != Component::CurDir);
    let mut inside = PathBuf::new();
    if !matches!(steps.next(), Some(Component::Normal(_))) {
        return Err(ArchiveError::Path);
    }
    for step in steps {
        let Component::Normal(name) = step else { return Err(ArchiveError::Path) };
        if name.to_str().is_none_or(|name| name.contains(['\\', '\0']) || name.len() > 255) {
            return Err(ArchiveError::Path);
        }
        inside.push(name);
    }
    if inside.as_os_str().is_empty() { Err(ArchiveError::Path) } else { Ok(inside) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use tar::{Builder, Header};

    /// Makes an archive of entries `(path, type, content)`, without validation.
    fn archive(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, kind, content) in entries {
            let mut header = Header::new_old();
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(content.len() as u64);
            header.set_cksum();
            builder.append(&header, *content).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap()
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("npm-archive-{}", uuid::Uuid::now_v7())))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn unpacked(entries: &[(&str, EntryType, &[u8])]) -> (Folder, Result<(), ArchiveError>) {
        let folder = Folder::new();
        let result = unpack(&archive(entries), &folder.0, &mut Budget::default());
        (folder, result)
    }

    #[test]
    fn files_that_a_bundler_reads_are_written() {
        let file = EntryType::Regular;
        let (folder, result) = unpacked(&[
            ("package/package.json", file, b"{}"),
            ("package/lib/a.js", file, b"1"),
            ("package/README.md", file, b"text"),
            ("package/empty/", EntryType::Directory, b""),
        ]);
        result.unwrap();
        assert_eq!(fs::read(folder.0.join("lib/a.js")).unwrap(), b"1");
        assert!(folder.0.join("package.json").is_file() && !folder.0.join("README.md").exists());
    }

    #[test]
    fn nothing_is_written_outside() {
        for path in
            ["../a.js", "package/../../a.js", "/a.js", "a.js", "package/..\\a.js", "package/b/../../../a.js"]
        {
            let (folder, result) = unpacked(&[(path, EntryType::Regular, b"1")]);
            assert!(matches!(result, Err(ArchiveError::Path)), "{path}: {result:?}");
            assert!(!folder.0.parent().unwrap().join("a.js").exists(), "{path}");
        }
    }

    #[test]
    fn links_and_devices_are_refused() {
        for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Fifo] {
            let (_, result) = unpacked(&[("package/a.js", kind, b"")]);
            assert!(matches!(result, Err(ArchiveError::NotAFile)), "{kind:?}: {result:?}");
        }
    }

    #[test]
    fn sizes_are_counted_over_all_archives() {
        let folder = Folder::new();
        let bytes = archive(&[("package/a.js", EntryType::Regular, &[b' '; 3000])]);
        let mut budget = Budget { bytes: 8000, files: 10 };
        unpack(&bytes, &folder.0, &mut budget).unwrap();
        unpack(&bytes, &folder.0, &mut budget).unwrap();
        assert!(unpack(&bytes, &folder.0, &mut budget).is_err());
        let bomb = archive(&[("package/a.txt", EntryType::Regular, &vec![0; 100_000])]);
        let result = unpack(&bomb, &folder.0, &mut Budget { bytes: 50_000, files: 10 });
        assert!(matches!(result, Err(ArchiveError::TooLarge)), "{result:?}");
        let result = unpack(&bytes, &folder.0, &mut Budget { bytes: 8000, files: 0 });
        assert!(matches!(result, Err(ArchiveError::TooLarge)), "{result:?}");
    }

    #[test]
    fn invalid_bytes_are_not_unpacked() {
        let folder = Folder::new();
        for bytes in [&b"noise"[..], &[]] {
            assert!(unpack(bytes, &folder.0, &mut Budget::default()).is_err());
        }
    }
}
