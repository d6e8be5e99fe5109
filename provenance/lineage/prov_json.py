"""A graph as W3C PROV: files are entities, jobs are activities; as PROV-JSON and as PROV-N.

Both are sorted, so equal graphs give equal bytes.

Source: W3C member submission "The PROV-JSON serialization" (24 April 2013) and recommendation "PROV-N: the provenance
notation" (30 April 2013), section 3.7.1 for the characters of qualified names.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from provenance.lineage.graph import Edge, FileNode, Graph, JobNode, utc_text
from provenance.lineage.sentences import full_name
from provenance.lineage.words import shown

PREFIXES = {"file": "urn:jobprov:file:", "job": "urn:jobprov:job:", "jobprov": "urn:jobprov:terms:"}


class _Relation(NamedTuple):
    """What an edge is in PROV: its name, the first letter of its ids, what its ends are called, what PROV-N leaves open."""

    name: str
    letter: str
    target: str
    source: str
    rest: str


_RELATIONS = {
    (False, True): _Relation("used", "u", "prov:activity", "prov:entity", ", -"),
    (True, False): _Relation("wasGeneratedBy", "g", "prov:entity", "prov:activity", ", -"),
    (False, False): _Relation("wasDerivedFrom", "d", "prov:generatedEntity", "prov:usedEntity", ", -, -, -"),
    (True, True): _Relation("wasInformedBy", "i", "prov:informed", "prov:informant", ""),
}
"""By whether source and target are jobs; the last two join what only nodes that are not shown lie between."""


def to_prov_json(graph: Graph) -> str:
    """A PROV-JSON document, indented, keys sorted; ends with a line break."""
    return json.dumps(prov_document(graph), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def prov_document(graph: Graph) -> dict[str, Any]:
    """The document as JSON values."""
    names = qualified_names(graph)
    document: dict[str, Any] = {
        "prefix": PREFIXES,
        "entity": {names[file.key]: _entity(file) for file in graph.files()},
        "activity": {names[job.key]: _activity(job) for job in graph.jobs()},
        "used": {},
        "wasGeneratedBy": {},
    }
    for relation, edges in _relations(graph, names):
        document[relation.name] = {
            f"_:{relation.letter}{index}": {
                relation.target: names[edge.target],
                relation.source: names[edge.source],
                **_edge_facts(edge),
            }
            for index, edge in enumerate(edges, 1)
        }
    return document


def to_prov_n(graph: Graph) -> str:
    """A PROV-N document; ends with a line break."""
    names = qualified_names(graph)
    lines = [f"  prefix {prefix} <{iri}>" for prefix, iri in sorted(PREFIXES.items())]
    lines += sorted(f"  entity({names[file.key]}{_attributes(_entity(file))})" for file in graph.files())
    lines += sorted(f"  activity({names[job.key]}, {_start(job)}, -{_attributes(_rest(job))})" for job in graph.jobs())
    lines += [
        f"  {relation.name}({names[edge.target]}, {names[edge.source]}{relation.rest}{_attributes(_edge_facts(edge))})"
        for relation, edges in _relations(graph, names)
        for edge in edges
    ]
    return "\n".join(["document", *lines, "endDocument"]) + "\n"


def qualified_names(graph: Graph) -> dict[str, str]:
    """A qualified name for each node, by its key: the same in every document that names the same file or job."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for node in sorted(graph.nodes, key=lambda node: node.key):
        name = _file_name(node) if isinstance(node, FileNode) else f"job:{_local(node.job_id)}"
        if name in taken:
            name = f"{name}/{_local(node.key)}"
        taken.add(name)
        names[node.key] = name
    return names


def _file_name(file: FileNode) -> str:
    version = "" if file.version is None else f"/version/{file.version}"
    parts = [file.experiment, file.namespace, file.name] if file.namespace else [file.experiment, file.name]
    return f"file:{'/'.join(_local(part) for part in parts if part)}{version}"


def _local(text: str) -> str:
    """Percent-encoded so far that nothing needs the escapes of PROV-N: no `-` or `.` in front, no `.` at the end."""
    encoded = quote(text, safe="", errors="replace").replace("~", "%7E")
    if encoded[:1] in {"-", "."}:
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    return encoded[:-1] + "%2E" if encoded.endswith(".") else encoded


def _relations(graph: Graph, names: Mapping[str, str]) -> list[tuple[_Relation, list[Edge]]]:
    """The edges by what they say in PROV, each sorted by names; the first two kinds may be empty, the others are left out then.

    Keys are those of a database: in another one, or one that was rebuilt, they count otherwise.
    """
    nodes = graph.by_key()
    found: dict[tuple[bool, bool], list[Edge]] = {kind: [] for kind in list(_RELATIONS)[:2]}
    for edge in sorted(graph.inner_edges(), key=lambda edge: (names[edge.source], names[edge.target])):
        kind = (isinstance(nodes[edge.source], JobNode), isinstance(nodes[edge.target], JobNode))
        found.setdefault(kind, []).append(edge)
    return [(relation, found[kind]) for kind, relation in _RELATIONS.items() if kind in found]


def _edge_facts(edge: Edge) -> dict[str, Any]:
    role = {"prov:role": edge.role} if edge.role else {}
    return role if edge.is_sure else {**role, "jobprov:is_sure": False}


def _entity(file: FileNode) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "prov:label": full_name(file),
        "jobprov:name": file.name,
        "jobprov:namespace": file.namespace or None,
        "jobprov:experiment": file.experiment or None,
        "jobprov:data_tier": file.data_tier,
        "jobprov:size_bytes": file.size_bytes,
        "jobprov:version": file.version,
        "jobprov:is_placeholder": file.is_placeholder or None,
    }
    return _told(facts)


def _activity(job: JobNode) -> dict[str, Any]:
    start = {} if job.started_at is None else {"prov:startTime": utc_text(job.started_at)}
    return {**start, **_rest(job)}


def _rest(job: JobNode) -> dict[str, Any]:
    facts = {
        "prov:label": job.label or job.job_id,
        "jobprov:job_id": job.job_id,
        "jobprov:state": job.state,
        "jobprov:stage": job.stage,
        "jobprov:task_id": job.task_id,
        "jobprov:campaign": job.campaign,
        "jobprov:code_version": job.code_version,
    }
    return _told(facts)


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    """What is known; lone surrogates and control characters in names are replaced, as no serialization takes them."""
    return {
        name: shown(value) if isinstance(value, str) else value for name, value in facts.items() if value is not None
    }


def _start(job: JobNode) -> str:
    return "-" if job.started_at is None else utc_text(job.started_at)


def _attributes(facts: dict[str, Any]) -> str:
    told = ", ".join(f"{name}={_literal(value)}" for name, value in sorted(facts.items()))
    return f", [{told}]" if told else ""


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return f'"{str(value).lower()}" %% xsd:boolean'
    if isinstance(value, int):
        return f'"{value}" %% xsd:integer'
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
