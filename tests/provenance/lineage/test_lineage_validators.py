"""What a lineage is exported as is read by the programs of others.

The prov package, the OpenLineage client.
"""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState

from jobprov.provenance.lineage.graph import Edge, FileNode, Graph, JobNode
from jobprov.provenance.lineage.openlineage import to_openlineage
from jobprov.provenance.lineage.prov_json import to_prov_json, to_prov_n
from tests.library.environments import programs_of

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
JOB = "0f8b0000-0000-4000-8000-000000000001"
PROGRAM = """
import sys
from prov.model import ProvDocument
document = ProvDocument.deserialize(sys.argv[1])
print(len(document.get_records()))
print(document.get_provn())
"""


def graph(*edges: Edge) -> Graph:
    """Return files of odd names and jobs, joined so."""
    nodes = (
        FileNode("c1", "a b<ü>.root", "ns", "nova", size_bytes=5),
        FileNode("c2", "b.root", "", "nova", version=2),
        FileNode("f3", "-.", "", "nova", is_placeholder=True),
        JobNode(
            "j1",
            JOB,
            "1.0@s",
            "failed",
            "reco",
            started_at=MOMENT,
            ended_at=MOMENT + timedelta(hours=1),
        ),
        JobNode("j2", JOB.replace("1", "2"), "2.0@s", "succeeded"),
    )
    return Graph("c1", nodes, edges)


WHOLE = graph(
    Edge("f3", "j1", is_sure=False),
    Edge("c1", "j1", role="primary"),
    Edge("j1", "c2"),
    Edge("c2", "j2"),
)
HIDDEN = graph(Edge("c1", "c2"), Edge("f3", "c2", is_sure=False), Edge("j1", "j2"))


@pytest.mark.slow
@pytest.mark.parametrize("shown", [WHOLE, HIDDEN], ids=["whole", "hidden nodes between"])
def test_prov_reads_the_same_statements_as_are_written(shown: Graph, tmp_path: Path) -> None:
    file = tmp_path / "prov.json"
    file.write_text(to_prov_json(shown), encoding="utf-8")

    python = programs_of("prov", ("prov==3.2.3",)) / "python"
    ended = subprocess.run(
        [python, "-c", PROGRAM, file], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    count, read = ended.stdout.split("\n", 1)
    written = [line.strip().split("(")[0] for line in to_prov_n(shown).splitlines() if "(" in line]
    assert int(count) == len(written)
    assert sorted(written) == sorted(
        line.strip().split("(")[0] for line in read.splitlines() if "(" in line
    )


def test_stock_client_takes_the_events_as_its_own() -> None:
    """Its classes check times, ids and addresses."""
    lines = [json.loads(line) for line in to_openlineage(WHOLE).splitlines()]

    events = [
        RunEvent(
            eventType=RunState[line["eventType"]],
            eventTime=line["eventTime"],
            run=Run(line["run"]["runId"]),
            job=Job(line["job"]["namespace"], line["job"]["name"]),
            producer=line["producer"],
            inputs=line["inputs"],
            outputs=line["outputs"],
        )
        for line in lines
    ]

    assert [event.eventType for event in events] == [RunState.START, RunState.FAIL]
    assert [file["name"] for file in lines[1]["inputs"]] == ["-.", "a b<ü>.root"]
