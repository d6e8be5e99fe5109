"""Where the histories of two files part: the earliest stage in which they have jobs of different recipes."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.comparisons.companions import companions_of
from jobprov.provenance.db.queries.fragments.stages import with_stage
from jobprov.provenance.db.queries.histories.walks import MOST_FILES, met_count, walk_ancestors
from jobprov.provenance.db.queries.lookup.files import FoundFile
from jobprov.provenance.db.queries.lookup.focus import focus_of
from jobprov.provenance.db.queries.lookup.job_summaries import job_summaries
from jobprov.provenance.db.tables import Claim, Experiment, File, Job, Stage
from jobprov.provenance.errors import LimitError
from jobprov.provenance.records.recipes import recipe_text
from jobprov.provenance.services.lookup.file import find_file, find_pair

_LATEST = datetime.max.replace(tzinfo=UTC)
_LONGEST_COMPARED = 200  # characters of a name
_MOST_OUTPUTS = 20
WHY_ALIKE = {
    "attempt": "Made by another attempt at the same unit",
    "sibling": "Made in the same task",
    "recipe": "Made by the same recipe at another time",
    "stage": "Made in the task before, at the same stage",
}


class _Maker(NamedTuple):
    key: int
    job_id: str
    stage: str
    recipe: bytes | None
    started_at: datetime


def find_divergence(
    connection: Connection, before: str, after: str, **experiments: str | None
) -> dict[str, Any]:
    """Return `{common_jobs, a, b, stage}`: how many jobs made both files, and the first pair of jobs of one stage whose recipes differ.

    `a` and `b` are summaries with `recipe_id`; one of them is None where only the other file has a
    job in that stage, both are None where the histories part nowhere. Jobs whose recipe is not
    known differ from all others.

    Raises:
        NotFoundError, AmbiguousError: see `find_pair`, which takes the `experiments`.
        LimitError: a history is larger than a walk may be.
    """
    makers = [
        _makers(connection, file) for file in find_pair(connection, before, after, **experiments)
    ]
    common = makers[0].keys() & makers[1].keys()
    apart = [[maker for key, maker in found.items() if key not in common] for found in makers]
    for stage in _stages(apart):
        pair = _unlike(*([maker for maker in found if maker.stage == stage] for found in apart))
        if pair is not None:
            shown = [None if maker is None else _summary(connection, maker) for maker in pair]
            return {"common_jobs": len(common), "stage": stage, "a": shown[0], "b": shown[1]}
    return {"common_jobs": len(common), "stage": None, "a": None, "b": None}


def find_alike_files(
    connection: Connection, name: str, *, experiment: str | None = None
) -> dict[str, Any]:
    """Return `{file, alike: [{why, words, files}]}`.

    With which files one would compare the history of a file, a few of each kind.

    Raises:
        NotFoundError: the file is not known.
        AmbiguousError: several experiments have it.
    """
    file = find_file(connection, name, experiment=experiment)
    claim = focus_of(connection, file.id).claim_id
    if claim is None:
        return {"file": file.to_json(), "alike": []}
    job, tier = connection.execute(
        select(Claim.job_id, Claim.data_tier).where(Claim.id == claim)
    ).one()
    chosen = companions_of(connection, job)
    made = _made(
        connection,
        [found["job_id"] for jobs in chosen.values() for found in jobs],
        file.experiment,
        tier,
    )
    alike = [
        {"why": why, "words": words, "files": files}
        for why, words in WHY_ALIKE.items()
        if (
            files := [
                _nearest(name, made[found["job_id"]])
                for found in chosen.get(why, ())
                if found["job_id"] in made
            ]
        )
    ]
    return {"file": file.to_json(), "alike": alike}


def full_name(file: Mapping[str, Any]) -> str:
    """Return how questions name a file: with its namespace before it, where it has one."""
    return f"{file['namespace']}:{file['name']}" if file.get("namespace") else str(file["name"])


def _nearest(name: str, names: list[str]) -> str:
    """Return that of the files of a job which is named most like a file.

    Of the same stream, most likely.
    """
    return max(
        names[:_MOST_OUTPUTS],
        key=lambda each: SequenceMatcher(
            None, name[-_LONGEST_COMPARED:], each[-_LONGEST_COMPARED:]
        ).ratio(),
    )


def _made(
    connection: Connection, jobs: list[str], experiment: str, tier: str | None
) -> dict[str, list[str]]:
    """Return the names of the files of a data tier that these jobs made, by job."""
    query = (
        select(Job.uuid, File.namespace, File.name)
        .join(Claim, Claim.job_id == Job.id)
        .join(File, File.id == Claim.file_id)
        .join(Experiment, Experiment.id == Job.experiment_id)
        .where(Job.uuid.in_(jobs), Experiment.name == experiment, Claim.alias_of.is_(None))
        .order_by(Claim.id)
    )
    if tier is not None:
        query = query.where(Claim.data_tier == tier)
    made: dict[str, list[str]] = {}
    for job, namespace, name in connection.execute(query):
        made.setdefault(str(job), []).append(full_name({"namespace": namespace, "name": name}))
    return made


def _makers(connection: Connection, file: FoundFile) -> dict[int, _Maker]:
    """Return the jobs that a file was made by, at any depth, its own among them."""
    claim = focus_of(connection, file.id).claim_id
    if claim is None:
        return {}
    walked = walk_ancestors(connection, claim)
    if met_count(walked) >= MOST_FILES:
        words = f"The history of {file.name} has more than {MOST_FILES:,} files; compare files in between."
        raise LimitError(words, MOST_FILES)
    keys = {row.job_id for row in walked if row.job_id is not None}
    keys.add(connection.execute(select(Claim.job_id).where(Claim.id == claim)).scalar_one())
    found: dict[int, _Maker] = {}
    query = with_stage(
        select(Job.id, Job.uuid, Stage.name, Job.recipe, Job.started_at).select_from(Job)
    )
    for part in chunks(sorted(keys)):
        for key, job_id, stage, recipe, started in connection.execute(
            query.where(Job.id.in_(part))
        ):
            found[key] = _Maker(key, job_id, stage or "", recipe, started or _LATEST)
    return found


def _stages(apart: list[list[_Maker]]) -> list[str]:
    """Return the stages in which the histories have jobs of their own, the earliest first."""
    first: dict[str, datetime] = {}
    for maker in (maker for found in apart for maker in found):
        first[maker.stage] = min(first.get(maker.stage, _LATEST), maker.started_at)
    return sorted(first, key=lambda stage: (first[stage], stage))


def _unlike(one: list[_Maker], other: list[_Maker]) -> tuple[_Maker | None, _Maker | None] | None:
    """Return the first job of each whose recipe the other does not have as often.

    None where all are matched.
    """
    left = [_without(one, other), _without(other, one)]
    if not any(left):
        return None
    return (left[0][0] if left[0] else None, left[1][0] if left[1] else None)


def _without(these: list[_Maker], those: list[_Maker]) -> list[_Maker]:
    there = Counter(maker.recipe for maker in those if maker.recipe is not None)
    left = []
    for maker in sorted(these, key=lambda maker: (maker.started_at, maker.job_id)):
        if maker.recipe is not None and there[maker.recipe] > 0:
            there[maker.recipe] -= 1
        else:
            left.append(maker)
    return left


def _summary(connection: Connection, maker: _Maker) -> dict[str, Any]:
    summary = job_summaries(connection, [maker.key])[maker.key]
    return {**summary, "recipe_id": None if maker.recipe is None else recipe_text(maker.recipe)}
