"""The facets of two jobs that need their records alone, each as facts by name.

Files are in `files`; what needs bytes (configurations, the text of fcl files and scripts) is in
`configurations` and `jobs`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from jobprov.provenance.answers.comparisons.jobs import Difference, Facet
from jobprov.provenance.db.recording.configurations.physics_variables import PhysicsVariables
from jobprov.provenance.fhicl.matching import changed_stretches
from jobprov.provenance.services.comparisons.code import code_facet, is_installed, unlike_fields
from jobprov.provenance.services.comparisons.differences import (
    CIRCUMSTANCE,
    RECIPE,
    RESULT,
    Facts,
    Record,
    compared,
    facet,
    facts_facet,
    flat,
    keyed,
    shortened,
)
from jobprov.provenance.services.comparisons.files import inputs_facet, outputs_facet
from jobprov.provenance.services.comparisons.variables import names_that_decide, variables_facet

_JOB = "the job"
_ASKED_FIELDS = ("repository", "requested_ref", "ref_kind", "evidence")
# Not the mapped libraries: which were mapped depends on how far a job came
_SYSTEM_FIELDS = ("container", "packages_sha256")
# Only the first job of each kind is traced
_OF_TRACED_JOBS = ("touched_sha256", "withheld_read")
_SHOWN_ELSEWHERE = frozenset({
    "schema_version", "job_id", "experiment", "witness", "state", "task", "batch", "retry_of",
    "rerun_of", "started_at", "ended_at", "sent_at", "command", "exit", "configurations", "scripts",
    "software", "environment", "seeds", "threads", "conditions", "host", "resources", "modules",
    "inputs", "outputs", "logs", "trace", "layout",
})  # fmt: skip


class _Kind(NamedTuple):
    name: str
    title: str
    matters: str
    facts: Callable[[Record], Facts]


def record_facets(
    before: Record,
    after: Record,
    *,
    deciding: PhysicsVariables,
    patches: Mapping[str, bytes] | None = None,
) -> Iterator[Facet]:
    """Yield the facets that need records alone.

    Args:
        before: a merged record whose `software` has its resolutions.
        after: another one.
        deciding: which variables decide physics.
        patches: those of changed checkouts that are here, by digest: they name the changed files.
    """
    physics_names = names_that_decide(deciding, before, after)
    yield code_facet(before, after, patches or {})
    yield _command(before, after)
    yield inputs_facet(before, after)
    yield outputs_facet(before, after)
    yield variables_facet(physics_names, before, after)
    yield _seeds_facet(before, after)
    old, new = _environment(before, physics_names), _environment(after, physics_names)
    yield facts_facet("environment", "Environment variables", CIRCUMSTANCE, old, new)
    for kind in _KINDS:
        old, new = kind.facts(before), kind.facts(after)
        yield facts_facet(kind.name, kind.title, kind.matters, old, new)
    yield _others_facet(before, after)


def _software_by_name(record: Record) -> dict[str, Record]:
    return keyed(record.get("software"), lambda entry: entry.get("name") or "unnamed")


def _steps_by_name(record: Record) -> dict[str, Record]:
    command = record.get("command") or {}
    return keyed(command.get("steps"), lambda step: f"step {step.get('name')}")


def _picked(entry: Record, *fields: str) -> dict[str, object]:
    """Return these fields of an entry, None where it does not have them."""
    return {field: entry.get(field) for field in fields}


def _products(record: Record) -> Facts:
    facts: dict[str, object] = {}
    for name, entry in _software_by_name(record).items():
        product = dict(entry.get("product") or {})
        product.pop("prefix", None)
        facts |= flat(product, name)
        if is_installed(entry):
            commit = (entry.get("resolution") or {}).get("commit")
            facts |= flat({"inferred commit": commit}, name)
    return facts | flat(_picked(record.get("environment") or {}, *_SYSTEM_FIELDS))


def _seeds_facet(before: Record, after: Record) -> Facet:
    """Return how seeds, threads and conditions differ.

    Seeds are compared where both records have some: a log that was cut off has none.
    """
    old, new = _threads_and_conditions(before), _threads_and_conditions(after)
    seeds = _seeds(before), _seeds(after)
    fact_count = len(old.keys() | new.keys() | seeds[0].keys() | seeds[1].keys())
    problems = []
    if bool(seeds[0]) == bool(seeds[1]):
        old |= seeds[0]
        new |= seeds[1]
    else:
        which = "first" if seeds[0] else "second"
        problems.append(f"Only the {which} record has seeds: they cannot be compared.")
    title = "Seeds, threads and conditions"
    result = facet("seeds", title, RECIPE, compared(old, new), fact_count)
    result.problems = problems
    return result


def _seeds(record: Record) -> dict[str, object]:
    facts: dict[str, object] = {}
    for name, seed in keyed(record.get("seeds"), _name_of_seed).items():
        facts |= flat(_picked(seed, "seed", "engine", "state_sha256"), f"seed of {name}")
    return facts


def _threads_and_conditions(record: Record) -> dict[str, object]:
    facts: dict[str, object] = {}
    if record.get("threads") is not None:
        facts["threads"] = record["threads"]
    conditions = keyed(record.get("conditions"), lambda entry: entry.get("database") or "database")
    for name, condition in conditions.items():
        others = {key: value for key, value in condition.items() if key != "database"}
        facts |= flat(others, f"conditions {name}")
    return facts


def _name_of_seed(seed: Record) -> str:
    return _joined(seed, "step", "module", "instance") or "job"


def _joined(entry: Record, *fields: str) -> str:
    """Return those of the fields that an entry has, with blanks between them."""
    return " ".join(str(entry[field]) for field in fields if entry.get(field))


def _exit(record: Record) -> Facts:
    ends: dict[str, object] = {"state": record.get("state"), **(record.get("exit") or {})}
    for name, step in _steps_by_name(record).items():
        ends[name] = _picked(step, "exit_code", "signal")
    return flat(ends)


def _task(record: Record) -> Facts:
    batch = dict(record.get("batch") or {})
    batch.pop("classad_sha256", None)
    times = _picked(record, "started_at", "ended_at", "retry_of", "rerun_of")
    return flat({**(record.get("task") or {}), "batch": batch, **times})


def _environment(record: Record, deciding: Sequence[str]) -> Facts:
    """Return the variables that do not decide physics."""
    environment = record.get("environment") or {}
    facts = dict(environment.get("variables") or {})
    for name in deciding:
        facts.pop(name, None)
    for name in environment.get("withheld") or ():
        facts[f"{name} (withheld)"] = True
    return facts


def _host(record: Record) -> Facts:
    """Return where the job ran: host, system, and the folders of its code."""
    system = dict(record.get("environment") or {})
    for field in ("variables", "withheld", *_SYSTEM_FIELDS, *_OF_TRACED_JOBS):
        system.pop(field, None)  # other facets have them, or only few jobs
    facts = {**(record.get("host") or {}), **system}
    for name, entry in _software_by_name(record).items():
        prefix = (entry.get("product") or {}).get("prefix")
        facts[f"checkout of {name}"] = entry.get("checkout") or prefix
    facts["working directory"] = (record.get("command") or {}).get("working_directory")
    return flat(facts)


def _resources(record: Record) -> Facts:
    return flat(record.get("resources"))


def _modules(record: Record) -> Facts:
    facts: dict[str, object] = {}
    modules = keyed(record.get("modules"), lambda module: _joined(module, "step", "path", "label"))
    for name, module in modules.items():
        facts |= flat(_picked(module, "type", "events", "seconds_total"), name)
    return facts


def _logs(record: Record) -> Facts:
    facts: dict[str, object] = {}
    for name, log in keyed(record.get("logs"), lambda log: log["name"]).items():
        facts |= flat(_picked(log, "size_bytes", "sha256", "is_truncated"), name)
    return facts


def _others(record: Record) -> dict[str, object]:
    """Return what no other facet has.

    That is how the code was asked for (the commit is what ran), and fields that this version does
    not know.
    """
    others = {field: value for field, value in record.items() if field not in _SHOWN_ELSEWHERE}
    asked_for = {}
    for name, entry in _software_by_name(record).items():
        asked_for[name] = _picked(entry, *_ASKED_FIELDS)
    lay_there = {}
    for entry in record.get("layout") or ():
        lay_there[entry["path"]] = _picked(entry, "kind", "target")  # each job has times of its own
    return flat({**others, "software": asked_for, "layout": lay_there})


def _others_facet(before: Record, after: Record) -> Facet:
    old, new = _others(before), _others(after)
    for key, (value_before, value_after) in unlike_fields(before, after).items():
        old |= flat(value_before, key)
        new |= flat(value_after, key)
    return facts_facet("others", "Also in the records", CIRCUMSTANCE, old, new)


_KINDS = (
    _Kind("products", "Products and container", RECIPE, _products),
    _Kind("exit", "How it ended", RESULT, _exit),
    _Kind("host", "Host and system", CIRCUMSTANCE, _host),
    _Kind("resources", "Resources", CIRCUMSTANCE, _resources),
    _Kind("modules", "Modules", CIRCUMSTANCE, _modules),
    _Kind("logs", "Logs", CIRCUMSTANCE, _logs),
    _Kind("task", "Task, batch job and times", CIRCUMSTANCE, _task),
)


def _command(before: Record, after: Record) -> Facet:
    """Return how the argument lists of the job and its steps differ, by argument."""
    old, new = _argument_lists(before), _argument_lists(after)
    if len(old) > 1 and len(new) > 1 and _is_repeat(before) != _is_repeat(after):
        # The steps are what ran; around them a repeated job has another script
        old.pop(_JOB, None)
        new.pop(_JOB, None)
    folders_before, folders_after = _folders(before), _folders(after)
    rows: list[Difference] = []
    for name in {**old, **new}:
        arguments_before, arguments_after = old.get(name), new.get(name)
        if arguments_before is None or arguments_after is None:
            rows += compared(_line(name, arguments_before), _line(name, arguments_after))
        elif arguments_before != arguments_after:
            plain_before = _plain(arguments_before, folders_before)
            plain_after = _plain(arguments_after, folders_after)
            rows += _changed_arguments(
                name, (arguments_before, arguments_after), (plain_before, plain_after)
            )
    rows += compared(_around_arguments(before), _around_arguments(after))
    return facet("command", "Command line", RECIPE, rows, len(old.keys() | new.keys()))


def _line(name: str, arguments: list[str] | None) -> Facts:
    """Return a command line as one fact; none where the job has no such step."""
    return {} if arguments is None else {name: " ".join(arguments)}


def _argument_lists(record: Record) -> dict[str, list[str]]:
    command = record.get("command") or {}
    lists: dict[str, list[str]] = {}
    if command.get("argv"):
        lists[_JOB] = [str(argument) for argument in command["argv"]]
    for name, step in _steps_by_name(record).items():
        lists[name] = [str(argument) for argument in step.get("argv") or ()]
    return lists


def _around_arguments(record: Record) -> Facts:
    """Return what decides besides arguments: which steps are the payload, what came as input.

    The input is the standard input of the command and of its steps.
    """
    facts = {"standard input": (record.get("command") or {}).get("stdin_sha256")}
    steps = _steps_by_name(record)
    for name, step in steps.items():
        facts[f"{name}, role"] = step.get("role")
    for name, step in steps.items():
        facts[f"{name}, standard input"] = step.get("stdin_sha256")
    return flat(facts)


def _is_repeat(record: Record) -> bool:
    return bool(record.get("retry_of") or record.get("rerun_of"))


def _folders(record: Record) -> list[tuple[str, str]]:
    """Return the folders of a job, each with what stands for it in any job, the longest first.

    These are the working folder and the checkouts; and of a retry or rerun, which works in a folder
    of its own, what stands there for the root folder.
    """
    working = str((record.get("command") or {}).get("working_directory") or "")
    folders = {working: "."}
    for number, entry in enumerate(record.get("software") or ()):
        if not is_installed(entry):
            # Not by its name: one repository may have two
            folders[str(entry.get("checkout") or "")] = f"checkout {number}"
    top, _, last = working.rpartition("/")
    if last == "work" and _is_repeat(record):
        folders[f"{top}/elsewhere"] = ""
    named = [(folder, word) for folder, word in folders.items() if folder.count("/") > 1]
    return sorted(named, key=lambda pair: len(pair[0]), reverse=True)


def _plain(words: list[str], folders: list[tuple[str, str]]) -> list[str]:
    """Return arguments with the folders of the job replaced, so that two jobs can be compared."""
    plain = []
    for argument in words:
        word = argument
        for folder, stands_for in folders:
            word = word.replace(f"{folder}/", f"{stands_for}/")
        plain.append(word)
    return plain


def _changed_arguments(
    name: str, shown: tuple[list[str], list[str]], plain: tuple[list[str], list[str]]
) -> Iterator[Difference]:
    """Yield what differs of two lists of arguments, shown as they are recorded."""
    old, new = shown
    for removed, added in changed_stretches(*plain):
        kind = "changed"
        if not removed:
            kind = "added"
        elif not added:
            kind = "removed"
        before = " ".join(old[removed.start : removed.stop]) or None
        after = " ".join(new[added.start : added.stop]) or None
        position = (added or removed).start
        yield Difference(kind, f"{name}, argument {position}", shortened(before), shortened(after))
