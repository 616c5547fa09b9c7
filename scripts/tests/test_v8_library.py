"""Where V8's library comes from: scripts/v8-library in a clone, home and cache of their own.

Neither cargo nor the build from source may work for real here (minutes of network and processor): both are replaced by
programs that write down that they were asked. Everything else is the project's own.
"""

import hashlib
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
VERSION = re.search(r'^v8 = "=(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
HOST = re.search(r"^host: (.+)", subprocess.check_output(["rustc", "-vV"], text=True), re.M)[1]
LIBRARY = f"librusty_v8_release_{HOST}.a.gz"
GOOD, BUILT, BAD = b"the pinned library", b"a library that was built here", b"something else"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Machine:
    """A clone beside folders that may have the library, and what the set-up did with them."""

    def __init__(self, folder: Path):
        self.folder, self.asked = folder, folder / "asked"
        self.clone, self.cache = folder / "clone", folder / "cache"
        shutil.copytree(ROOT / "scripts", self.clone / "scripts", ignore=shutil.ignore_patterns("tests"))
        shutil.copy(ROOT / "Cargo.toml", self.clone)
        (self.clone / "scripts/v8.sha256").write_text(f"{VERSION} {LIBRARY} {sha256(GOOD)}\n")
        self.cargo("[ $1 = fetch ]")
        self.build_from_source("exit 1")

    def program(self, path: Path, text: str) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\necho {path.name} $1 >>{self.asked}\n{text}\n")
        path.chmod(0o755)

    def cargo(self, text: str) -> None:
        self.program(self.folder / "bin/cargo", text)

    def build_from_source(self, text: str) -> None:
        self.program(self.clone / "scripts/build-v8", text)

    def put(self, folder: str, content: bytes) -> Path:
        path = self.folder / folder / LIBRARY
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def put_built(self, content: bytes = BUILT) -> None:
        path = self.put(f"cache/v8/{VERSION}", content)
        path.with_name(f"{LIBRARY}.sha256").write_text(f"{sha256(BUILT)}  {LIBRARY}\n")

    def set_up(self, folder: str = "") -> subprocess.CompletedProcess:
        path = subprocess.check_output(["bash", "-c", "echo $PATH"], text=True).strip()
        environment = {
            "PATH": f"{self.folder}/bin:{path}", "HOME": str(self.folder), "CARGO_HOME": f"{self.folder}/cargo-home",
            "RUNNERCTL_CACHE": str(self.cache), "RUSTUP_HOME": subprocess.check_output(["bash", "-c", "echo ${RUSTUP_HOME:-$HOME/.rustup}"], text=True).strip(),
        }
        if folder:
            environment["RUSTY_V8_FOLDER"] = str(self.folder / folder)
        return subprocess.run([self.clone / "scripts/v8-library"], env=environment, capture_output=True, text=True, timeout=60)

    @property
    def installed(self) -> bytes | None:
        name = re.sub(r"[^A-Za-z0-9]", "_", f"v{VERSION}/{LIBRARY}")
        path = self.folder / "cargo-home/.rusty_v8" / name
        return path.read_bytes() if path.exists() else None

    @property
    def steps(self) -> list[str]:
        return self.asked.read_text().split("\n")[:-1] if self.asked.exists() else []


class V8Library(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="runnerctl-v8-")
        self.addCleanup(folder.cleanup)
        self.machine = Machine(Path(folder.name))

    def assertSetUp(self, content: bytes, said: str, folder: str = "") -> None:
        done = self.machine.set_up(folder)
        self.assertEqual((done.returncode, self.machine.installed), (0, content), done.stderr)
        self.assertIn(said, done.stderr)

    def assertRefused(self, said: str, folder: str = "") -> None:
        done = self.machine.set_up(folder)
        self.assertNotEqual(done.returncode, 0)
        self.assertIsNone(self.machine.installed)
        self.assertIn(said, done.stderr.strip().splitlines()[-1])

    def test_the_named_folder_is_used_first(self):
        self.machine.put("named", GOOD)
        self.machine.put("shared/v8", GOOD)
        self.machine.put_built()
        self.assertSetUp(GOOD, f"copied from {self.machine.folder}/named", folder="named")
        self.assertEqual(self.machine.steps, [])

    def test_the_folder_beside_the_clone_is_used_second(self):
        self.machine.put("shared/v8", GOOD)
        self.machine.put_built()
        self.assertSetUp(GOOD, "copied from ")
        self.assertEqual(self.machine.steps, [])

    def test_an_earlier_local_build_is_used_third(self):
        self.machine.put_built()
        self.assertSetUp(BUILT, "built here before")
        self.assertEqual(self.machine.steps, [])

    def test_the_crates_download_is_used_fourth_and_remembered(self):
        self.machine.cargo("exit 0")
        for _ in range(2):
            self.assertEqual(self.machine.set_up().returncode, 0)
        self.assertEqual(self.machine.steps, ["cargo fetch", "cargo build"])

    def test_a_build_from_source_is_used_last_and_kept(self):
        library = f"$2/{LIBRARY}"
        self.machine.build_from_source(f'mkdir -p $2; printf "{BUILT.decode()}" >{library}; (cd $2 && sha256sum {LIBRARY} >{LIBRARY}.sha256)')
        self.assertSetUp(BUILT, "building it from the crate's source")
        steps = ["cargo fetch", "cargo build", f"build-v8 {VERSION}"]
        self.assertEqual(self.machine.steps, steps)
        self.assertSetUp(BUILT, "")
        self.assertEqual(self.machine.steps, steps, "a second set-up does nothing")

    def test_a_named_folder_with_a_wrong_file_is_refused(self):
        file = self.machine.put("named", BAD)
        self.assertRefused("RUSTY_V8_FOLDER is set, but", folder="named")
        self.assertIn(f"{file} is not the file that scripts/v8.sha256 pins; not used", self.machine.set_up("named").stderr)
        self.assertRefused("has no usable " + LIBRARY, folder="no-such-folder")
        self.assertEqual(self.machine.steps, [])

    def test_a_wrong_file_beside_the_clone_is_skipped(self):
        file = self.machine.put("shared/v8", BAD)
        self.machine.put_built()
        self.assertSetUp(BUILT, f"{self.machine.clone}/../shared/v8/{LIBRARY} is not the file that scripts/v8.sha256 pins; not used")
        self.assertEqual(file.read_bytes(), BAD)

    def test_a_damaged_local_build_is_not_used(self):
        self.machine.put_built(BAD)
        self.assertRefused("can be had in none of these ways")

    def test_an_unknown_file_in_cargo_home_is_replaced(self):
        self.machine.put("shared/v8", BAD)
        (self.machine.clone / "scripts/v8.sha256").write_text(f"{VERSION} {LIBRARY} {sha256(BAD)}\n")
        self.assertSetUp(BAD, "copied from")
        (self.machine.clone / "scripts/v8.sha256").write_text(f"{VERSION} {LIBRARY} {sha256(GOOD)}\n")
        self.machine.put("shared/v8", GOOD)
        self.assertSetUp(GOOD, "neither the pinned file nor one built here; replacing it")

    def test_without_any_source_every_option_is_listed(self):
        self.assertRefused(f"V8 {VERSION} can be had in none of these ways: RUSTY_V8_FOLDER naming a folder with {LIBRARY}; the crate's own download; a build from source")
        self.assertEqual(self.machine.steps, ["cargo fetch", "cargo build", f"build-v8 {VERSION}"])

    def test_an_unreachable_registry_is_reported(self):
        self.machine.cargo("exit 1")
        self.assertRefused("cargo can't reach its registry")
        self.assertEqual(self.machine.steps, ["cargo fetch"])


if __name__ == "__main__":
    unittest.main()
