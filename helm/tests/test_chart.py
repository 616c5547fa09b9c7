"""The chart, rendered by the real Helm engine and held to Kubernetes' own schemas and to our promises."""

import json
import re
import subprocess
import tempfile
import unittest
from functools import cache
from pathlib import Path

import helm_python.chart as helm
import jsonschema
import kubernetes_validate
import readme
import schema
import yaml
from helm_python.errors import HelmError

CHART = Path(__file__).parent.parent / "runnerctl"
ROOT = CHART.parent.parent
PROFILES = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))
KUBERNETES = ("1.30", "1.35")
# What the chart uses of KEDA's and the Prometheus operator's kinds, after their documentation; a field that is not
# listed there is refused.
CUSTOM_KINDS = json.loads((Path(__file__).parent / "custom_kinds.json").read_text())
METADATA_ADDRESSES = ("169.254.169.254", "fd00:ec2::254")
# Measured: the supervisor's own memory, and that of a sandbox process without a run, in MiB.
SUPERVISOR_MI, AT_REST_MI = 128, 48


def seconds(source: str, constant: str) -> int:
    """A duration of the code, in seconds."""
    return int(re.search(rf"const {constant}: Duration = Duration::from_secs\((\d+)\);", (ROOT / source).read_text())[1])


def profile(name: str) -> dict:
    return yaml.safe_load((CHART / "ci" / f"{name}.yaml").read_text())


def merged(values: dict, more: dict) -> dict:
    return values | {key: merged(values.get(key, {}), value) if isinstance(value, dict) else value for key, value in more.items()}


def render(values: dict, name: str = "demo", namespace: str = "runners") -> list[dict]:
    with helm.Chart.load(CHART) as chart:
        chart.validate_schema(values)
        texts = chart.render(values, name=name, namespace=namespace, revision=3, is_upgrade=True)
    documents = (yaml.safe_load_all(text) for path, text in texts.items() if path.endswith(".yaml"))
    return [document for stream in documents for document in stream if document]


@cache
def rendered(name: str) -> list[dict]:
    return render(profile(name))


def notes(values: dict) -> str:
    with helm.Chart.load(CHART) as chart:
        texts = chart.render(values, name="demo", namespace="runners", revision=1, is_upgrade=False)
    return next(text for path, text in texts.items() if path.endswith("NOTES.txt"))


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
                if document["kind"] in CUSTOM_KINDS:
                    with self.subTest(profile=name, object=f"{document['kind']}/{document['metadata']['name']}"):
                        jsonschema.validate(document, CUSTOM_KINDS[document["kind"]])
                    continue
                for version in KUBERNETES:
                    with self.subTest(profile=name, object=f"{document['kind']}/{document['metadata']['name']}", kubernetes=version):
                        kubernetes_validate.validate(document, version, strict=True)

    def test_every_custom_kind_is_rendered_and_checked(self):
        kinds = {document["kind"] for name in PROFILES for document in rendered(name)}
        self.assertLessEqual(CUSTOM_KINDS.keys(), kinds)
        scaled = json.loads(json.dumps(one(rendered("production"), "ScaledObject", "-worker")))
        scaled["spec"]["triggers"][0]["metadata"]["queue"] = "runnerctl.executions"
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.validate(scaled, CUSTOM_KINDS["ScaledObject"])

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
        self.refused({"monitoring": {"enabled": True}}, r"monitoring\.runbookBaseUrl is required")

    def test_a_minimum_above_the_maximum_is_refused(self):
        for program in ("api", "worker"):
            more = {program: {"autoscaling": {"minReplicas": 5, "maxReplicas": 4}}}
            self.refused(more, f"{program}.autoscaling.minReplicas is 5 and must be at most {program}.autoscaling.maxReplicas, which is 4")

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
        self.assertEqual(variables["AMQP_URL"]["valueFrom"]["secretKeyRef"], {"name": "runnerctl-broker", "key": "uri"})
        self.assertEqual(variables["RUNNER_HMAC_SECRET_KEY"]["valueFrom"]["secretKeyRef"], {"name": "runnerctl-keys", "key": "signing"})
        self.assertEqual(variables["ENCRYPTION_KEY"]["valueFrom"]["secretKeyRef"], {"name": "runnerctl-keys", "key": "encryption"})
        api = environment(one(documents, "Deployment", "-api")["spec"]["template"]["spec"]["containers"][0])
        for name in ("DATABASE_URL", "AMQP_URL", "RUNNER_HMAC_SECRET_KEY", "ENCRYPTION_KEY"):
            self.assertEqual(api[name], variables[name])

    def test_passwords_with_special_characters_survive_in_urls(self):
        secret = one(rendered("minimal"), "Secret", "-credentials")
        self.assertIn("runnerctl:trial%20%26%20error@", secret["stringData"]["DATABASE_URL"])

    def test_pods_outlive_their_endpoint_and_their_drain(self):
        drains = {
            "api": seconds("api/src/cli/serve.rs", "DRAIN_TIMEOUT"),
            # The last writes, then the last responses.
            "worker": seconds("worker/src/consumer/mod.rs", "LAST_WRITES_TIMEOUT") + seconds("worker/src/serve.rs", "LAST_RESPONSES_TIMEOUT"),
        }
        last_spans = seconds("shared/src/telemetry/traces.rs", "LAST_EXPORT_TIMEOUT")
        for name in PROFILES:
            for program, drain in drains.items():
                with self.subTest(profile=name, program=program):
                    pod = one(rendered(name), "Deployment", f"-{program}")["spec"]["template"]["spec"]
                    container = pod["containers"][0]
                    drain_timeout = int(environment(container).get("DRAIN_TIMEOUT_S", {"value": 0})["value"])
                    sleep = container["lifecycle"]["preStop"]["sleep"]["seconds"]
                    self.assertGreaterEqual(sleep, 5)
                    self.assertGreater(pod["terminationGracePeriodSeconds"], sleep + drain_timeout + drain + last_spans)

    def test_worker_memory_covers_the_limits_of_its_sandboxes(self):
        run = (ROOT / "worker/src/supervisor/run.rs").read_text()
        beside = int(re.search(r"RESIDENT_OVERHEAD_BYTES: usize = (\d+) \* 1024 \* 1024;", run)[1])
        spares = int(re.search(r"spares: (\d+),", (ROOT / "worker/src/supervisor/pool.rs").read_text())[1])
        for concurrency, memory in ((4, 128), (8, 256)):
            values = merged(profile("default"), {"worker": {"concurrency": concurrency}, "config": {"isolateMemoryMb": memory}})
            resources = one(render(values), "Deployment", "-worker")["spec"]["template"]["spec"]["containers"][0]["resources"]
            limit = int(resources["limits"]["memory"].removesuffix("Mi"))
            children = concurrency * (memory + beside) + spares * AT_REST_MI
            self.assertEqual(limit, SUPERVISOR_MI + children)
            self.assertEqual(resources["requests"]["memory"], f"{SUPERVISOR_MI + (concurrency + spares) * AT_REST_MI}Mi")

    def test_a_zone_or_node_that_fails_takes_a_share(self):
        documents = rendered("default")
        for component in ("api", "worker"):
            template = one(documents, "Deployment", f"-{component}")["spec"]["template"]
            spread = template["spec"]["topologySpreadConstraints"]
            self.assertEqual([constraint["topologyKey"] for constraint in spread], ["topology.kubernetes.io/zone", "kubernetes.io/hostname"])
            for constraint in spread:
                self.assertEqual(constraint["maxSkew"], 1)
                self.assertLessEqual(constraint["labelSelector"]["matchLabels"].items(), template["metadata"]["labels"].items())
        own = [{"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
        pod = one(render(merged(profile("default"), {"topologySpreadConstraints": own})), "Deployment", "-worker")["spec"]["template"]["spec"]
        self.assertEqual(pod["topologySpreadConstraints"], own)

    def test_probes_use_served_paths_on_the_open_port(self):
        served = {"api": (ROOT / "api/src/http/health.rs").read_text(), "worker": (ROOT / "worker/src/http/mod.rs").read_text()}
        for component, source in served.items():
            container = one(rendered("default"), "Deployment", f"-{component}")["spec"]["template"]["spec"]["containers"][0]
            opened = {port["name"]: port["containerPort"] for port in container["ports"]}
            self.assertEqual(opened["http"], int(environment(container)["PORT"]["value"]))
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                ask = container[probe]["httpGet"]
                self.assertEqual(ask["port"], "http")
                self.assertIn(f'"{ask["path"]}"', source)
            # A start is given a minute; a database that is away for half a minute kills nobody.
            self.assertGreaterEqual(container["startupProbe"]["periodSeconds"] * container["startupProbe"]["failureThreshold"], 60)
            self.assertGreaterEqual(container["livenessProbe"]["periodSeconds"] * container["livenessProbe"]["failureThreshold"], 60)

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


def ports(rule: dict) -> list:
    return [port["port"] for port in rule.get("ports", [])]


def blocks(rules: list[dict]) -> list[dict]:
    return [peer["ipBlock"] for rule in rules for peer in rule.get("to", []) if "ipBlock" in peer]


class Network(unittest.TestCase):
    def outside(self, name: str) -> list[dict]:
        scripts = one(rendered(name), "NetworkPolicy", "-worker")["spec"]["egress"][-1:]
        return [block for block in blocks(scripts) if block["cidr"] in ("0.0.0.0/0", "::/0")]

    def test_scripts_cannot_reach_private_or_metadata_addresses(self):
        import ipaddress

        for name in PROFILES:
            v4, v6 = self.outside(name)
            for block, hidden in (
                (v4, [METADATA_ADDRESSES[0], "10.1.2.3", "172.31.0.1", "192.168.1.1", "100.100.100.200", "127.0.0.1"]),
                (v6, [METADATA_ADDRESSES[1], "fe80::1", "::1"]),
            ):
                networks = [ipaddress.ip_network(network) for network in block["except"]]
                for address in hidden:
                    self.assertTrue(any(ipaddress.ip_address(address) in network for network in networks), address)
                self.assertFalse(any(ipaddress.ip_address("1.1.1.1") in n for n in networks if n.version == 4))

    def test_excepted_networks_lie_within_their_block(self):
        import ipaddress

        denied = {"networkPolicy": {"scriptDeniedCidrs": ["203.0.113.0/24", "2001:db8::/32"]}}
        everywhere = [render(merged(profile("default"), denied))] + [rendered(name) for name in PROFILES]
        for policy in (d for documents in everywhere for d in documents if d["kind"] == "NetworkPolicy"):
            for block in blocks(policy["spec"]["egress"]):
                whole = ipaddress.ip_network(block["cidr"])
                for network in map(ipaddress.ip_network, block.get("except", [])):
                    self.assertEqual(network.version, whole.version)
                    self.assertTrue(network.subnet_of(whole) and network != whole)
                    # Go takes a mapped address for IPv4, which lies in no block of IPv6.
                    self.assertIsNone(getattr(network.network_address, "ipv4_mapped", None), network)
        rules = one(everywhere[0], "NetworkPolicy", "-worker")["spec"]["egress"]
        exceptions = {block["cidr"]: block["except"] for block in blocks(rules[-1:])}
        self.assertIn("203.0.113.0/24", exceptions["0.0.0.0/0"])
        self.assertIn("2001:db8::/32", exceptions["::/0"])

    def test_workers_reach_only_the_listed_services_inside(self):
        network = profile("production")["networkPolicy"]
        dns, database, broker, collector, api, outside = one(rendered("production"), "NetworkPolicy", "-worker")["spec"]["egress"]
        self.assertEqual(ports(dns), [53, 53])
        self.assertEqual((ports(database), database["to"]), ([5432], network["databasePeers"]))
        self.assertEqual((ports(broker), broker["to"]), ([5671], network["brokerPeers"]))
        self.assertEqual((ports(collector), collector["to"]), ([4318], network["otlpPeers"]))
        self.assertEqual((ports(api), [list(peer) for peer in api["to"]]), (["http"], [["podSelector"]]))
        self.assertEqual(api["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"], "api")
        self.assertEqual((ports(outside), [list(peer) for peer in outside["to"]]), ([80, 443], [["ipBlock"], ["ipBlock"]]))

    def test_every_egress_rule_excludes_the_metadata_service(self):
        import ipaddress

        for name in PROFILES:
            for policy in (d for d in rendered(name) if d["kind"] == "NetworkPolicy"):
                for rule in policy["spec"]["egress"]:
                    self.assertTrue(rule.get("to") and rule.get("ports"), f"{name}: a rule without peers or ports allows everything")
                for block in blocks(policy["spec"]["egress"]):
                    hidden = [ipaddress.ip_network(network) for network in block.get("except", [])]
                    for address in map(ipaddress.ip_address, METADATA_ADDRESSES):
                        reached = address in ipaddress.ip_network(block["cidr"]) and not any(address in network for network in hidden)
                        self.assertFalse(reached, f"{name}: {policy['metadata']['name']} lets {address} through")

    def test_the_collectors_port_is_the_endpoints(self):
        for endpoint, port in (("http://otel:4318", 4318), ("https://otlp.example.com", 443), ("http://otel/base", 80)):
            documents = render(merged(profile("default"), {"config": {"otlpEndpoint": endpoint}}))
            for program in ("api", "worker"):
                rules = one(documents, "NetworkPolicy", f"-{program}")["spec"]["egress"]
                self.assertIn([port], [ports(rule) for rule in rules])

    def test_trial_workers_reach_only_the_bundled_servers_and_plane(self):
        rules = one(rendered("minimal"), "NetworkPolicy", "-worker")["spec"]["egress"]
        for component, port in (("postgresql", 5432), ("rabbitmq", 5672)):
            rule = next(rule for rule in rules if ports(rule) == [port])
            labels = [peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in rule["to"]]
            self.assertEqual(labels, [component])
        plane = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "plane"}}}
        self.assertTrue(any(8000 in ports(rule) and plane in rule["to"] for rule in rules))


class Extensions(unittest.TestCase):
    def pod(self, program: str, name: str = "everything") -> dict:
        return one(rendered(name), "Deployment", f"-{program}")["spec"]["template"]["spec"]

    def test_volumes_mounts_and_containers_are_added(self):
        pod = self.pod("api")
        self.assertIn({"name": "proxy-socket", "emptyDir": {}}, pod["volumes"])
        program, proxy = pod["containers"]
        self.assertEqual((program["name"], proxy["name"]), ("api", "cloud-sql-proxy"))
        self.assertIn({"name": "proxy-socket", "mountPath": "/run/proxy"}, program["volumeMounts"])
        for name in PROFILES:
            for program in ("api", "worker"):
                pod = self.pod(program, name)
                mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
                self.assertEqual(mounted, {volume["name"] for volume in pod["volumes"]})

    def test_packages_can_be_unpacked_on_a_read_only_root(self):
        # TMPDIR is not set, so the programs use /tmp.
        for program in ("api", "worker"):
            container = self.pod(program)["containers"][0]
            self.assertIs(container["securityContext"]["readOnlyRootFilesystem"], True)
            self.assertNotIn("TMPDIR", environment(container))
            self.assertIn({"name": "tmp", "mountPath": "/tmp"}, container["volumeMounts"])
            self.assertIn("emptyDir", next(volume for volume in self.pod(program)["volumes"] if volume["name"] == "tmp"))

    def test_a_private_authority_is_trusted_beside_the_public_ones(self):
        for program in ("api", "worker"):
            pod = self.pod(program)
            [volume] = [volume for volume in pod["volumes"] if volume["name"] == "ca-bundle"]
            self.assertEqual(volume["configMap"], {"name": "company-authorities", "items": [{"key": "ca.crt", "path": "ca.crt"}]})
            container = pod["containers"][0]
            [mount] = [mount for mount in container["volumeMounts"] if mount["name"] == "ca-bundle"]
            variables = environment(container)
            # Both are read, and with either of them nothing else is.
            self.assertEqual(variables["SSL_CERT_DIR"]["value"], mount["mountPath"])
            self.assertEqual(variables["SSL_CERT_FILE"]["value"], "/etc/ssl/certs/ca-certificates.crt")
            self.assertNotIn("SSL_CERT_DIR", environment(self.pod(program, "default")["containers"][0]))
        migration = one(rendered("everything"), "Job", "-migrate")["spec"]["template"]["spec"]
        for container in containers(migration):
            self.assertIn("ca-bundle", [mount["name"] for mount in container["volumeMounts"]])

    def test_service_accounts_can_be_ones_own(self):
        accounts = {d["metadata"]["name"]: d for d in rendered("everything") if d["kind"] == "ServiceAccount"}
        self.assertEqual(set(accounts), {"demo-runnerctl-api"})
        self.assertIn("eks.amazonaws.com/role-arn", accounts["demo-runnerctl-api"]["metadata"]["annotations"])
        self.assertEqual((self.pod("api")["serviceAccountName"], self.pod("worker")["serviceAccountName"]), ("demo-runnerctl-api", "workers"))

    def test_extra_objects_are_templates_or_objects(self):
        one(rendered("everything"), "ConfigMap", "company-authorities")
        self.assertEqual(one(rendered("everything"), "ConfigMap", "demo-note")["data"], {"release": "demo"})

    def test_a_worker_group_shares_the_queue_with_settings_of_its_own(self):
        documents = rendered("everything")
        group, default = one(documents, "Deployment", "-worker-large"), one(documents, "Deployment", "-worker")
        self.assertEqual(group["spec"]["replicas"], 2)
        pod, others = group["spec"]["template"]["spec"], default["spec"]["template"]["spec"]
        variables, common = environment(pod["containers"][0]), environment(others["containers"][0])
        self.assertEqual((variables["WORKER_CONCURRENCY"]["value"], common["WORKER_CONCURRENCY"]["value"]), ("1", "4"))
        del variables["WORKER_CONCURRENCY"], common["WORKER_CONCURRENCY"]
        self.assertEqual(variables, common)
        self.assertEqual(pod["nodeSelector"], {"pool": "large"})
        self.assertNotIn("nodeSelector", others)
        self.assertEqual(pod["containers"][0]["resources"]["limits"]["memory"], "432Mi")
        labels = group["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(labels["billing"], "large")
        # A selector can't be changed: that of the other workers is the same with and without groups.
        alone = one(rendered("default"), "Deployment", "-worker")["spec"]["selector"]
        self.assertEqual(default["spec"]["selector"], alone)
        # Each deployment selects its own pods; network policy, budget and monitor mean all workers.
        for deployment, other in ((group, default), (default, group)):
            selector = deployment["spec"]["selector"]["matchLabels"]
            self.assertLessEqual(selector.items(), deployment["spec"]["template"]["metadata"]["labels"].items())
            self.assertFalse(selector.items() <= other["spec"]["template"]["metadata"]["labels"].items())
        for kind in ("Service", "NetworkPolicy", "PodDisruptionBudget"):
            spec = one(documents, kind, "-worker")["spec"]
            selector = spec["selector"] if kind == "Service" else (spec.get("podSelector") or spec["selector"])["matchLabels"]
            self.assertLessEqual(selector.items(), labels.items())

    def test_the_gateway_routes_the_external_api_alone(self):
        route = one(rendered("everything"), "HTTPRoute", "-api")["spec"]
        self.assertEqual([match["path"]["value"] for rule in route["rules"] for match in rule["matches"]], ["/api/v1/runnerctl"])
        service = one(rendered("everything"), "Service", "-api")
        backend = route["rules"][0]["backendRefs"][0]
        self.assertEqual((backend["name"], backend["port"]), (service["metadata"]["name"], service["spec"]["ports"][0]["port"]))
        with self.assertRaisesRegex(HelmError, "api.gateway.parentRefs is required"):
            render(merged(profile("default"), {"api": {"gateway": {"enabled": True}}}))

    def test_the_cookie_of_the_trial_broker_is_not_in_its_volume(self):
        stateful = one(rendered("minimal"), "StatefulSet", "-rabbitmq")["spec"]
        pod = stateful["template"]["spec"]
        mounts = {mount["mountPath"]: mount for mount in pod["containers"][0]["volumeMounts"]}
        # `fsGroup` opens the files of a volume that is mounted again, and Erlang refuses such a cookie.
        self.assertIn("fsGroup", pod["securityContext"])
        home = mounts["/var/lib/rabbitmq"]["name"]
        self.assertEqual(next(volume for volume in pod["volumes"] if volume["name"] == home)["emptyDir"], {})
        self.assertEqual(mounts["/var/lib/rabbitmq/mnesia"], {"name": "data", "mountPath": "/var/lib/rabbitmq/mnesia", "subPath": "mnesia"})
        self.assertLess(list(mounts).index("/var/lib/rabbitmq"), list(mounts).index("/var/lib/rabbitmq/mnesia"))

    def test_plane_in_the_cluster_is_reached_on_its_own_port(self):
        rules = one(rendered("everything"), "NetworkPolicy", "-worker")["spec"]["egress"]
        plane = profile("everything")["networkPolicy"]["planePeers"]
        self.assertEqual([rule["to"] for rule in rules if ports(rule) == [8000]], [plane])
        self.assertEqual(ports(rules[-1]), [80, 443], "scripts reach no other host on that port")
        self.assertNotIn("seems to be in this cluster", notes(profile("everything")))
        without = merged(profile("everything"), {"networkPolicy": {"planePeers": []}, "config": {"sandboxAllowPrivateNetwork": ""}})
        text = notes(without)
        self.assertRegex(text, r"seems to be in this cluster.*\n.*planePeers.*port 8000")
        self.assertIn("config.sandboxAllowPrivateNetwork", text)
        self.assertRegex(notes(merged(profile("default"), {"config": {"apiBaseUrl": "https://plane.example.com:8443"}})), "port 8443, which is not one of")
        self.assertNotIn("8443", notes(profile("default")))


class DatabaseBudget(unittest.TestCase):
    LISTENER, PROBES = 1, 1

    def needed(self, values: dict) -> int:
        """The sum over all processes at their maximum, from the rendered objects."""
        documents = render(values)
        total = 2  # of the migration
        for document in documents:
            if document["kind"] != "Deployment":
                continue
            name = document["metadata"]["name"]
            scalers = [d["spec"] for d in documents if d["kind"] in ("HorizontalPodAutoscaler", "ScaledObject") and d["spec"]["scaleTargetRef"]["name"] == name]
            replicas = document["spec"].get("replicas") or scalers[0].get("maxReplicas") or scalers[0]["maxReplicaCount"]
            surge = document["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
            surge = surge if isinstance(surge, int) else -(-replicas * int(surge.rstrip("%")) // 100)
            pool = int(environment(document["spec"]["template"]["spec"]["containers"][0])["DATABASE_POOL_SIZE"]["value"])
            total += (replicas + surge) * (pool + self.LISTENER + (self.PROBES if name.endswith("-api") else 0))
        return total + (2 if any(d["kind"] == "ScaledObject" for d in documents) else 0)

    def test_the_notes_say_what_the_release_may_need(self):
        for name in PROFILES:
            with self.subTest(name):
                needed = self.needed(profile(name))
                self.assertIn(f"must give this release {needed} connections", notes(profile(name)))

    def test_values_that_may_need_more_than_there_is_are_refused(self):
        needed = self.needed(profile("everything"))
        render(merged(profile("everything"), {"databaseBudget": {"maxConnections": needed}}))
        with self.assertRaisesRegex(HelmError, f"databaseBudget.maxConnections is {needed - 1}, and this release may need {needed}"):
            render(merged(profile("everything"), {"databaseBudget": {"maxConnections": needed - 1}}))

    def test_the_trial_database_gives_what_the_release_may_need(self):
        server = one(rendered("minimal"), "StatefulSet", "-postgresql")["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(server["args"], ["-c", f"max_connections={self.needed(profile('minimal')) + 10}"])

    def test_processes_hold_the_connections_that_are_counted(self):
        # The pools of an api: requests and lists share the size, probes have one of their own.
        pool = (ROOT / "api/src/db/pool.rs").read_text()
        self.assertIn("let requests = (config.pool_size - lists)", pool)
        self.assertIn("probes: lazy_pool(options.options(short), 1, outage)", pool)


class Compose(unittest.TestCase):
    def test_the_limits_of_compose_are_those_of_the_chart(self):
        worker = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["worker"]
        concurrency = int(worker["environment"]["WORKER_CONCURRENCY"])
        values = merged(profile("default"), {"worker": {"concurrency": concurrency}})
        container = one(render(values), "Deployment", "-worker")["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(worker["mem_limit"].replace("m", "Mi"), container["resources"]["limits"]["memory"])
        page = (ROOT / "docs/configuration.md").read_text()
        default = int(re.search(r"^\| `DRAIN_TIMEOUT_S` \| `(\d+)", page, re.M)[1])
        drain = int(worker["environment"].get("DRAIN_TIMEOUT_S", default))
        last = seconds("worker/src/consumer/mod.rs", "LAST_WRITES_TIMEOUT") + seconds("worker/src/serve.rs", "LAST_RESPONSES_TIMEOUT")
        last += seconds("shared/src/telemetry/traces.rs", "LAST_EXPORT_TIMEOUT")
        self.assertGreater(int(worker["stop_grace_period"].rstrip("s")), drain + last)


class Scaling(unittest.TestCase):
    def test_keda_finds_the_trial_servers_from_its_own_namespace(self):
        secret = one(rendered("minimal"), "Secret", "-credentials")["stringData"]
        for variable, server in (("DATABASE_URL", "postgresql"), ("AMQP_URL", "rabbitmq")):
            service = one(rendered("minimal"), "Service", f"-{server}")["metadata"]["name"]
            self.assertIn(f"@{service}.runners:", secret[variable])

    def test_keda_scales_on_the_slots_that_executions_need(self):
        values = merged(profile("production"), {"api": {"workspaceConcurrency": 1000000}, "worker": {"autoscaling": {"acceptedWaitSeconds": 7}}})
        documents = render(values)
        scaled = one(documents, "ScaledObject", "-worker")["spec"]
        [trigger] = scaled["triggers"]
        self.assertEqual(trigger["type"], "postgresql")
        query = trigger["metadata"]["query"]
        self.assertIn("interval '7 seconds'", query)
        self.assertIn("coalesce(s.max_running, 1000000)", query)
        self.assertEqual(re.findall(r"(?<!:):[a-z_]+", query), [], "every parameter is filled in")
        # Eight slots, of which 70 % may be used.
        self.assertEqual(trigger["metadata"]["targetQueryValue"], "5.6")
        authentication = one(documents, "TriggerAuthentication", "-worker")["spec"]["secretTargetRef"]
        self.assertEqual([(reference["parameter"], reference["name"]) for reference in authentication], [("connection", "runnerctl-database")])
        self.assertEqual((scaled["minReplicaCount"], scaled["maxReplicaCount"]), (3, 40))
        self.assertEqual(scaled["fallback"], {"failureThreshold": 3, "replicas": 3, "behavior": "currentReplicasIfHigher"})
        self.assertFalse([d for d in documents if d["kind"] == "HorizontalPodAutoscaler" and d["metadata"]["name"].endswith("-worker")])

    def test_hpa_is_the_fallback_and_leaves_replicas_alone(self):
        documents = rendered("default")
        for component in ("api", "worker"):
            scaler = one(documents, "HorizontalPodAutoscaler", f"-{component}")["spec"]
            self.assertEqual(scaler["scaleTargetRef"], {"apiVersion": "apps/v1", "kind": "Deployment", "name": one(documents, "Deployment", f"-{component}")["metadata"]["name"]})
            self.assertEqual([(m["resource"]["name"], m["resource"]["target"]["averageUtilization"]) for m in scaler["metrics"]], [("cpu", 70)])
            self.assertNotIn("replicas", one(documents, "Deployment", f"-{component}")["spec"])
        fixed = render(merged(profile("default"), {"worker": {"autoscaling": {"mode": "none"}, "replicas": 5}}))
        self.assertEqual(one(fixed, "Deployment", "-worker")["spec"]["replicas"], 5)


class Configuration(unittest.TestCase):
    # Of what nothing but `extraEnv` is said: one's own names in a shared broker, packages for scripts, browsers.
    EXTRA = {"AMQP_PREFIX", "CORS_ALLOWED_ORIGINS", "TEST_RUN_WAIT_S", "SCRIPT_NPM", "SCRIPT_NPM_ALLOW", "NPM_REGISTRY_URL", "ESBUILD_PATH"}

    def variables(self, program: str) -> dict[str, str]:
        """Name and default of what the program reads, from the page that is written from its code."""
        section = re.search(rf"^## {program}\n(.+?)(?=^## |\Z)", (ROOT / "docs/configuration.md").read_text(), re.M | re.S)[1]
        return dict(re.findall(r"^\| `(\w+)` \| `?([^|`]*?)`? \|", section, re.M))

    def container(self, program: str, values: dict) -> dict:
        return environment(one(render(values), "Deployment", f"-{program}")["spec"]["template"]["spec"]["containers"][0])

    def test_every_variable_is_a_value_or_listed_as_extra(self):
        everything = merged(profile("production"), {"config": {"sandboxAllowPrivateNetwork": "10.0.0.0/8"}})
        for program, extra in (("api", self.EXTRA), ("worker", self.EXTRA - {"CORS_ALLOWED_ORIGINS", "TEST_RUN_WAIT_S"})):
            with self.subTest(program):
                read = self.variables(program).keys()
                self.assertEqual(read - self.container(program, everything).keys(), extra)

    def test_the_chart_s_defaults_are_the_programs_own(self):
        # A worker in a cluster has a concurrency of its own, and drains for longer than a run may take.
        chosen = {"WORKER_CONCURRENCY", "DRAIN_TIMEOUT_S", "API_BASE_URL", "CONTROL_SERVICE_BASE_URL"}
        for program in ("api", "worker"):
            read = self.variables(program)
            for name, variable in self.container(program, profile("default")).items():
                if "value" in variable and name in read and name not in chosen:
                    with self.subTest(program=program, name=name):
                        self.assertEqual(variable["value"], read[name])

    def test_the_schema_refuses_what_the_worker_would(self):
        source = (ROOT / "worker/src/config.rs").read_text()
        schema_of_config = json.loads(schema.schema())["properties"]["config"]["properties"]
        limits = re.findall(r'number_in\("(\w+)", [\w.]+, ([\d_]+)\.\.=([\d_]+)( \* MIB)?\)', source)
        values = {re.sub(r"_(.)", lambda m: m[1].upper(), name.lower()): bounds for name, *bounds in limits}
        self.assertLessEqual({"maxResultBytes", "maxLogBytes", "maxLogLines", "maxFetches", "maxResponseBytes", "isolateMemoryMb"}, values.keys())
        for name, (least, most, unit) in values.items():
            if name in schema_of_config:
                with self.subTest(name):
                    bounds = (schema_of_config[name]["minimum"], schema_of_config[name]["maximum"])
                    self.assertEqual(bounds, (int(least), int(most) * (schema.MIB if unit else 1)))


class Notes(unittest.TestCase):
    def notes(self, name: str) -> str:
        with helm.Chart.load(CHART) as chart:
            texts = chart.render(profile(name), name="demo", namespace="runners")
        return next(text for path, text in texts.items() if path.endswith("NOTES.txt"))

    def test_notes_show_the_first_key_and_warn_of_trial_servers(self):
        minimal, production = self.notes("minimal"), self.notes("production")
        deployment = one(rendered("minimal"), "Deployment", "-api")["metadata"]["name"]
        self.assertIn(f"kubectl -n runners exec deploy/{deployment} --", minimal)
        self.assertIn("/usr/local/bin/api keys create --workspace demo --scopes read,write,execute", minimal)
        for server in ("PostgreSQL is the small one", "RabbitMQ is the small one"):
            self.assertIn(server, minimal)
            self.assertNotIn(server, production)
        self.assertIn("Set worker.sandbox.strict", minimal)
        self.assertNotIn("Set worker.sandbox.strict", production)
        self.assertIn("networkPolicy.databasePeers is empty", self.notes("default"))


class Release(unittest.TestCase):
    def test_chart_programs_and_changelog_have_one_version(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        version = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
        self.assertEqual((chart["appVersion"], chart["version"]), (version, version))
        sections = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
        self.assertIn(version, [section.split()[0].strip("[]") for section in sections])

    def test_the_licence_that_is_declared_is_there(self):
        declared = re.search(r'^license = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M)[1]
        self.assertEqual(declared, "AGPL-3.0-only")
        self.assertIn("GNU AFFERO GENERAL PUBLIC LICENSE", (ROOT / "LICENSE").read_text())
        self.assertIn(f'licenses="{declared}"', (ROOT / "Dockerfile").read_text())


class Monitoring(unittest.TestCase):
    def test_the_monitors_find_the_pods_and_their_port(self):
        documents = rendered("production")
        for kind, component, endpoints in (("ServiceMonitor", "api", "endpoints"), ("PodMonitor", "worker", "podMetricsEndpoints")):
            monitor = one(documents, kind, f"-{component}")
            self.assertEqual(monitor["metadata"]["labels"]["release"], "kube-prometheus-stack")
            self.assertEqual([(e["port"], e["path"]) for e in monitor["spec"][endpoints]], [("http", "/metrics")])
            labels = {rule["targetLabel"]: rule["replacement"] for rule in monitor["spec"][endpoints][0]["relabelings"]}
            self.assertEqual(labels, {"namespace": "runners", "release": "demo", "component": component})
            selector = monitor["spec"]["selector"]["matchLabels"].items()
            self.assertLessEqual(selector, one(documents, "Service", f"-{component}")["metadata"]["labels"].items())
            template = one(documents, "Deployment", f"-{component}")["spec"]["template"]
            self.assertLessEqual(selector, template["metadata"]["labels"].items())
            self.assertIn("http", [port["name"] for port in template["spec"]["containers"][0]["ports"]])

    def test_shipped_rules_equal_the_tested_ones(self):
        rule = one(rendered("production"), "PrometheusRule", "runnerctl")
        tested = yaml.safe_load((CHART / "files/rules.yaml").read_text())
        text = json.dumps(rule["spec"]).replace("https://runbooks.example.com/runnerctl/", "docs/runbooks/")
        text = text.replace('namespace=\\"runners\\",release=\\"demo\\"', 'namespace=\\"runnerctl\\",release=\\"runnerctl\\"')
        shipped = json.loads(text.replace('"namespace": "runners", "release": "demo"', '"namespace": "runnerctl", "release": "runnerctl"'))
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

    def test_every_rule_and_panel_is_scoped_by_namespace_and_release(self):
        scopes = {".yaml": 'namespace="runnerctl",release="runnerctl"', ".json": 'namespace="$namespace",release="$release"'}
        for path in (CHART / "files/rules.yaml", *(CHART / "files/dashboards").glob("*.json")):
            if path.suffix == ".yaml":
                rules = [rule for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]
                expressions = [rule["expr"] for rule in rules]
                for rule in rules:
                    self.assertLessEqual({"namespace": "runnerctl", "release": "runnerctl"}.items(), rule["labels"].items(), rule)
            else:
                targets = [target for panel in json.loads(path.read_text())["panels"] for target in panel.get("targets", [])]
                expressions = [target["expr"] for target in targets if "expr" in target]
            selectors = [found for text in expressions for found in re.findall(r"\b(runnerctl[_:][\w:]+|up)\b(\{[^}]*)?", text)]
            self.assertGreater(len(selectors), 15)
            for name, matchers in selectors:
                self.assertTrue(matchers.startswith("{" + scopes[path.suffix]), f"{path.name}: {name}{matchers}")

    def test_two_releases_in_one_prometheus_raise_their_own_alerts(self):
        tests = (Path(__file__).parent / "releases_test.yaml").read_text()
        with tempfile.TemporaryDirectory() as folder:
            for name, namespace in (("runnerctl", "production"), ("trial", "staging")):
                rule = one(render(profile("production"), name, namespace), "PrometheusRule", "")
                (Path(folder) / f"{namespace}.yaml").write_text(yaml.safe_dump(rule["spec"]))
            (Path(folder) / "releases_test.yaml").write_text(tests)
            done = subprocess.run(["promtool", "test", "rules", f"{folder}/releases_test.yaml"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_rules_and_dashboards_use_metrics_that_exist(self):
        known = set(re.findall(r"^\| `(runnerctl_\w+)` \| (\w+)", (ROOT / "docs/metrics.md").read_text(), re.M))
        series = {name for name, _ in known} | {name + end for name, kind in known if kind == "histogram" for end in ("_bucket", "_sum", "_count")}
        texts = [CHART / "files/rules.yaml", *(CHART / "files/dashboards").glob("*.json")]
        for text in texts:
            self.assertLessEqual(set(re.findall(r"\brunnerctl_\w+", text.read_text())), series, text.name)

    def test_rules_and_dashboards_use_only_documented_labels(self):
        page = (ROOT / "docs/metrics.md").read_text()
        section = page.split("## Label values")[1].split("\n## ")[0]
        known: dict[str, dict[str, set | None]] = {}
        for metric, label, values in re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.*) \|$", section, re.M):
            listed = set(re.findall(r"`([^`]+)`", values)) if re.fullmatch(r"(`[^`]+`(, )?)+", values) else None
            known.setdefault(metric, {})[label] = listed
        texts = [CHART / "files/rules.yaml", Path(__file__).parent / "rules_test.yaml"]
        texts += [*(CHART / "files/dashboards").glob("*.json"), *(ROOT / "docs/runbooks").glob("*.md")]
        checked = 0
        for text in texts:
            source = text.read_text().replace('\\"', '"')
            for name, matchers in re.findall(r"\b(runnerctl_\w+)\{([^}]*)\}", source):
                metric = name if name in known else re.sub(r"_(bucket|sum|count)$", "", name)
                for label, value in re.findall(r'(\w+)\s*=~?\s*"([^"]*)"', matchers):
                    if label in ("job", "instance", "le", "namespace", "release"):
                        continue
                    with self.subTest(text.name, metric=metric, label=label, value=value):
                        self.assertIn(label, known.get(metric, {}))
                        allowed = known[metric][label]
                        if allowed is not None:
                            self.assertLessEqual(set(value.split("|")), allowed)
                        checked += 1
            for labels, metric in re.findall(r"by \(([^)]*)\) \((?:rate|increase)?\(?(runnerctl_\w+)", source):
                metric = metric if metric in known else re.sub(r"_(bucket|sum|count)$", "", metric)
                grouped = {label.strip() for label in labels.split(",")} - {"le", "job", "instance"}
                self.assertLessEqual(grouped, known.get(metric, {}).keys(), f"{text.name}: by ({labels}) {metric}")
        self.assertGreater(checked, 20)

    def test_dashboards_are_in_the_config_map(self):
        data = one(rendered("production"), "ConfigMap", "-dashboards")["data"]
        self.assertEqual(set(data), {path.name for path in (CHART / "files/dashboards").glob("*.json")})
        for text in data.values():
            self.assertTrue(json.loads(text)["panels"])


if __name__ == "__main__":
    unittest.main()
