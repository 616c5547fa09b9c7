"""The order of layers: an import leads down, or stays in its folder.

`api` and `worker` are one crate each, so the compiler does not hold the order of their folders; this test does. Between
crates it needs no test: cargo refuses circles.
"""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

# Highest first. Folders of one line stand side by side and do not import each other.
LAYERS = {
    "api": [["testing"], ["cli"], ["http"], ["app"], ["delivery", "background", "live"], ["db"], ["config", "model"]],
    "worker": [["testing"], ["serve"], ["config"], ["http"], ["consumer"], ["execution"], ["lease", "supervisor"], ["db", "outbound"]],
}

# Imports that still lead up. The list may only get shorter: an entry that is no longer needed fails the test as well.
UPWARD = {
    "api": [],
    "worker": [],
}


def leaves(tree: str) -> list[str]:
    """The paths of a `use` tree: `a::{b, c::d}` gives `a::b` and `a::c::d`."""
    head, brace, rest = tree.strip().partition("{")
    if not brace:
        return [head]
    parts, depth, part = [], 0, ""
    for character in rest[: rest.rindex("}")]:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and not depth:
            parts, part = [*parts, part], ""
        else:
            part += character
    return [head + leaf for p in [*parts, part] if p.strip() for leaf in leaves(p)]


def imports(text: str, module: list[str]) -> set[str]:
    """The folders directly below the crate that a file of `module` names."""
    # Inside an inline module of tests `super` is this module.
    text = re.sub(r"//[^\n]*", "", text.partition("\n#[cfg(test)]\nmod tests {")[0])
    uses = re.findall(r"\buse\s+((?:crate|super)[^;]*);", text)
    paths = [leaf for use in uses for leaf in leaves(use)]
    paths += re.findall(r"\b(?:crate|super)(?:::\w+)+", re.sub(r"\buse\s[^;]*;", "", text))
    found = set()
    for path in paths:
        segments = path.replace(" ", "").split("::")
        at = list(module)
        while segments and segments[0] == "super":
            at, segments = at[:-1], segments[1:]
        absolute = segments[1:] if segments and segments[0] == "crate" else at + segments
        if absolute and absolute[0].islower():
            found.add(absolute[0])
    return found


def upward(crate: str, sources: dict[str, str]) -> list[str]:
    """Imports that lead up, or aside: one line each."""
    floor = {folder: len(LAYERS[crate]) - row for row, names in enumerate(LAYERS[crate]) for folder in names}
    wrong = []
    for path, text in sorted(sources.items()):
        module = path.removesuffix(".rs").removesuffix("/mod").split("/")
        folder = module[0]
        # `lib` only declares modules; `main` may use all of them.
        if folder in {"lib", "main"}:
            continue
        if folder not in floor:
            wrong.append(f"{path}: {folder} is not part of any layer")
            continue
        wrong += [
            f"{path}: {folder} imports {other}"
            for other in sorted(imports(text, module))
            if other != folder and floor.get(other, len(floor) + 1) >= floor[folder]
        ]
    return wrong


def sources(crate: str) -> dict[str, str]:
    folder = ROOT / crate / "src"
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.rs")}


class Layers(unittest.TestCase):
    maxDiff = None

    def test_imports_lead_down(self):
        for crate in LAYERS:
            with self.subTest(crate):
                found = sources(crate)
                self.assertGreater(len(found), 30, "the sources were not found")
                self.assertEqual(upward(crate, found), UPWARD[crate])

    def test_an_upward_import_is_found(self):
        for text in ["use crate::{db, http::state::AppState};", "use super::super::http::Error;", "fn a() { crate::http::b() }"]:
            with self.subTest(text):
                self.assertEqual(upward("api", {"db/scripts.rs": text}), ["db/scripts.rs: db imports http"])

    def test_an_import_between_neighbours_is_found(self):
        text = "use crate::live::Live;"
        self.assertEqual(upward("api", {"delivery/mod.rs": text}), ["delivery/mod.rs: delivery imports live"])


if __name__ == "__main__":
    unittest.main()
