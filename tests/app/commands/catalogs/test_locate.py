"""`lookup --locate` and `rebuild-file --locate`, beside a service whose experiment has a Rucio."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.library.records import job_id, record_of
from tests.library.servers.live_service import LiveService
from tests.library.servers.rucio import Copy, Held, RucioServer

pytestmark = pytest.mark.slow

ADDRESS = "root://fndca1.fnal.gov:1094//pnfs/nova/f1.root"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveService]:
    rucio = RucioServer()
    rucio.held["nova", "f1.root"] = Held(2, "00000002", [Copy("FNAL_DCACHE", ADDRESS)])
    token, named = tmp_path / "token", tmp_path / "catalogs.toml"
    token.write_text("given-token")
    named.write_text(
        '[nova]\nkind = "metacat"\nurl = "http://127.0.0.1:9"\n[nova.rucio]\n'
        f'url = "{rucio.url}"\naccount = "jobprov"\ntoken_file = "{token}"\nscope = "nova"\n'
    )
    service = LiveService(tmp_path / "var", JOBPROV_CATALOGS=str(named))
    for number in (1, 2):
        record = record_of(number)
        address = f"{service.url}/api/v1/jobs/{record['job_id']}"
        assert requests.put(address, json=record, timeout=30).status_code == 201
    yield service
    service.stop()
    rucio.close()


def test_commands_tell_where_files_are_now(live: LiveService) -> None:
    found = live.run("lookup", "f1.root", "--locate")
    nowhere = live.run("lookup", "f2.root", "--locate")
    plan = live.run("rebuild-file", "f2.root", "--locate")
    first = live.run("rebuild-file", "f1.root", "--locate")
    answer = json.loads(live.run("lookup", "f1.root", "--locate", "--json").stdout)

    assert f"now at     {ADDRESS}  FNAL_DCACHE  disk" in found.stdout
    assert "no copy is known" in nowhere.stdout
    assert f"f1.root: {ADDRESS}" in plan.stdout
    assert "No copy is known of f0.root." in first.stdout
    assert answer["located"]["files"][0]["replicas"][0]["address"] == ADDRESS


def test_a_rerun_without_its_inputs_tells_where_they_may_be(
    live: LiveService, tmp_path: Path
) -> None:
    ended = live.run("rerun", job_id(2), "--into", str(tmp_path / "rerun"))

    assert ended.returncode == 1
    assert "The job was not started" in ended.stderr
    assert f"f1.root may be at {ADDRESS}" in ended.stderr
    assert "--input-dir" in ended.stderr
