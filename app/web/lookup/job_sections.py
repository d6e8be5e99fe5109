"""The parts of a job's page, made ready for its template.

Rows cut to what a page bears, bars measured, gaps grouped.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from jobprov.app.web.frame.cuts import cut_rows
from jobprov.app.web.frame.formats import (
    MISSING,
    duration,
    is_number,
    moment,
    number,
    percent,
    seconds_between,
    size,
)
from jobprov.app.web.lookup.job_sentences import wall_seconds
from jobprov.provenance.lineage.words import elided
from jobprov.provenance.records.job_record import JobRecord

BAR = 1000
_KNOWN = frozenset(JobRecord.__struct_fields__) - {"hosts", "ranks", "extra"}
_LONGEST_JSON = 1500
_MESSAGES_A_GAP = 3


class Bar(NamedTuple):
    """A stretch of a line that is a thousand units long."""

    start: int
    length: int


def sections(shown: dict[str, Any]) -> dict[str, Any]:
    """Return what the template of the page needs, by name.

    Args:
        shown: what `show_job` answers.
    """
    record = shown["merged"]
    environment = record.get("environment") or {}
    variables = sorted((environment.get("variables") or {}).items())
    return {
        "steps": cut_rows("steps", steps(record), 30),
        "inputs": cut_rows("inputs", shown["inputs"], 15),
        "outputs": cut_rows("outputs", shown["outputs"], 15),
        "configurations": configurations(shown),
        "scripts": cut_rows("scripts", record.get("scripts"), 15),
        "software": cut_rows("software", shown["software"], 10),
        "variables": cut_rows("environment", variables, 40),
        "withheld": cut_rows("withheld", environment.get("withheld"), 30),
        "modules": cut_rows("modules", modules(record), 15),
        "resources": resources(shown),
        "seeds": cut_rows("seeds", record.get("seeds"), 15),
        "conditions": cut_rows("conditions", record.get("conditions"), 15),
        "logs": cut_rows("logs", record.get("logs"), 15),
        "gaps": cut_rows("gaps", grouped_gaps(shown["gaps"]), 20),
        "contradictions": cut_rows("contradictions", shown["contradictions"], 15),
        "attempts": cut_rows("attempts", shown["attempts"], 10),
        "verdicts": cut_rows("verdicts", shown["verdicts"], 10),
        "others": cut_rows("others", others(record), 15),
    }


def steps(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the steps with how each ended and where it lies on the job's time line."""
    listed = (record.get("command") or {}).get("steps") or []
    times = [record.get("started_at"), record.get("ended_at")]
    times += [step.get(key) for step in listed for key in ("started_at", "ended_at")]
    known = sorted(time for time in map(moment, times) if time is not None)
    return [_step(step, record.get("state"), known) for step in listed]


def _step(step: dict[str, Any], job_state: Any, known: Sequence[Any]) -> dict[str, Any]:
    seconds = seconds_between(step.get("started_at"), step.get("ended_at"))
    bar = None
    started = moment(step.get("started_at"))
    total = (known[-1] - known[0]).total_seconds() if known else 0
    if seconds is not None and started is not None and total > 0:
        start = round(BAR * (started - known[0]).total_seconds() / total)
        bar = Bar(min(start, BAR - 4), max(4, round(BAR * seconds / total)))
    return {**step, "state": _step_state(step, job_state), "seconds": seconds, "bar": bar}


def _step_state(step: Mapping[str, Any], job_state: Any) -> str:
    if step.get("signal") is not None:
        return "killed"
    if step.get("exit_code") is not None:
        return "succeeded" if step["exit_code"] == 0 else "failed"
    return "running" if job_state == "running" and not step.get("ended_at") else "unknown"


def modules(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the modules, those that took longest first, each with its bar."""
    listed = record.get("modules") or []
    times = [row["seconds_total"] if is_number(row.get("seconds_total")) else 0.0 for row in listed]
    most = max(times, default=0.0)
    rows = [
        {**row, "bar": Bar(0, round(BAR * max(0.0, time) / most)) if most > 0 else None}
        for row, time in zip(listed, times, strict=True)
    ]
    order = sorted(range(len(rows)), key=lambda place: -times[place])
    return [rows[place] for place in order]


def resources(shown: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the job took as (name, value), only what was measured."""
    found = shown["merged"].get("resources") or {}
    summary = shown["summary"]
    wall, cpu = wall_seconds(summary), summary["resources"]["cpu_seconds"]
    cores = found.get("cores_used") or 1
    efficiency = None
    if is_number(wall) and is_number(cpu) and is_number(cores) and wall and wall * cores > 0:
        efficiency = percent(cpu / (wall * cores), 0)
    rows = [
        ("Wall time", duration(wall)),
        ("CPU, user", duration(found.get("cpu_user_seconds"))),
        ("CPU, system", duration(found.get("cpu_system_seconds"))),
        ("CPU efficiency", efficiency or MISSING),
        ("Cores used", number(found.get("cores_used"))),
        ("Largest memory (RSS)", size(found.get("max_rss_bytes"))),
        ("Largest address space", size(found.get("max_vsize_bytes"))),
        ("Memory asked for", size(found.get("requested_memory_bytes"))),
        ("Read", size(found.get("read_bytes"))),
        ("Written", size(found.get("write_bytes"))),
    ]
    return [row for row in rows if row[1] != MISSING]


def configurations(shown: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the configurations, each with the address of its page and its files."""
    job = shown["summary"]["url"]
    names = [entry.get("step") for entry in shown["configurations"]]
    rows = []
    for place, entry in enumerate(shown["configurations"]):
        is_named = entry.get("step") and names.count(entry["step"]) == 1
        name = quote(str(entry["step"]), safe="") if is_named else str(place)
        files = entry.get("files") or []
        rows.append(
            {
                **entry,
                "url": f"{job}/configurations/{name}",
                "cut": cut_rows(f"fcl-{place}", files, 12),
                "count": len(files),
            }
        )
    return rows[:10]


def grouped_gaps(gaps: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Return gaps by code: what closes them is the same."""
    found: dict[str, dict[str, Any]] = {}
    for gap in gaps:
        group = found.setdefault(
            gap["code"], {"code": gap["code"], "how_to_close": gap["how_to_close"], "messages": []}
        )
        group["messages"].append(gap["message"])
    return [
        {**group, "count": len(group["messages"]), "messages": group["messages"][:_MESSAGES_A_GAP]}
        for group in found.values()
    ]


def others(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the record holds beyond the fields that the page knows, as JSON."""
    rest = {
        key: value
        for key, value in record.items()
        if key not in _KNOWN and value not in (None, {}, [])
    }
    return [(key, compact_json(value)) for key, value in sorted(rest.items())]


def compact_json(value: Any) -> str:
    """Return JSON in one line, cut in the middle where it is long."""
    return elided(json.dumps(value, ensure_ascii=False, default=str), _LONGEST_JSON)
