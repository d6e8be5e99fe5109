"""What is to be tried again, and what is not, each with the reason."""

from collections import Counter
from typing import Any, Literal, NamedTuple

from jobprov.provenance.answers.lookup import Failure
from jobprov.provenance.answers.orders import NewOrder, Retry, RetryChoice, SkippedJob
from jobprov.provenance.answers.tasks import UnitState
from jobprov.provenance.db.queries.orders.retries import Attempt
from jobprov.provenance.services.failures.classes import UNKNOWN, JobClass

_MEMORY = "memory"


class Try(NamedTuple):
    """A job that is to be tried again.

    Attributes:
        job: its last attempt.
        job_class: what the failure was; None where the job did not fail.
        order: what is to be done.
        memory_factor: so many times the memory of the last attempt.
    """

    job: Attempt
    job_class: JobClass | None
    order: NewOrder
    memory_factor: float

    @property
    def class_name(self) -> str:
        """The class of the failure, `unknown` where there is none; how it ended without output."""
        if self.job.state == UnitState.NO_OUTPUT:
            return UnitState.NO_OUTPUT.label
        return UNKNOWN if self.job_class is None else self.job_class.class_name

    @property
    def runs_out_again(self) -> bool:
        """Whether it failed for want of memory and gets no more than it had."""
        return self.class_name == _MEMORY and self.memory_factor <= 1


class Choice(NamedTuple):
    """What is to be tried again, and what is not, each with the reason."""

    tries: list[Try]
    skipped: list[tuple[Attempt, str]]


def show_choice(choice: Choice) -> RetryChoice:
    """Return a choice as an answer."""
    classes = Counter(retry.class_name for retry in choice.tries)
    return RetryChoice(
        tries=[_show_try(retry) for retry in choice.tries],
        skipped=[SkippedJob(**_show_job(job), reason=reason) for job, reason in choice.skipped],
        by_class=dict(classes.most_common()),
    )


def _show_try(retry: Try) -> Retry:
    made_from: Literal["workflow", "bundle"] = "workflow" if retry.order.workflow else "bundle"
    failure = None if retry.job_class is None else Failure(**retry.job_class._asdict())
    return Retry(
        **_show_job(retry.job),
        attempt=retry.order.attempt,
        retry_of=retry.order.retry_of,
        made_from=made_from,
        memory_bytes=retry.order.memory_bytes,
        memory_factor=retry.memory_factor,
        runs_out_again=retry.runs_out_again,
        avoided_sites=retry.order.avoided_sites,
        failure=failure,
        order=retry.order,
    )


def _show_job(job: Attempt) -> dict[str, Any]:
    """Return the members of a `FailedJob`."""
    return {
        "job_id": job.job_id,
        "task_id": job.task_id,
        "stage": job.stage,
        "unit": job.unit,
        "state": job.state,
        "site": job.site,
        "exit_code": job.exit_code,
        "signal": job.exit_signal,
        "message": job.message,
    }
