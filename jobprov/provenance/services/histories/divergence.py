"""Where the histories of two files diverge: the first stage whose jobs have different recipes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from typing import NamedTuple

from msgspec.structs import asdict
from sqlalchemy import Connection

from jobprov.provenance.answers.histories.divergence import DivergedJob, Divergence
from jobprov.provenance.db.queries.comparisons.companions import companions_of
from jobprov.provenance.db.queries.histories.divergence import (
    Maker,
    makers,
    origin_of,
    outputs_of_tier,
)
from jobprov.provenance.db.queries.histories.walks import MOST_FILES, met_count, walk_ancestors
from jobprov.provenance.db.queries.lookup.files.by_name import FoundFile
from jobprov.provenance.db.queries.lookup.files.focus import focus_of
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.errors import LimitError
from jobprov.provenance.records.recipes import recipe_text
from jobprov.provenance.services.lookup.file import find_file, find_pair

_LONGEST_COMPARED = 200  # characters of a name
_MOST_OUTPUTS = 20
_WHY_ALIKE = {
    "attempt": "Made by another attempt at the same unit",
    "sibling": "Made in the same task",
    "recipe": "Made by the same recipe at another time",
    "stage": "Made in the task before, at the same stage",
}


def find_divergence(
    connection: Connection, before: str, after: str, **experiments: str | None
) -> Divergence:
    """Return how many jobs the histories share, and the first two jobs whose recipes differ.

    These two are of the same stage, one from each history; one of them is None if only the other
    history has such a job. A job without a known recipe differs from all others.

    Raises:
        NotFoundError, AmbiguousError: see `find_pair`, which takes the `experiments`.
        LimitError: a history has too many files to be walked.
    """
    first, second = find_pair(connection, before, after, **experiments)
    makers_a = _makers_of(connection, first)
    makers_b = _makers_of(connection, second)
    common = makers_a.keys() & makers_b.keys()
    only_a = [maker for key, maker in makers_a.items() if key not in common]
    only_b = [maker for key, maker in makers_b.items() if key not in common]

    for stage in _stages([*only_a, *only_b]):
        stage_a = [maker for maker in only_a if maker.stage == stage]
        stage_b = [maker for maker in only_b if maker.stage == stage]
        unmatched_a = _unmatched(stage_a, stage_b)
        unmatched_b = _unmatched(stage_b, stage_a)
        if unmatched_a or unmatched_b:
            job_a = _first(connection, unmatched_a)
            job_b = _first(connection, unmatched_b)
            return Divergence(len(common), stage, job_a, job_b)
    return Divergence(len(common), None, None, None)


def _makers_of(connection: Connection, file: FoundFile) -> Mapping[int, Maker]:
    """Return the jobs in the history of a file by key, including the one that made it.

    Raises:
        LimitError: the history has too many files.
    """
    claim = focus_of(connection, file.id).claim_id
    if claim is None:
        return {}
    walked = walk_ancestors(connection, claim)
    if met_count(walked) >= MOST_FILES:
        raise LimitError(
            f"The history of {file.name} has more than {MOST_FILES:,} files; "
            "compare files in between.",
            MOST_FILES,
        )
    jobs = {row.job_id for row in walked if row.job_id is not None}
    jobs.add(origin_of(connection, claim).job)
    return makers(connection, jobs)


def _stages(jobs: Iterable[Maker]) -> list[str]:
    """Return the stages of these jobs, ordered by the start of their first job."""
    begun_at: dict[str, datetime] = {}
    for job in jobs:
        begun_at[job.stage] = min(begun_at.get(job.stage, job.started_at), job.started_at)
    return sorted(begun_at, key=lambda stage: (begun_at[stage], stage))


def _unmatched(jobs: Iterable[Maker], others: Iterable[Maker]) -> list[Maker]:
    """Return the jobs without a partner of the same recipe among the others, first started first.

    Each of the others is the partner of one job only.
    """
    left_of_others = Counter(job.recipe for job in others if job.recipe is not None)
    unmatched = []
    for job in sorted(jobs, key=lambda job: (job.started_at, job.job_id)):
        if job.recipe is not None and left_of_others[job.recipe] > 0:
            left_of_others[job.recipe] -= 1
        else:
            unmatched.append(job)
    return unmatched


def _first(connection: Connection, jobs: Sequence[Maker]) -> DivergedJob | None:
    """Return the summary of the first of these jobs, with its recipe."""
    if not jobs:
        return None
    job = jobs[0]
    recipe_id = None if job.recipe is None else recipe_text(job.recipe)
    summary = summaries_of(connection, [job.key])[job.key]
    return DivergedJob(**asdict(summary), recipe_id=recipe_id)


class AlikeFiles(NamedTuple):
    """Files whose history is worth comparing with that of a file, and why, in words."""

    why: str
    files: list[str]


def find_alike_files(
    connection: Connection, name: str, *, experiment: str | None = None
) -> list[AlikeFiles]:
    """Return files whose history is worth comparing with that of a file, a few of each kind.

    Raises:
        NotFoundError: the file is not known.
        AmbiguousError: several experiments have it.
    """
    file = find_file(connection, name, experiment=experiment)
    claim = focus_of(connection, file.id).claim_id
    if claim is None:
        return []
    origin = origin_of(connection, claim)
    companions = companions_of(connection, origin.job)
    job_ids: list[str] = []
    for jobs in companions.values():
        job_ids += [job.job_id for job in jobs]
    outputs = outputs_of_tier(connection, job_ids, file.experiment, origin.data_tier)

    alike = []
    for kind, why in _WHY_ALIKE.items():
        files = []
        for job in companions.get(kind, ()):
            names = outputs.get(job.job_id)
            if names:
                files.append(_most_like(name, names))
        if files:
            alike.append(AlikeFiles(why, files))
    return alike


def _most_like(name: str, names: Sequence[str]) -> str:
    """Return the name most like that of a file.

    Names of one stream differ least. Only their ends are compared, as comparing takes quadratic
    time.
    """

    def likeness(other: str) -> float:
        ends = name[-_LONGEST_COMPARED:], other[-_LONGEST_COMPARED:]
        return SequenceMatcher(None, *ends).ratio()

    return max(names[:_MOST_OUTPUTS], key=likeness)
