"""Which paths and modules run, and what art removes of the others.

A path runs if `physics.trigger_paths` or `physics.end_paths` names it, or, where there is no such
list, if all its modules are of the kind that belongs there. A module runs if a path that runs names
it.

Source: art's `prune_config_if_enabled` and its helpers.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from jobprov.provenance.fhicl.running.errors import RefusedError
from jobprov.provenance.fhicl.running.releases import Rules
from jobprov.provenance.fhicl.running.working_set import WorkingSet, text_of
from jobprov.provenance.fhicl.values import NIL, NOTHING, SEQUENCE, STRING, TABLE, Value

TRIGGER_PATHS, END_PATHS = "trigger_paths", "end_paths"
_NIL = "@nil"
_MODULE_TABLES = (
    ("physics", "producers"),
    ("physics", "filters"),
    ("physics", "analyzers"),
    ("outputs",),
)
_MODIFIERS = (("physics", "producers"), ("physics", "filters"))
_NUMBERED = re.compile(r"\s*\+?(\d+)", re.ASCII)


class _Entry(NamedTuple):
    """A module of a path, or a path of a list of paths; a filter's result may be inverted."""

    name: str
    has_prefix: bool = False


class _Path(NamedTuple):
    """A path that runs, and its bit in art's results; None where the release numbers none."""

    name: str
    number: int | None
    entries: Sequence[_Entry]

    @property
    def numbered_name(self) -> str:
        return self.name if self.number is None else f"{self.number}:{self.name}"


def prune(work: WorkingSet, rules: Rules) -> None:
    """Remove what does not run, if art is to, and write down the paths that run.

    Raises:
        RefusedError: art refuses the paths.
    """
    modules = _declared_modules(work)
    paths = _all_paths(work, rules)
    triggers = _enabled(paths, modules, TRIGGER_PATHS, rules)
    ends = _enabled(paths, modules, END_PATHS, rules)
    used = _used_modules(triggers, modules, is_modifier=True)
    used |= _used_modules(ends, modules, is_modifier=False)
    if work.text("services", "scheduler", "pruneConfig") == "true":
        kept = {TRIGGER_PATHS, END_PATHS, *(path.name for path in [*triggers, *ends])}
        for name in paths:
            if name not in kept:
                work.erase("physics", name)
        _erase_modules(work, modules, used)
        if rules.removes_empty_tables:
            _remove_empty(work)
    _write_paths(work, rules, paths, triggers, ends)


def _erase_modules(
    work: WorkingSet, modules: Mapping[str, tuple[str, ...]], used: Collection[str]
) -> None:
    for label, table in modules.items():
        if label not in used:
            work.erase(*table, label)


def _declared_modules(work: WorkingSet) -> dict[str, tuple[str, ...]]:
    """Return the table that each module label is configured in."""
    modules: dict[str, tuple[str, ...]] = {}
    for table in _MODULE_TABLES:
        for label, value in work.table(*table).items():
            if value.kind != TABLE:
                continue
            if label in modules:
                places = f"{'.'.join(modules[label])} and {'.'.join(table)}"
                raise RefusedError(f"art refuses the module label {label}: it is in {places}.")
            modules[label] = table
    return modules


def _all_paths(work: WorkingSet, rules: Rules) -> dict[str, list[_Entry]]:
    """Return the paths of the configuration, and the lists of paths, ordered by name."""
    paths: dict[str, list[_Entry]] = {}
    empty = []
    for name, value in work.table("physics").items():
        if value.kind != SEQUENCE:
            if value.kind != TABLE or name not in ("producers", "filters", "analyzers"):
                raise RefusedError(f"art refuses physics.{name}: it is no path.")
            continue
        if not value.body.items:
            empty.append(name)
        is_list = name in (TRIGGER_PATHS, END_PATHS)
        paths[name] = _entries(value.body.items, name, may_be_nil=is_list and rules.numbers_paths)
    if rules.numbers_paths:
        for name in (TRIGGER_PATHS, END_PATHS):
            _blank_empty_paths(work, name, empty)
    return paths


def _entries(items: Sequence[Value], path: str, *, may_be_nil: bool) -> list[_Entry]:
    entries = []
    for item in items:
        if may_be_nil and item.kind == NIL:
            entries.append(_Entry(_NIL))
            continue
        if item.kind != STRING:
            raise RefusedError(f"art refuses physics.{path}: it holds something other than names.")
        name = item.text.replace('"', "")
        has_prefix = name[:1] in ("!", "-")
        name = name[has_prefix:]
        if "!" in name or "-" in name:
            raise RefusedError(f"art refuses the entry {name[:60]} of physics.{path}.")
        entries.append(_Entry(name, has_prefix))
    return entries


def _blank_empty_paths(work: WorkingSet, name: str, empty: Sequence[str]) -> None:
    """Put @nil into a list of paths in place of paths without modules."""
    listed = work.find("physics", name)
    if listed is None:
        return
    items = []
    for item in listed.body.items:
        is_empty = item.kind == STRING and _without_number(text_of(item)) in empty
        items.append(NOTHING if is_empty else item)
    work.check_changeable(("physics", name))
    if items != listed.body.items:
        work.replace_sequence(("physics", name), items)


def _without_number(spec: str) -> str:
    return re.sub(r"^\d+:", "", spec, flags=re.ASCII)


def _enabled(
    paths: Mapping[str, Sequence[_Entry]],
    modules: Mapping[str, tuple[str, ...]],
    listed_in: str,
    rules: Rules,
) -> list[_Path]:
    """Return the paths that run, as a list of paths says, or as their modules do."""
    for name, entries in paths.items():
        for entry in entries:
            is_path_of_modules = name not in (TRIGGER_PATHS, END_PATHS)
            if is_path_of_modules and listed_in not in paths and entry.name not in modules:
                raise RefusedError(f"art refuses path {name}: module {entry.name} is not there.")
    if listed_in in paths:
        return _listed_paths(paths, modules, listed_in, rules)
    return _paths_of_kind(paths, modules, rules, is_modifier=listed_in == TRIGGER_PATHS)


def _paths_of_kind(
    paths: Mapping[str, Sequence[_Entry]],
    modules: Mapping[str, tuple[str, ...]],
    rules: Rules,
    *,
    is_modifier: bool,
) -> list[_Path]:
    """Return the paths of modules that change events, or of those that only look at them."""
    found: list[_Path] = []
    for name, entries in paths.items():
        if name in (TRIGGER_PATHS, END_PATHS):
            continue
        right = [entry for entry in entries if (modules[entry.name] in _MODIFIERS) == is_modifier]
        if right and len(right) < len(entries):
            raise RefusedError(
                f"art refuses path {name}: it has modules for trigger paths and for end paths."
            )
        if right:
            number = len(found) if rules.numbers_paths else None
            found.append(_Path(name, number, right))
    return found


def _listed_paths(
    paths: Mapping[str, Sequence[_Entry]],
    modules: Mapping[str, tuple[str, ...]],
    listed_in: str,
    rules: Rules,
) -> list[_Path]:
    found = []
    for name, number in _specified(paths[listed_in], listed_in, rules):
        entries = paths.get(name)
        if entries is None:
            raise RefusedError(f"art refuses physics.{listed_in}: path {name} is not there.")
        for entry in entries:
            if entry.name not in modules:
                raise RefusedError(f"art refuses path {name}: module {entry.name} is not there.")
        if entries or not rules.numbers_paths:
            found.append(_Path(name, number, entries))
    return found


def _specified(
    entries: Sequence[_Entry], listed_in: str, rules: Rules
) -> list[tuple[str, int | None]]:
    """Return name and number of each path in a list, where `"0:reco"` gives both.

    A path without a number has its place in the list, empty places counted.
    """
    if not rules.numbers_paths:
        return [(entry.name, None) for entry in entries]
    numbers: dict[str, int] = {}
    for place, entry in enumerate(entries):
        number, name = _split_spec(entry.name, listed_in)
        if name == _NIL:
            continue
        if name in numbers:
            if number != numbers[name]:
                raise RefusedError(f"art refuses physics.{listed_in}: it names {name} twice.")
            continue
        number = place if number is None else number
        if number in numbers.values():
            raise RefusedError(f"art refuses physics.{listed_in}: two paths have number {number}.")
        numbers[name] = number
    return list(numbers.items())


def _split_spec(spec: str, listed_in: str) -> tuple[int | None, str]:
    number, colon, name = spec.partition(":")
    if not colon:
        return None, spec
    match = _NUMBERED.match(number)
    if match is None:
        raise RefusedError(f"art refuses {spec[:60]} in physics.{listed_in}: it has no number.")
    return int(match[1][:20]), name


def _used_modules(
    paths: Sequence[_Path], modules: Mapping[str, tuple[str, ...]], *, is_modifier: bool
) -> set[str]:
    used = set()
    for path in paths:
        for entry in path.entries:
            table = modules[entry.name]
            if (table in _MODIFIERS) != is_modifier:
                raise RefusedError(f"art refuses path {path.name}: {entry.name} cannot be in it.")
            if entry.has_prefix and table != ("physics", "filters"):
                raise RefusedError(f"art refuses path {path.name}: {entry.name} is no filter.")
            used.add(entry.name)
    return used


def _remove_empty(work: WorkingSet) -> None:
    for table in (*_MODULE_TABLES, ("physics",)):
        if table in work and not work.table(*table):
            work.erase(*table)


def _write_paths(
    work: WorkingSet,
    rules: Rules,
    paths: Mapping[str, Sequence[_Entry]],
    triggers: Sequence[_Path],
    ends: Sequence[_Path],
) -> None:
    """Write down the paths that run, in the lists and in the table `trigger_paths`."""
    numbered = [path.numbered_name for path in triggers]
    if rules.lists_all_paths:
        if ends and END_PATHS not in paths:
            work.put_texts(("physics", END_PATHS), [path.name for path in ends])
        if triggers and TRIGGER_PATHS not in paths:
            work.put_texts(("physics", TRIGGER_PATHS), numbered)
        if triggers:
            work.put_texts((TRIGGER_PATHS, TRIGGER_PATHS), numbered)
    elif rules.numbers_paths and TRIGGER_PATHS in paths:
        work.put_texts((TRIGGER_PATHS, TRIGGER_PATHS), numbered)
