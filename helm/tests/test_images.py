"""Dockerfile and compose file, as far as they can be checked without Docker."""

import json
import re
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent.parent
CHART = ROOT / "helm/runnerctl"
REQUIRED = {"DATABASE_URL", "AMQP_URL", "RUNNER_HMAC_SECRET_KEY", "ENCRYPTION_KEY"}


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


class Image(unittest.TestCase):
    def test_stages_are_defined_before_they_are_used(self):
        known = set()
        for name, rest in instructions():
            for used in re.findall(r"(?:--from=|from=)(\w+)", rest):
                self.assertIn(used, known)
            if name == "FROM":
                known |= set(re.findall(r" AS (\w+)", rest))
        self.assertEqual(known, {"v8", "build"})

    def test_files_copied_from_the_clone_exist(self):
        ignored = (ROOT / ".dockerignore").read_text().split()
        for name, rest in instructions():
            if name == "COPY" and "--from" not in rest:
                for source in rest.split()[:-1]:
                    self.assertTrue((ROOT / source).exists(), source)
                    self.assertNotIn(source, ignored)

    def test_image_and_make_test_share_one_build_step(self):
        steps = [rest for name, rest in instructions() if name == "RUN" and "cargo" in rest]
        self.assertEqual([step.endswith("scripts/image-build /out") for step in steps], [True])
        self.assertIn('scripts/image-build "', (ROOT / "scripts/test").read_text())
        taken = [rest.split()[1:] for name, rest in instructions() if name == "COPY" and "--from=build" in rest]
        self.assertEqual(taken, [["/out/bin/", "/usr/local/bin/"], ["/out/share/", "/usr/share/runnerctl/"]])

    def test_the_last_stage_runs_as_the_charts_user(self):
        last = [i for i, (name, _) in enumerate(instructions()) if name == "FROM"][-1]
        users = [rest for name, rest in instructions()[last:] if name == "USER"]
        self.assertEqual(users, ["65532:65532"])

    def test_the_toolchain_is_the_projects(self):
        wanted = re.search(r'^rust-version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
        self.assertIn(f"rust:{wanted}-slim", (ROOT / "Dockerfile").read_text())

    def test_its_debian_has_a_node_that_bundles_the_runtime(self):
        wanted = re.search(r"^const OLDEST_NODE: u32 = (\d+);", (ROOT / "crates/sandbox/build.rs").read_text(), re.M)[1]
        release = re.search(r"^FROM rust:\S+-slim-(\w+)", (ROOT / "Dockerfile").read_text(), re.M)[1]
        # Of packages.debian.org/nodejs.
        self.assertGreaterEqual({"bookworm": 18, "trixie": 20}[release], int(wanted))


class Compose(unittest.TestCase):
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]

    def test_dependencies_exist_and_reach_their_condition(self):
        for name, service in self.services.items():
            for other, how in service.get("depends_on", {}).items():
                with self.subTest(f"{name} → {other}"):
                    if how["condition"] == "service_healthy":
                        self.assertIn("healthcheck", self.services[other])
                    else:
                        self.assertEqual(how["condition"], "service_completed_successfully")
                        self.assertEqual(self.services[other]["restart"], "on-failure")

    def test_programs_have_what_they_require_and_no_privilege(self):
        for name in ("api", "worker", "migrate", "loaddata"):
            service = self.services[name]
            self.assertLessEqual(REQUIRED, service["environment"].keys())
            self.assertEqual((service["read_only"], service["cap_drop"]), (True, ["ALL"]))
        self.assertIn("API_BASE_URL", self.services["worker"]["environment"])

    def test_nothing_is_published_beyond_this_machine(self):
        for service in self.services.values():
            for port in service.get("ports", []):
                self.assertTrue(port.startswith("127.0.0.1:"), port)


class SeccompProfile(unittest.TestCase):
    profile = json.loads((CHART / "files/seccomp-worker.json").read_text())

    def test_only_namespaces_of_users_and_networks_may_be_made(self):
        self.assertEqual(self.profile["defaultAction"], "SCMP_ACT_ERRNO")
        allowed = [rule for rule in self.profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW"]
        self.assertEqual({rule["args"][0]["value"] for rule in allowed if "unshare" in rule["names"]}, {0x50000000, 0x40000000})
        free = {name for rule in allowed if "args" not in rule for name in rule["names"]}
        self.assertFalse(free & {"unshare", "clone", "clone3", "setns", "mount", "ptrace", "bpf", "keyctl", "perf_event_open", "kexec_load"})


if __name__ == "__main__":
    unittest.main()
