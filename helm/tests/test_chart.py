"""The chart, rendered by the real Helm engine and held to Kubernetes' own schemas and to our promises."""

import json
import re
import subprocess
import unittest
from functools import cache
from pathlib import Path

import helm_python.chart as helm
import kubernetes_validate
import readme
import schema
import yaml
from helm_python.errors import HelmError

CHART = Path(__file__).parent.parent / "runnerctl"
ROOT = CHART.parent.parent
PROFILES = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))
KUBERNETES = ("1.30", "1.35")
# Their schemas are their operators', not Kubernetes'.
CUSTOM_KINDS = {"ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PodMonitor", "PrometheusRule"}
METADATA_ADDRESS = "169.254.169.254"


def profile(name: str) -> dict:
    return yaml.safe_load((CHART / "ci" / f"{name}.yaml").read_text())


def merged(values: dict, more: dict) -> dict:
    return values | {key: merged(values.get(key, {}), value) if isinstance(value, dict) else value for key, value in more.items()}


def render(values: dict) -> list[dict]:
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(values)
        texts = chart.render(values, name="demo", namespace="runners", revision=3, is_upgrade=True)
    documents = (yaml.safe_load_all(text) for path, text in texts.items() if path.endswith(".yaml"))
    return [document for stream in documents for document in stream if document]


@cache
def rendered(name: str) -> list[dict]:
    return render(profile(name))


def one(documents: list[dict], kind: str, suffix: str) -> dict:
    found = [d for d in documents if d["kind"] == kind and d["metadata"]["name"].endswith(suffix)]
    assert len(found) == 1, f"{kind} …{suffix}: {[d['metadata']['name'] for d in found]}"
    return found[0]


def pods(documents: list[dict]) -> list[tuple[str, dict]]:
    return [(d["metadata"]["name"], d["spec"]["template"]["spec"]) for d in documents if "template" in d.get("spec", {})]


def containers(pod: dict) -> list[dict]:
    return pod["containers"] + pod.get("initContainers", [])


def environment(container: dict) -> dict:
    return {variable["name"]: variable for variable in container["env"]}


class Rendering(unittest.TestCase):
    def test_lint_finds_nothing(self):
        for name in PROFILES:
            with self.subTest(name):
                report = helm.lint(CHART, profile(name), strict=True, kube_version="v1.30.0")
                self.assertEqual([m for m in report["messages"] if m["severity"] > 1] + report["errors"], [])

    def test_every_object_is_valid_for_kubernetes(self):
        for name in PROFILES:
            for document in rendered(name):
                for version in KUBERNETES:
                    if document["kind"] in CUSTOM_KINDS:
                        continue
                    with self.subTest(profile=name, object=f"{document['kind']}/{document['metadata']['name']}", kubernetes=version):
                        kubernetes_validate.validate(document, version, strict=True)

    def test_names_are_unique_and_labels_complete(self):
        for name in PROFILES:
            seen = [(d["kind"], d["metadata"]["name"]) for d in rendered(name)]
            self.assertEqual(len(seen), len(set(seen)), name)
            for document in rendered(name):
                self.assertEqual(document["metadata"]["labels"]["app.kubernetes.io/instance"], "demo")

    def test_selectors_match_the_pods_they_mean(self):
        documents = rendered("production")
        for component in ("api", "worker"):
            labels = one(documents, "Deployment", f"-{component}")["spec"]["template"]["metadata"]["labels"]
            selectors = [
                one(documents, "Deployment", f"-{component}")["spec"]["selector"]["matchLabels"],
                one(documents, "Service", f"-{component}")["spec"]["selector"],
                one(documents, "PodDisruptionBudget", f"-{component}")["spec"]["selector"]["matchLabels"],
                one(documents, "NetworkPolicy", f"-{component}")["spec"]["podSelector"]["matchLabels"],
            ]
            for selector in selectors:
                self.assertLessEqual(selector.items(), labels.items())

    def test_generated_files_are_current(self):
        self.assertEqual((CHART / "README.md").read_text(), readme.readme(), "run helm/tests/readme.py")
        self.assertEqual((CHART / "values.schema.json").read_text(), schema.schema(), "run helm/tests/schema.py")

    def test_every_value_is_documented(self):
        documented = {path for path, _ in readme.rows()}

        def leaves(values: dict, path: str = ""):
            for key, value in values.items():
                here = f"{path}.{key}".lstrip(".")
                if isinstance(value, dict) and value and here not in documented:
                    yield from leaves(value, here)
                else:
                    yield here

        values = yaml.safe_load((CHART / "values.yaml").read_text())
        undocumented = {leaf for leaf in leaves(values) if not any((leaf + ".").startswith(known + ".") for known in documented)}
        self.assertEqual({leaf for leaf in undocumented if ".resources." not in leaf}, set())


class Refusals(unittest.TestCase):
    def refused(self, more: dict, words: str):
        with self.assertRaises(HelmError) as caught:
            render(merged(profile("default"), more))
        self.assertRegex(str(caught.exception), words)

    def test_schema_names_what_is_wrong(self):
        self.refused({"worker": {"concurency": 4}}, "concurency")
        self.refused({"worker": {"concurrency": 0}}, "concurrency")
        self.refused({"worker": {"autoscaling": {"mode": "cron"}}}, "mode")
        self.refused({"config": {"apiBaseUrl": "plane.example.com"}}, "apiBaseUrl")
        self.refused({"credentials": {"database": {"url": "mysql://x"}}}, "url")
        self.refused({"image": {"digest": "sha256:short"}}, "digest")

    def test_missing_credentials_are_named(self):
        self.refused({"config": {"apiBaseUrl": ""}}, "config.apiBaseUrl is required")
        self.refused({"credentials": {"signing": {"key": ""}}}, r"credentials\.signing")
        self.refused({"postgresql": {"enabled": True}}, r"postgresql\.password is required")

    def test_a_drain_shorter_than_a_run_is_refused(self):
        self.refused({"config": {"executionTimeoutMs": 60000}}, "worker.drainTimeoutS must be at least 65")


class Promises(unittest.TestCase):
    def test_pods_meet_the_restricted_standard(self):
        for name in PROFILES:
            for workload, pod in pods(rendered(name)):
                with self.subTest(profile=name, workload=workload):
                    self.assertIs(pod["automountServiceAccountToken"], False)
                    self.assertIs(pod["securityContext"]["runAsNonRoot"], True)
                    self.assertIn(pod["securityContext"]["seccompProfile"]["type"], ("RuntimeDefault", "Localhost"))
                    self.assertFalse(pod.keys() & {"hostNetwork", "hostPID", "hostIPC"})
                    for container in containers(pod):
                        security = container["securityContext"]
                        self.assertIs(security["allowPrivilegeEscalation"], False)
                        self.assertIs(security["readOnlyRootFilesystem"], True)
                        self.assertEqual(security["capabilities"], {"drop": ["ALL"]})
                        self.assertIn("memory", container["resources"]["limits"])
                        self.assertIn("cpu", container["resources"]["requests"])

    def test_credentials_are_in_secrets_only(self):
        for name in ("default", "minimal"):
            others = json.dumps([d for d in rendered(name) if d["kind"] != "Secret"])
            for secret in ("secret@", "trial", profile(name)["credentials"]["encryption"]["key"]):
                self.assertNotIn(secret, others)

    def test_existing_secrets_are_used_and_none_is_made(self):
        documents = rendered("external-secrets")
        self.assertEqual([d for d in documents if d["kind"] == "Secret"], [])
        variables = environment(one(documents, "Deployment", "-worker")["spec"]["template"]["spec"]["containers"][0])
        self.assertEqual(variables["DATABASE_URL"]["valueFrom"]["secretKeyRef"], {"name": "runnerctl-database", "key": "uri"})
        self.assertEqual(variables["ENCRYPTION_KEY"]["valueFrom"]["secretKeyRef"], {"name": "runnerctl-keys", "key": "encryption"})

    def test_passwords_with_special_characters_survive_in_urls(self):
        secret = one(rendered("minimal"), "Secret", "-credentials")
        self.assertIn("runnerctl:trial%20%26%20error@", secret["stringData"]["DATABASE_URL"])

    def test_a_worker_has_time_to_drain(self):
        for name in PROFILES:
            pod = one(rendered(name), "Deployment", "-worker")["spec"]["template"]["spec"]
            drain = int(environment(pod["containers"][0])["DRAIN_TIMEOUT_S"]["value"])
            self.assertGreater(pod["terminationGracePeriodSeconds"], drain)

    def test_an_api_pod_outlives_its_place_in_the_load_balancer(self):
        pod = one(rendered("default"), "Deployment", "-api")["spec"]["template"]["spec"]
        sleep = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        self.assertGreater(pod["terminationGracePeriodSeconds"], sleep + 30)

    def test_worker_memory_follows_its_concurrency(self):
        for concurrency, memory, limit in ((4, "128", "832Mi"), (8, "256", "2560Mi")):
            values = merged(profile("default"), {"worker": {"concurrency": concurrency}, "config": {"isolateMemoryMb": int(memory)}})
            resources = one(render(values), "Deployment", "-worker")["spec"]["template"]["spec"]["containers"][0]["resources"]
            self.assertEqual(resources["limits"]["memory"], limit)

    def test_migration_runs_before_everything_and_before_upgrades(self):
        for name in ("default", "production", "external-secrets"):
            job = one(rendered(name), "Job", "-migrate")
            self.assertEqual(job["metadata"]["annotations"]["helm.sh/hook"], "pre-install,pre-upgrade")
            pod = job["spec"]["template"]["spec"]
            self.assertEqual([c["args"][0] for c in pod["initContainers"] + pod["containers"]], ["migrate", "loaddata"])
            secret = environment(pod["containers"][0])["DATABASE_URL"]["valueFrom"]["secretKeyRef"]["name"]
            made = {d["metadata"]["name"]: d for d in rendered(name) if d["kind"] == "Secret"}
            if secret in made:
                self.assertIn("helm.sh/hook", made[secret]["metadata"]["annotations"], "it must be there before the job")

    def test_with_a_database_in_the_release_the_migration_is_no_hook(self):
        job = one(rendered("minimal"), "Job", "-migrate-3")
        self.assertNotIn("annotations", job["metadata"])


class Network(unittest.TestCase):
    def outside(self, name: str) -> list[dict]:
        rules = one(rendered(name), "NetworkPolicy", "-worker")["spec"]["egress"]
        blocks = [peer["ipBlock"] for rule in rules for peer in rule.get("to", []) if "ipBlock" in peer]
        return [block for block in blocks if block["cidr"] in ("0.0.0.0/0", "::/0")]

    def test_scripts_never_reach_private_networks_or_the_metadata_address(self):
        import ipaddress

        for name in PROFILES:
            v4, v6 = self.outside(name)
            for block, hidden in (
                (v4, [METADATA_ADDRESS, "10.1.2.3", "172.31.0.1", "192.168.1.1", "100.100.100.200", "127.0.0.1"]),
                (v6, ["fd00:ec2::254", "fe80::1", "::1", "::ffff:10.0.0.1"]),
            ):
                networks = [ipaddress.ip_network(network) for network in block["except"]]
                for address in hidden:
                    self.assertTrue(any(ipaddress.ip_address(address) in network for network in networks), address)
                self.assertFalse(any(ipaddress.ip_address("1.1.1.1") in n for n in networks if n.version == 4))

    def test_exceptions_lie_within_their_block(self):
        import ipaddress

        for block in self.outside("default"):
            for network in block["except"]:
                self.assertTrue(ipaddress.ip_network(network).subnet_of(ipaddress.ip_network(block["cidr"])))

    def test_workers_reach_broker_database_api_dns_and_nothing_else_inside(self):
        rules = one(rendered("production"), "NetworkPolicy", "-worker")["spec"]["egress"]
        ports = [port["port"] for rule in rules for port in rule.get("ports", [])]
        self.assertEqual(ports, [53, 53, 5432, 5671, "http", 80, 443])


class Scaling(unittest.TestCase):
    def test_keda_scales_on_queue_depth_and_outbox(self):
        scaled = one(rendered("production"), "ScaledObject", "-worker")["spec"]
        self.assertEqual([trigger["type"] for trigger in scaled["triggers"]], ["rabbitmq", "postgresql"])
        self.assertEqual(scaled["triggers"][0]["metadata"]["queueName"], "runnerctl.executions")
        self.assertEqual((scaled["minReplicaCount"], scaled["maxReplicaCount"]), (3, 60))
        self.assertFalse([d for d in rendered("production") if d["kind"] == "HorizontalPodAutoscaler" and d["metadata"]["name"].endswith("-worker")])

    def test_hpa_is_the_fallback_and_leaves_replicas_alone(self):
        documents = rendered("default")
        for component in ("api", "worker"):
            one(documents, "HorizontalPodAutoscaler", f"-{component}")
            self.assertNotIn("replicas", one(documents, "Deployment", f"-{component}")["spec"])
        fixed = render(merged(profile("default"), {"worker": {"autoscaling": {"mode": "none"}, "replicas": 5}}))
        self.assertEqual(one(fixed, "Deployment", "-worker")["spec"]["replicas"], 5)


class Monitoring(unittest.TestCase):
    def test_rules_are_the_tested_ones_with_the_installations_runbooks(self):
        rule = one(rendered("production"), "PrometheusRule", "runnerctl")
        tested = yaml.safe_load((CHART / "files/rules.yaml").read_text())
        shipped = json.loads(json.dumps(rule["spec"]).replace("https://runbooks.example.com/runnerctl/", "docs/runbooks/"))
        self.assertEqual(shipped, tested)

    def test_every_alert_is_tested_and_has_a_runbook(self):
        rules = yaml.safe_load((CHART / "files/rules.yaml").read_text())
        tested = (Path(__file__).parent / "rules_test.yaml").read_text()
        for rule in (rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule):
            with self.subTest(rule["alert"]):
                self.assertIn(f"alertname: {rule['alert']}\n", tested)
                runbook = (ROOT / rule["annotations"]["runbook_url"]).read_text()
                self.assertIn(rule["alert"], runbook)
                for heading in ("## Look", "## Do"):
                    self.assertIn(heading, runbook)

    def test_promtool_agrees(self):
        tests = Path(__file__).parent / "rules_test.yaml"
        for arguments in (["check", "rules", CHART / "files/rules.yaml"], ["test", "rules", tests]):
            done = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_rules_and_dashboards_use_metrics_that_exist(self):
        known = set(re.findall(r"^\| `(runnerctl_\w+)` \| (\w+)", (ROOT / "docs/metrics.md").read_text(), re.M))
        series = {name for name, _ in known} | {name + end for name, kind in known if kind == "histogram" for end in ("_bucket", "_sum", "_count")}
        texts = [CHART / "files/rules.yaml", *(CHART / "files/dashboards").glob("*.json")]
        for text in texts:
            self.assertLessEqual(set(re.findall(r"\brunnerctl_\w+", text.read_text())), series, text.name)

    def test_dashboards_are_in_the_config_map(self):
        data = one(rendered("production"), "ConfigMap", "-dashboards")["data"]
        self.assertEqual(set(data), {path.name for path in (CHART / "files/dashboards").glob("*.json")})
        for text in data.values():
            self.assertTrue(json.loads(text)["panels"])


if __name__ == "__main__":
    unittest.main()
