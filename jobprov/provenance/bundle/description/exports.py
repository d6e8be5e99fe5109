"""The job in other formats: `prov/` of a bundle, and the JSON-LD contexts of its crate.

Without libraries, since their order varies, and so do the numbers that they give to unnamed things.
Here every record is sorted. Source: W3C PROV-JSON (member submission 2013-04-24), W3C PROV-N
(recommendation 2013-04-30), OpenLineage 2-0-2, in-toto Statement v1, SLSA provenance v1.
"""

import json
import posixpath
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from jobprov.provenance.bundle.fields import RecordPart, canonical_json, readable_json
from jobprov.provenance.bundle.ingredients import Resolution
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.lineage.prov_names import (
    FILE,
    JOB,
    TERMS,
    file_in_prov,
    job_in_prov,
    local_name,
)
from jobprov.provenance.records.files.names import full_name
from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.records.openlineage.datasets import with_slash
from jobprov.provenance.records.openlineage.runs import END_OF
from jobprov.provenance.records.reading.times import read_time
from jobprov.provenance.times import exact_utc_text, utc_text

FORMS = {
    "prov-json": ("prov.json", "application/json"),
    "prov-n": ("prov.provn", "text/provenance-notation; charset=utf-8"),
    "openlineage": ("openlineage.ndjson", "application/x-ndjson"),
    "in-toto": ("statement.json", "application/vnd.in-toto+json"),
}
"""File below `prov/` of a bundle, and content type, by the name of the form."""

_PREFIXES = {
    "job": JOB,
    "file": FILE,
    "code": "urn:jobprov:code:",
    "experiment": "urn:jobprov:experiment:",
    "jobprov": TERMS,
}
_PRODUCER = "urn:jobprov:bundle-specification:1"
_RUN_EVENT = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_ESCAPED = frozenset("=',:;[]()")

Fact = str | int | dict[str, str]
"""A literal, or a qualified name as `{"$": name, "type": "prov:QUALIFIED_NAME"}`."""
Facts = dict[str, Fact]
"""The attributes of one record, by name."""


class ProvDocument(Struct, rename="camel", omit_defaults=True):
    """A PROV-JSON document: its prefixes, and records of each kind by name."""

    prefix: dict[str, str]
    agent: dict[str, Facts] = {}
    activity: dict[str, Facts] = {}
    entity: dict[str, Facts] = {}
    used: dict[str, Facts] = {}
    was_generated_by: dict[str, Facts] = {}
    was_associated_with: dict[str, Facts] = {}


def add_exports(payload: Payload, *, mtime: int) -> None:
    """Write PROV-JSON, PROV-N, OpenLineage events and an unsigned in-toto statement."""
    document = prov_document(payload)
    payload.write("prov/prov.json", readable_json(msgspec.to_builtins(document)))
    payload.write("prov/prov.provn", provn(document).encode("utf-8", "replace"))
    events = [canonical_json(event) + b"\n" for event in _openlineage(payload, mtime)]
    payload.write("prov/openlineage.ndjson", b"".join(events))
    payload.write("prov/statement.json", readable_json(_statement(payload)))


def prov_document(payload: Payload) -> ProvDocument:
    """The job as PROV-JSON.

    The job is one activity, its files and code are entities, the experiment is an agent.
    """
    record = payload.record
    activity = job_in_prov(record.text("job_id"))
    experiment = record.text("experiment") or "unknown"
    agent = f"experiment:{local_name(experiment)}"
    document = ProvDocument(
        prefix=dict(_PREFIXES),
        agent={agent: {"prov:label": experiment, "prov:type": _qualified("prov:Organization")}},
        activity={activity: _activity(record)},
        was_associated_with={
            "_:associated1": {"prov:activity": activity, "prov:agent": agent},
        },
    )
    for place, file in enumerate(_named_files(payload, "inputs"), 1):
        ends: Facts = {
            "prov:activity": activity,
            "prov:entity": _entity(document, file, experiment),
        }
        document.used[f"_:used{place:06d}"] = ends
    _add_code(document, activity, payload)
    for place, file in enumerate(_named_files(payload, "outputs"), 1):
        ends = {"prov:activity": activity, "prov:entity": _entity(document, file, experiment)}
        document.was_generated_by[f"_:wasGeneratedBy{place:06d}"] = ends
    return document


def _named_files(payload: Payload, kind: str) -> list[RecordPart]:
    """The inputs or outputs of the record, each under the full name by which lineages call it."""
    ingredients = payload.ingredients
    known = ingredients.known_inputs if kind == "inputs" else ingredients.known_outputs
    named = []
    for place, file in enumerate(payload.record.parts(kind)):
        if place in known and known[place].namespace:
            full_name = {"namespace": known[place].namespace, "name": known[place].name}
            named.append(RecordPart({**file.fields, **full_name}))
        else:
            named.append(file)
    return named


def _activity(record: RecordPart) -> Facts:
    task = record.part("task")
    facts: Facts = {
        "prov:startTime": _second(record.text("started_at")),
        "prov:endTime": _second(record.text("ended_at")),
        "prov:type": _qualified("jobprov:job"),
        "jobprov:state": record.text("state"),
        "jobprov:task_id": task.text("task_id"),
        "jobprov:stage": task.text("stage"),
    }
    facts = {name: value for name, value in facts.items() if value}
    code = record.part("exit").number("code")
    if code is not None:
        facts["jobprov:exit_code"] = code
    return facts


def _entity(document: ProvDocument, file: RecordPart, experiment: str) -> str:
    """Add a file as an entity, unless it is there; return its name, which lineages use as well."""
    experiment = file.text("experiment") or experiment
    namespace, name = file.text("namespace"), file.text("name")
    sha256, size = file.digest("sha256"), file.number("size_bytes")
    facts: Facts = {
        "prov:label": full_name(name, namespace),
        "prov:type": _qualified("jobprov:file"),
    }
    if sha256:
        facts["jobprov:sha256"] = sha256
    if size is not None:
        facts["jobprov:size_bytes"] = size
    entity = file_in_prov(experiment, namespace, name)
    known = document.entity.get(entity, facts)
    if sha256 and known.get("jobprov:sha256") != sha256:
        # another file of this name in the same job, as `a/hist.root` beside `b/hist.root`
        entity = f"{entity}/sha256/{sha256}"
    document.entity.setdefault(entity, facts)
    return entity


def _add_code(document: ProvDocument, activity: str, payload: Payload) -> None:
    for place, resolution in enumerate(payload.ingredients.resolutions, 1):
        if not resolution.commit:
            continue
        entity = f"code:{resolution.commit}"
        facts: Facts = {
            "prov:label": resolution.name,
            "prov:type": _qualified("jobprov:commit"),
            "jobprov:repository": resolution.url,
        }
        facts = {name: value for name, value in facts.items() if value}
        document.entity.setdefault(entity, facts)
        used: Facts = {"prov:activity": activity, "prov:entity": entity}
        if resolution.inferred is not None:
            used["jobprov:evidence"] = "inferred"
        document.used[f"_:usedcode{place:06d}"] = used


def _openlineage(payload: Payload, mtime: int) -> list[JsonObject]:
    """The events of the job's run: its start, and its end if it has ended."""
    record = payload.record
    state = record.text("state")
    ended_at = exact_utc_text(datetime.fromtimestamp(mtime, UTC))
    started_at = _instant(record.text("started_at")) or ended_at
    experiment, task = record.text("experiment") or "unknown", record.part("task")
    job_name = task.text("stage") or task.text("task_id") or "job"
    common = {
        "producer": _PRODUCER,
        "schemaURL": _RUN_EVENT,
        "run": {"runId": record.text("job_id")},
        "job": {"namespace": experiment, "name": job_name},
        "inputs": [_dataset(experiment, file) for file in record.parts("inputs")],
    }
    start = common | {"eventType": "START", "eventTime": started_at, "outputs": []}
    if state == "running":
        return [start]
    outputs = [_dataset(experiment, file) for file in record.parts("outputs")]
    event_type = END_OF.get(state, "FAIL")
    end = common | {"eventType": event_type, "eventTime": ended_at, "outputs": outputs}
    return [start, end]


def _dataset(experiment: str, file: RecordPart) -> dict[str, str]:
    """Return a file in the form of `POST /api/v1/lineage`, which exported histories use, too."""
    namespace = with_slash(file.text("namespace"))
    return {
        "namespace": namespace or file.text("experiment") or experiment,
        "name": file.text("name"),
    }


def _statement(payload: Payload) -> JsonObject:
    """The outputs with a digest, and what they were made from.

    It is unsigned, since a signature is never part of a bundle.
    """
    record = payload.record
    code = _code_resources(payload.ingredients.resolutions)
    site = record.part("host").text("site") or "unknown"
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": _file_resources(record.parts("outputs")),
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:jobprov:batch-job:1",
                "externalParameters": _external_parameters(payload),
                "resolvedDependencies": code + _file_resources(record.parts("inputs")),
            },
            "runDetails": {
                "builder": {"id": f"urn:jobprov:site:{_local(site)}"},
                "metadata": _run_metadata(record),
            },
        },
    }


def _external_parameters(payload: Payload) -> JsonObject:
    """What the job was told to do: its commands and its configurations."""
    steps = [{"name": step.name, "argv": step.argv} for step in payload.steps]
    configurations = []
    for configuration in payload.record.parts("configurations"):
        main, overrides = configuration.text("main"), configuration.texts("overrides")
        configurations.append({"main": main, "overrides": overrides})
    return {"steps": steps, "configurations": configurations}


def _run_metadata(record: RecordPart) -> dict[str, str]:
    metadata = {"invocationId": f"urn:uuid:{record.text('job_id')}"}
    for name, field in (("startedOn", "started_at"), ("finishedOn", "ended_at")):
        instant = _instant(record.text(field))
        if instant:
            metadata[name] = instant
    return metadata


def _code_resources(resolutions: Iterable[Resolution]) -> list[JsonObject]:
    resources: list[JsonObject] = []
    for resolution in resolutions:
        if not resolution.commit:
            continue
        uri = resolution.url or f"urn:jobprov:code:{_local(resolution.name)}"
        resource: JsonObject = {"uri": uri, "digest": {"gitCommit": resolution.commit}}
        if resolution.inferred is not None:
            resource["annotations"] = {"evidence": "inferred"}
        resources.append(resource)
    return resources


def _file_resources(files: Iterable[RecordPart]) -> list[JsonObject]:
    """The files that have a digest; a statement cannot name others."""
    resources: list[JsonObject] = []
    for file in files:
        sha256 = file.digest("sha256")
        if sha256:
            resources.append({"name": file.text("name"), "digest": {"sha256": sha256}})
    return resources


def _qualified(name: str) -> dict[str, str]:
    return {"$": name, "type": "prov:QUALIFIED_NAME"}


def _second(written: str) -> str:
    """The time as lineages write it, in UTC to the second; empty if it cannot be read."""
    moment = read_time(written) or read_time(f"{written}Z")
    return utc_text(moment) if moment else ""


def _instant(written: str) -> str:
    """The time as xsd:dateTime in UTC; empty if it cannot be read."""
    moment = read_time(written) or read_time(f"{written}Z")
    return exact_utc_text(moment) if moment else ""


def _local(name: str) -> str:
    """A name as the local part of a qualified name: letters, digits, `._-`; the rest as `%XX`."""
    # normpath is never empty
    return "".join(map(_escaped, posixpath.normpath(name)))


def _escaped(character: str) -> str:
    if character.isascii() and (character.isalnum() or character in "._-"):
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))


def provn(document: ProvDocument) -> str:
    """The document in PROV-N, in the order that it has.

    Agents come first, then activities, entities, and what joins them. Source: sections 3 to 4; a
    local name may hold `%XX` and needs a backslash before other marks, and before a `-` or `.` in
    front and a `.` at the end.
    """
    lines = ["document"]
    for name, iri in document.prefix.items():
        lines.append(f"  prefix {name} <{iri}>")
    for name, facts in document.agent.items():
        lines.append(f"  agent({_name(name)}{_attributes(facts)})")
    for name, facts in document.activity.items():
        lines.append(_activity_line(name, facts))
    for name, facts in document.entity.items():
        lines.append(f"  entity({_name(name)}{_attributes(facts)})")
    for facts in document.used.values():
        lines.append(_relation("used", facts, "activity", "entity"))
    for facts in document.was_generated_by.values():
        lines.append(_relation("wasGeneratedBy", facts, "entity", "activity"))
    for facts in document.was_associated_with.values():
        lines.append(_relation("wasAssociatedWith", facts, "activity", "agent"))
    lines.append("endDocument")
    return "\n".join(lines) + "\n"


def _activity_line(name: str, facts: Facts) -> str:
    """A line for an activity, with its times before its other attributes."""
    start = facts.get("prov:startTime", "-")
    end = facts.get("prov:endTime", "-")
    others = {key: value for key, value in facts.items() if not key.endswith("Time")}
    return f"  activity({_name(name)}, {start}, {end}{_attributes(others)})"


def _relation(kind: str, facts: Facts, subject: str, target: str) -> str:
    """A line that joins two records, which `facts` names as `prov:activity` and the like."""
    subject_name, target_name = str(facts[f"prov:{subject}"]), str(facts[f"prov:{target}"])
    others = {key: value for key, value in facts.items() if not key.startswith("prov:")}
    # The dash is for the optional time or plan, which is not known
    return f"  {kind}({_name(subject_name)}, {_name(target_name)}, -{_attributes(others)})"


def _name(qualified: str) -> str:
    prefix, _, local = qualified.partition(":")
    escaped = "".join(f"\\{letter}" if letter in _ESCAPED else letter for letter in local)
    if local[:1] in {"-", "."}:
        escaped = f"\\{escaped}"
    if local[1:].endswith("."):
        escaped = f"{escaped[:-1]}\\."
    return f"{prefix}:{escaped}"


def _attributes(facts: Facts) -> str:
    pairs = [f"{key}={_value(value)}" for key, value in sorted(facts.items())]
    return f", [{', '.join(pairs)}]" if pairs else ""


def _value(value: Fact) -> str:
    if isinstance(value, int):
        return f'"{value}" %% xsd:integer'
    if isinstance(value, dict):
        return f"'{value['$']}'"
    return json.dumps(value, ensure_ascii=False)
