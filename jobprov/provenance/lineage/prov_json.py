"""A graph as W3C PROV: files are entities, jobs are activities; as PROV-JSON and as PROV-N.

Both are sorted, so equal graphs give equal bytes.

Source: W3C member submission "The PROV-JSON serialization" (24 April 2013) and recommendation
"PROV-N: the provenance notation" (30 April 2013).
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from jobprov.provenance.lineage.graph import Edge, FileNode, Graph, JobNode, Node
from jobprov.provenance.lineage.prov_names import (
    FILE,
    JOB,
    TERMS,
    file_in_prov,
    job_in_prov,
    local_name,
)
from jobprov.provenance.lineage.sentences import full_name
from jobprov.provenance.lineage.words import shown
from jobprov.provenance.times import utc_text

PREFIXES = {"file": FILE, "job": JOB, "jobprov": TERMS}


class _Relation(NamedTuple):
    """The relation of PROV that an edge becomes.

    Attributes:
        letter: with which its ids begin.
        target: the relation's name for the edge's target.
        source: the relation's name for the edge's source.
        rest: the optional arguments of PROV-N, which stay empty (`-`).
    """

    name: str
    letter: str
    target: str
    source: str
    rest: str


_USED = _Relation("used", "u", "prov:activity", "prov:entity", ", -")
_GENERATED = _Relation("wasGeneratedBy", "g", "prov:entity", "prov:activity", ", -")
# These two join nodes that have only hidden nodes between them
_DERIVED = _Relation("wasDerivedFrom", "d", "prov:generatedEntity", "prov:usedEntity", ", -, -, -")
_INFORMED = _Relation("wasInformedBy", "i", "prov:informed", "prov:informant", "")


def to_prov_json(graph: Graph) -> str:
    """A PROV-JSON document, indented, keys sorted; ends with a line break."""
    return json.dumps(prov_document(graph), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def prov_document(graph: Graph) -> dict[str, object]:
    """The document as JSON values."""
    names = qualified_names(graph)
    entities = {names[file.key]: _entity(file) for file in graph.files()}
    document: dict[str, object] = {
        "prefix": PREFIXES,
        "entity": entities,
        "activity": {names[job.key]: _activity(job) for job in graph.jobs()},
        "used": {},
        "wasGeneratedBy": {},
    }
    for relation, edges in _edges_by_relation(graph, names).items():
        statements: dict[str, object] = {}
        for index, edge in enumerate(edges, 1):
            ends = {relation.target: names[edge.target], relation.source: names[edge.source]}
            statements[f"_:{relation.letter}{index}"] = ends | _edge_facts(edge)
        document[relation.name] = statements
    whole_files = _whole_files(graph, names)
    if whole_files:
        specializations: dict[str, object] = {}
        for index, (version, file) in enumerate(whole_files.items(), 1):
            whole = _without_version(file)
            entities.setdefault(whole, _whole_entity(file))
            ends = {"prov:specificEntity": version, "prov:generalEntity": whole}
            specializations[f"_:s{index}"] = ends
        document["specializationOf"] = specializations
    return document


def to_prov_n(graph: Graph) -> str:
    """A PROV-N document; ends with a line break."""
    names = qualified_names(graph)
    whole_files = _whole_files(graph, names)
    lines = ["document"]
    for prefix, iri in sorted(PREFIXES.items()):
        lines.append(f"  prefix {prefix} <{iri}>")

    entities = set()
    for file in graph.files():
        entities.add(_entity_line(_entity(file), names[file.key]))
    for file in whole_files.values():
        entities.add(_entity_line(_whole_entity(file), _without_version(file)))
    activities = [_activity_line(job, names[job.key]) for job in graph.jobs()]
    lines += sorted(entities)
    lines += sorted(activities)

    for relation, edges in _edges_by_relation(graph, names).items():
        for edge in edges:
            ends = f"{names[edge.target]}, {names[edge.source]}"
            rest = f"{relation.rest}{_attributes(_edge_facts(edge))}"
            lines.append(f"  {relation.name}({ends}{rest})")
    for version, file in whole_files.items():
        lines.append(f"  specializationOf({version}, {_without_version(file)})")
    lines.append("endDocument")
    return "\n".join(lines) + "\n"


def _entity_line(facts: Mapping[str, object], name: str) -> str:
    return f"  entity({name}{_attributes(facts)})"


def _activity_line(job: JobNode, name: str) -> str:
    return f"  activity({name}, {_start(job)}, -{_attributes(_facts_beside_start(job))})"


def qualified_names(graph: Graph) -> dict[str, str]:
    """A qualified name for each node, by its key; a file or job always gets the same name."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for node in sorted(graph.nodes, key=lambda node: node.key):
        name = _file_name(node) if isinstance(node, FileNode) else job_in_prov(node.job_id)
        if name in taken:
            name = f"{name}/{local_name(node.key)}"
        taken.add(name)
        names[node.key] = name
    return names


def _file_name(file: FileNode) -> str:
    name = _without_version(file)
    return name if file.version is None else f"{name}/version/{file.version}"


def _without_version(file: FileNode) -> str:
    return file_in_prov(file.experiment, file.namespace, file.name)


def _whole_files(graph: Graph, names: Mapping[str, str]) -> dict[str, FileNode]:
    """The files by the names of their versions in the graph.

    A job's own document does not know that there are versions: it names the file itself.
    """
    versions = {names[file.key]: file for file in graph.files() if file.version is not None}
    return dict(sorted(versions.items()))


def _edges_by_relation(graph: Graph, names: Mapping[str, str]) -> dict[_Relation, list[Edge]]:
    """The edges by their relation in PROV; of the rarer two relations, only those that have any.

    Edges are sorted by names, not by keys, which differ from database to database.
    """
    nodes = graph.by_key()
    edges_of: dict[_Relation, list[Edge]] = {_USED: [], _GENERATED: [], _DERIVED: [], _INFORMED: []}
    for edge in sorted(
        graph.inner_edges(), key=lambda edge: (names[edge.source], names[edge.target])
    ):
        edges_of[_relation_of(nodes[edge.source], nodes[edge.target])].append(edge)
    for rarer in (_DERIVED, _INFORMED):
        if not edges_of[rarer]:
            del edges_of[rarer]
    return edges_of


def _relation_of(source: Node, target: Node) -> _Relation:
    if isinstance(source, JobNode):
        return _INFORMED if isinstance(target, JobNode) else _GENERATED
    return _USED if isinstance(target, JobNode) else _DERIVED


def _edge_facts(edge: Edge) -> dict[str, object]:
    facts: dict[str, object] = {}
    if edge.role:
        facts["prov:role"] = edge.role
    if not edge.is_sure:
        facts["jobprov:is_sure"] = False
    return facts


def _whole_entity(file: FileNode) -> dict[str, object]:
    """What names a file, whichever its version."""
    facts: dict[str, object] = {
        "prov:label": full_name(replace(file, version=None)),
        "jobprov:name": file.name,
        "jobprov:namespace": file.namespace or None,
        "jobprov:experiment": file.experiment or None,
    }
    return _without_missing(facts)


def _entity(file: FileNode) -> dict[str, object]:
    facts: dict[str, object] = {
        **_whole_entity(file),
        "prov:label": shown(full_name(file)),
        "jobprov:data_tier": file.data_tier,
        "jobprov:size_bytes": file.size_bytes,
        "jobprov:version": file.version,
        "jobprov:is_placeholder": file.is_placeholder or None,
    }
    return _without_missing(facts)


def _activity(job: JobNode) -> dict[str, object]:
    facts = _facts_beside_start(job)
    if job.started_at is not None:
        facts["prov:startTime"] = utc_text(job.started_at)
    return facts


def _facts_beside_start(job: JobNode) -> dict[str, object]:
    facts = {
        "prov:label": job.label or job.job_id,
        "jobprov:job_id": job.job_id,
        "jobprov:state": job.state,
        "jobprov:stage": job.stage,
        "jobprov:task_id": job.task_id,
        "jobprov:campaign": job.campaign,
        "jobprov:code_version": job.code_version,
    }
    return _without_missing(facts)


def _without_missing(facts: Mapping[str, Any]) -> dict[str, object]:
    """The known facts, without lone surrogates and control characters, which no format allows."""
    known: dict[str, object] = {}
    for name, value in facts.items():
        if isinstance(value, str):
            known[name] = shown(value)
        elif value is not None:
            known[name] = value
    return known


def _start(job: JobNode) -> str:
    return "-" if job.started_at is None else utc_text(job.started_at)


def _attributes(facts: Mapping[str, Any]) -> str:
    attributes = ", ".join(f"{name}={_literal(value)}" for name, value in sorted(facts.items()))
    return f", [{attributes}]" if attributes else ""


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return f'"{str(value).lower()}" %% xsd:boolean'
    if isinstance(value, int):
        return f'"{value}" %% xsd:integer'
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
