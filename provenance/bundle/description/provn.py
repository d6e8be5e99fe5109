"""A PROV-JSON document as PROV-N text.

Source: W3C PROV-N, sections 3 to 4; a local name may hold `%XX` and needs a backslash before other
marks, and before a `-` or `.` in front and a `.` at the end.
"""

import json

from msgspec import Struct

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


def provn(document: ProvDocument) -> str:
    """The document in PROV-N, in the order that it has.

    Agents come first, then activities, entities, and what joins them.
    """
    lines = ["document"]
    lines += [f"  prefix {name} <{iri}>" for name, iri in document.prefix.items()]
    for name, facts in document.agent.items():
        lines.append(f"  agent({_name(name)}{_attributes(facts)})")
    for name, facts in document.activity.items():
        times = f"{facts.get('prov:startTime', '-')}, {facts.get('prov:endTime', '-')}"
        others = {key: value for key, value in facts.items() if not key.endswith("Time")}
        lines.append(f"  activity({_name(name)}, {times}{_attributes(others)})")
    for name, facts in document.entity.items():
        lines.append(f"  entity({_name(name)}{_attributes(facts)})")
    lines += [_relation("used", facts, "activity", "entity") for facts in document.used.values()]
    for facts in document.was_generated_by.values():
        lines.append(_relation("wasGeneratedBy", facts, "entity", "activity"))
    for facts in document.was_associated_with.values():
        lines.append(_relation("wasAssociatedWith", facts, "activity", "agent"))
    return "".join(line + "\n" for line in [*lines, "endDocument"])


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
