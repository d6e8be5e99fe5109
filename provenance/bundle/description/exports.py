"""The job in other people's words: `prov/` of a bundle, and the JSON-LD contexts of its crate.

They are written by hand, every record sorted: libraries order by chance, and number what has no
name. Source: W3C PROV-JSON (member submission 2013-04-24), W3C PROV-N (recommendation 2013-04-30),
OpenLineage 2-0-2, in-toto Statement v1, SLSA provenance v1.
"""

import posixpath
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jobprov.provenance.bundle.description.provn import provn
from jobprov.provenance.bundle.fields import (
    canonical_json,
    digest,
    mapping,
    number,
    readable_json,
    rows,
    text,
    texts,
)
from jobprov.provenance.bundle.names import percent
from jobprov.provenance.bundle.payload.command import payload_steps
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.records.openlineage.datasets import with_slash
from jobprov.provenance.records.openlineage.runs import END_OF
from jobprov.provenance.records.reading.times import read_time

FORMS = {
    "prov-json": ("prov.json", "application/json"),
    "prov-n": ("prov.provn", "text/provenance-notation; charset=utf-8"),
    "openlineage": ("openlineage.ndjson", "application/x-ndjson"),
    "in-toto": ("statement.json", "application/vnd.in-toto+json"),
}
"""File below `prov/` of a bundle, and content type, by the name of the form."""

_PREFIXES = {
    "job": "urn:uuid:",
    "file": "urn:jobprov:file:",
    "code": "urn:jobprov:code:",
    "jobprov": "urn:jobprov:",
}
_PRODUCER = "urn:jobprov:bundle-specification:1"
_RUN_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"

Document = dict[str, dict[str, Any]]


def add_exports(payload: Payload, *, mtime: int) -> None:
    """Write PROV-JSON, PROV-N, OpenLineage events and an unsigned in-toto statement."""
    document = prov_document(payload)
    payload.write("prov/prov.json", readable_json(document))
    payload.write("prov/prov.provn", provn(document).encode("utf-8", "replace"))
    events = [canonical_json(event) + b"\n" for event in _openlineage(payload, mtime)]
    payload.write("prov/openlineage.ndjson", b"".join(events))
    payload.write("prov/statement.json", readable_json(_statement(payload)))


def prov_document(payload: Payload) -> Document:
    """The job as PROV-JSON.

    The job is one activity, its files and code are entities, the experiment and the site are
    agents.
    """
    record = payload.record
    activity = f"job:{percent(text(record.get('job_id')))}"
    experiment = text(record.get("experiment")) or "unknown"
    document: Document = {
        "prefix": dict(_PREFIXES),
        "agent": {
            f"jobprov:experiment:{_local(experiment)}": {
                "prov:label": experiment,
                "prov:type": _qualified("prov:Organization"),
            }
        },
        "activity": {activity: _activity(record)},
        "entity": {},
        "used": {},
        "wasGeneratedBy": {},
        "wasAssociatedWith": {},
    }
    agent = next(iter(document["agent"]))
    document["wasAssociatedWith"]["_:associated1"] = {
        "prov:activity": activity,
        "prov:agent": agent,
    }
    _add_files(document, activity, "used", rows(record.get("inputs")))
    _add_code(document, activity, payload)
    _add_files(document, activity, "wasGeneratedBy", rows(record.get("outputs")))
    return {kind: entries for kind, entries in document.items() if entries}


def _activity(record: Mapping[str, Any]) -> dict[str, Any]:
    facts = {
        "prov:startTime": _instant(text(record.get("started_at"))),
        "prov:endTime": _instant(text(record.get("ended_at"))),
        "prov:type": _qualified("jobprov:job"),
        "jobprov:state": text(record.get("state")),
        "jobprov:task": text(mapping(record.get("task")).get("task_id")),
        "jobprov:stage": text(mapping(record.get("task")).get("stage")),
    }
    code = number(mapping(record.get("exit")).get("code"))
    known = {name: value for name, value in facts.items() if value}
    return known if code is None else known | {"jobprov:exit_code": code}


def _add_files(
    document: Document, activity: str, relation: str, files: list[dict[str, Any]]
) -> None:
    for place, file in enumerate(files):
        name, sha256, size = (
            text(file.get("name")),
            digest(file.get("sha256")),
            number(file.get("size_bytes")),
        )
        # Files of one name are not one file
        spaces = (
            text(file.get("experiment")),
            text(file.get("namespace")),
        )
        entity = f"file:{sha256 or _local(':'.join([*filter(None, spaces), name]))}"
        facts: dict[str, Any] = {"prov:label": name, "prov:type": _qualified("jobprov:file")}
        if sha256:
            facts["jobprov:sha256"] = sha256
        if size is not None:
            facts["jobprov:size_bytes"] = size
        document["entity"].setdefault(entity, facts)
        document[relation][f"_:{relation}{place + 1:06d}"] = {
            "prov:activity": activity,
            "prov:entity": entity,
        }


def _add_code(document: Document, activity: str, payload: Payload) -> None:
    for place, found in enumerate(payload.ingredients.resolutions):
        if not found.commit:
            continue
        entity = f"code:{found.commit}"
        facts = {
            "prov:label": found.name,
            "prov:type": _qualified("jobprov:commit"),
            "jobprov:repository": found.url,
        }
        document["entity"].setdefault(
            entity, {name: value for name, value in facts.items() if value}
        )
        used = {"prov:activity": activity, "prov:entity": entity}
        how = {"jobprov:evidence": "inferred"} if found.inferred is not None else {}
        document["used"][f"_:usedcode{place + 1:06d}"] = used | how


def _openlineage(payload: Payload, mtime: int) -> list[dict[str, Any]]:
    record = payload.record
    experiment, task = text(record.get("experiment")) or "unknown", mapping(record.get("task"))
    name = text(task.get("stage")) or text(task.get("task_id")) or "job"
    end = datetime.fromtimestamp(mtime, UTC).isoformat().replace("+00:00", "Z")
    common = {
        "producer": _PRODUCER,
        "schemaURL": _RUN_EVENT,
        "run": {"runId": text(record.get("job_id"))},
        "job": {"namespace": experiment, "name": name},
    }
    inputs = [_dataset(experiment, file) for file in rows(record.get("inputs"))]
    outputs = [_dataset(experiment, file) for file in rows(record.get("outputs"))]
    started = _instant(text(record.get("started_at"))) or end
    state = text(record.get("state"))
    start = common | {"eventType": "START", "eventTime": started, "inputs": inputs, "outputs": []}
    if state == "running":
        return [start]
    ended = END_OF.get(state, "FAIL")
    return [
        start,
        common | {"eventType": ended, "eventTime": end, "inputs": inputs, "outputs": outputs},
    ]


def _dataset(experiment: str, file: Mapping[str, Any]) -> dict[str, str]:
    """Return a file as `POST /api/v1/lineage` takes it, and as the events of a history name it."""
    namespace = (
        with_slash(text(file.get("namespace"))) or text(file.get("experiment")) or experiment
    )
    return {"namespace": namespace, "name": text(file.get("name"))}


def _statement(payload: Payload) -> dict[str, Any]:
    """The outputs that have a digest, and what they were made of.

    Unsigned, since a signature is never part of a bundle.
    """
    record = payload.record
    subject = [
        _resource(file) for file in rows(record.get("outputs")) if digest(file.get("sha256"))
    ]
    code = [
        {
            "uri": found.url or f"urn:jobprov:code:{_local(found.name)}",
            "digest": {"gitCommit": found.commit},
        }
        | ({"annotations": {"evidence": "inferred"}} if found.inferred is not None else {})
        for found in payload.ingredients.resolutions
        if found.commit
    ]
    files = [_resource(file) for file in rows(record.get("inputs")) if digest(file.get("sha256"))]
    times = {"startedOn": record.get("started_at"), "finishedOn": record.get("ended_at")}
    known = {name: instant for name, value in times.items() if (instant := _instant(text(value)))}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:jobprov:batch-job:1",
                "externalParameters": {
                    "steps": [
                        {"name": step.name, "argv": step.argv} for step in payload_steps(record)
                    ],
                    "configurations": [
                        {
                            "main": text(entry.get("main")),
                            "overrides": texts(entry.get("overrides")),
                        }
                        for entry in rows(record.get("configurations"))
                    ],
                },
                "resolvedDependencies": code + files,
            },
            "runDetails": {
                "builder": {
                    "id": (
                        "urn:jobprov:site:"
                        f"{_local(text(mapping(record.get('host')).get('site')) or 'unknown')}"
                    )
                },
                "metadata": {"invocationId": f"urn:uuid:{text(record.get('job_id'))}", **known},
            },
        },
    }


def _resource(file: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": text(file.get("name")), "digest": {"sha256": digest(file.get("sha256"))}}


def _qualified(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _instant(written: str) -> str:
    """The time as xsd:dateTime in UTC, empty where it cannot be read."""
    moment = read_time(written) or read_time(f"{written}Z")
    return moment.isoformat().replace("+00:00", "Z") if moment else ""


def _local(name: str) -> str:
    """A name as the local part of a qualified name: letters, digits, `._-`; the rest as `%XX`."""
    plain = "".join(
        character
        if character.isascii() and (character.isalnum() or character in "._-")
        else _escaped(character)
        for character in posixpath.normpath(name)
    )
    return plain or "-"


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))
