"""What is to be tried again, and what is not, each with the reason."""

from collections import Counter
from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec.structs import asdict

from jobprov.provenance.answers.lookup.jobs import Failure
from jobprov.provenance.answers.orders.orders import (
    FailedJob,
    NewOrder,
    OutsideInput,
    Retry,
    RetryChoice,
    SkippedJob,
)
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.db.queries.orders.retries import RecordedAttempt
from jobprov.provenance.services.failures.classes import MEMORY, UNKNOWN

SUBMISSION_ALONE = (
    "no job of its unit ever began, so that there is no bundle to run: "
    "`jobprov retry JOB --as-submitted -o FOLDER` submits it as it was"
)


class Try(NamedTuple):
    """A job that is to be tried again.

    Attributes:
        job: its last attempt.
        job_class: what the failure was; None where the job did not fail.
        order: what is to be done.
        memory_factor: so many times the memory of the last attempt.
        is_waived: whether the task goes on without its unit.
    """

    job: RecordedAttempt
    job_class: Failure | None
    order: NewOrder
    memory_factor: float
    is_waived: bool

    @property
    def class_name(self) -> str:
        """The class of the failure, `unknown` where there is none; how it ended without output."""
        if self.job.state == UnitState.NO_OUTPUT:
            return UnitState.NO_OUTPUT.label
        return UNKNOWN if self.job_class is None else self.job_class.class_name

    @property
    def made_from(self) -> Literal["workflow", "bundle", "submission"]:
        """What the try is made from; see `Retry`."""
        if self.order.workflow:
            return "workflow"
        return "bundle" if self.order.bundle_of else "submission"

    @property
    def runs_out_again(self) -> bool:
        """Whether it failed for want of memory and gets no more than it had."""
        return self.class_name == MEMORY and self.memory_factor <= 1


class Choice(NamedTuple):
    """What is to be tried again, and what is not, each with the reason.

    Attributes:
        outside_inputs: by job, the inputs that its bundle lacks; of the bundles that tries run.
    """

    tries: list[Try]
    skipped: list[tuple[RecordedAttempt, str]]
    outside_inputs: dict[str, list[OutsideInput]]


def without_bare_submissions(choice: Choice) -> Choice:
    """Return a choice without tries that are known by their submission alone; these are skipped."""
    tries, skipped = [], list(choice.skipped)
    for retry in choice.tries:
        if retry.made_from == "submission":
            skipped.append((retry.job, SUBMISSION_ALONE))
        else:
            tries.append(retry)
    return choice._replace(tries=tries, skipped=skipped)


def show_choice(choice: Choice) -> RetryChoice:
    """Return a choice as an answer."""
    classes = Counter(retry.class_name for retry in choice.tries)
    skipped = []
    for job, reason in choice.skipped:
        skipped.append(SkippedJob(**asdict(_shown(job)), reason=reason))
    return RetryChoice(
        tries=[_show_try(retry, choice.outside_inputs) for retry in choice.tries],
        skipped=skipped,
        by_class=dict(classes.most_common()),
    )


def _show_try(retry: Try, outside_inputs: Mapping[str, list[OutsideInput]]) -> Retry:
    return Retry(
        **asdict(_shown(retry.job)),
        attempt=retry.order.attempt,
        retry_of=retry.order.retry_of,
        made_from=retry.made_from,
        memory_bytes=retry.order.memory_bytes,
        memory_factor=retry.memory_factor,
        runs_out_again=retry.runs_out_again,
        avoided_sites=retry.order.avoided_sites,
        failure=retry.job_class,
        outside_inputs=outside_inputs.get(retry.order.bundle_of or "", []),
        order=retry.order,
        is_waived=retry.is_waived,
    )


def _shown(job: RecordedAttempt) -> FailedJob:
    return FailedJob(
        job_id=job.job_id,
        task_id=job.task_id,
        stage=job.stage,
        unit=job.unit,
        state=job.state,
        site=job.site,
        exit_code=job.exit_code,
        signal=job.exit_signal,
        message=job.message,
    )
