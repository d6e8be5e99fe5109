"""The image, compose.yaml and the manifests, held against the code that they start."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import requests
import yaml

from jobprov.app.cli import jobprov
from jobprov.app.config import SETTINGS, load_settings
from jobprov.app.serving.server import DRAIN_SECONDS
from tests.deploy.conftest import FrontedService
from tests.library.servers.live_service import LiveService

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
GUIDE = ROOT / "docs" / "how-to" / "run-a-stack.md"
DATA = "/data"
OF_OTHERS = {
    *("AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_SECRET_ACCESS_KEY"),
    "PGPASSWORD",
}
"""What the clients of S3 and PostgreSQL take from the environment."""


def documents(file: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def compose() -> dict[str, Any]:
    return documents(DEPLOY / "compose" / "compose.yaml")[0]


def manifests() -> Iterator[dict[str, Any]]:
    for file in sorted(KUBERNETES.glob("*/*.yaml")):
        if file.name != "kustomization.yaml":
            yield from documents(file)


def pods() -> dict[str, dict[str, Any]]:
    """Return the pods of the manifests by the name of what makes them."""
    found = {}
    for manifest in manifests():
        spec = manifest["spec"]
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            found[manifest["metadata"]["name"]] = spec["template"]["spec"]
    return found


def of_kind(kind: str) -> dict[str, Any]:
    return next(manifest for manifest in manifests() if manifest["kind"] == kind)


def is_understood(words: list[str]) -> bool:
    """Return whether `jobprov` has this command with these options; it is not run."""
    command: click.Command | None = jobprov
    rest = list(words)
    while isinstance(command, click.Group) and rest:
        context = click.Context(command)
        command = command.get_command(context, rest.pop(0))
    return command is not None and command.make_context(words[0], rest) is not None


def image_lines(word: str) -> list[str]:
    """Return what follows an instruction of the Containerfile, of each of them."""
    text = (DEPLOY / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.partition(" ")[2] for line in text.splitlines() if line.startswith(f"{word} ")]


def image_environment() -> dict[str, str]:
    [line] = image_lines("ENV")
    return dict(pair.split("=", 1) for pair in shlex.split(line))


# Names


@pytest.mark.parametrize(
    "file",
    [
        DEPLOY / "Containerfile",
        DEPLOY / "compose" / "compose.yaml",
        DEPLOY / "systemd" / "jobprov.env",
        DEPLOY / "nginx" / "proxy.conf",
        KUBERNETES / "base" / "settings.env",
        KUBERNETES / "secret.example.yaml",
        GUIDE,
    ],
    ids=lambda file: file.name,
)
def test_settings_that_are_named_exist(file: Path) -> None:
    named = set(re.findall(r"\b(?:JOBPROV|AWS|PG)_?[A-Z][A-Z_]*", file.read_text(encoding="utf-8")))

    assert named - {setting.name for setting in SETTINGS} - OF_OTHERS == set()
    assert named


def test_values_are_taken() -> None:
    lines = re.findall(
        r"^#?(JOBPROV_\w+)=(.+)$",
        "\n".join(
            (DEPLOY / name).read_text(encoding="utf-8")
            for name in ("systemd/jobprov.env", "kubernetes/base/settings.env")
        ),
        re.MULTILINE,
    )

    assert load_settings(dict(lines), {}).trusted_proxies == 1
    assert load_settings(image_settings(), {}).host == "0.0.0.0"  # noqa: S104 - of the image


def image_settings() -> dict[str, str]:
    settings = image_environment()
    return {name: value for name, value in settings.items() if name.startswith("JOBPROV_")}


# The image


def test_image_is_made_of_what_the_wheel_is_made_of() -> None:
    copied = {word for line in image_lines("COPY") for word in line.split()[:-1]}
    links = {link.resolve().name for link in (ROOT / "jobprov").iterdir() if link.is_symlink()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    needed = {*links, "jobprov", "pyproject.toml", "requirements/production.txt"}
    assert copied - {"--from=build", "/opt/jobprov", "./"} == (
        needed | {project["readme"], *project["license-files"]}
    )
    assert all((ROOT / name).exists() for name in needed)


def test_image_has_every_package_that_a_service_uses() -> None:
    """Also for tables: who runs the image cannot install anything in it."""
    lock = (ROOT / "scripts" / "lock").read_text(encoding="utf-8")
    [production] = re.findall(r"^pin production (.*)$", lock, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    others = {"demo", "notebook", "test"}
    extras = set(project["optional-dependencies"]) - others
    assert set(re.findall(r"--extra (\w+)", production)) == extras


def test_image_runs_as_an_ordinary_user_and_serves() -> None:
    [entry], [command] = image_lines("ENTRYPOINT"), image_lines("CMD")
    stages = (DEPLOY / "Containerfile").read_text(encoding="utf-8").split("\nFROM ")

    assert (entry, command) == ('["jobprov"]', '["serve"]')
    assert is_understood(["serve"])
    assert image_lines("USER") == ["10001:0"]
    assert image_environment()["JOBPROV_DATA"] == DATA == image_lines("VOLUME")[0]
    assert image_lines("EXPOSE") == [image_environment()["JOBPROV_PORT"]]
    assert len(stages) == 3
    assert not re.search(r"\bpip\b|gcc|build-essential|-dev\b", stages[-1])


@pytest.mark.slow
@pytest.mark.xdist_group("deploy")
def test_health_check_of_the_image(fronted: FrontedService, tmp_path: Path) -> None:
    [line] = image_lines("HEALTHCHECK")
    words = yaml.safe_load(line.partition(" CMD ")[2])
    assert words[0] == "python"

    def check(port: str) -> int:
        return subprocess.run(
            [sys.executable, *words[1:]],
            env={"JOBPROV_PORT": port},
            cwd=tmp_path,
            capture_output=True,
            check=False,
        ).returncode

    assert check(fronted.url.rpartition(":")[2]) == 0
    assert check("1") == 1


# Compose


def test_compose_starts_what_there_is() -> None:
    stack = compose()
    services = stack["services"]
    ours = [name for name, service in services.items() if service["image"].endswith("/jobprov")]

    assert ours == ["migrate", "jobprov-1", "jobprov-2"]
    assert is_understood(services["migrate"]["command"])
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            is_made_first = source in ("./tls.crt", "./tls.key")
            is_file = source.startswith(".") and (DEPLOY / "compose" / source).is_file()
            assert source in stack["volumes"] or is_file or is_made_first, volume
    for name in ours:
        service = services[name]
        assert service["read_only"]
        assert service["build"]["dockerfile"] == "deploy/Containerfile"
        assert (DEPLOY / "compose" / service["build"]["context"]).resolve() == ROOT
    for name in ("jobprov-1", "jobprov-2"):
        [volume] = services[name]["volumes"]
        assert volume.split(":")[1] == DATA
        assert services[name]["restart"] == "unless-stopped", "until the schema is there"
        assert int(services[name]["stop_grace_period"].rstrip("s")) > DRAIN_SECONDS * 1.5


def test_compose_reads_the_secrets_that_are_made_for_it() -> None:
    text = (DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8")
    script = (DEPLOY / "compose" / "secrets.sh").read_text(encoding="utf-8")
    [names] = re.findall(r"for name in ([A-Z0-9_ ]+); do", script)

    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(names.split())
    for variable in re.findall(r"\$\{(\w+):-", text):
        assert variable in GUIDE.read_text(encoding="utf-8")


def test_proxy_of_compose_is_that_of_a_machine_with_two_services() -> None:
    """Of two files that say the same nearly, one is forgotten."""
    own = (DEPLOY / "compose" / "services.conf").read_text(encoding="utf-8")
    sample = (DEPLOY / "nginx" / "services.conf").read_text(encoding="utf-8")

    two = "    server jobprov-1:8095;\n    server jobprov-2:8095;\n"
    assert own.count(two) == 2
    blocks = re.compile(r"^upstream.*?^}", re.MULTILINE | re.DOTALL)
    expected = [
        block.replace("    server 127.0.0.1:8095;\n", two) for block in blocks.findall(sample)
    ]
    assert blocks.findall(own) == expected
    assert image_environment()["JOBPROV_PORT"] == "8095"


# Kubernetes


def test_kustomizations_list_every_manifest() -> None:
    for file in KUBERNETES.glob("*/kustomization.yaml"):
        listed = set(documents(file)[0]["resources"]) - {"../base"}
        there = {each.name for each in file.parent.glob("*.yaml")} - {"kustomization.yaml"}
        assert listed == there


def test_pods_run_commands_that_there_are_as_anybody() -> None:
    assert set(pods()) == {"jobprov-migrate", "jobprov", "jobprov-tables"}
    for name, pod in pods().items():
        [container] = pod["containers"]
        assert is_understood(container["args"]), name
        assert pod["securityContext"]["runAsNonRoot"]
        assert "runAsUser" not in pod["securityContext"], "OKD gives a user"
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"]
        assert security["allowPrivilegeEscalation"] is False
        assert container["resources"]["limits"]["memory"]
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounted == {"data": DATA, "tmp": "/tmp"}  # noqa: S108 - of the container


def test_mounted_volumes_and_named_sources_are_there() -> None:
    claims = of_kind("StatefulSet")["spec"]["volumeClaimTemplates"]
    for name, pod in pods().items():
        volumes = {volume["name"] for volume in pod["volumes"]}
        if name == "jobprov":
            volumes |= {claim["metadata"]["name"] for claim in claims}
        [container] = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes
        sources = [source["name"] for each in container["envFrom"] for source in each.values()]
        assert sources == ["jobprov-settings", "jobprov-secrets"]
    base = documents(KUBERNETES / "base" / "kustomization.yaml")[0]
    assert base["configMapGenerator"][0]["name"] == "jobprov-settings"
    secret = documents(KUBERNETES / "secret.example.yaml")[0]
    assert secret["metadata"]["name"] == "jobprov-secrets"
    assert set(secret["stringData"]) <= OF_OTHERS | {"JOBPROV_SECRET_KEY"}


@pytest.mark.slow
def test_services_are_found_and_have_time_to_end() -> None:
    [container] = pods()["jobprov"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    labels = of_kind("StatefulSet")["spec"]["template"]["metadata"]["labels"]

    assert ports == {"http": int(image_environment()["JOBPROV_PORT"])}
    assert ports["http"] > 1024
    for manifest in manifests():
        if manifest["kind"] == "Service":
            assert manifest["spec"]["selector"] == labels
            assert all(port["targetPort"] in ports for port in manifest["spec"]["ports"])
    assert of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert of_kind("Route")["spec"]["port"]["targetPort"] == "http"
    assert of_kind("Route")["spec"]["to"]["name"] == of_kind("Service")["metadata"]["name"]
    assert pods()["jobprov"]["terminationGracePeriodSeconds"] > DRAIN_SECONDS * 1.5 + 5


@pytest.mark.slow
@pytest.mark.xdist_group("deploy")
def test_probes_answer(fronted: FrontedService, tmp_path: Path) -> None:
    [container] = pods()["jobprov"]["containers"]
    paths = {
        name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "readiness")
    }
    text = (DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8")

    for path in (*paths.values(), *re.findall(r"https://127.0.0.1(/\S+?)\]", text)):
        assert requests.get(f"{fronted.url}{path}", timeout=30).status_code == 200, path
    lost = LiveService(tmp_path / "var")
    try:
        (tmp_path / "var" / "archive").rename(tmp_path / "gone")
        answers = {
            name: requests.get(f"{lost.url}{path}", timeout=30).status_code
            for name, path in paths.items()
        }
    finally:
        lost.stop()
    assert answers == {"liveness": 200, "readiness": 503}


def test_ingress_passes_what_nginx_passes() -> None:
    proxy = (DEPLOY / "nginx" / "proxy.conf").read_text(encoding="utf-8")
    annotations = of_kind("Ingress")["metadata"]["annotations"]
    said = {name.partition("/")[2]: value for name, value in annotations.items()}

    assert f"client_max_body_size {said['proxy-body-size']};" in proxy
    assert f"proxy_request_buffering {said['proxy-request-buffering']};" in proxy
    assert f"proxy_read_timeout {said['proxy-read-timeout']}s;" in proxy
    assert f"proxy_connect_timeout {said['proxy-connect-timeout']}s;" in proxy
    route = of_kind("Route")["metadata"]["annotations"]
    assert route["haproxy.router.openshift.io/timeout"] == f"{said['proxy-read-timeout']}s"
