"""What is to be tried again, and what is not, each with the reason.

How the HTTP interface says it is here too.
"""

from collections import Counter
from typing import Any, NamedTuple

import msgspec

from jobprov.provenance.db.queries.orders.retries import Attempt
from jobprov.provenance.services.failures.classes import JobClass
from jobprov.provenance.services.orders.orders import NewOrder

_MEMORY = "memory"


class Try(NamedTuple):
    """A job that is to be tried again.

    Attributes:
        job: its last attempt.
        read: what the failure was.
        order: what is to be done.
        memory_factor: so many times the memory of the last attempt.
    """

    job: Attempt
    read: JobClass | None
    order: NewOrder
    memory_factor: float

    @property
    def runs_out_again(self) -> bool:
        """Whether it failed for want of memory and gets no more than it had."""
        return self.read is not None and self.read.class_name == _MEMORY and self.memory_factor <= 1


class Choice(NamedTuple):
    """What is to be tried again, and what is not, each with the reason."""

    tries: list[Try]
    skipped: list[tuple[Attempt, str]]


def show_choice(choice: Choice) -> dict[str, Any]:
    """Return a choice in the words of the HTTP interface: `{tries, skipped, by_class}`."""
    classes = Counter(each.read.class_name if each.read else "unknown" for each in choice.tries)
    return {
        "tries": [
            {
                **_named(each.job),
                "attempt": each.order.attempt,
                "retry_of": each.order.retry_of,
                "from": "workflow" if each.order.workflow else "bundle",
                "memory_bytes": each.order.memory_bytes,
                "memory_factor": each.memory_factor,
                "runs_out_again": each.runs_out_again,
                "avoided_sites": each.order.avoided_sites,
                "class": each.read.shown() if each.read else None,
                "order": msgspec.to_builtins(each.order),
            }
            for each in choice.tries
        ],
        "skipped": [{**_named(job), "reason": reason} for job, reason in choice.skipped],
        "by_class": dict(classes.most_common()),
    }


def _named(job: Attempt) -> dict[str, Any]:
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
