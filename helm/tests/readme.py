"""Writes helm/runnerctl/README.md: its table of values comes from the `# --` comments of values.yaml."""

import json
from pathlib import Path

import yaml

CHART = Path(__file__).parent.parent / "runnerctl"
HEAD = """# The RunnerCtl chart

Installs the api, the workers, and a job that migrates the database before every install and upgrade. PostgreSQL and
RabbitMQ are not part of it; for a trial the chart can install small ones:

    helm install runnerctl helm/runnerctl --set config.apiBaseUrl=https://plane.example.com \\
      --set postgresql.enabled=true --set postgresql.password=trial \\
      --set rabbitmq.enabled=true --set rabbitmq.password=trial \\
      --set credentials.signing.key=$(openssl rand -hex 32) --set credentials.encryption.key=$(openssl rand -base64 32)

For production, keep each credential in a Secret of your own and name it: [ci/production.yaml](ci/production.yaml) is a
complete example. docs/operator-guide.md describes sizing, upgrades, rotation and recovery. docs/security.md describes what the
sandbox needs from a node, and the seccomp profile that lets it create namespaces.

## Values

Written from the comments in values.yaml by helm/tests/readme.py.

| value | default | meaning |
|---|---|---|
"""


def rows() -> list[tuple[str, str]]:
    """(path, comment) of every documented value, in the order of the file."""
    found, path, comment = [], [], None
    for line in (CHART / "values.yaml").read_text().splitlines():
        text = line.strip()
        if text.startswith("# -- "):
            comment = text[5:]
        elif text and not text.startswith("#"):
            depth = (len(line) - len(line.lstrip())) // 2
            path = path[:depth] + [text.split(":", 1)[0]]
            if comment:
                found.append((".".join(path), comment))
            comment = None
    return found


def value_at(values: dict, path: str) -> object:
    for key in path.split("."):
        values = values[key]
    return values


def readme() -> str:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    table = [f"| `{path}` | `{json.dumps(value_at(values, path))}` | {comment} |" for path, comment in rows()]
    return HEAD + "\n".join(table) + "\n"


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme())
