"""OpenLineage run events as a job record: what steps outside the batch system (Airflow, dbt, Spark) tell of themselves.

A run tells its story in pieces, in any order and more than once. The record is made anew from all
events of the run that came so far, sorted by their time, so that the order of arrival cannot
matter; it keeps them word for word in `extra.openlineage.events`.

Source: OpenLineage 2-0-2, https://openlineage.io/spec/2-0-2/OpenLineage.json, RunEvent;
record.md, "Events of OpenLineage".
"""

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from jobprov.provenance.errors import BadInputError, LimitError, RecordError
from jobprov.provenance.records.job_record import Instant
from jobprov.provenance.records.openlineage_datasets import (
    Dataset,
    Facets,
    Text,
    converted,
    file_of,
    place_of,
    text_of,
    without_slash,
)
from jobprov.provenance.records.repairing import parse_object

WITNESS = "import"
MOST_EVENTS = 500
ENDS = {"COMPLETE": "succeeded", "FAIL": "failed", "ABORT": "killed"}
END_OF = {state: kind for kind, state in ENDS.items()} | {"lost": "FAIL"}
"""Which event tells that a job ended so; none for one that runs."""
_RANKS = ("START", "RUNNING", "OTHER", None, "ABORT", "FAIL", "COMPLETE")
_PLACES = {
    "started_at": "eventTime",
    "ended_at": "eventTime",
    "task.campaign": "job.namespace",
    "task.stage": "job.name",
    "task.task_id": "run.facets.parent.run.runId",  # its other parts are campaign and stage
}


class Run(Struct):
    """One execution."""

    runId: str  # noqa: N815 - OpenLineage's word
    facets: Facets = None


class Job(Struct):
    """What was executed."""

    namespace: Text
    name: Text
    facets: Facets = None


class RunEvent(Struct):
    """A change of a run's state; the words are OpenLineage's."""

    eventTime: Instant  # noqa: N815
    run: Run
    job: Job
    producer: Text
    eventType: Literal["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"] | None = None  # noqa: N815
    inputs: list[Dataset] | None = None
    outputs: list[Dataset] | None = None


class ReadEvent(NamedTuple):
    """An event.

    Attributes:
        document: as it was sent.
        text: the same as JSON, always alike: what tells two events apart.
    """

    job_id: str
    event: RunEvent
    document: dict[str, Any]
    text: str

    @property
    def rank(self) -> tuple[datetime, int, str]:
        """Order among the events of a run."""
        return self.event.eventTime, _RANKS.index(self.event.eventType), self.text

    @property
    def is_end(self) -> bool:
        """Whether the run is over with it."""
        return self.event.eventType in ENDS


def read_event(body: bytes) -> ReadEvent:
    """Return the run event in `body`.

    Raises:
        BadInputError: it is none; `fields` names what is missing or wrong.
    """
    return run_event_of(parse_object(body, "The event"))


def run_event_of(document: dict[str, Any]) -> ReadEvent:
    """Return the run event that a JSON object is.

    Raises:
        BadInputError: as `read_event`.
    """
    event = converted(document, RunEvent)
    return ReadEvent(_job_id(event.run.runId), event, document, canonical(document))


def _job_id(run_id: str) -> str:
    try:
        found = uuid.UUID(run_id)
    except ValueError:
        raise BadInputError(
            f"run.runId: {run_id[:60]!r} is no UUID.", {"run.runId": ["not a UUID"]}
        ) from None
    return str(found)


def canonical(document: dict[str, Any]) -> str:
    """Return an event as JSON, always alike."""
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def events_of(record: dict[str, Any]) -> list[ReadEvent] | None:
    """Return the events that a record was made from; None where it was made from none."""
    held = (record.get("extra") or {}).get("openlineage")
    texts = held.get("events") if isinstance(held, dict) else None
    return [read_event(str(text).encode()) for text in texts] if isinstance(texts, list) else None


def record_of_run(events: Iterable[ReadEvent], experiment: str) -> dict[str, Any]:
    """Return the record that the events of one run make together.

    Raises:
        BadInputError: a name is too long, or a dataset is none that a file can be.
        LimitError: more events than are kept.
    """
    ordered = sorted(events, key=lambda event: event.rank)
    if (
        sum(not event.is_end for event in ordered) > MOST_EVENTS
    ):  # whatever their times: an end may be stamped early
        raise LimitError(
            f"Run {ordered[0].job_id} has more than {MOST_EVENTS} events; send its end alone.",
            MOST_EVENTS,
        )
    told = [one.event for one in ordered]
    end = next((event for event in reversed(told) if event.eventType in ENDS), None)
    starts = [event.eventTime for event in told if event.eventType == "START"]
    run_facets, job_facets = (
        _merged(event.run.facets for event in told),
        _merged(event.job.facets for event in told),
    )
    record = {
        "schema_version": 1,
        "job_id": ordered[0].job_id,
        "experiment": experiment,
        "witness": WITNESS,
        "state": ENDS[end.eventType] if end is not None and end.eventType else "running",
        "started_at": min(starts or [told[0].eventTime]).isoformat(),
        "ended_at": end.eventTime.isoformat() if end is not None else None,
        "task": _task(told[-1].job, run_facets),
        "exit": _exit(end, run_facets),
        "software": list(_software(job_facets)),
        "environment": _environment(run_facets),
        "inputs": [{**file, "role": "primary"} for file in _files("inputs", told, experiment)],
        "outputs": _files("outputs", told, experiment),
        "extra": {
            "openlineage": {
                "producers": sorted({event.producer for event in told}),
                "job": {"namespace": told[-1].job.namespace, "name": told[-1].job.name},
                "events": [
                    one.text for one in ordered
                ],  # texts: a facet's `sha256` names no blob of ours
            }
        },
    }
    return {name: value for name, value in record.items() if value}


def in_words_of_events(problem: RecordError) -> BadInputError:
    """Return what is wrong with the record of a run, named by the fields of its events."""
    named = {_PLACES.get(field, field): messages for field, messages in problem.fields.items()}
    if {"task.campaign", "task.stage"} & problem.fields.keys():
        named.pop(_PLACES["task.task_id"], None)  # it is made of these two
    field, messages = next(iter(named.items()))
    return BadInputError(f"{field}: {messages[0]}.", named)


def _merged(facets: Iterable[Facets]) -> dict[str, Any]:
    """Return facets by name, the latest of each; what is no object is none."""
    return {
        name: facet
        for some in facets
        for name, facet in (some or {}).items()
        if isinstance(facet, dict)
    }


def _task(job: Job, facets: dict[str, Any]) -> dict[str, str]:
    """Return campaign, stage and task: namespace and name of the job, and the parent's run that submitted it."""
    parent = facets.get("parent", {}).get("run")
    run = parent.get("runId") if isinstance(parent, dict) else None
    name = f"{job.namespace}:{job.name}" + (f"@{run}" if isinstance(run, str) and run else "")
    is_long = isinstance(run, str) and len(run) > len(job.name)
    field = _PLACES["task.task_id"] if is_long else "job.name"
    return {"task_id": task_id_of(name, field), "campaign": job.namespace, "stage": job.name}


def task_id_of(name: str, field: str = "job.name") -> str:
    """Return the id of the task that a job of this full name is.

    Raises:
        BadInputError: it is longer than a task id can be; `field` is what of the event makes it so.
    """
    task_id = without_slash(name)
    if len(task_id) > 1000:  # noqa: PLR2004 - as the record says
        raise BadInputError(f"{field}: longer than a task id can be.", {field: ["too long"]})
    return task_id


def _exit(end: RunEvent | None, facets: dict[str, Any]) -> dict[str, str]:
    message = text_of(facets.get("errorMessage", {}), "message")
    return (
        {"message": message} if message and end is not None and end.eventType != "COMPLETE" else {}
    )


def _software(facets: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what `sourceCodeLocation` says: repository, and a commit or a ref."""
    facet = facets.get("sourceCodeLocation", {})
    repository = text_of(facet, "repoUrl") or text_of(facet, "url")
    if not repository:
        return
    version = text_of(facet, "version")
    is_commit = re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", version) is not None
    ref = text_of(facet, "tag") or text_of(facet, "branch") or ("" if is_commit else version)
    found = {
        "name": repository.rstrip("/").rpartition("/")[2].removesuffix(".git")[:1000],
        "evidence": "declared",
        "vcs": text_of(facet, "type") or "git",
        "repository": repository,
        "requested_ref": ref,
        "revision": version if is_commit else "",
    }
    yield {name: value for name, value in found.items() if value}


def _environment(facets: dict[str, Any]) -> dict[str, Any]:
    listed = facets.get("environmentVariables", {}).get("environmentVariables")
    pairs = [pair for pair in listed if isinstance(pair, dict)] if isinstance(listed, list) else []
    variables = {
        text_of(pair, "name"): text_of(pair, "value") for pair in pairs if text_of(pair, "name")
    }
    return {"variables": variables} if variables else {}


def _files(kind: str, events: Sequence[RunEvent], experiment: str) -> list[dict[str, Any]]:
    """Return the datasets as inputs or outputs."""
    found = _datasets((getattr(event, kind) for event in events), experiment)
    return [file_of(dataset, experiment, f"{kind}[{place}]") for place, dataset in found]


def _datasets(
    lists: Iterable[Sequence[Dataset] | None], experiment: str
) -> list[tuple[int, Dataset]]:
    """Return each file once, as the latest event spells it, with the latest of each of its facets, and its place in that event."""
    found: dict[tuple[str, str], tuple[int, Dataset]] = {}
    for place, dataset in (pair for some in lists for pair in enumerate(some or ())):
        key = place_of(dataset, experiment)
        held = found[key][1].facets if key in found else {}
        found[key] = (
            place,
            Dataset(dataset.namespace, dataset.name, _merged([held, dataset.facets])),
        )
    return list(found.values())
