"""Inputs of jobs with the jobs that made them, and outputs of jobs: to plan a rebuild."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import Claim, Experiment, File, Identity, Job, Mention, Producer
from jobprov.provenance.db.tables.base import EPOCH

# An input that an earlier step of the job wrote is no parent here: recording has replaced it by
# what that step read
_PARENTS = """
SELECT DISTINCT c.job_id, p.identity_id
FROM claims AS c CROSS JOIN parents AS p WHERE c.job_id {among} AND p.claim_id = c.id
"""


class InputRow(NamedTuple):
    """An input of a job, and one job that may have made it; no maker if no recorded job did.

    Attributes:
        job: key of the job that read it.
        position: of the input in that job's record.
        identity: which content of the file was read.
        file: key of the file.
        claim: the maker's claim.
        maker: key of the maker.
        is_kept: whether the file was written and kept.
        is_good: whether the maker succeeded.
        ended_at: when the maker ended; None if that is not recorded.
        maker_id: id of the maker; empty without one.
    """

    job: int
    position: int
    identity: int
    file: int
    name: str
    namespace: str
    experiment: str
    claim: int | None
    maker: int | None
    is_kept: bool
    is_good: bool
    ended_at: datetime | None = None
    maker_id: str = ""

    @property
    def rank(self) -> tuple[bool, datetime, str, int]:
        """By which the best maker of the same content is the greatest.

        Success decides, then the order of versions, whoever was recorded first.
        """
        return self.is_good, self.ended_at or EPOCH, self.maker_id, self.claim or 0


class PlacedInput(NamedTuple):
    """An input by its place in the record of its job."""

    job: int
    position: int


MadeInside = Callable[[set[PlacedInput]], set[PlacedInput]]
"""Of inputs with the name of an output of their own job, those that an earlier step wrote."""


def inputs_of(
    connection: Connection, jobs: Sequence[int], made_inside: MadeInside
) -> list[InputRow]:
    """Return the inputs of jobs in the order of the record, one row for each possible maker.

    Inputs that an earlier step of the same job wrote are left out. Other inputs with the name of an
    own output stay, but without the job as their maker (record.md). For most inputs, what was made
    from them tells the two apart; for the others, `made_inside` is called, which reads the record.
    """
    query = (
        select(
            Mention.job_id, Mention.position, Mention.identity_id,
            File.id, File.name, File.namespace, Experiment.name,
            Claim.id, Claim.job_id, Claim.status, Job.state, Job.ended_at, Job.uuid,
        )
        .join(Identity, Identity.id == Mention.identity_id)
        .join(File, File.id == Identity.file_id)
        .join(Experiment, Experiment.id == File.experiment_id)
        .outerjoin(Producer, Producer.identity_id == Mention.identity_id)
        .outerjoin(Claim, Claim.id == Producer.claim_id)
        .outerjoin(Job, Job.id == Claim.job_id)
        .order_by(Mention.job_id, Mention.position, Claim.id)
    )  # fmt: skip
    inputs: list[InputRow] = []
    for row in rows_among(connection, query, Mention.job_id, jobs):
        status, state, ended_at, maker_id = row[9:]
        is_kept = status in (None, "written")
        inputs.append(InputRow(*row[:9], is_kept, state == SUCCEEDED, ended_at, maker_id or ""))
    return _from_outside(connection, inputs, made_inside)


def _from_outside(
    connection: Connection, rows: list[InputRow], made_inside: MadeInside
) -> list[InputRow]:
    """Return the rows without those in which a job is the maker of its own input.

    If an input has no other rows and came from outside of the job, it gets a row without a maker.
    """
    others = {(row.job, row.identity) for row in rows if row.maker != row.job}
    own = [row for row in rows if row.maker == row.job and (row.job, row.identity) not in others]
    if not own:
        return [row for row in rows if row.maker != row.job]
    own_inputs = _read_before_written(connection, own, made_inside)
    from_outside = []
    for row in rows:
        if row.maker != row.job:
            from_outside.append(row)
        elif (row.job, row.identity) in own_inputs:
            without_maker = InputRow(*row[:7], None, None, is_kept=True, is_good=False)
            from_outside.append(without_maker)
    return from_outside


def _read_before_written(
    connection: Connection, own: Sequence[InputRow], made_inside: MadeInside
) -> set[tuple[int, int]]:
    """Return (job, identity) of those of the rows whose job read the file before it wrote its name.

    `own` are rows in which a job is the maker of its own input.
    """
    parents = select_among(connection, _PARENTS, sorted({row.job for row in own}))
    own_keys = {(row.job, row.identity) for row in own}
    read = own_keys & {(job, identity) for job, identity in parents}
    undecided = [row for row in own if (row.job, row.identity) not in read]
    if undecided:
        places = {PlacedInput(row.job, row.position) for row in undecided}
        read_places = places - made_inside(places)
        read |= {(row.job, row.identity) for row in own if (row.job, row.position) in read_places}
    return read


def outputs_of(connection: Connection, jobs: Sequence[int]) -> dict[int, list[str]]:
    """Return the names of what jobs made, in the order of the record."""
    query = (
        select(Claim.job_id, File.name)
        .join(File, File.id == Claim.file_id)
        .where(Claim.alias_of.is_(None))
        .order_by(Claim.job_id, Claim.position)
    )
    names: dict[int, list[str]] = {}
    for job, name in rows_among(connection, query, Claim.job_id, jobs):
        names.setdefault(job, []).append(name)
    return names
