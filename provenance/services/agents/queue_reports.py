"""Reports to the service what runs and waits in HTCondor's queue.

A report has the whole queue as it is now: what is no longer in it is gone.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from jobprov.provenance.answers.queue import QueueTaken
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError, ForbiddenError, LimitError
from jobprov.provenance.launchers.condor.queue import ATTRIBUTES, CondorQueue, queues_of
from jobprov.provenance.launchers.condor.tools import ask_queue, schedd_name


@dataclass(frozen=True)
class ReportedQueue:
    """What was reported of a schedd's queue, of one experiment.

    Attributes:
        left_out: jobs that the report had no room for.
        taken: what the service made of it; None where it was not sent, or refused.
        problem: why the service refuses it, such as a token of another experiment; None otherwise.
    """

    schedd: str
    experiment: str
    jobs: int
    left_out: int
    taken: QueueTaken | None = None
    problem: str | None = None


def report_queues(
    client: Client | None,
    *,
    experiment: str | None,
    schedd: str | None = None,
    before: Iterable[str] = (),
) -> list[ReportedQueue]:
    """Report the jobs of an experiment that run and wait, or those of each that a job names.

    Without a client, only count them.

    Args:
        client: of the service.
        experiment: jobs that name none count as its own; None reports only those that name one.
        schedd: its name, where it is not this machine's own.
        before: experiments that were reported before: that they have no job is told, too.

    Raises:
        UnreachableError: HTCondor or the service does not answer.
    """
    asked = time.monotonic()
    name = schedd_name(schedd)
    queues = queues_of(ask_queue(ATTRIBUTES, schedd), experiment)
    for known in before if experiment is None else ():
        queues.setdefault(known, CondorQueue(known))
    reported = []
    for queue in queues.values():
        taken, problem = None, None
        if client is not None:
            try:
                taken = client.report_queue(name, _report(queue, time.monotonic() - asked))
            except (BadInputError, ForbiddenError, LimitError) as refusal:
                # The queues of other experiments are not held up
                problem = str(refusal)
        counts = (len(queue.jobs), queue.left_out)
        reported.append(ReportedQueue(name, queue.experiment, *counts, taken, problem))
    return reported


def _report(queue: CondorQueue, age_seconds: float) -> dict[str, object]:
    return {
        "experiment": queue.experiment,
        "age_seconds": round(age_seconds, 3),
        "jobs": msgspec.to_builtins(list(queue.jobs.values())),
        "left_out": queue.left_out,
    }
