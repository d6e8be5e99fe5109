"""Answers about workflows: what is declared, and how its stages stand."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType, field

WorkflowStateName = Literal["running", "stopped", "complete"]


class WorkflowDeclared(Struct, frozen=True):
    """A version of a workflow that was declared.

    Attributes:
        is_new: False where this very text and these files were declared before.
    """

    name: str
    version: int
    experiment: str
    is_new: bool


class WorkflowSummary(Struct, frozen=True):
    """The newest version of a workflow, and its state.

    Attributes:
        campaign: None where it declares none.
        who, why: who put it into its state, for what reason.
        url: the path of its page.
    """

    name: str
    version: int
    experiment: str
    campaign: str | None
    state: WorkflowStateName
    who: str
    why: str
    url: str


class WorkflowList(Struct, frozen=True):
    """The newest version of each workflow, the newest first."""

    workflows: list[WorkflowSummary]


class StageStanding(Struct, frozen=True, kw_only=True):
    """How a stage stands. Each unit is counted once, from `done` to `to_come`.

    Attributes:
        task_id: the task that holds the stage.
        after: the stage whose files it reads; None where it reads none.
        source: `from`: what of the catalog it reads, in words; None where nothing.
        follows: files that appear in the source later become units, too.
        units: expected in the end, as far as that can be told now.
        queued: submitted, and not heard of.
        wanted: ordered, and to be submitted.
        ended: over in the batch system; a record, or the files of one, may still come.
        retrying: failed, and to be tried again.
        failed: failed for good, and not waived.
        held_back: ready, and not ordered because enough jobs are in flight.
        to_come: their files are not there yet.
        waits_for: why no more can be ordered now; None where nothing is to come.
        is_closed: nothing more can come of it.
        failed_units: the first hundred units that failed for good.
        problems: of these units, what the submitter or the batch system reported.
        follow_problem: why nothing could be taken from the source; None where it could. Only where
            a step was asked for.
    """

    stage: str
    task_id: str
    after: str | None
    source: str | None = field(name="from")
    follows: bool
    units: int
    done: int
    running: int
    queued: int
    wanted: int
    ended: int
    retrying: int
    failed: int
    waived: int
    held_back: int
    to_come: int
    waits_for: str | None
    is_closed: bool
    failed_units: list[str]
    problems: dict[str, str]
    follow_problem: str | UnsetType | None = UNSET

    @property
    def in_work(self) -> int:
        """How many units are ordered and neither done nor failed for good."""
        return self.running + self.queued + self.wanted + self.ended + self.retrying


class WorkflowStanding(Struct, frozen=True):
    """How a version of a workflow stands.

    Attributes:
        campaign: None where it declares none.
        who, why: who put it into its state, for what reason.
        ordered: orders that this step made; 0 where no step was asked for.
        stages: in order.
        text: the declaration, in TOML.
        files: SHA-256 of each file that it ships, by name.
    """

    name: str
    version: int
    experiment: str
    campaign: str | None
    state: WorkflowStateName
    who: str
    why: str
    ordered: int
    stages: list[StageStanding]
    text: str
    files: dict[str, str]
