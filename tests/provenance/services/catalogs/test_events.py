"""OpenLineage events become one record a run, whatever their order; on both databases."""

import itertools
import json
from typing import Any

import pytest

from jobprov.provenance.errors import BadInputError, ConflictError, LimitError
from jobprov.provenance.records.openlineage import datasets as openlineage_datasets
from jobprov.provenance.records.openlineage import runs as openlineage
from jobprov.provenance.records.openlineage.runs import read_event, record_of_run
from jobprov.provenance.services.catalogs import events as record_events
from jobprov.provenance.services.catalogs.events import record_event
from jobprov.provenance.services.histories.lineage_lists import list_ancestors
from jobprov.provenance.services.recording.submissions import Outcome
from tests.library.production import Production
from tests.library.productions.recorded_graph import read_graph
from tests.library.records import MOMENT, a_record, file_entry

RUN = "0f8b0000-0000-4000-8000-00000000000a"


def dataset(name: str, namespace: str = "nova", **facets: Any) -> dict[str, Any]:
    return {"namespace": namespace, "name": name, "facets": facets}


def event(kind: str, second: int = 0, run: str = RUN, **more: Any) -> dict[str, Any]:
    return {
        "eventType": kind,
        "eventTime": f"2026-01-01T00:00:{second:02}Z",
        "producer": "https://example.org/dbt",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": run, **more.pop("run_more", {})},
        "job": {"namespace": "dbt", "name": "models/plots", **more.pop("job_more", {})},
        **more,
    }


def read(document: dict[str, Any]) -> openlineage.ReadEvent:
    return read_event(json.dumps(document).encode())


def take(production: Production, *documents: dict[str, Any]) -> list[Outcome]:
    return [
        production.write(
            lambda writing, document=document: record_event(
                writing,
                read(document),
                experiment="nova",
            ),
            received_at=MOMENT,
            submitter="tester",
        )
        for document in documents
    ]


def graph_of(production: Production) -> Any:
    with production.database.reading.connect() as connection:
        return read_graph(connection)


STORY = (
    event("START", 1, inputs=[dataset("reco")]),
    event("RUNNING", 2, inputs=[dataset("other", version={"datasetVersion": "7"})]),
    event("COMPLETE", 3, outputs=[dataset("plots/a.parquet", "s3://bucket")]),
)


def test_steps_outside_the_batch_system_join_the_graph(production: Production) -> None:
    production.record(a_record(1, outputs=[file_entry("reco", 1)]))
    outcomes = take(production, *STORY)

    assert [outcome.change for outcome in outcomes] == ["created", "replaced", "replaced"]
    with production.database.reading.connect() as connection:
        found = {
            file.name: file.job_id is None for file in list_ancestors(connection, "a.parquet").files
        }
    assert found == {"reco": False, "other": True}


@pytest.mark.slow
def test_order_and_repetition_of_events_change_nothing(production: Production) -> None:
    """Every order of a run's events, each with one sent twice, gives one graph."""
    for number, order in enumerate(itertools.permutations(STORY)):
        run = f"0f8b0000-0000-4000-8000-{number:012}"
        renamed = [{**one, "run": {"runId": run}} for one in (*order, order[0])]
        last = take(production, *renamed)[-1]
        assert last.change in ("same", "replaced")
    graph = graph_of(production)
    assert len(graph["jobs"]) == 6
    assert len({row[1:] for row in graph["jobs"]}) == 1
    assert {rows: len({row[1:] for row in graph[rows]}) for rows in ("mentions", "claims")} == {
        "mentions": 2,
        "claims": 1,
    }


@pytest.mark.parametrize(
    ("kind", "state"), [("COMPLETE", "succeeded"), ("FAIL", "failed"), ("ABORT", "killed")]
)
def test_end_of_a_run_is_the_state_of_its_job(kind: str, state: str) -> None:
    message = {"facets": {"errorMessage": {"message": "boom"}}}
    record = record_of_run(
        [read(event(kind, 5, run_more=message)), read(event("START", 9))], "nova"
    )

    assert (record["state"], record["started_at"][-14:-6], record["ended_at"][-14:-6]) == (
        state,
        "00:00:09",
        "00:00:05",
    )
    assert record.get("exit") == (None if state == "succeeded" else {"message": "boom"})


def test_facets_say_code_environment_and_task() -> None:
    code = {
        "sourceCodeLocation": {
            "type": "git",
            "repoUrl": "https://git.example.org/plots.git",
            "version": "1" * 40,
            "tag": "v2",
        }
    }
    told = {
        "parent": {"run": {"runId": "p-1"}, "job": {"namespace": "airflow", "name": "dag"}},
        "environmentVariables": {"environmentVariables": [{"name": "A", "value": "b"}]},
    }
    record = record_of_run(
        [read(event("START", run_more={"facets": told}, job_more={"facets": code}))], "nova"
    )

    assert record["task"] == {
        "task_id": "dbt:models%2Fplots@p-1",
        "campaign": "dbt",
        "stage": "models/plots",
    }
    assert record["environment"] == {"variables": {"A": "b"}}
    assert record["software"] == [
        {
            "name": "plots",
            "evidence": "declared",
            "vcs": "git",
            "repository": "https://git.example.org/plots.git",
            "requested_ref": "v2",
            "revision": "1" * 40,
        }
    ]
    assert json.loads(record["extra"]["openlineage"]["events"][0])["run"]["facets"] == told


def test_datasets_are_files_of_their_namespace() -> None:
    names = [
        dataset("a.root"),
        dataset("/data/b.root", "file"),
        dataset("deep/c.root/", "s3://bucket"),
        dataset("schema.table", "postgres://host:5432", version={"datasetVersion": "v 1"}),
        dataset("d.root", jobprov_file={"checksums": ["adler32:00000001"], "size_bytes": 5}),
    ]
    files = record_of_run([read(event("START", inputs=names))], "nova")["inputs"]

    assert [(file.get("namespace", ""), file["name"]) for file in files] == [
        ("", "a.root"),
        ("file%2Fdata", "b.root"),
        ("s3:%2F%2Fbucket%2Fdeep", "c.root"),
        ("postgres:%2F%2Fhost:5432", "schema.table"),
        ("", "d.root"),
    ]
    assert files[3]["checksums"][0].startswith("openlineage-version:")
    assert (files[4]["checksums"], files[4]["size_bytes"]) == (["adler32:00000001"], 5)
    assert files[2]["location"] == "s3://bucket/deep/c.root/"
    assert openlineage_datasets.with_slash(files[2]["namespace"]) == "s3://bucket/deep"


def test_file_is_one_however_its_datasets_are_spelled() -> None:
    """A job names its folder with and without the last slash.

    One file, of which the last event says most.
    """
    told = [
        event("START", outputs=[dataset("out/", "s3://bucket/", version={"datasetVersion": "1"})]),
        event(
            "COMPLETE", 1, outputs=[dataset("/out", "s3://bucket", version={"datasetVersion": "2"})]
        ),
    ]
    [file] = record_of_run(map(read, told), "nova")["outputs"]

    assert (file["namespace"], file["name"]) == ("s3:%2F%2Fbucket", "out")
    assert file["checksums"] == ["openlineage-version:2"]


def test_facets_that_are_null_say_nothing() -> None:
    nothing: dict[str, Any] = {"facets": None}
    files = [{"namespace": "nova", "name": "a.root", **nothing}]
    record = record_of_run(
        [read(event("START", run_more=nothing, job_more=nothing, inputs=files))], "nova"
    )

    assert record["inputs"] == [{"name": "a.root", "role": "primary"}]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"eventTime": None}, "eventTime"),
        ({"eventTime": "yesterday"}, "eventTime"),
        ({"eventType": "DONE"}, "eventType"),
        ({"run": {}}, "run.runId"),
        ({"run": {"runId": "7"}}, "run.runId"),
        ({"job": {"name": "x"}}, "job.namespace"),
        ({"inputs": [{"name": "x"}]}, "inputs[0].namespace"),
        ({"producer": ""}, "producer"),
    ],
)
def test_bad_event_is_refused_with_its_field(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read({**event("START"), **change})

    assert list(caught.value.fields) == [field]


def test_event_of_a_job_alone_is_none_of_a_run() -> None:
    alone = {
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": "p",
        "job": {"namespace": "a", "name": "b"},
    }
    with pytest.raises(BadInputError, match="run: missing; it has to be given"):
        read(alone)


def test_name_without_a_last_part_is_refused_with_its_place() -> None:
    with pytest.raises(BadInputError) as caught:
        record_of_run([read(event("START", outputs=[dataset("x"), dataset("/")]))], "nova")

    assert list(caught.value.fields) == ["outputs[1].name"]


def test_run_that_another_record_told_of_is_left_alone(production: Production) -> None:
    production.record({**a_record(1), "job_id": RUN, "witness": "import"})

    with pytest.raises(ConflictError, match="not by OpenLineage events"):
        take(production, event("START"))


def test_run_whose_events_grew_too_long_still_gets_its_end(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_events, "LIMIT_BYTES", 3500)
    facets = {"facets": {"plan": {"text": "x" * 1500}}}

    take(production, event("START", run_more=facets))
    with pytest.raises(LimitError, match="send its end with few facets"):
        take(production, event("COMPLETE", 1, run_more=facets))

    assert take(production, event("COMPLETE", 1))[0].change == "replaced"


def test_run_has_so_many_events_and_always_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openlineage, "MOST_EVENTS", 2)
    told = [read(event("RUNNING", second)) for second in range(3)]

    with pytest.raises(LimitError, match="more than 2 events"):
        record_of_run(told, "nova")
    assert record_of_run([*told[:2], read(event("FAIL", 9))], "nova")["state"] == "failed"


def test_end_that_is_stamped_before_the_last_event_ends_a_run_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openlineage, "MOST_EVENTS", 3)
    told = [read(event("RUNNING", second)) for second in range(3)]

    assert record_of_run([*told, read(event("COMPLETE", 1))], "nova")["state"] == "succeeded"
