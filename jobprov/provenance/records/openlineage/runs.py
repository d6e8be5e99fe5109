"""OpenLineage run events as a job record.

Steps outside the batch system (Airflow, dbt, Spark) report themselves by such events. A run is
reported in pieces, in any order and more than once. The record is made anew from all events of the
run so far, sorted by their time, so that the order of arrival cannot matter; it keeps them
unchanged in `extra.openlineage.events`.

Source: OpenLineage 2-0-2, https://openlineage.io/spec/2-0-2/OpenLineage.json, RunEvent;
record.md, "Events of OpenLineage".
"""

import json
import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from msgspec import Struct

from jobprov.provenance.errors import BadInputError, LimitError, RecordError
from jobprov.provenance.records.job_record import Instant, JsonObject
from jobprov.provenance.records.openlineage.datasets import (
    Dataset,
    Facets,
    Text,
    converted,
    file_of,
    place_of,
    text_of,
    without_slash,
)
from jobprov.provenance.records.reading.repairing import parse_object

WITNESS = "import"
MOST_EVENTS = 500
ENDS = {"COMPLETE": "succeeded", "FAIL": "failed", "ABORT": "killed"}
END_OF = {state: kind for kind, state in ENDS.items()} | {"lost": "FAIL"}
"""The event for the state in which a job ended; none for one that runs."""
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


_EventType = Literal["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]


class RunEvent(Struct):
    """A change of a run's state; the words are OpenLineage's."""

    eventTime: Instant  # noqa: N815
    run: Run
    job: Job
    producer: Text
    eventType: _EventType | None = None  # noqa: N815
    inputs: list[Dataset] | None = None
    outputs: list[Dataset] | None = None


class ReadEvent(NamedTuple):
    """An event.

    Attributes:
        document: as it was sent.
        text: the same as canonical JSON, by which events are compared.
    """

    job_id: str
    event: RunEvent
    document: JsonObject
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
        BadInputError: it is no run event; `fields` names what is missing or wrong.
    """
    return run_event_of(parse_object(body, "The event"))


def run_event_of(document: JsonObject) -> ReadEvent:
    """Return a JSON object as a run event.

    Raises:
        BadInputError: as `read_event`.
    """
    event = converted(document, RunEvent)
    return ReadEvent(_job_id(event.run.runId), event, document, canonical(document))


def _job_id(run_id: str) -> str:
    try:
        return str(uuid.UUID(run_id))
    except ValueError:
        message = f"run.runId: {run_id[:60]!r} is not a UUID."
        raise BadInputError(message, {"run.runId": ["not a UUID"]}) from None


def canonical(document: JsonObject) -> str:
    """Return an event as canonical JSON: equal events have equal texts."""
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def events_of(record: JsonObject) -> list[ReadEvent] | None:
    """Return the events that a record was made from; None if it was not made from events."""
    section = (record.get("extra") or {}).get("openlineage")
    texts = section.get("events") if isinstance(section, dict) else None
    if not isinstance(texts, list):
        return None
    return [read_event(str(text).encode()) for text in texts]


def record_of_run(events: Iterable[ReadEvent], experiment: str) -> JsonObject:
    """Return the record that the events of one run make together.

    Raises:
        BadInputError: a name is too long, or a file cannot be such a dataset.
        LimitError: more events than are kept.
    """
    ordered = sorted(events, key=lambda event: event.rank)
    _check_count(ordered)
    run_events = [event.event for event in ordered]
    job = run_events[-1].job
    end = _end_among(run_events)
    run_facets = _merged(event.run.facets for event in run_events)
    job_facets = _merged(event.job.facets for event in run_events)
    record: JsonObject = {
        "schema_version": 1,
        "job_id": ordered[0].job_id,
        "experiment": experiment,
        "witness": WITNESS,
        "state": _state_after(end),
        "started_at": _start_of(run_events).isoformat(),
        "task": _task(job, run_facets),
        "exit": _exit(end, run_facets),
        "software": _software(job_facets),
        "environment": _environment(run_facets),
        "inputs": _files("inputs", run_events, experiment),
        "outputs": _files("outputs", run_events, experiment),
        "extra": {"openlineage": _section_of(ordered)},
    }
    if end is not None:
        record["ended_at"] = end.eventTime.isoformat()
    for file in record["inputs"]:
        file["role"] = "primary"
    return {name: value for name, value in record.items() if value}


def _check_count(events: Sequence[ReadEvent]) -> None:
    # Ends are not counted, so that a run can always be ended, even by an end with an early time
    if sum(not event.is_end for event in events) > MOST_EVENTS:
        message = f"Run {events[0].job_id} has more than {MOST_EVENTS} events; send its end alone."
        raise LimitError(message, MOST_EVENTS)


def _state_after(end: RunEvent | None) -> str:
    if end is None or end.eventType is None:
        return "running"
    return ENDS[end.eventType]


def _start_of(run_events: Sequence[RunEvent]) -> datetime:
    """Return the time of the first START; of the first event if none is one."""
    for event in run_events:  # in the order of their times
        if event.eventType == "START":
            return event.eventTime
    return run_events[0].eventTime


def _section_of(events: Sequence[ReadEvent]) -> JsonObject:
    """Return what the record keeps of its events: the section `openlineage` of `extra`."""
    job = events[-1].event.job
    return {
        "producers": sorted({event.event.producer for event in events}),
        "job": {"namespace": job.namespace, "name": job.name},
        # As texts, because a facet's `sha256` does not refer to a blob of ours
        "events": [event.text for event in events],
    }


def _end_among(run_events: Sequence[RunEvent]) -> RunEvent | None:
    """Return the last event with which the run is over."""
    for event in reversed(run_events):
        if event.eventType in ENDS:
            return event
    return None


def in_words_of_events(problem: RecordError) -> BadInputError:
    """Return what is wrong with the record of a run, by the fields of its events."""
    event_fields = {}
    for record_field, messages in problem.fields.items():
        event_fields[_PLACES.get(record_field, record_field)] = messages
    if {"task.campaign", "task.stage"} & problem.fields.keys():
        event_fields.pop(_PLACES["task.task_id"], None)  # it is made of these two
    field, messages = next(iter(event_fields.items()))
    return BadInputError(f"{field}: {messages[0]}.", event_fields)


def _merged(facets_of_events: Iterable[Facets]) -> JsonObject:
    """Return facets by name, the latest of each; a facet that is not an object is ignored."""
    merged: JsonObject = {}
    for facets in facets_of_events:
        for name, facet in (facets or {}).items():
            if isinstance(facet, dict):
                merged[name] = facet
    return merged


def _task(job: Job, facets: JsonObject) -> dict[str, str]:
    """Return the task of a run's record.

    The namespace and the name of the job are its campaign and stage. With the run of the parent,
    which submitted it, they make the task id.
    """
    parent = facets.get("parent", {}).get("run")
    run = parent.get("runId") if isinstance(parent, dict) else None
    name, field = f"{job.namespace}:{job.name}", "job.name"
    if isinstance(run, str) and run:
        name += f"@{run}"
        # If the task id becomes too long, blame the longer part of it
        if len(run) > len(job.name):
            field = _PLACES["task.task_id"]
    return {"task_id": task_id_of(name, field), "campaign": job.namespace, "stage": job.name}


def task_id_of(name: str, field: str = "job.name") -> str:
    """Return the id of the task for a job of this full name.

    Raises:
        BadInputError: it is longer than a task id can be; the event's field `field` is to blame.
    """
    task_id = without_slash(name)
    if len(task_id) > 1000:  # noqa: PLR2004 - as the record says
        raise BadInputError(f"{field}: longer than a task id can be.", {field: ["too long"]})
    return task_id


def _exit(end: RunEvent | None, facets: JsonObject) -> dict[str, str]:
    message = text_of(facets.get("errorMessage", {}), "message")
    has_failed = end is not None and end.eventType != "COMPLETE"
    return {"message": message} if message and has_failed else {}


def _software(facets: JsonObject) -> list[JsonObject]:
    """Return the code in `sourceCodeLocation`: repository, and a commit or a ref."""
    facet = facets.get("sourceCodeLocation", {})
    repository = text_of(facet, "repoUrl") or text_of(facet, "url")
    if not repository:
        return []
    version = text_of(facet, "version")
    is_commit = re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", version) is not None
    ref = text_of(facet, "tag") or text_of(facet, "branch")
    if not ref and not is_commit:
        ref = version
    software = {
        "name": repository.rstrip("/").rpartition("/")[2].removesuffix(".git")[:1000],
        "evidence": "declared",
        "vcs": text_of(facet, "type") or "git",
        "repository": repository,
        "requested_ref": ref,
        "revision": version if is_commit else "",
    }
    return [{name: value for name, value in software.items() if value}]


def _environment(facets: JsonObject) -> JsonObject:
    pairs = facets.get("environmentVariables", {}).get("environmentVariables")
    if not isinstance(pairs, list):
        return {}
    variables: dict[str, str] = {}
    for pair in pairs:
        if isinstance(pair, dict) and text_of(pair, "name"):
            variables[text_of(pair, "name")] = text_of(pair, "value")
    return {"variables": variables} if variables else {}


def _files(
    kind: Literal["inputs", "outputs"], events: Sequence[RunEvent], experiment: str
) -> list[JsonObject]:
    """Return the datasets as inputs or outputs of a record."""
    files = []
    for place, dataset in _datasets([getattr(event, kind) for event in events], experiment):
        file = file_of(dataset, experiment, f"{kind}[{place}]")
        files.append(file.as_json())
    return files


def _datasets(
    lists: Iterable[Sequence[Dataset] | None], experiment: str
) -> list[tuple[int, Dataset]]:
    """Return each file once, as the latest event spells it, and its place in that event.

    It has the latest of each of its facets.
    """
    latest: dict[tuple[str, str], tuple[int, Dataset]] = {}
    for datasets in lists:
        for place, dataset in enumerate(datasets or ()):
            key = place_of(dataset, experiment)
            earlier_facets: Facets = latest[key][1].facets if key in latest else {}
            facets = _merged([earlier_facets, dataset.facets])
            latest[key] = place, Dataset(dataset.namespace, dataset.name, facets)
    return list(latest.values())
