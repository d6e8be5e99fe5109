"""The RO-Crate description of a bundle: `ro-crate-metadata.json`, profile Process Run Crate 0.5.

And `ro-crate-preview.html`: the same in one self-contained page for people, without scripts.

Without a library, since that puts the current time and random ids into it. `@graph` is sorted by
`@id`, keys are sorted, and there are no floats. `actionStatus` is a plain string, because the
profile's shapes compare it as one. Source: RO-Crate 1.1, Process Run Crate 0.5.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from jobprov.provenance.bundle.bag import time_of_entries
from jobprov.provenance.bundle.draft import Member
from jobprov.provenance.bundle.fields import RecordPart, readable_json
from jobprov.provenance.bundle.ingredients import Resolution
from jobprov.provenance.bundle.names import percent
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.bundle.payload.steps import Step

_PROCESS = "https://w3id.org/ro/wfrun/process/0.5"
_CONTEXT = [
    "https://w3id.org/ro/crate/1.1/context",
    "https://w3id.org/ro/terms/workflow-run/context",
]
_STATUS = {"succeeded": "http://schema.org/CompletedActionStatus"}
_FAILED = "http://schema.org/FailedActionStatus"
_LICENSE = "as stated in the files under LICENSES, and by the experiment for everything else"
_LISTED = ("command/", "context/", "env/", "fcl/", "git/", "outputs/", "prov/", "scripts/")
_CAMPAIGN_FILES = (
    "clients.sh",
    "NEEDS.tsv",
    "README.txt",
    "jobs.tsv",
    "lib.sh",
    "mkdir.sh",
    "own-root.sh",
    "run.sh",
    "storage.sh",
    "verify.py",
    "verify.sh",
)
_INFERRED = "inferred from the version of an installed product, which is what ran"
_MAIN_ENTITY = "run.sh"

_Reference = dict[str, str]
"""`{"@id": …}`, a link to an entity."""
_Property = str | list[str] | _Reference | list[_Reference]
_STYLE = (
    "body{font:1rem/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "td,th{text-align:left;padding:0 1rem .2rem 0;vertical-align:top;overflow-wrap:anywhere}"
    "pre{overflow:auto;background:#f4f4f4;padding:.5rem}"
)
_MOST_LISTED = 500  # files of the page for people; all of them are in the tables
_PLAIN_LINK = re.compile(r"[A-Za-z0-9._+/-]+\Z")


@dataclass(frozen=True)
class _Entity:
    """A member of `@graph`."""

    id: str
    type: str
    properties: Mapping[str, _Property] = field(default_factory=dict)

    @property
    def reference(self) -> _Reference:
        """The link to it."""
        return {"@id": self.id}

    def to_json(self) -> dict[str, _Property]:
        """Its form in `@graph`; run.sh is what a workflow program starts, and says so."""
        types: _Property = self.type
        language: dict[str, _Property] = {}
        if self.id == _MAIN_ENTITY:
            types = ["File", "SoftwareSourceCode", "ComputationalWorkflow"]
            language = {"programmingLanguage": _shell_language().reference}
        return {"@id": self.id, "@type": types, **self.properties, **language}


def add_crate(payload: Payload, *, mtime: int) -> None:
    """Write the crate's metadata and its page for people. Call it after all other payload files."""
    date, job_id = time_of_entries(mtime), payload.record.text("job_id")
    experiment = _experiment(payload)
    inputs = [_data(payload, file, "inputs") for file in payload.record.parts("inputs")]
    outputs = [_data(payload, file, "outputs") for file in payload.record.parts("outputs")]
    tools = _tools(payload)
    entities = [
        _descriptor(),
        _profile(),
        experiment,
        *inputs,
        *outputs,
        *tools,
        *_parts(payload),
        _shell_language(),
    ]
    action = _action(payload, job_id, date, inputs=inputs, outputs=outputs, tools=tools)
    files = [entity for entity in entities if entity.type == "File"]
    root = _root(
        f"Rerun bundle of job {job_id}",
        "Everything that is needed to run one recorded batch job again and to compare its outputs.",
        date,
        author=experiment,
        files=files,
        actions=[action],
    )
    payload.write("ro-crate-metadata.json", _crate([*entities, action, root]))
    file_ids = [entity.id for entity in files]
    payload.write("ro-crate-preview.html", preview(payload, file_ids, date))


def campaign_crate(payloads: Sequence[Payload], name: str, mtime: int) -> bytes:
    """The crate of many jobs, with one action for each.

    What each job read and wrote is in its record.
    """
    date = time_of_entries(mtime)
    tool = _Entity("urn:program:run.sh", "SoftwareApplication", {"name": "run.sh"})
    experiment = payloads[0].record.text("experiment") or "unknown experiment"
    agent_id = f"urn:jobprov:experiment:{percent(experiment)}"
    agent = _Entity(agent_id, "Organization", {"name": experiment})
    actions = [_campaign_action(payload, agent, tool, date) for payload in payloads]
    files = [_Entity(path, "File", {"name": path}) for path in _CAMPAIGN_FILES]
    root = _root(
        f"Rerun bundle of {len(actions)} jobs: {name}",
        "Everything that is needed to run recorded batch jobs again, one at a time, and to "
        "compare their outputs.",
        date,
        author=agent,
        files=files,
        actions=actions,
    )
    shared = [_descriptor(), _profile(), _shell_language(), agent, tool]
    return _crate([*shared, root, *files, *actions])


def _crate(entities: Iterable[_Entity]) -> bytes:
    """The metadata of a crate; of entities with one id, the last is in it."""
    unique = {entity.id: entity for entity in entities}
    graph = [unique[entity_id].to_json() for entity_id in sorted(unique)]
    return readable_json({"@context": _CONTEXT, "@graph": graph})


def _descriptor() -> _Entity:
    """The entity that says which file describes the crate."""
    properties: dict[str, _Property] = {
        "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    }
    return _Entity("ro-crate-metadata.json", "CreativeWork", properties)


def _shell_language() -> _Entity:
    """The language of run.sh."""
    url = "https://pubs.opengroup.org/onlinepubs/9699919799/utilities/V3_chap02.html"
    return _Entity("#posix-shell", "ComputerLanguage", {"name": "POSIX shell", "url": url})


def _profile() -> _Entity:
    """The profile that the crate conforms to."""
    return _Entity(_PROCESS, "CreativeWork", {"name": "Process Run Crate", "version": "0.5"})


def _experiment(payload: Payload) -> _Entity:
    name = payload.record.text("experiment") or "unknown experiment"
    return _Entity(f"#experiment-{_id(name)}", "Organization", {"name": name})


def _root(
    name: str,
    description: str,
    date: str,
    *,
    author: _Entity,
    files: Sequence[_Entity],
    actions: Sequence[_Entity],
) -> _Entity:
    """The bundle itself."""
    properties: dict[str, _Property] = {
        "author": author.reference,
        "conformsTo": {"@id": _PROCESS},
        "datePublished": date,
        "description": description,
        "hasPart": _references(files),
        "license": _LICENSE,
        "mainEntity": {"@id": _MAIN_ENTITY},
        "mentions": _references(actions),
        "name": name,
        "publisher": author.reference,
    }
    return _Entity("./", "Dataset", properties)


def _action(
    payload: Payload,
    job_id: str,
    date: str,
    *,
    inputs: list[_Entity],
    outputs: list[_Entity],
    tools: list[_Entity],
) -> _Entity:
    record = payload.record
    state, stage = record.text("state"), record.part("task").text("stage")
    properties: dict[str, _Property] = {
        "actionStatus": _STATUS.get(state, _FAILED),
        "agent": _experiment(payload).reference,
        "endTime": date,
        "instrument": tools[0].reference,
        "name": " ".join(filter(None, (state, "job", stage))),
        "object": _references(inputs),
        "result": _references(outputs),
    }
    if record.text("started_at"):
        properties["startTime"] = record.text("started_at")
    message = record.part("exit").text("message")
    if message and state != "succeeded":
        properties["error"] = message
    return _Entity(f"#job-{_id(job_id)}", "CreateAction", properties)


def _campaign_action(payload: Payload, agent: _Entity, tool: _Entity, date: str) -> _Entity:
    record = payload.record
    job_id, state = record.text("job_id"), record.text("state")
    properties: dict[str, _Property] = {
        "actionStatus": _STATUS.get(state, _FAILED),
        "agent": agent.reference,
        "endTime": record.text("ended_at") or date,
        "instrument": tool.reference,
        "name": f"{state} job {job_id}",
    }
    return _Entity(f"#job-{job_id}", "CreateAction", properties)


def _tools(payload: Payload) -> list[_Entity]:
    """The program that ran, then the software that the record lists."""
    name = payload.steps[0].argv[0] if payload.steps else "unknown program"
    by_index = sorted(payload.ingredients.resolutions, key=lambda resolution: resolution.index)
    software = [_source_code(resolution) for resolution in by_index]
    properties: dict[str, _Property] = {"name": name}
    if software:
        properties["softwareRequirements"] = _references(software)
    return [_Entity(f"urn:program:{_id(name)}", "SoftwareApplication", properties), *software]


def _source_code(resolution: Resolution) -> _Entity:
    iri = f"urn:software:{_id(resolution.name)}"
    if resolution.commit:
        iri = f"{resolution.url or 'urn:software'}#{resolution.commit}"
    properties: dict[str, _Property] = {
        "name": resolution.name,
        "version": resolution.commit or "unknown",
    }
    if resolution.inferred is not None:
        properties["description"] = _INFERRED
    return _Entity(iri, "SoftwareSourceCode", properties)


def _data(payload: Payload, file: RecordPart, kind: str) -> _Entity:
    """A file that the job read or wrote; a `File` of the crate only if the bundle holds it."""
    name, sha256 = file.text("name"), file.digest("sha256")
    size = file.number("size_bytes")
    properties: dict[str, _Property] = {"name": name}
    if size is not None:
        properties["contentSize"] = str(size)
    if sha256:
        properties["sha256"] = sha256
    folder = f"data/{kind}/files"
    # It is stored under its digest if its name is not allowed
    member = payload.draft.find(f"{folder}/{name}") or payload.draft.find(f"{folder}/{sha256}")
    if member is not None and member.sha256 == sha256:
        return _Entity(member.path.removeprefix("data/"), "File", properties)
    return _Entity(f"#{kind}-{_id(name)}", "CreativeWork", properties)


def _parts(payload: Payload) -> list[_Entity]:
    entities = []
    for member in payload.draft.own("data/"):
        path = member.path.removeprefix("data/")
        if "/" not in path or path.startswith(_LISTED):
            entities.append(_part(path, member))
    return entities


def _part(path: str, member: Member) -> _Entity:
    properties = {"contentSize": str(member.size), "name": path, "sha256": member.sha256}
    return _Entity(path, "File", properties)


def _references(entities: Iterable[_Entity]) -> list[_Reference] | _Reference:
    """Links to entities, sorted; one alone is not wrapped in a list, as the profile demands."""
    ids = {entity.id for entity in entities}
    links = [{"@id": entity_id} for entity_id in sorted(ids)]
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


def preview(payload: Payload, files: Sequence[str], date: str) -> bytes:
    """The page for people: what ran, how to rerun it, inputs, outputs, gaps, and the files here."""
    record = payload.record
    job_id = record.text("job_id")
    task = record.part("task")
    facts = [
        ("experiment", record.text("experiment")),
        ("task", task.text("task_id")),
        ("stage", task.text("stage")),
        ("state", record.text("state")),
        ("ended", date),
    ]
    commands = "\n".join(_command_line(step) for step in payload.steps)
    needs = [(need.kind, need.name, need.digest, need.why) for need in payload.needs.sorted()]
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
        (
            f"<title>Rerun bundle of job {_text(job_id)}</title>\n"
            f"<style>{_STYLE}</style>\n</head>\n<body>\n"
        ),
        f"<h1>Rerun bundle of job {_text(job_id)}</h1>\n",
        _table("", [(name, value) for name, value in facts if value]),
        "<h2>Run it again</h2>\n<pre>sh run.sh --check\nsh run.sh OUT\nsh verify.sh OUT</pre>\n",
        '<p>A POSIX shell and coreutils do; <a href="README.txt">README.txt</a> says how.</p>\n',
        f"<h2>What ran</h2>\n<pre>{_text(commands)}</pre>\n",
        _files("Inputs", record.parts("inputs")),
        _files("Outputs", record.parts("outputs")),
        _table("<h2>Still needed</h2>\n", needs[:_MOST_LISTED]) if needs else "",
        "<h2>Files here</h2>\n<ul>\n",
        *map(_item, files),
        "</ul>\n</body>\n</html>\n",
    ]
    return "".join(parts).encode("utf-8", "replace")


def _command_line(step: Step) -> str:
    return " ".join(percent(argument) for argument in step.argv)


def _files(title: str, files: Sequence[RecordPart]) -> str:
    if not files:
        return ""
    table = []
    for file in files[:_MOST_LISTED]:
        size = str(file.fields.get("size_bytes") or "")
        table.append((file.text("name"), size, file.text("sha256")))
    more = f"<p>and {len(files) - _MOST_LISTED} more</p>\n" if len(files) > _MOST_LISTED else ""
    return _table(f"<h2>{title}</h2>\n", table) + more


def _table(title: str, table: Sequence[Sequence[str]]) -> str:
    body = "".join(_table_row(row) for row in table)
    return f"{title}<table>\n{body}</table>\n"


def _table_row(row: Sequence[str]) -> str:
    heading, *cells = row
    others = "".join(f"<td>{_text(cell)}</td>" for cell in cells)
    return f"<tr><th>{_text(heading)}</th>{others}</tr>\n"


def _item(path: str) -> str:
    label = _text(path)
    if _PLAIN_LINK.match(path):
        return f'<li><a href="./{label}">{label}</a></li>\n'
    return f"<li>{label}</li>\n"


def _text(recorded: str) -> str:
    return escape(percent(recorded)) if recorded else ""
