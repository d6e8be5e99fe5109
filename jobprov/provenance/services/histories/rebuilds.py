"""Plans how to make a lost file again: the fewest jobs that have to run, in order.

Going back from the file, a job has to run if an output that is needed is lost; then its inputs are
needed in turn. An input that still exists ends the way back: only what is lost is made again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.addresses import file_page
from jobprov.provenance.answers.catalogs.replicas import LocatedFile, LocatedFiles
from jobprov.provenance.answers.histories.rebuilds import RebuildCost, RebuildPlan, RebuildStep
from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.answers.names import FileName
from jobprov.provenance.catalogs.opening import Catalogs
from jobprov.provenance.db.connections.time_limits import limited
from jobprov.provenance.db.queries.histories.rebuilds import (
    InputRow,
    PlacedInput,
    inputs_of,
    outputs_of,
)
from jobprov.provenance.db.queries.lookup.files.by_name import FoundFile, find_files
from jobprov.provenance.db.queries.lookup.files.focus import claims_of
from jobprov.provenance.db.queries.lookup.files.versions import versions_of
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.errors import BadInputError, LimitError
from jobprov.provenance.lineage.layers import strong_components
from jobprov.provenance.lineage.words import enumerated
from jobprov.provenance.records.files.parents import FilesOfJob
from jobprov.provenance.services.catalogs.replicas import WantedFile, locate_files
from jobprov.provenance.services.histories.costs import known_total
from jobprov.provenance.services.ledger.witnessed_jobs import read_records
from jobprov.provenance.services.lookup.file import find_file

MOST_JOBS = 10_000
_MOST_NAMED = 20


class _Input(NamedTuple):
    """An input of a job that is needed.

    Attributes:
        maker: the job that makes it again; None where it still exists, or no recorded job made it.
    """

    file: FileName
    maker: int | None
    is_lost: bool


Needed = Mapping[int, Sequence[_Input]]
"""The inputs of the jobs that are needed, by key of the job."""


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
) -> RebuildPlan:
    """Return the jobs that make a file again.

    Args:
        store: to read records from, where the tables do not say which step of a job wrote a file.
        name: the file that is lost.
        experiment: needed if several experiments know the name.
        namespace: needed if several namespaces have the name.
        lost: names of other files that are lost too. A bare name means the files of this name in
            every experiment and namespace; `namespace:name` and `experiment/namespace:name` are
            exact. Their other names are lost with them, and so are files that were never kept.
        from_scratch: treat every file that a recorded job made as lost.

    Raises:
        NotFoundError, AmbiguousError: see `find_file`.
        BadInputError: no record mentions a file that is named as lost.
        LimitError: the plan has more than ten thousand jobs, or took more than five seconds.
    """
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    maker = _maker_of(connection, file.id)
    gone = _gone(connection, [file.id, *_files_named(connection, lost)])
    needed: Needed = {}
    if maker is not None:
        needed = _needed(connection, store, maker, gone, from_scratch=from_scratch)
    order = _in_order(needed)

    needs, beyond = _existing_inputs(needed), _unmade_inputs(needed)
    if maker is None:
        beyond.add(file.as_answer())

    outputs = outputs_of(connection, order)
    summaries = summaries_of(connection, order)
    circle = [summaries[job].job_id for job in _circle(needed)]
    return RebuildPlan(
        file=file.as_answer(),
        is_possible=not beyond and not circle,
        why=_why(sorted(lost_file.name for lost_file in beyond), circle),
        jobs=[_step(job, needed, outputs.get(job, []), summaries) for job in order],
        needs=_sorted(needs),
        beyond=_sorted(beyond),
        circle=circle,
        resources=_cost([summaries[job] for job in order]),
    )


def locate_needs(plan: RebuildPlan, catalogs: Catalogs, *, patience: float) -> LocatedFiles:
    """Return where the files are now that a plan takes as they are.

    No connection to the database is to be open: a catalog may take its time.
    """
    by_experiment: dict[str, list[WantedFile]] = {}
    for file in plan.needs:
        wanted = WantedFile(file.namespace, file.name)
        by_experiment.setdefault(file.experiment, []).append(wanted)
    files: list[LocatedFile] = []
    problems = []
    for experiment, wanted_files in by_experiment.items():
        answer = locate_files(wanted_files, catalogs, experiment, patience=patience)
        files += answer.files
        if answer.problem:
            problems.append(answer.problem)
    return LocatedFiles(files, " ".join(problems) or None)


def _existing_inputs(needed: Needed) -> set[FileName]:
    """Return the inputs that the plan takes as they are."""
    files: set[FileName] = set()
    for inputs in needed.values():
        files.update(row.file for row in inputs if not row.is_lost)
    return files


def _unmade_inputs(needed: Needed) -> set[FileName]:
    """Return the lost inputs that no recorded job made."""
    files: set[FileName] = set()
    for inputs in needed.values():
        files.update(row.file for row in inputs if row.is_lost and row.maker is None)
    return files


def _cost(jobs: Sequence[JobSummary]) -> RebuildCost:
    """Return what these jobs took the first time."""
    return RebuildCost(
        wall_seconds=known_total(job.resources.wall_seconds for job in jobs),
        cpu_seconds=known_total(job.resources.cpu_seconds for job in jobs),
    )


def _maker_of(connection: Connection, file: int) -> int | None:
    versions = versions_of(connection, [file]).get(file)
    return versions[-1].job_id if versions else None


class _Gone(NamedTuple):
    """Lost files, and the claims of their bytes under any name."""

    files: frozenset[int]
    claims: frozenset[int]

    def holds(self, row: InputRow) -> bool:
        """Return whether this input is lost."""
        return row.file in self.files or row.claim in self.claims


def listed_files(connection: Connection, names: str) -> list[str]:
    """Return the file names in a list separated by commas.

    A single name with commas in it is taken whole, if a file has it.
    """
    if "," in names and _called(connection, names):
        return [names]
    return [name for name in names.split(",") if name]


def _called(connection: Connection, name: str) -> list[FoundFile]:
    """Return the files that `name`, `namespace:name` or `experiment/namespace:name` means."""
    # A slash can only separate the experiment: names of files have none
    experiment, slash, rest = name.rpartition("/")
    where = {"experiment": experiment} if slash else {}
    namespace, _, bare = rest.partition(":")
    # A colon may also be part of a bare name: that is tried first
    files = find_files(connection, rest, **where)
    if not files and bare:
        files = find_files(connection, bare, namespace=namespace, **where)
    return files


def _files_named(connection: Connection, names: Iterable[str]) -> Iterator[int]:
    """Yield the keys of the files with these names.

    A few look-ups by index for each name: an address has room for some hundred names, and
    `plan_rebuild` ends after five seconds.

    Raises:
        BadInputError: no record mentions one of them.
    """
    for name in names:
        files = _called(connection, name)
        if not files:
            raise BadInputError.of_field("lost", f"no record mentions a file named {name}")
        yield from (file.id for file in files)


def _gone(connection: Connection, files: Iterable[int]) -> _Gone:
    lost = frozenset(files)
    return _Gone(lost, frozenset(claims_of(connection, sorted(lost))))


def _needed(
    connection: Connection, store: Store, first: int, lost: _Gone, *, from_scratch: bool
) -> dict[int, list[_Input]]:
    """Return the jobs that have to run, each with its inputs.

    The walk goes back level by level, with one query for all jobs of a level.
    """
    needed: dict[int, list[_Input]] = {}
    level = [first]
    while level:
        if len(needed) + len(level) > MOST_JOBS:
            raise LimitError(
                f"More than {MOST_JOBS} jobs are needed; ask for the files in between.", MOST_JOBS
            )
        rows = inputs_of(connection, level, partial(_made_inside, connection, store))
        inputs = _inputs(rows, lost, from_scratch=from_scratch)
        makers: set[int] = set()
        for job in level:
            needed[job] = inputs.get(job, [])
            makers.update(row.maker for row in needed[job] if row.maker is not None)
        level = sorted(makers - needed.keys())  # jobs in a circle are not read again
    return needed


def _made_inside(
    connection: Connection, store: Store, inputs: set[PlacedInput]
) -> set[PlacedInput]:
    """Return those of the inputs that an earlier step of their job wrote, as its record says.

    The tables have no steps (docs/decisions/0001). Most inputs are judged by the files made from
    them; this does not work for shared inputs, nor for outputs that declare their parents. For
    these the record is read.
    """
    inside: set[PlacedInput] = set()
    for part in chunks(sorted({placed.job for placed in inputs})):
        for job, record in read_records(connection, store, part).items():
            within = FilesOfJob(record)
            for position, file in enumerate(record.inputs or ()):
                placed = PlacedInput(job, position)
                if placed in inputs and within.is_made_inside(file):
                    inside.add(placed)
    return inside


def _inputs(
    rows: Iterable[InputRow], lost: _Gone, *, from_scratch: bool
) -> dict[int, list[_Input]]:
    """Return the inputs by job."""
    rows_by_input: dict[tuple[int, int], list[InputRow]] = {}
    for row in rows:
        rows_by_input.setdefault((row.job, row.identity), []).append(row)
    inputs: dict[int, list[_Input]] = {}
    for (job, _), rows_of_input in rows_by_input.items():
        inputs_of_job = inputs.setdefault(job, [])
        inputs_of_job.append(_input(rows_of_input, lost, from_scratch=from_scratch))
    return inputs


def _input(rows: Sequence[InputRow], lost: _Gone, *, from_scratch: bool) -> _Input:
    """Return an input, given a row for each job that may have made it.

    If several jobs made the same content, the newest successful one is the maker. If any of them
    kept the file, it still exists.
    """
    # If ranks are equal, the last row counts
    best = max(reversed(rows), key=lambda row: row.rank)
    url = file_page(best.name, best.experiment, best.namespace)
    file = FileName(best.name, best.namespace, best.experiment, url)
    is_lost = any(lost.holds(row) for row in rows)
    if best.maker is not None:
        is_kept = any(row.is_kept for row in rows)
        is_lost = is_lost or from_scratch or not is_kept
    if not is_lost:
        return _Input(file, None, is_lost=False)
    return _Input(file, best.maker, is_lost=True)


def _circle(needed: Needed) -> list[int]:
    """Return the first circle of jobs that need each other's outputs; none if there is none."""
    makers = {}
    for job, inputs in needed.items():
        makers[str(job)] = [str(row.maker) for row in inputs if row.maker is not None]
    for component in strong_components(makers, makers):
        if len(component) > 1:
            return sorted(int(job) for job in component)
    return []


def _why(beyond: Sequence[str], circle: Sequence[str]) -> str | None:
    """Return why a plan cannot work, as a sentence; None if it can."""
    if beyond:
        return f"No recorded job made {enumerated(beyond, _MOST_NAMED)}."
    if circle:
        return (
            "These jobs read each other's outputs, so that none can be the first: "
            f"{enumerated(circle, _MOST_NAMED)}."
        )
    return None


def _in_order(needed: Needed) -> list[int]:
    """Return the jobs in an order in which each comes after those whose outputs it reads.

    A circle in what clients sent is cut where it closes.
    """
    order: list[int] = []
    done: set[int] = set()
    for start in sorted(needed):
        # A depth-first walk without recursion, since a chain may have ten thousand jobs. Each job
        # is on the stack twice: before its makers, and once they are done
        stack = [(start, False)]
        while stack:
            job, are_makers_done = stack.pop()
            if are_makers_done:
                order.append(job)
            elif job not in done:
                done.add(job)
                stack.append((job, True))
                makers = [row.maker for row in needed[job] if row.maker is not None]
                stack += [(maker, False) for maker in makers if maker not in done]
    return order


def _step(
    job: int, needed: Needed, makes: list[str], summaries: Mapping[int, JobSummary]
) -> RebuildStep:
    summary = summaries[job]
    makers = {row.maker for row in needed[job] if row.maker is not None}
    return RebuildStep(
        job_id=summary.job_id,
        url=summary.url,
        state=summary.state,
        stage=summary.task.stage,
        grade=summary.grade,
        after=sorted(summaries[maker].job_id for maker in makers),
        reads=[row.file.name for row in needed[job]],
        makes=makes,
    )


def _sorted(files: set[FileName]) -> list[FileName]:
    return sorted(files, key=lambda file: (file.name, file.namespace, file.experiment))
