"""The facets of two jobs that their records alone tell: for each a way to say it as facts by name.

What needs bytes (configurations, the text of fcl files and scripts) is in `compare_jobs`.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from jobprov.provenance.answers.comparisons import Difference, Facet
from jobprov.provenance.fhicl.matching import changed_stretches, kept_pairs
from jobprov.provenance.records.parents import PARENT_ROLES
from jobprov.provenance.services.comparisons.differences import (
    CIRCUMSTANCE,
    RECIPE,
    RESULT,
    compared,
    flat,
    keyed,
    shortened,
)
from jobprov.provenance.services.comparisons.paired_files import bytes_of, paired, unlike_bytes

Record = Mapping[str, Any]
Facts = dict[str, Any]

_CODE_FIELDS = ("is_dirty", "worktree_tree", "dirty_patch_sha256", "objects_sha256", "tarball")
_ASKED_FIELDS = ("repository", "requested_ref", "ref_kind", "evidence")
_OUTPUT_FIELDS = (
    "status", "data_tier", "file_format", "file_type", "data_stream", "event_count", "first_event",
    "last_event", "runs", "metadata",
)  # fmt: skip
# Which libraries were mapped depends on how far a job came
_SYSTEM_FIELDS = (
    "container",
    "packages_sha256",
)
_SHOWN_ELSEWHERE = frozenset({
    "schema_version", "job_id", "experiment", "witness", "state", "task", "batch", "retry_of",
    "rerun_of", "started_at", "ended_at", "sent_at", "command", "exit", "configurations", "scripts",
    "software", "environment", "seeds", "threads", "conditions", "host", "resources", "modules",
    "inputs", "outputs", "logs",
})  # fmt: skip
_NO_DIFFERENCE = frozenset({"prov.job_id", "prov.output", "prov.task_id"})


class _Kind(NamedTuple):
    name: str
    title: str
    matters: str
    facts: Callable[[Record], Facts]


def record_facets(before: Record, after: Record) -> Iterator[Facet]:
    """Yield the facets that records alone tell.

    Both are merged records whose `software` has its resolutions.
    """
    yield _command(before, after)
    yield _inputs(before, after)
    yield _outputs(before, after)
    for kind in _KINDS:
        old, new = kind.facts(before), kind.facts(after)
        yield facet(
            kind.name, kind.title, kind.matters, compared(old, new), len(old.keys() | new.keys())
        )


def facet(name: str, title: str, matters: str, found: list[Difference], said: int) -> Facet:
    """Return a facet with all of its differences."""
    return Facet(name, title, matters, said, len(found), found)


def _code(record: Record) -> Facts:
    found: Facts = {}
    for name, entry in keyed(
        record.get("software"), lambda entry: entry.get("name") or "unnamed"
    ).items():
        if entry.get("product") and not entry.get("revision"):
            continue
        commit = (
            (entry.get("resolution") or {}).get("commit")
            or entry.get("revision")
            or entry.get("requested_ref")
        )
        facts = {"commit": commit} | {field: entry.get(field) for field in _CODE_FIELDS}
        parts = keyed(entry.get("submodules"), lambda part: part.get("path"))
        facts |= {f"submodule {path}": part.get("revision") for path, part in parts.items()}
        found |= flat(facts, name)
    return found


def _products(record: Record) -> Facts:
    found: Facts = {}
    for name, entry in keyed(
        record.get("software"), lambda entry: entry.get("name") or "unnamed"
    ).items():
        product = {
            key: value for key, value in (entry.get("product") or {}).items() if key != "prefix"
        }
        found |= flat(product, name)
        if entry.get("product") and not entry.get("revision"):
            found |= flat({"inferred commit": (entry.get("resolution") or {}).get("commit")}, name)
    environment = record.get("environment") or {}
    return found | flat({name: environment.get(name) for name in _SYSTEM_FIELDS})


def _seeds(record: Record) -> Facts:
    seeds = keyed(
        record.get("seeds"),
        lambda seed: (
            " ".join(str(seed[part]) for part in ("step", "module", "instance") if seed.get(part))
            or "job"
        ),
    )
    conditions = keyed(record.get("conditions"), lambda entry: entry.get("database") or "database")
    found = {"threads": record["threads"]} if record.get("threads") is not None else {}
    for name, entry in seeds.items():
        found |= flat(
            {key: entry.get(key) for key in ("seed", "engine", "state_sha256")}, f"seed of {name}"
        )
    for name, entry in conditions.items():
        found |= flat(
            {key: value for key, value in entry.items() if key != "database"}, f"conditions {name}"
        )
    return found


def _exit(record: Record) -> Facts:
    steps = keyed(
        (record.get("command") or {}).get("steps"), lambda step: f"step {step.get('name')}"
    )
    ends = {
        name: {key: step.get(key) for key in ("exit_code", "signal")}
        for name, step in steps.items()
    }
    return flat({"state": record.get("state"), **(record.get("exit") or {}), **ends})


def _task(record: Record) -> Facts:
    task = dict(record.get("task") or {})
    batch = record.get("batch") or {}
    times = {key: record.get(key) for key in ("started_at", "ended_at", "retry_of", "rerun_of")}
    return flat(
        {
            **task,
            "batch": {key: value for key, value in batch.items() if key != "classad_sha256"},
            **times,
        }
    )


def _environment(record: Record) -> Facts:
    environment = record.get("environment") or {}
    found = dict(environment.get("variables") or {})
    return found | {f"{name} (withheld)": True for name in environment.get("withheld") or ()}


def _host(record: Record) -> Facts:
    environment = record.get("environment") or {}
    system = {
        key: environment.get(key)
        for key in environment
        if key not in ("variables", "withheld", *_SYSTEM_FIELDS)
    }
    places = {
        f"checkout of {name}": entry.get("checkout") or (entry.get("product") or {}).get("prefix")
        for name, entry in keyed(
            record.get("software"), lambda entry: entry.get("name") or "unnamed"
        ).items()
    }
    command = record.get("command") or {}
    folder = {"working directory": command.get("working_directory")}
    return flat({**(record.get("host") or {}), **system, **places, **folder})


def _modules(record: Record) -> Facts:
    modules = keyed(
        record.get("modules"),
        lambda row: " ".join(str(row[part]) for part in ("step", "path", "label") if row.get(part)),
    )
    found: Facts = {}
    for name, row in modules.items():
        found |= flat({key: row.get(key) for key in ("type", "events", "seconds_total")}, name)
    return found


def _logs(record: Record) -> Facts:
    found: Facts = {}
    for name, log in keyed(record.get("logs"), lambda log: log["name"]).items():
        found |= flat({key: log.get(key) for key in ("size_bytes", "sha256", "is_truncated")}, name)
    return found


def _others(record: Record) -> Facts:
    """Return what no other facet has.

    That is how the code was asked for (the commit is what ran), and fields that this version does
    not know.
    """
    software = keyed(record.get("software"), lambda entry: entry.get("name") or "unnamed")
    asked = {
        name: {field: entry.get(field) for field in _ASKED_FIELDS}
        for name, entry in software.items()
    }
    return flat(
        {
            **{key: value for key, value in record.items() if key not in _SHOWN_ELSEWHERE},
            "software": asked,
        }
    )


_KINDS = (
    _Kind("code", "Code", RECIPE, _code),
    _Kind("products", "Products and container", RECIPE, _products),
    _Kind("seeds", "Seeds, threads and conditions", RECIPE, _seeds),
    _Kind("exit", "How it ended", RESULT, _exit),
    _Kind("environment", "Environment variables", CIRCUMSTANCE, _environment),
    _Kind("host", "Host and system", CIRCUMSTANCE, _host),
    _Kind("resources", "Resources", CIRCUMSTANCE, lambda record: flat(record.get("resources"))),
    _Kind("modules", "Modules", CIRCUMSTANCE, _modules),
    _Kind("logs", "Logs", CIRCUMSTANCE, _logs),
    _Kind("task", "Task, batch job and times", CIRCUMSTANCE, _task),
    _Kind("others", "Also in the records", CIRCUMSTANCE, _others),
)


def _command(before: Record, after: Record) -> Facet:
    """Return how the argument lists of the job and its steps differ, by argument."""
    old, new = _argument_lists(before), _argument_lists(after)
    found: list[Difference] = []
    for name in [*old, *(name for name in new if name not in old)]:
        if name in old and name in new:
            found += _words_changed(name, old[name], new[name])
        else:
            kind = "removed" if name in old else "added"
            texts = [" ".join(each[name]) if name in each else None for each in (old, new)]
            found.append(Difference(kind, name, shortened(texts[0]), shortened(texts[1])))
    found += compared(*map(_around_arguments, (before, after)))
    return facet("command", "Command line", RECIPE, found, len(old.keys() | new.keys()))


def _argument_lists(record: Record) -> dict[str, list[str]]:
    command = record.get("command") or {}
    found = {"the job": [str(word) for word in command["argv"]]} if command.get("argv") else {}
    steps = keyed(command.get("steps"), lambda step: f"step {step.get('name')}")
    return found | {
        name: [str(word) for word in step.get("argv") or ()] for name, step in steps.items()
    }


def _around_arguments(record: Record) -> Facts:
    """Return what decides besides arguments: which steps are the payload, what came as input.

    The input is the standard input of the command and of its steps.
    """
    command = record.get("command") or {}
    steps = keyed(command.get("steps"), lambda step: f"step {step.get('name')}")
    return flat(
        {
            "standard input": command.get("stdin_sha256"),
            **{f"{name}, role": step.get("role") for name, step in steps.items()},
            **{f"{name}, standard input": step.get("stdin_sha256") for name, step in steps.items()},
        }
    )


def _words_changed(name: str, old: list[str], new: list[str]) -> Iterator[Difference]:
    for gone, come in changed_stretches(kept_pairs(old, new), len(old), len(new)):
        kind = "changed" if gone and come else "removed" if gone else "added"
        texts = [
            " ".join(part) or None
            for part in (old[gone.start : gone.stop], new[come.start : come.stop])
        ]
        key = f"{name}, argument {(come or gone).start}"
        yield Difference(kind, key, shortened(texts[0]), shortened(texts[1]))


def _inputs(before: Record, after: Record) -> Facet:
    """Return how the inputs differ: the same bytes under another name are the same input."""
    old, new = list(before.get("inputs") or ()), list(after.get("inputs") or ())
    found = []
    for mine, other in paired(old, new, lambda file: str(file.get("role") or "input")):
        if mine is None or other is None:
            file = mine or other or {}
            kind = "removed" if other is None else "added"
            shown = [None if each is None else bytes_of(each) for each in (mine, other)]
            found.append(
                Difference(
                    kind, file["name"], before=shown[0], after=shown[1], **_pages(mine, other)
                )
            )
        elif (unlike := unlike_bytes(mine, other)) is not None:
            named = mine["name"] != other["name"]
            shown = [mine["name"], other["name"]] if named else list(unlike)
            key = str(mine.get("role") or "input") if named else mine["name"]
            found.append(
                Difference("changed", key, before=shown[0], after=shown[1], **_pages(mine, other))
            )
        elif (mine.get("role") in PARENT_ROLES) != (other.get("role") in PARENT_ROLES):
            found += compared(
                *(
                    {f"{mine['name']}, role": file.get("role") or "primary"}
                    for file in (mine, other)
                )
            )
    return facet("inputs", "Inputs", RECIPE, found, max(len(old), len(new)))


def _outputs(before: Record, after: Record) -> Facet:
    """Return how the outputs differ.

    Outputs of siblings have names of their own; they are paired by stream and tier.
    """
    old, new = list(before.get("outputs") or ()), list(after.get("outputs") or ())
    found: list[Difference] = []
    for mine, other in paired(old, new, _stream):
        if mine is None or other is None:
            kind = "removed" if other is None else "added"
            shown = [
                None if each is None else each.get("status") or "written" for each in (mine, other)
            ]
            name = (mine or other or {})["name"]
            found.append(
                Difference(kind, name, before=shown[0], after=shown[1], **_pages(mine, other))
            )
            continue
        name = (
            other["name"]
            if mine["name"] == other["name"]
            else f"{mine['name']} \N{RIGHTWARDS ARROW} {other['name']}"
        )
        rows = compared(_output(mine, other), _output(other, mine))
        found += [msgspec.structs.replace(row, part=name, **_pages(mine, other)) for row in rows]
    return facet("outputs", "Outputs", RESULT, found, max(len(old), len(new)))


def _output(file: Record, other: Record) -> Facts:
    """Return what is compared of an output: its content where possible, else its bytes.

    The content is compared where both outputs give it by the same algorithm.
    """
    algorithms = {str(each.get("content_digest") or "").partition(":")[0] for each in (file, other)}
    digest = "content_digest" if len(algorithms) == 1 and "" not in algorithms else "sha256"
    facts = flat({field: file.get(field) for field in _OUTPUT_FIELDS})
    facts = {
        key: value
        for key, value in facts.items()
        if key.removeprefix("metadata.") not in _NO_DIFFERENCE
    }
    if file.get(digest) and other.get(digest):
        facts["content" if digest == "content_digest" else "bytes"] = file[digest]
        if file[digest] == other[digest]:
            return facts
    return facts | flat({"size_bytes": file.get("size_bytes")})


def _stream(file: Record) -> str:
    return " ".join(
        str(file.get(part) or "") for part in ("step", "data_tier", "data_stream", "file_format")
    )


def _pages(before: Record | None, after: Record | None) -> dict[str, Any]:
    return {"url_before": (before or {}).get("url"), "url_after": (after or {}).get("url")}
