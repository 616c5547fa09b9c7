"""contents.py FOLDER NODE_MODULES writes what is inside the image: FOLDER/sbom.cdx.json (CycloneDX 1.5) and licences.txt.

Rust crates are those that are linked, by `cargo tree`; npm packages those that the worker's runtime is bundled from, and
esbuild.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def cargo(*arguments: str) -> str:
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def linked() -> set[tuple[str, str]]:
    """(name, version) of every crate that api or worker link."""
    lines = cargo("tree", "--quiet", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--package", "api", "--package", "worker").splitlines()
    found = (re.match(r"(\S+) v(\S+)", line) for line in lines)
    return {(match[1], match[2]) for match in found if match}


def crates() -> list[dict]:
    wanted = linked()
    packages = json.loads(cargo("metadata", "--quiet", "--locked", "--format-version", "1"))["packages"]
    return [
        {"kind": "cargo", "name": p["name"], "version": p["version"], "licence": p["license"] or "see its licence file", "folder": Path(p["manifest_path"]).parent}
        for p in packages
        # Our own are the image itself.
        if p["source"] and (p["name"], p["version"]) in wanted
    ]


def bundled(modules: Path) -> list[dict]:
    lock = json.loads((ROOT / "crates/sandbox/runtime/package-lock.json").read_text())["packages"]
    return [
        {"kind": "npm", "name": path.rpartition("node_modules/")[2], "version": p["version"], "licence": p["license"], "folder": modules.parent / path}
        for path, p in lock.items()
        # Without a version: what `overrides` leaves out. Optional: esbuild for other machines.
        if path and "version" in p and not p.get("optional")
    ]


def component(package: dict) -> dict:
    name = package["name"].replace("@", "%40")
    return {
        "type": "library",
        "name": package["name"],
        "version": package["version"],
        "purl": f"pkg:{package['kind']}/{name}@{package['version']}",
        # Cargo's older crates separate alternatives by a slash.
        "licenses": [{"expression": re.sub(r"\s*/\s*", " OR ", package["licence"])}],
    }


def licence_texts(package: dict) -> list[str]:
    files = (f for f in sorted(package["folder"].iterdir()) if f.is_file() and re.match(r"(?i)(licen[cs]e|copying|notice|copyright)", f.name))
    return [f.read_text(errors="replace").strip() for f in files]


def main(folder: Path, modules: Path) -> None:
    packages = sorted(crates() + bundled(modules), key=lambda p: (p["kind"], p["name"], p["version"]))
    if not {"v8", "tokio"} <= {p["name"] for p in packages}:
        sys.exit("the list of linked crates is not whole")
    sbom = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": [component(p) for p in packages]}
    (folder / "sbom.cdx.json").write_text(json.dumps(sbom, indent=1) + "\n")
    # The same text stands once, under all who use it.
    users: dict[str, list[str]] = {}
    for package in packages:
        for text in licence_texts(package) or [f"(no file of its own) {package['licence']}"]:
            users.setdefault(text, []).append(f"{package['name']} {package['version']}")
    rule = "=" * 100
    (folder / "licences.txt").write_text("\n\n".join(f"{rule}\n{', '.join(names)}\n{rule}\n{text}" for text, names in users.items()) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
