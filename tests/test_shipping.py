"""What is shipped beside the code says what the code is: names, paths, commands; and is careful."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.urls import resolve

from tests.dockerfile import ROOT, of

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
# The services of compose.yaml that run Chatflow.
OURS = {
    name: service
    for name, service in COMPOSE["services"].items()
    if service["image"] == "${CHATFLOW_IMAGE:-chatflow}"
}
USER = 10001


def settings() -> set[str]:
    known = re.findall(r"^# ([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M)
    # What names the file of the others is no setting.
    return {*known, "ENV_FILE"}


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield Kubernetes' objects, each with the name of its file."""
    for path in sorted(KUBERNETES.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield path.name, document


def pods() -> dict[str, dict[str, Any]]:
    """Return the specs of the pods, by the name of what makes them."""
    found = {}
    for _, each in documents():
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            found[each["metadata"]["name"]] = spec["template"]["spec"]
    return found


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


# The image.


def test_the_image_is_no_root_s_and_known() -> None:
    assert of("USER")[-1] == f"{USER}:{USER}"
    assert all(base == "${BASE}" or base.startswith("${BASE} AS ") for base in of("FROM"))
    [base] = of("ARG")
    assert re.fullmatch(r"BASE=python:3\.\d+-slim-\w+", base)
    assert of("ADD") == []
    assert any("--require-hashes" in run for run in of("RUN"))
    for run in of("RUN"):
        if "apt-get install" in run:
            assert "--no-install-recommends" in run
            assert run.endswith("rm -rf /var/lib/apt/lists/*")


def test_its_commands_are_no_shell_s() -> None:
    """A shell as PID 1 would not pass on SIGTERM."""
    [entry], [command], [health] = of("ENTRYPOINT"), of("CMD"), of("HEALTHCHECK")
    assert json.loads(entry) == ["tini", "--"]
    assert json.loads(command)[0] == "uvicorn"
    assert json.loads(health.partition("CMD ")[2])[0] == "python"


def test_no_secret_is_in_it() -> None:
    for name in ("ENV", "ARG"):
        for rest in of(name):
            assert not re.search("SECRET|PASSWORD|TOKEN|KEY", rest, re.IGNORECASE)
    ignored, *let_in = (
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith(("#", "**"))
    )
    assert ignored == "*"
    taken = {
        source
        for rest in of("COPY")
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert {f"!{source}" for source in taken} == set(let_in)
    assert all((ROOT / source).exists() for source in taken)
    # And of what is let in, all that may lie there.
    assert {"**/.env", "**/*.sqlite3*"} <= set((ROOT / ".dockerignore").read_text().splitlines())


def test_the_web_server_is_started_alike_everywhere() -> None:
    def options(command: list[str]) -> list[str]:
        begin = next(i for i, word in enumerate(command) if word.endswith("uvicorn"))
        return command[begin + 1 : command.index("--host")]

    unit = re.findall(r"^ExecStart=(.+)", (DEPLOY / "chatflow-web@.service").read_text(), re.M)
    procfile = re.findall(r"^web: (.+)", (ROOT / "Procfile").read_text(), re.M)
    [command] = of("CMD")
    assert (
        options(json.loads(command))
        == options(shlex.split(unit[0]))
        == options(shlex.split(procfile[0]))
    )


# Compose.


def test_compose_names_settings_only() -> None:
    for service in OURS.values():
        assert set(service.get("environment", {})) <= settings()


@pytest.mark.parametrize("name", OURS)
def test_a_service_may_write_nothing(name: str) -> None:
    service = OURS[name]
    # Else Compose would look for the image in a registry.
    assert service["build"] == "."
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # The one that makes the secrets' file owns it, and reaches nothing.
    assert "user" not in service or service["network_mode"] == "none"


def test_what_compose_waits_for_is_there() -> None:
    services = COMPOSE["services"]
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            other = services[name]
            assert wanted["condition"] != "service_healthy" or "healthcheck" in other
            # What is to end must not be started again.
            ends = wanted["condition"] == "service_completed_successfully"
            assert not ends or other.get("restart", "no") == "no"


def test_a_cluster_has_the_time_to_drain() -> None:
    unit = (DEPLOY / "chatflow-cluster.service").read_text()
    [grace, stop] = re.search(r"--grace (\d+)\n[\s\S]*TimeoutStopSec=(\d+)", unit).groups()  # type: ignore[union-attr]
    pod = pods()["cluster"]
    [container] = pod["containers"]
    for command, seconds in (
        (["--grace", grace], int(stop)),
        (OURS["cluster-a"]["command"], int(OURS["cluster-a"]["stop_grace_period"][:-1])),
        (container["args"], pod["terminationGracePeriodSeconds"]),
    ):
        assert int(command[command.index("--grace") + 1]) + 10 <= seconds


def test_compose_s_nginx_is_the_other_one() -> None:
    """But for https, and for where the web processes are."""

    def locations(path: str) -> list[str]:
        text = (DEPLOY / path).read_text()
        places = re.findall(r"^    location .*?^    \}", text, re.M | re.S)
        headers = re.findall(r"^    proxy_set_header .*", text, re.M)
        return [*places, *headers, *re.findall(r"^    proxy_\w+_timeout .*", text, re.M)]

    plain = [
        each.replace("$chatflow;", "http://chatflow;") for each in locations("docker/nginx.conf")
    ]
    assert plain == locations("nginx.conf")


# Kubernetes.


def test_kubernetes_names_settings_only() -> None:
    for path in ("settings.env", "secret.env.example"):
        names = re.findall(r"^(\w+)=", (KUBERNETES / path).read_text(), re.M)
        assert names
        assert set(names) <= settings()


def test_every_file_is_applied() -> None:
    kustomization = dict(documents())["kustomization.yaml"]
    assert {*kustomization["resources"], "kustomization.yaml"} == {
        path.name for path in KUBERNETES.glob("*.yaml")
    }


@pytest.mark.parametrize("name", pods())
def test_a_pod_has_no_rights(name: str) -> None:
    """None but those that a namespace with Kubernetes' standard "restricted" demands to lack."""
    pod = pods()[name]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    for container in containers(pod):
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
        # `command` would replace the image's init.
        assert "command" not in container


def test_the_probes_ask_for_what_is_there() -> None:
    [web] = pods()["web"]["containers"]
    asked = {name: web[name]["httpGet"]["path"] for name in web if name.endswith("Probe")}
    assert asked == {
        "startupProbe": "/healthz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    for path in {*asked.values(), *re.findall(r":8000(/\w+)", (ROOT / "Dockerfile").read_text())}:
        resolve(path)


def test_a_web_process_serves_until_nobody_asks_it() -> None:
    pod = pods()["web"]
    [web] = pod["containers"]
    [_, seconds] = web["lifecycle"]["preStop"]["exec"]["command"]
    assert int(seconds) + 30 < pod["terminationGracePeriodSeconds"]


def test_the_services_find_their_pods() -> None:
    labels = [
        each["spec"]["template"]["metadata"]["labels"]
        for _, each in documents()
        if each["kind"] == "Deployment"
    ]
    for _, each in documents():
        selector = each.get("spec", {}).get("selector")
        if selector:
            assert selector.get("matchLabels", selector) in labels
