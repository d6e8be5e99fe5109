"""The how-to for Python runs as it stands, against a service that has what it asks for."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.client import Client
from tests.library.records import a_record, sha256
from tests.library.servers.live_service import LiveService

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "ask-from-python.md"
LOG = b"no such product\n"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveService]:
    service = LiveService(tmp_path / "var")
    client = Client(service.url)
    task = {"task_id": "t1", "campaign": "demo-2026", "stage": "reco"}
    client.put_blob(sha256(LOG), LOG)
    made = a_record(1, experiment="toyexp", task=task, outputs=[{"name": "a_dimuon.root"}])
    failed = a_record(
        2,
        experiment="toyexp",
        task=task,
        state="failed",
        exit={"code": 65, "message": "no such product"},
        inputs=[{"name": "a_dimuon.root"}],
        logs=[{"name": "reco.log", "sha256": sha256(LOG), "size_bytes": len(LOG)}],
    )
    client.record(made)
    client.record(failed)
    yield service
    service.stop()


@pytest.mark.slow
def test_blocks_of_the_how_to_run_in_their_order(
    live: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBPROV_URL", live.url)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    blocks = re.findall(
        r"^```python\n(.*?)^```", HOW_TO.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    names: dict[str, Any] = {}

    for block in blocks:
        exec(compile(block, str(HOW_TO), "exec"), names)  # noqa: S102 - the page of our own docs

    client: Client = names["client"]
    assert client.campaigns(experiment="toyexp") == ["demo-2026"]
    assert names["names"] == ["a_dimuon.root"]
    assert "<td>no such product</td>" in names["job"]._repr_html_()
    assert "<th>Read</th><td>a_dimuon.root</td>" in names["job"]._repr_html_()
    assert sorted(names["table"]["state"]) == ["failed", "succeeded"]
    assert set(names["table"]["task.stage"]) == {"reco"}
    assert str(names["table"]["received_at"].dtype.tz) == "UTC"
    assert sorted(names["nodes"]["kind"]) == ["file", "job", "job"]
    [reader] = names["made_from_it"]
    assert names["graph"].nodes[reader]["state"] == "failed"
    assert client.lineage_picture("a_dimuon.root")._repr_svg_().startswith("<svg")
    assert Path("reco.log").read_bytes() == LOG
    assert Path("job.tar").stat().st_size > 0
