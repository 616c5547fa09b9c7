"""Writes helm/runnerctl/values.schema.json from values.yaml and the rules below; run it after changing values.

Types come from the defaults, so that no value can be added without one; what a default can't say is in RULES.
"""

import json
import sys
from pathlib import Path

import yaml

CHART = Path(__file__).parent.parent / "runnerctl"
PORT = {"minimum": 1, "maximum": 65535}
COUNT = {"minimum": 1}
MIB = 1024 * 1024
RULES = {
    "image.digest": {"pattern": "^$|^sha256:[0-9a-f]{64}$"},
    "image.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "credentials.database.url": {"pattern": "^$|^postgres(ql)?://"},
    "credentials.broker.url": {"pattern": "^$|^amqps?://"},
    "config.apiBaseUrl": {"pattern": "^$|^https?://"},
    "config.controlServiceBaseUrl": {"pattern": "^$|^https?://"},
    "config.executionTimeoutMs": {"minimum": 100, "maximum": 900000},
    "config.initTimeoutMs": {"minimum": 100, "maximum": 60000},
    "config.isolateMemoryMb": {"minimum": 16, "maximum": 4096},
    "config.maxResultBytes": {"minimum": 1, "maximum": 2 * MIB},
    "config.maxLogBytes": {"minimum": 1, "maximum": 2 * MIB},
    "config.maxLogLines": {"minimum": 1, "maximum": 100_000},
    "config.maxFetches": {"minimum": 0, "maximum": 10_000},
    "config.maxResponseBytes": {"minimum": 1, "maximum": 11 * MIB},
    "config.logFormat": {"enum": ["json", "pretty"]},
    "config.otlpEndpoint": {"pattern": "^$|^https?://"},
    "api.replicas": COUNT,
    "api.databasePoolSize": {"minimum": 2, "maximum": 500},
    "api.rateLimitPerS": {"minimum": 0, "maximum": 4_294_967_295},
    "api.queueQuota": {"minimum": 0},
    "api.workspaceConcurrency": {"minimum": 0, "maximum": 2_147_483_647},
    "api.retentionDays": {"minimum": 0, "maximum": 36_500},
    "api.autoscaling.minReplicas": COUNT,
    "api.autoscaling.maxReplicas": COUNT,
    "api.autoscaling.targetCpuPercent": {"minimum": 1, "maximum": 100},
    "api.service.type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    "api.service.port": PORT,
    "api.podDisruptionBudget.maxUnavailable": {"type": ["integer", "string"]},
    "worker.replicas": COUNT,
    "worker.concurrency": {"minimum": 1, "maximum": 256},
    "worker.autoscaling.mode": {"enum": ["keda", "hpa", "none"]},
    "worker.autoscaling.minReplicas": COUNT,
    "worker.autoscaling.maxReplicas": COUNT,
    "worker.autoscaling.targetCpuPercent": {"minimum": 1, "maximum": 100},
    "worker.autoscaling.targetSlotPercent": {"minimum": 1, "maximum": 100},
    "worker.autoscaling.acceptedWaitSeconds": {"minimum": 0, "maximum": 3600},
    # The most that Kubernetes allows.
    "worker.autoscaling.scaleDownWindowSeconds": {"minimum": 0, "maximum": 3600},
    "worker.podDisruptionBudget.maxUnavailable": {"type": ["integer", "string"]},
    "worker.drainTimeoutS": {"minimum": 1, "maximum": 3600},
    "networkPolicy.databasePort": PORT,
    "networkPolicy.brokerPort": PORT,
    "networkPolicy.scriptPorts": {"items": {"type": "integer", **PORT}},
    "networkPolicy.scriptDeniedCidrs": {"items": {"type": "string", "pattern": "/[0-9]+$"}},
    "monitoring.runbookBaseUrl": {"pattern": "^$|^https?://"},
    "monitoring.interval": {"pattern": "^[0-9]+(ms|s|m)$"},
    "databaseBudget.maxConnections": {"minimum": 0, "maximum": 262_143},
    "worker.databasePoolSize": {"minimum": 2, "maximum": 500},
    "worker.groups": {
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name", "replicas"],
            "properties": {
                "name": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$", "not": {"const": "default"}},
                "replicas": COUNT | {"type": "integer"},
                "concurrency": {"type": "integer", "minimum": 1, "maximum": 256},
                "databasePoolSize": {"type": "integer", "minimum": 2, "maximum": 500},
                **{key: {"type": "array"} for key in ("extraEnv", "tolerations")},
                **{key: {"type": "object"} for key in ("resources", "podAnnotations", "podLabels", "nodeSelector", "affinity")},
            },
        }
    },
    "extraObjects": {"items": {"type": ["object", "string"]}},
    "topologySpreadConstraints": {"items": {"type": "object"}},
}
# Objects whose keys are the administrator's own.
FREE = ("labels", "annotations", "podAnnotations", "nodeSelector", "affinity", "commonLabels", "resources")


def schema_of(value: object, path: str) -> dict:
    match value:
        case dict() if path.rsplit(".", 1)[-1] in FREE:
            schema = {"type": "object"}
        case dict():
            children = {key: schema_of(child, f"{path}.{key}".lstrip(".")) for key, child in value.items()}
            schema = {"type": "object", "additionalProperties": False, "properties": children}
        case bool():
            schema = {"type": "boolean"}
        case int():
            schema = {"type": "integer"}
        case list():
            schema = {"type": "array"}
        case _:
            schema = {"type": "string"}
    return schema | RULES.get(path, {})


def schema() -> str:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    top = {"$schema": "http://json-schema.org/draft-07/schema#"} | schema_of(values, "")
    # Set by Helm for subcharts and parents.
    top["properties"]["global"] = {"type": "object"}
    return json.dumps(top, indent=2) + "\n"


if __name__ == "__main__":
    (CHART / "values.schema.json").write_text(schema())
    sys.exit(0)
