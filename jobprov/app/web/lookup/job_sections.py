"""The parts of a job's page, made ready for its template.

Rows are cut to what fits on a page, bars are measured, gaps are grouped.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict

from jobprov.app.web.frame.cuts import Cut, cut_rows
from jobprov.app.web.frame.formats import (
    MISSING,
    duration,
    is_number,
    number,
    percent,
    size,
)
from jobprov.app.web.lookup.entries import complete, complete_all
from jobprov.provenance.answers.addresses import configuration_page
from jobprov.provenance.answers.lookup.jobs import JobAnswer, JobSummary, Witness
from jobprov.provenance.bundle.verdicts import Comparison, PostedVerdict
from jobprov.provenance.lineage.words import elided
from jobprov.provenance.records.gaps.gaps import Gap
from jobprov.provenance.records.job_record import (
    Batch,
    Command,
    Condition,
    Container,
    Environment,
    FclConfiguration,
    Hook,
    Host,
    Input,
    JobRecord,
    JsonObject,
    Log,
    ModuleTime,
    OperatingSystem,
    Output,
    OutputNotThere,
    Processes,
    Product,
    Resources,
    Seed,
    Software,
    SourceFile,
    Step,
    Submodule,
    Tarball,
    Task,
)
from jobprov.provenance.records.reading.times import read_time, seconds_between
from jobprov.provenance.records.release_products import software_rank

BAR = 1000
_SHORTEST_BAR = 4
_PARTS: dict[str, type[Struct]] = {
    "batch": Batch,
    "command": Command,
    "hook": Hook,
    "host": Host,
    "task": Task,
}
_KNOWN = frozenset(JobRecord.__struct_fields__) - {"hosts", "ranks"}
_LONGEST_JSON = 1500
_MESSAGES_A_GAP = 3
_MOST_CONFIGURATIONS = 10
_MOST_WITNESSES = 12


class Bar(NamedTuple):
    """A stretch of a line that is a thousand units long."""

    start: int
    length: int


class ShownConfiguration(NamedTuple):
    """A configuration of the job, as it was sent, with the address of its page and its files."""

    entry: Mapping[str, Any]
    url: str
    files: Cut


class GapGroup(Struct, frozen=True):
    """The gaps of one code: what closes them is the same.

    Attributes:
        messages: the first of them.
        count: how many there are.
    """

    code: str
    how_to_close: str
    messages: list[str]
    count: int


class JobSections(NamedTuple):
    """The sections of the page of a job, as its template takes them.

    Attributes:
        record: the merged record, with its parts.
        environment: None where the record has none.
        hook_notes: what the hook could not do or left out, as sentences.
        others: what the record holds beyond the fields that the page knows, as JSON.
    """

    record: Mapping[str, Any]
    environment: Mapping[str, Any] | None
    processes: Mapping[str, Any]
    outputs_not_there: Cut
    steps: Cut
    inputs: Cut
    outputs: Cut
    configurations: list[ShownConfiguration]
    scripts: Cut
    software: Cut
    variables: Cut
    withheld: Cut
    modules: Cut
    resources: list[tuple[str, str]]
    seeds: Cut
    conditions: Cut
    logs: Cut
    gaps: Cut
    witnesses: list[Witness]
    contradictions: Cut
    attempts: Cut
    verdicts: Cut
    best_verdict: Mapping[str, Any] | None
    hook_notes: Cut
    others: Cut


def sections(job: JobAnswer) -> JobSections:
    """Return what the template of the page needs of each section."""
    record = job.merged
    environment = record.get("environment") or {}
    command = record.get("command") or {}
    variables = sorted((environment.get("variables") or {}).items())
    not_there = complete_all(record.get("outputs_not_there"), OutputNotThere)
    conditions = complete_all(record.get("conditions"), Condition)
    software = [_software_row(entry) for entry in sorted(job.software, key=software_rank)]
    verdicts = [_verdict_row(verdict) for verdict in job.verdicts]
    best_verdict = None
    if job.best_verdict:
        best_verdict = _verdict_row(job.best_verdict)
    return JobSections(
        record=_known_parts(record),
        environment=_shown_environment(environment),
        processes=complete(command.get("processes"), Processes),
        outputs_not_there=cut_rows("outputs-not-there", not_there, 15),
        steps=cut_rows("steps", _steps(record), 30),
        inputs=cut_rows("inputs", complete_all(job.inputs, Input), 15),
        outputs=cut_rows("outputs", complete_all(job.outputs, Output), 15),
        configurations=_configurations(job),
        scripts=cut_rows("scripts", complete_all(record.get("scripts"), SourceFile), 15),
        software=cut_rows("software", software, 10),
        variables=cut_rows("environment", variables, 40),
        withheld=cut_rows("withheld", environment.get("withheld"), 30),
        modules=cut_rows("modules", _modules(record), 15),
        resources=_resources(job.summary, record),
        seeds=cut_rows("seeds", complete_all(record.get("seeds"), Seed), 15),
        conditions=cut_rows("conditions", conditions, 15),
        logs=cut_rows("logs", complete_all(record.get("logs"), Log), 15),
        gaps=cut_rows("gaps", _grouped_gaps(job.gaps), 20),
        witnesses=_witnesses(job)[:_MOST_WITNESSES],
        contradictions=cut_rows("contradictions", job.contradictions, 15),
        attempts=cut_rows("attempts", job.attempts, 10),
        verdicts=cut_rows("verdicts", verdicts, 10),
        best_verdict=best_verdict,
        hook_notes=cut_rows("hook-notes", _hook_notes(record), 15),
        others=cut_rows("others", _others(record), 15),
    )


def _known_parts(record: Mapping[str, Any]) -> JsonObject:
    """Return the record with all its members, and with those of its parts.

    What the record does not say is None.
    """
    parts = {name: complete(record.get(name), kind) for name, kind in _PARTS.items()}
    return {**complete(record, JobRecord), **parts}


def _shown_environment(environment: Mapping[str, Any]) -> JsonObject | None:
    """Return the environment with all its members; None if the record has none.

    `os` is None if the record does not name it.
    """
    if not environment:
        return None
    system = environment.get("os")
    return {
        **complete(environment, Environment),
        "container": complete(environment.get("container"), Container),
        "os": complete(system, OperatingSystem) if system else None,
    }


def _steps(record: Mapping[str, Any]) -> list[JsonObject]:
    """Return the steps with how each ended and where it lies on the job's time line."""
    command = record.get("command") or {}
    entries = complete_all(command.get("steps"), Step)
    known_times = _known_times([record, *entries])
    rows = []
    for step in entries:
        seconds = seconds_between(step["started_at"], step["ended_at"])
        state = _step_state(step, record.get("state"))
        bar = _step_bar(read_time(step["started_at"]), seconds, known_times)
        rows.append({**step, "state": state, "seconds": seconds, "bar": bar})
    return rows


def _known_times(entries: Sequence[Mapping[str, Any]]) -> list[datetime]:
    times = []
    for entry in entries:
        for name in ("started_at", "ended_at"):
            time = read_time(entry.get(name))
            if time is not None:
                times.append(time)
    return times


def _step_bar(
    started: datetime | None, seconds: float | None, known_times: Sequence[datetime]
) -> Bar | None:
    """Return where a step lies between the first and the last time that the record names."""
    if started is None or seconds is None:
        return None
    first = min(known_times)
    total = (max(known_times) - first).total_seconds()
    if total <= 0:
        return None
    start = round(BAR * (started - first).total_seconds() / total)
    length = round(BAR * seconds / total)
    return Bar(min(start, BAR - _SHORTEST_BAR), max(_SHORTEST_BAR, length))


def _step_state(step: Mapping[str, Any], job_state: Any) -> str:
    if step["signal"] is not None:
        return "killed"
    if step["exit_code"] is not None:
        return "succeeded" if step["exit_code"] == 0 else "failed"
    if job_state == "running" and not step["ended_at"]:
        return "running"
    return "unknown"


def _software_row(entry: Mapping[str, Any]) -> JsonObject:
    """Return a software entry with what the columns of the table say of it.

    `title`, `asked_for` and `origin` are the first of several members that the record has.
    """
    row = complete(entry, Software)
    product = complete(entry.get("product"), Product)
    tarball = complete(entry.get("tarball"), Tarball)
    resolution: JsonObject = {"commit": None, "evidence": None, "requested_ref": None}
    resolution |= entry["resolution"] or {}
    return {
        **row,
        "title": row["name"] or product["manager"],
        "asked_for": row["requested_ref"] or row["describe"] or resolution["requested_ref"],
        "origin": (row["repository"] or product["prefix"] or row["checkout"] or tarball["path"]),
        "product": product if entry.get("product") else None,
        "resolution": resolution if entry["resolution"] else None,
        "submodules": complete_all(row["submodules"], Submodule),
    }


def _modules(record: Mapping[str, Any]) -> list[JsonObject]:
    """Return the modules, those that took longest first, each with its bar."""
    entries = complete_all(record.get("modules"), ModuleTime)
    longest = max((_module_seconds(entry) for entry in entries), default=0.0)
    rows = []
    for entry in sorted(entries, key=_module_seconds, reverse=True):
        bar = None
        if longest > 0:
            bar = Bar(0, round(BAR * max(0.0, _module_seconds(entry)) / longest))
        rows.append({**entry, "bar": bar})
    return rows


def _module_seconds(entry: Mapping[str, Any]) -> float:
    seconds = entry["seconds_total"]
    return seconds if is_number(seconds) else 0.0


def _resources(job: JobSummary, record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the job took as (name, value), only what was measured."""
    measured = complete(record.get("resources"), Resources)
    rows = [
        ("Wall time", duration(job.took_seconds())),
        ("CPU, user", duration(measured["cpu_user_seconds"])),
        ("CPU, system", duration(measured["cpu_system_seconds"])),
        ("CPU efficiency", _efficiency(job, measured["cores_used"] or 1)),
        ("Cores used", number(measured["cores_used"])),
        ("Largest memory (RSS)", size(measured["max_rss_bytes"])),
        ("Largest address space", size(measured["max_vsize_bytes"])),
        ("Memory asked for", size(measured["requested_memory_bytes"])),
        ("Read", size(measured["read_bytes"])),
        ("Written", size(measured["write_bytes"])),
    ]
    return [(name, value) for name, value in rows if value != MISSING]


def _efficiency(job: JobSummary, cores: Any) -> str:
    """Return the share of the cores' time that was used."""
    wall, cpu = job.took_seconds(), job.resources.cpu_seconds
    if wall is None or cpu is None or not is_number(cores) or wall * cores <= 0:
        return MISSING
    return percent(cpu / (wall * cores), 0)


def _configurations(job: JobAnswer) -> list[ShownConfiguration]:
    """Return the configurations, each with the address of its page and its files."""
    entries = complete_all(job.configurations, FclConfiguration)
    names = Counter(entry["step"] for entry in entries)
    rows = []
    for place, entry in enumerate(entries[:_MOST_CONFIGURATIONS]):
        step = entry["step"]
        if not step or names[step] > 1:
            step = str(place)  # without a name of its own, its place names it
        files = cut_rows(f"fcl-{place}", complete_all(entry["files"], SourceFile), 12)
        url = configuration_page(job.summary.job_id, str(step))
        rows.append(ShownConfiguration(entry, url, files))
    return rows


def _grouped_gaps(gaps: Sequence[Gap]) -> list[GapGroup]:
    """Return gaps by code, in their order."""
    by_code: dict[str, list[Gap]] = {}
    for gap in gaps:
        by_code.setdefault(gap.code, []).append(gap)
    groups = []
    for code, alike in by_code.items():
        messages = [gap.message for gap in alike[:_MESSAGES_A_GAP]]
        groups.append(GapGroup(code, alike[0].how_to_close, messages, len(alike)))
    return groups


def _witnesses(job: JobAnswer) -> list[Witness]:
    """Return the records of all witnesses, behind them the corrections."""
    corrections = [Witness(**asdict(record), state=None, reason=None) for record in job.revisions]
    return [*job.witnesses, *corrections]


def _verdict_row(verdict: Mapping[str, Any]) -> JsonObject:
    """Return a verdict with all members that the table shows."""
    row = complete(verdict, PostedVerdict)
    return {**row, "comparisons": complete_all(row["comparisons"], Comparison)}


def _hook_notes(record: Mapping[str, Any]) -> list[str]:
    """Return what the hook could not do or left out, as sentences (`extra.hook_notes`)."""
    notes = (record.get("extra") or {}).get("hook_notes")
    if not isinstance(notes, list):
        return []
    return [str(note) for note in notes]


def _others(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the record holds beyond the fields that the page knows, as JSON.

    Each field of `extra` has a row of its own.
    """
    fields = {name: value for name, value in record.items() if name not in _KNOWN}
    for name, value in (record.get("extra") or {}).items():
        if name != "hook_notes" or not isinstance(value, list):
            fields[f"extra.{name}"] = value
    rows = []
    for name, value in sorted(fields.items()):
        if value not in (None, {}, []):
            rows.append((name, _compact_json(value)))
    return rows


def _compact_json(value: Any) -> str:
    """Return JSON in one line, cut in the middle where it is long."""
    return elided(json.dumps(value, ensure_ascii=False, default=str), _LONGEST_JSON)
