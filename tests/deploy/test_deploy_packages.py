"""What an installation consists of, and whether a weakness of it is known: `scripts/sbom`, `audit`."""

import json
import re
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
WEAK = "werkzeug"
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["base", "production"])
def test_bill_of_materials_is_valid_and_lists_what_is_pinned(name: str) -> None:
    # Slow to import, and only this test needs it
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    printed = run(["./scripts/sbom", name])
    listed = json.loads(printed.stdout)["components"]
    pins = PIN.findall((ROOT / "requirements" / f"{name}.txt").read_text())

    assert printed.returncode == 0, printed.stderr
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(printed.stdout) is None
    assert [(one["name"], one["version"]) for one in listed] == pins
    # nine tenths of its time it holds what it made against the format's schema
    assert run(["./scripts/sbom", name, "--no-validate"]).stdout == printed.stdout


def test_unknown_list_is_refused_in_a_sentence() -> None:
    refused = run(["./scripts/sbom", "nothing"])

    assert refused.returncode == 2
    assert refused.stderr == "sbom: no requirements/nothing.txt; say base, demo or production\n"


def test_audit_names_a_package_with_a_published_weakness(advisories: str) -> None:
    audit = run(
        ["./scripts/audit", "--vulnerability-service", "osv", "--osv-url", f"{advisories}/v1/query"]
    )

    assert audit.returncode == 1, audit.stderr
    assert "Found 1 known vulnerability in 1 package" in audit.stderr
    assert WEAK in audit.stdout


def test_audit_fails_where_nobody_can_be_asked() -> None:
    audit = run(
        [
            "./scripts/audit",
            "--vulnerability-service",
            "osv",
            "--osv-url",
            "http://127.0.0.1:9/v1/query",
        ]
    )

    assert audit.returncode == 1, audit.stdout


def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def advisories() -> Iterator[str]:
    """Yield a service of OSV's kind that knows one weakness. Source: google.github.io/osv.dev."""
    server = HTTPServer(("127.0.0.1", 0), Advisories)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Advisories(BaseHTTPRequestHandler):
    """Answers one question a request: what is known of a package's version."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer: dict[str, object] = {}
        if asked["package"]["name"] == WEAK:
            package = {"name": WEAK, "ecosystem": "PyPI"}
            affected = {"package": package, "versions": [asked["version"]]}
            weakness = {"id": "PYSEC-0000-1", "details": "made up", "affected": [affected]}
            answer = {"vulns": [weakness]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""
