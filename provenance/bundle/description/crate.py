"""The RO-Crate description of a bundle: `ro-crate-metadata.json`, profile Process Run Crate 0.5.

Without a library, since that puts the current time and random ids into it. `@graph` is sorted by
`@id`, keys are sorted, and there are no floats. `actionStatus` is a plain string, because the
profile's shapes compare it as one. Source: RO-Crate 1.1, Process Run Crate 0.5.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from jobprov.provenance.bundle.description.preview import preview
from jobprov.provenance.bundle.draft import Member
from jobprov.provenance.bundle.fields import RecordPart, readable_json
from jobprov.provenance.bundle.ingredients import Resolution
from jobprov.provenance.bundle.names import percent
from jobprov.provenance.bundle.payload.payload import Payload

PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
]
STATUS = {"succeeded": "http://schema.org/CompletedActionStatus"}
FAILED = "http://schema.org/FailedActionStatus"
_LISTED = ("command/", "context/", "env/", "fcl/", "git/", "outputs/", "prov/", "scripts/")

_INFERRED = "inferred from the version of an installed product, which is what ran"
MAIN_ENTITY = {"@id": "run.sh"}
Entity = dict[str, Any]
"""A member of `@graph`: text, references to other entities, or lists of them, by property."""


def add_crate(payload: Payload, *, job_id: str, mtime: int) -> None:
    """Write the crate's metadata and its page for people. Call it after all other payload files."""
    date = datetime.fromtimestamp(mtime, UTC).isoformat().replace("+00:00", "Z")
    inputs = [_data(payload, entry, "inputs") for entry in payload.record.parts("inputs")]
    outputs = [_data(payload, entry, "outputs") for entry in payload.record.parts("outputs")]
    tools = _tools(payload)
    entities = [
        descriptor(),
        profile(),
        _experiment(payload),
        *inputs,
        *outputs,
        *tools,
        *_parts(payload),
        shell_language(),
    ]
    entities.append(_action(payload, job_id, date, inputs=inputs, outputs=outputs, tools=tools))
    entities.append(_root(payload, job_id, date, entities))
    unique = {entity["@id"]: as_main_entity(entity) for entity in entities}
    graph = [unique[name] for name in sorted(unique)]
    payload.write("ro-crate-metadata.json", readable_json({"@context": CONTEXT, "@graph": graph}))
    payload.write("ro-crate-preview.html", preview(payload, entities, date))


def descriptor() -> Entity:
    """The entity that says which file describes the crate."""
    about, conforms = {"@id": "./"}, {"@id": "https://w3id.org/ro/crate/1.1"}
    return {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "about": about,
        "conformsTo": conforms,
    }


def as_main_entity(entity: Entity) -> Entity:
    """The entity; that of run.sh says that it is what a workflow program starts."""
    if entity["@id"] != MAIN_ENTITY["@id"]:
        return entity
    types = ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
    language = {"@id": shell_language()["@id"]}
    return {**entity, "@type": types, "programmingLanguage": language}


def shell_language() -> Entity:
    """The language of run.sh."""
    return {
        "@id": "#posix-shell",
        "@type": "ComputerLanguage",
        "name": "POSIX shell",
        "url": "https://pubs.opengroup.org/onlinepubs/9699919799/utilities/V3_chap02.html",
    }


def profile() -> Entity:
    """The profile that the crate conforms to."""
    return {"@id": PROCESS, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}


def _experiment(payload: Payload) -> Entity:
    name = payload.record.text("experiment") or "unknown experiment"
    return {"@id": f"#experiment-{_id(name)}", "@type": "Organization", "name": name}


def _root(payload: Payload, job_id: str, date: str, entities: list[Entity]) -> Entity:
    author = {"@id": _experiment(payload)["@id"]}
    return {
        "@id": "./",
        "@type": "Dataset",
        "author": author,
        "conformsTo": {"@id": PROCESS},
        "datePublished": date,
        "description": (
            "Everything that is needed to run one recorded batch job again and to compare its "
            "outputs."
        ),
        "hasPart": _references(entity for entity in entities if entity["@type"] == "File"),
        "license": (
            "as stated in the files under LICENSES, and by the experiment for everything else"
        ),
        "mainEntity": MAIN_ENTITY,
        "mentions": {"@id": f"#job-{_id(job_id)}"},
        "name": f"Rerun bundle of job {job_id}",
        "publisher": author,
    }


def _action(
    payload: Payload,
    job_id: str,
    date: str,
    *,
    inputs: list[Entity],
    outputs: list[Entity],
    tools: list[Entity],
) -> Entity:
    record = payload.record
    state, stage = record.text("state"), record.part("task").text("stage")
    action: Entity = {
        "@id": f"#job-{_id(job_id)}",
        "@type": "CreateAction",
        "actionStatus": STATUS.get(state, FAILED),
        "agent": {"@id": _experiment(payload)["@id"]},
        "endTime": date,
        "instrument": {"@id": tools[0]["@id"]},
        "name": " ".join(filter(None, (state, "job", stage))),
        "object": _references(inputs),
        "result": _references(outputs),
    }
    if record.text("started_at"):
        action["startTime"] = record.text("started_at")
    message = record.part("exit").text("message")
    if message and state != "succeeded":
        action["error"] = message
    return action


def _tools(payload: Payload) -> list[Entity]:
    """The program that ran, then the software that the record lists."""
    name = payload.steps[0].argv[0] if payload.steps else "unknown program"
    program: Entity = {
        "@id": f"urn:program:{_id(name)}",
        "@type": "SoftwareApplication",
        "name": name,
    }
    by_index = sorted(payload.ingredients.resolutions, key=lambda resolution: resolution.index)
    software = [_source_code(resolution) for resolution in by_index]
    if software:
        program["softwareRequirements"] = _references(software)
    return [program, *software]


def _source_code(resolution: Resolution) -> Entity:
    iri = f"urn:software:{_id(resolution.name)}"
    if resolution.commit:
        iri = f"{resolution.url or 'urn:software'}#{resolution.commit}"
    entity: Entity = {
        "@id": iri,
        "@type": "SoftwareSourceCode",
        "name": resolution.name,
        "version": resolution.commit or "unknown",
    }
    if resolution.inferred is not None:
        entity["description"] = _INFERRED
    return entity


def _data(payload: Payload, entry: RecordPart, kind: str) -> Entity:
    """A file that the job read or wrote; a `File` of the crate only if the bundle holds it."""
    name, sha256 = entry.text("name"), entry.digest("sha256")
    size = entry.number("size_bytes")
    entity: Entity = {"@id": f"#{kind}-{_id(name)}", "@type": "CreativeWork", "name": name}
    folder = f"data/{kind}/files"
    # It is stored under its digest if its name is not allowed
    member = payload.draft.find(f"{folder}/{name}") or payload.draft.find(f"{folder}/{sha256}")
    if member is not None and member.sha256 == sha256:
        entity |= {"@id": member.path.removeprefix("data/"), "@type": "File"}
    if size is not None:
        entity["contentSize"] = str(size)
    if sha256:
        entity["sha256"] = sha256
    return entity


def _parts(payload: Payload) -> list[Entity]:
    entities = []
    for member in payload.draft.own("data/"):
        path = member.path.removeprefix("data/")
        if "/" not in path or path.startswith(_LISTED):
            entities.append(_part(path, member))
    return entities


def _part(path: str, member: Member) -> Entity:
    return {
        "@id": path,
        "@type": "File",
        "contentSize": str(member.size),
        "name": path,
        "sha256": member.sha256,
    }


def _references(entities: Iterable[Entity]) -> list[Entity] | Entity:
    """Links to entities, sorted; one alone is not wrapped in a list, as the profile demands."""
    names = {entity["@id"] for entity in entities}
    links: list[Entity] = [{"@id": name} for name in sorted(names)]
    return links[0] if len(links) == 1 else links


def _id(name: str) -> str:
    """The name as part of an IRI."""
    return (
        percent(name)
        .replace(" ", "%20")
        .replace("#", "%23")
        .replace('"', "%22")
        .replace("<", "%3C")
        .replace(">", "%3E")
    )
