"""How the configurations of two jobs differ.

By parameter, as their recorded files evaluate, with the line that each value came from.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import msgspec

from jobprov.provenance.answers.addresses import configuration_page
from jobprov.provenance.answers.comparisons import Difference, Facet, Place
from jobprov.provenance.fhicl import Change, Configuration, Origin, diff
from jobprov.provenance.fhicl.diff import RENAMED
from jobprov.provenance.records.job_record import FclConfiguration
from jobprov.provenance.records.reading.repairing import repaired
from jobprov.provenance.services.comparisons.differences import RECIPE, compared, keyed, shortened
from jobprov.provenance.services.comparisons.facets import facet
from jobprov.provenance.services.configurations.configuration import (
    ConfigurationError,
    evaluate_recorded,
)

Job = Mapping[str, Any]
Entry = dict[str, Any]


def configuration_facet(jobs: Sequence[Job], sources: Mapping[str, bytes]) -> Facet:
    """Return how the configurations of two jobs differ.

    Problems say which step could not be evaluated.

    Args:
        jobs: what `show_job` answers, twice.
        sources: bytes of fcl files by digest, as far as they are here.
    """
    rows: list[Difference] = []
    problems: list[str] = []
    said = 0
    pairs = list(_paired_steps(jobs))
    for name, old, new in pairs:
        part = name if len(pairs) > 1 else None
        if old is None or new is None:
            shown = [None if entry is None else entry.get("main") or "fcl" for entry in (old, new)]
            kind = "removed" if new is None else "added"
            rows.append(
                Difference(kind, f"configuration of step {name}", before=shown[0], after=shown[1])
            )
            continue
        said += 1
        try:
            rows += _compared_step(jobs, part, old, new, sources)
        except ConfigurationError as problem:
            problems.append(f"Step {name}: {problem}")
    found = facet("configuration", "Configuration", RECIPE, rows, said)
    found.problems = problems
    return found


def _paired_steps(
    jobs: Sequence[Job],
) -> Iterator[tuple[str, Entry | None, Entry | None]]:
    """Yield the configurations of each step of either job; steps without a name go in order."""
    listed = [job["configurations"] for job in jobs]
    if all(len(each) == 1 for each in listed):
        yield str(listed[0][0].get("step") or "job"), listed[0][0], listed[1][0]
        return
    named = [
        keyed([e for e in each if e.get("step")], lambda entry: entry["step"]) for each in listed
    ]
    for name in [*named[0], *(name for name in named[1] if name not in named[0])]:
        yield name, named[0].get(name), named[1].get(name)  # type: ignore[misc]
    nameless = [[entry for entry in each if not entry.get("step")] for each in listed]
    for place, (old, new) in enumerate(zip_longest(*nameless)):
        yield str(place), old, new


def _compared_step(
    jobs: Sequence[Job], part: str | None, old: Entry, new: Entry, sources: Mapping[str, bytes]
) -> Iterable[Difference]:
    facts = [
        {
            "process name": entry.get("process_name"),
            "overrides": " ".join(map(str, entry.get("overrides") or ())) or None,
        }
        for entry in (old, new)
    ]
    rows = [msgspec.structs.replace(row, part=part) for row in compared(*facts)]
    if _closure(old) != _closure(new):
        evaluated = [_evaluated(entry, sources) for entry in (old, new)]
        sides = _Side.of(jobs[0], old), _Side.of(jobs[1], new)
        rows += [_row(change, part, sides) for change in diff(*evaluated).changes]
    if not rows:
        ids = [{"ParameterSetID, as run": entry.get("parameter_set_id")} for entry in (old, new)]
        if all(each["ParameterSetID, as run"] for each in ids):
            rows += [msgspec.structs.replace(row, part=part) for row in compared(*ids)]
    return rows


def _closure(entry: Entry) -> Any:
    """Return what an evaluation depends on."""
    files = entry.get("files") or ()
    return entry.get("main"), [
        (file["name"], file.get("sha256"), file.get("found_in")) for file in files
    ]


def _evaluated(entry: Entry, sources: Mapping[str, bytes]) -> Configuration:
    return evaluate_recorded(msgspec.convert(repaired(entry), FclConfiguration), sources)


class _Side(NamedTuple):
    """Where the pages of a configuration's files are."""

    url: str
    names: Mapping[str, str]

    @classmethod
    def of(cls, job: Job, entry: Entry) -> Self:
        """Return those of one step's configuration.

        They are named by the step where only it is called so, else by position.
        """
        listed = job["configurations"]
        step = entry.get("step")
        place = str(next(at for at, each in enumerate(listed) if each is entry))
        if step and sum(other.get("step") == step for other in listed) == 1:
            place = step
        names = {
            file.get("path") or file["name"]: file["name"] for file in entry.get("files") or ()
        }
        return cls(configuration_page(job["summary"]["job_id"], place), names)


def _row(change: Change, part: str | None, sides: tuple[_Side, _Side]) -> Difference:
    same = change.path_before in (None, change.path)
    is_renamed = change.kind == RENAMED  # what changed inside has rows of its own
    return Difference(
        change.kind,
        change.path,
        before=None if is_renamed else shortened(change.before),
        after=None if is_renamed else shortened(change.after),
        key_before=None if same else change.path_before,
        part=part,
        origin_before=_place(change.origin_before, sides[0]),
        origin_after=_place(change.origin_after, sides[1]),
    )


def _place(origin: Origin | None, side: _Side) -> Place | None:
    if origin is None:
        return None
    name = side.names.get(origin.file)
    return Place(
        origin.file,
        origin.line,
        None
        if name is None
        else f"{side.url}?file={quote(name, safe='')}&line={origin.line}#L{origin.line}",
    )
