"""nginx, as `deploy/nginx` has it set up, in front of a service: what has to pass does."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from jobprov.app.config import load_settings
from jobprov.app.serving.server import Server
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError, UnreachableError
from tests.deploy.conftest import FrontedService
from tests.library.hook import Runner
from tests.library.records import a_record
from tests.library.servers.nginx import NGINX, SAMPLES, Nginx
from tests.library.spooled import assert_all_blobs_are_there, held, spool_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("deploy"),
    pytest.mark.skipif(NGINX is None, reason="NO NGINX HERE: deploy/nginx is not tried"),
]
BATCH = 500


class Caller:
    """Calls the service through nginx by TLS, or `direct`ly."""

    def __init__(self, service: FrontedService, nginx: Nginx) -> None:
        self.direct_url, self.url, self.plain_url = service.url, nginx.url, nginx.plain_url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {service.token}"
        self.session.verify = str(nginx.certificate)
        self.session.trust_env = False  # certificates of the machine's own

    def __call__(
        self, method: str, path: str, *, direct: bool = False, **more: object
    ) -> requests.Response:
        base = self.direct_url if direct else self.url
        return self.session.request(method, f"{base}{path}", timeout=60, **more)  # type: ignore[arg-type]

    def put_blob(self, content: bytes) -> requests.Response:
        digest = hashlib.sha256(content).hexdigest()
        return self("PUT", f"/api/v1/blobs/{digest}", data=content)


@pytest.fixture(scope="module")
def call(fronted: FrontedService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    nginx = Nginx([fronted.url], tmp_path_factory.mktemp("front") / "nginx")
    yield Caller(fronted, nginx)
    nginx.close()


def test_batch_passes(call: Caller) -> None:
    jobs = [a_record(number, experiment="toy") for number in range(BATCH)]

    answer = call("POST", "/api/v1/jobs/batch", json={"jobs": jobs})

    assert answer.status_code == 200, answer.text
    changes = [result["change"] for result in answer.json()["results"]]
    assert changes == ["created"] * BATCH
    assert answer.json()["results"][0]["url"].startswith(f"{call.url}/")
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_service_says_what_is_too_large_and_nginx_only_what_is_larger_still(call: Caller) -> None:
    limit = load_settings({}, {}).blob_limit_bytes

    refused = call.put_blob(bytes(limit + 1))
    refused_by_nginx = call.put_blob(bytes(limit + (16 << 20)))

    assert (refused.status_code, refused.json()["limit"]) == (413, limit)
    assert refused_by_nginx.status_code == 413
    assert refused_by_nginx.headers["Content-Type"] == "text/html"


def test_long_answers_are_the_same_through_nginx(call: Caller) -> None:
    """A bundle is made while it is sent; of a blob a range can be had."""
    content = os.urandom(3 << 20)
    kept = call.put_blob(content)
    assert kept.status_code == 201, kept.text
    digest = kept.json()["sha256"]
    record = a_record(BATCH + 1, experiment="toy")
    record["scripts"] = [{"name": "large.sh", "sha256": digest}]
    call("PUT", f"/api/v1/jobs/{record['job_id']}", json=record).raise_for_status()
    bundle = f"/api/v1/jobs/{record['job_id']}/bundle"

    through = call("GET", bundle, stream=True)
    pieces = list(through.iter_content(1 << 16))
    part = call("GET", f"/api/v1/blobs/{digest}", headers={"Range": "bytes=1000-1999"})

    assert b"".join(pieces) == call("GET", bundle, direct=True).content
    assert sum(map(len, pieces)) > len(content)
    assert (part.status_code, part.content) == (206, content[1000:2000])


def test_service_knows_who_asks_and_by_which_name(call: Caller) -> None:
    declaration = {"experiment": "toy", "units": ["1"]}
    redirect = call.session.get(f"{call.plain_url}/jobs", allow_redirects=False, timeout=30)
    declared = call(
        "PUT",
        "/api/v1/tasks/of-nginx",
        json=declaration,
        headers={"X-Forwarded-For": "192.0.2.1"},
    )
    acts = call("GET", "/api/v1/trail", params={"experiment": "toy", "kind": "task"}).json()

    assert redirect.headers["Location"] == "https://127.0.0.1/jobs"
    assert declared.ok, declared.text
    assert [act["address"] for act in acts["acts"]] == ["127.0.0.1"]


def test_longest_name_passes(call: Caller) -> None:
    """The answer is the service's own: there is no such file."""
    answer = call("GET", f"/api/v1/files/{'n' * 8100}")

    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    assert answer.status_code != 414


def test_connections_end_at_the_proxy_first() -> None:
    options = Server(load_settings({}, {}), print)._options()
    text = (SAMPLES / "services.conf").read_text(encoding="utf-8")

    assert text.count("keepalive_timeout 10s;") == 2
    assert options["keepalive"] > 10


def test_usual_limit_of_nginx_lets_large_blobs_pass_in_parts(
    runner: Runner, fronted: FrontedService, tmp_path: Path
) -> None:
    job_id = spool_of(runner, [3 << 20, 9 << 20, 1000])
    nginx = Nginx([fronted.url], tmp_path / "nginx", "1m")
    runner.environment["SSL_CERT_FILE"] = str(nginx.certificate)

    done = runner("flush", str(runner.spool), "--url", nginx.url, "--budget-seconds", "50")
    nginx.close()

    assert done.returncode == 0, done.stderr
    assert nginx.refused() > 0
    assert assert_all_blobs_are_there(fronted, job_id) == 3


def test_commands_trust_the_certificates_that_the_hook_trusts(
    call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with pytest.raises(UnreachableError, match="certificate is not trusted: self-signed"):
        Client(call.url).experiments()
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    with pytest.raises(BadInputError, match="SSL_CERT_FILE"):
        Client(call.url).experiments()

    monkeypatch.setenv("SSL_CERT_FILE", str(call.session.verify))
    assert "toy" in Client(call.url).experiments()


def test_commands_say_where_a_plain_address_sends_them(call: Caller) -> None:
    with pytest.raises(UnreachableError, match=r"sends on to https://127\.0\.0\.1: is that"):
        Client(call.plain_url).experiments()


def test_refusal_of_nginx_is_not_one_of_jobprov(
    runner: Runner, fronted: FrontedService, tmp_path: Path
) -> None:
    job_id = spool_of(runner, [200_000, 1000, 1000])
    nginx = Nginx([fronted.url], tmp_path / "nginx", "8k")
    runner.environment["SSL_CERT_FILE"] = str(nginx.certificate)

    through = runner("flush", str(runner.spool), "--url", nginx.url)
    nginx.close()
    before = held(fronted, job_id)
    direct = runner("flush", str(runner.spool), "--url", fronted.url)

    assert nginx.refused() > 0
    assert through.returncode == 3
    assert b"still lacks 1 blob (script0.sh): " in through.stderr
    assert [gap["code"] for gap in before["gaps"]].count("script-missing") == 1
    assert direct.returncode == 0
    assert assert_all_blobs_are_there(fronted, job_id) == 3
