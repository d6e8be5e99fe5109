"""A PROV-JSON document as PROV-N text.

Source: W3C PROV-N, sections 3 to 4; a local name may hold `%XX` and needs a backslash before other
marks, and before a `-` or `.` in front and a `.` at the end.
"""

import json
from typing import Any

_ESCAPED = frozenset("=',:;[]()/")


def provn(document: dict[str, dict[str, Any]]) -> str:
    """The document in PROV-N, in the order that it has.

    Agents come first, then activities, entities, and what joins them.
    """
    lines = ["document"]
    lines += [f"  prefix {name} <{iri}>" for name, iri in document.get("prefix", {}).items()]
    lines += [
        f"  agent({_name(name)}{_attributes(facts)})"
        for name, facts in document.get("agent", {}).items()
    ]
    for name, facts in document.get("activity", {}).items():
        times = f"{facts.get('prov:startTime', '-')}, {facts.get('prov:endTime', '-')}"
        rest = {key: value for key, value in facts.items() if not key.endswith("Time")}
        lines.append(f"  activity({_name(name)}, {times}{_attributes(rest)})")
    lines += [
        f"  entity({_name(name)}{_attributes(facts)})"
        for name, facts in document.get("entity", {}).items()
    ]
    for facts in document.get("used", {}).values():
        more = _attributes(
            {key: value for key, value in facts.items() if not key.startswith("prov:")}
        )
        lines.append(
            f"  used({_name(facts['prov:activity'])}, {_name(facts['prov:entity'])}, -{more})"
        )
    for facts in document.get("wasGeneratedBy", {}).values():
        lines.append(
            f"  wasGeneratedBy({_name(facts['prov:entity'])}, {_name(facts['prov:activity'])}, -)"
        )
    for facts in document.get("wasAssociatedWith", {}).values():
        lines.append(
            f"  wasAssociatedWith({_name(facts['prov:activity'])}, {_name(facts['prov:agent'])}, -)"
        )
    return "".join(line + "\n" for line in [*lines, "endDocument"])


def _name(qualified: str) -> str:
    prefix, _, local = qualified.partition(":")
    escaped = "".join(f"\\{letter}" if letter in _ESCAPED else letter for letter in local)
    if local[:1] in {"-", "."}:
        escaped = f"\\{escaped}"
    return f"{prefix}:{escaped[:-1]}\\." if local[1:].endswith(".") else f"{prefix}:{escaped}"


def _attributes(facts: dict[str, Any]) -> str:
    pairs = [f"{key}={_value(value)}" for key, value in sorted(facts.items())]
    return f", [{', '.join(pairs)}]" if pairs else ""


def _value(value: Any) -> str:
    if isinstance(value, int):
        return f'"{value}" %% xsd:long'
    if isinstance(value, dict):
        return f"'{value['$']}'"
    return json.dumps(value, ensure_ascii=False)
