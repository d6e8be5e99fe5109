"""The smallest set of jobs, in order, that makes a lost file again.

Going back from the file, a job is needed where its output is lost, and what it read is needed of it
in turn. An input that lies somewhere still ends the way: only what is lost is made again.

Source: http.md, `GET /files/{name}/rebuild`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.fragments.node_facts import file_url
from jobprov.provenance.db.queries.histories.rebuilds import InputRow, inputs_of, outputs_of
from jobprov.provenance.db.queries.lookup.files import FoundFile, find_files
from jobprov.provenance.db.queries.lookup.focus import claims_of
from jobprov.provenance.db.queries.lookup.job_summaries import job_summaries
from jobprov.provenance.db.queries.lookup.versions import versions_of
from jobprov.provenance.db.time_limits import limited
from jobprov.provenance.errors import BadInputError, LimitError
from jobprov.provenance.lineage.layers import strong_components
from jobprov.provenance.services.histories.inputs_made_inside import made_inside
from jobprov.provenance.services.lookup.file import find_file

MOST_JOBS = 10_000
_SHOWN = 20


class _Input(NamedTuple):
    """An input of a job that is needed, and the job that is to make it.

    None where it is there, or nobody can.
    """

    name: str
    namespace: str
    experiment: str
    maker: int | None
    is_lost: bool


@limited("name fewer files as lost")
def plan_rebuild(
    connection: Connection,
    store: Store,
    name: str,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
    lost: Iterable[str] = (),
    from_scratch: bool = False,
) -> dict[str, Any]:
    """Return `{file, is_possible, why, jobs, needs, beyond, circle, resources}`.

    What makes a file again.

    `jobs` come in an order in which they can run: `{job_id, url, state, stage, grade, after, reads,
    makes}`, `after` being the jobs that must be done before. `needs` are files that are taken as
    they are, `beyond` those that are lost and of which no recorded job is the maker, `circle` the
    ids of jobs that wait for each other: with one of these the plan cannot work, and `why` says so.
    `resources` are what the jobs took the first time.

    Args:
        connection: where from.
        store: of records, where only they tell whether a job read a file or wrote it before.
        name: the file that is lost.
        experiment: where several know the name.
        namespace: where several know the name.
        lost: names of other files that are lost too, in every experiment and namespace unless they
            name one (`namespace:name`, `experiment/namespace:name`), and under their other names;
            those that were never kept are without being named.
        from_scratch: take every file as lost that a recorded job made.

    Raises:
        NotFoundError, AmbiguousError: see `find_file`.
        BadInputError: no record mentions a file that is said to be lost.
        LimitError: the plan has more than ten thousand jobs, or took more than five seconds.
    """
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    maker = _maker_of(connection, file.id)
    gone = _gone(connection, [file.id, *_files_named(connection, lost)])
    needed = (
        _needed(connection, store, maker, gone, from_scratch=from_scratch)
        if maker is not None
        else {}
    )
    order = _in_order(needed)
    outputs = outputs_of(connection, order)
    summaries = job_summaries(connection, order)
    inputs = [one for job in order for one in needed[job]]
    beyond = {
        (one.name, one.namespace, one.experiment)
        for one in inputs
        if one.is_lost and one.maker is None
    }
    if maker is None:
        beyond.add((file.name, file.namespace, file.experiment))
    needs = {(one.name, one.namespace, one.experiment) for one in inputs if not one.is_lost}
    circle = [summaries[job]["job_id"] for job in _circle(needed)]
    return {
        "file": file.to_json(),
        "is_possible": not beyond and not circle,
        "why": _why(sorted(name for name, _, _ in beyond), circle),
        "jobs": [
            _step(summaries[job], needed[job], outputs.get(job, []), summaries) for job in order
        ],
        "needs": _files(needs),
        "beyond": _files(beyond),
        "circle": circle,
        "resources": _resources([summaries[job] for job in order]),
    }


def _maker_of(connection: Connection, file: int) -> int | None:
    versions = versions_of(connection, [file]).get(file)
    return versions[-1].job_id if versions else None


class _Gone(NamedTuple):
    """Files that are lost, and what jobs claim of the same bytes under whichever name."""

    files: frozenset[int]
    claims: frozenset[int]

    def holds(self, row: InputRow) -> bool:
        return row.file in self.files or row.claim in self.claims


def listed_files(connection: Connection, words: str) -> list[str]:
    """Return the files that a question names, parted by commas.

    A name that holds commas may stand there alone.
    """
    if "," in words and _called(connection, words):
        return [words]
    return [word for word in words.split(",") if word]


def _called(connection: Connection, name: str) -> list[FoundFile]:
    """Return the files that `name`, `namespace:name` or `experiment/namespace:name` means.

    No part of a name has a slash.
    """
    experiment, slash, rest = name.rpartition("/")
    where = {"experiment": experiment} if slash else {}
    space, _, bare = rest.partition(":")
    found = find_files(connection, rest, **where)
    return found or (find_files(connection, bare, namespace=space, **where) if bare else [])


def _files_named(connection: Connection, names: Iterable[str]) -> Iterator[int]:
    for name in names:
        found = _called(connection, name)
        if not found:
            words = f"no record mentions a file named {name}"
            raise BadInputError(f"lost: {words}.", {"lost": [words]})
        yield from (file.id for file in found)


def _gone(connection: Connection, files: Iterable[int]) -> _Gone:
    listed = frozenset(files)
    return _Gone(
        listed, frozenset(claim for file in listed for claim in claims_of(connection, file))
    )


def _needed(
    connection: Connection, store: Store, first: int, lost: _Gone, *, from_scratch: bool
) -> dict[int, list[_Input]]:
    """Return the jobs that are needed, each with its inputs.

    A level of the graph is one statement.
    """
    needed: dict[int, list[_Input]] = {}
    level = [first]
    while level:
        if len(needed) + len(level) > MOST_JOBS:
            raise LimitError(
                f"More than {MOST_JOBS} jobs are needed; ask for the files in between.", MOST_JOBS
            )
        rows = inputs_of(connection, level, partial(made_inside, connection, store))
        found: dict[int, list[_Input]] = {job: [] for job in level} | _inputs(
            rows, lost, from_scratch=from_scratch
        )
        needed |= found
        makers = (one.maker for inputs in found.values() for one in inputs if one.maker is not None)
        level = sorted({maker for maker in makers if maker not in needed})
    return needed


def _inputs(
    rows: Iterable[InputRow], lost: _Gone, *, from_scratch: bool
) -> dict[int, list[_Input]]:
    """Return the inputs by job; of several jobs that made the same content the newest that succeeded is taken.

    What one of them kept is there, whatever became of the others'.
    """
    best: dict[tuple[int, int], InputRow] = {}
    gone: set[tuple[int, int]] = set()
    kept: set[tuple[int, int]] = set()
    for row in rows:
        key = (row.job, row.identity)
        held = best.get(key)
        if held is None or row.rank >= held.rank:
            best[key] = row
        if row.is_kept:
            kept.add(key)
        if lost.holds(row):
            gone.add(key)
    found: dict[int, list[_Input]] = {}
    for key, row in best.items():
        is_lost = key in gone or (row.maker is not None and (from_scratch or key not in kept))
        maker = row.maker if is_lost else None
        found.setdefault(row.job, []).append(
            _Input(row.name, row.namespace, row.experiment, maker, is_lost)
        )
    return found


def _circle(needed: Mapping[int, list[_Input]]) -> list[int]:
    """Return jobs that wait for each other, of the first circle of them.

    None where each can run after others.
    """
    after = {
        str(job): [str(one.maker) for one in inputs if one.maker is not None]
        for job, inputs in needed.items()
    }
    circles = (found for found in strong_components(after, after) if len(found) > 1)
    return sorted(int(job) for job in next(circles, []))


def _why(beyond: Sequence[str], circle: Sequence[str]) -> str | None:
    """Return why a plan cannot work, as a sentence; None where it can."""
    if beyond:
        more = f" and {len(beyond) - _SHOWN} more" if len(beyond) > _SHOWN else ""
        return f"No recorded job made {', '.join(beyond[:_SHOWN])}{more}."
    if circle:
        more = f" and {len(circle) - _SHOWN} more" if len(circle) > _SHOWN else ""
        return f"These jobs read each other's outputs, so that none can be the first: {', '.join(circle[:_SHOWN])}{more}."
    return None


def _in_order(needed: Mapping[int, list[_Input]]) -> list[int]:
    """Return the jobs so that each comes after those whose outputs it reads.

    A cycle in what clients sent is cut where it closes.
    """
    order: list[int] = []
    done: set[int] = set()
    for start in sorted(needed):
        stack = [(start, False)]
        while stack:
            job, is_left = stack.pop()
            if is_left:
                order.append(job)
            elif job not in done:
                done.add(job)
                stack.append((job, True))
                stack += [
                    (one.maker, False)
                    for one in needed[job]
                    if one.maker is not None and one.maker not in done
                ]
    return order


def _step(
    summary: dict[str, Any],
    inputs: list[_Input],
    makes: list[str],
    summaries: Mapping[int, dict[str, Any]],
) -> dict[str, Any]:
    return {
        "job_id": summary["job_id"],
        "url": summary["url"],
        "state": summary["state"],
        "stage": summary["task"]["stage"],
        "grade": summary["grade"],
        "after": sorted(
            {summaries[one.maker]["job_id"] for one in inputs if one.maker is not None}
        ),
        "reads": [one.name for one in inputs],
        "makes": makes,
    }


def _files(files: set[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [
        {
            "name": name,
            "namespace": namespace,
            "experiment": experiment,
            "url": file_url(name, experiment, namespace),
        }
        for name, namespace, experiment in sorted(files)
    ]


def _resources(summaries: list[dict[str, Any]]) -> dict[str, float | None]:
    """Return sums over jobs; None where no job said it."""
    found: dict[str, float | None] = {}
    for name in ("wall_seconds", "cpu_seconds"):
        said = [
            summary["resources"][name]
            for summary in summaries
            if summary["resources"][name] is not None
        ]
        found[name] = sum(said) if said else None
    return found
