"""Submits what is ordered, and reports to the service what became of it.

It submits under the account that it runs in.

Nothing is submitted twice, whenever this is killed: an order is leased to one holder; its id goes
into the batch system with the job; and the batch system is asked for that id before each
submission. A job that was submitted and not reported is found there and reported.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from jobprov.provenance.answers.orders.orders import OrderInFlight, TakenOrder
from jobprov.provenance.answers.orders.workflows import WorkflowStanding
from jobprov.provenance.client import Client
from jobprov.provenance.errors import (
    BadInputError,
    NotFoundError,
    ProvenanceError,
    UnreachableError,
)
from jobprov.provenance.launchers.job import NOT_SUBMITTED, BatchJob, LaunchEnd, Launcher
from jobprov.provenance.services.agents.order_jobs import NotHereYetError, Workshop
from jobprov.provenance.services.agents.retry_outputs import RETURNED, has_outputs
from jobprov.provenance.services.orders.orders import EndedOrder, PlacedOrder, ReportBody

_AT_ONCE = 100
_TIDY_SECONDS = 3600.0
_LONGEST_PROBLEM = 3000


@dataclass
class Turn:
    """What one turn did.

    Attributes:
        submitted: jobs submitted now.
        found: jobs that were submitted before, and not reported.
        ended: jobs that are over.
        waiting: orders whose input is not there yet.
        refused: orders that cannot become a job.
        open: orders that are placed and not over.
    """

    submitted: int = 0
    found: int = 0
    ended: int = 0
    waiting: int = 0
    refused: int = 0
    open: int = 0

    @property
    def is_busy(self) -> bool:
        """Whether jobs are left, or were a moment ago."""
        return bool(self.open or self.submitted or self.ended)

    @property
    def is_idle(self) -> bool:
        """Whether nothing was to be done, and no order waits."""
        return not (self.is_busy or self.found or self.waiting or self.refused)

    def words(self) -> str:
        """Return what was done, for people; empty where nothing was."""
        parts = (
            (self.submitted, "submitted"),
            (self.found, "found submitted before"),
            (self.ended, "over"),
            (self.refused, "refused"),
            (self.waiting, "wait for a file"),
        )
        return ", ".join(f"{count} {words}" for count, words in parts if count)


@dataclass
class OrderRunner:
    """Takes orders of an experiment, of one workflow or of all, and has a launcher run them.

    Folders of jobs that are over are kept for `keep_days`, for whoever wants to look.
    """

    client: Client
    launcher: Launcher
    workshop: Workshop
    holder: str
    workflow: str | None = None
    report: Callable[[str], None] = lambda _line: None
    keep_days: float = 7.0
    _tidy_at: float = 0.0

    def turn(self) -> Turn:
        """Report what is over, submit what is ordered; return what was done.

        Raises:
            UnreachableError: the service or the batch system does not answer; the next turn goes
                on.
        """
        done = Turn()
        self._report_ends(done)
        request = {"experiment": self.workshop.experiment, "holder": self.holder, "limit": _AT_ONCE}
        if self.workflow is not None:
            request["workflow"] = self.workflow
        orders = self.client.take_orders(request)
        if orders:
            self._submit(orders, done)
        return done

    def _submit(self, orders: Sequence[TakenOrder], done: Turn) -> None:
        """Turn orders into jobs and submit those that are not submitted yet."""
        submitted = self.launcher.find([order.order_id for order in orders])
        done.found += len(submitted)
        self._report_placed(submitted)
        jobs: list[BatchJob] = []
        for order in orders:
            # To look for jobs may take so long that somebody else has the order by now
            if order.order_id in submitted or _is_over(order.leased_until):
                continue
            try:
                jobs.append(self.workshop.make(order))
            except NotHereYetError:
                done.waiting += 1
            except UnreachableError:
                raise
            except ProvenanceError as problem:
                self._refuse(order.order_id, problem, done)
        self._launch(jobs, done)
        done.open += len(submitted) + done.submitted

    def _launch(self, jobs: Sequence[BatchJob], done: Turn) -> None:
        """Submit jobs; if the launcher refuses them together, submit them one by one."""
        try:
            placed = self.launcher.submit(jobs) if jobs else {}
        except (BadInputError, NotFoundError) as problem:
            if len(jobs) == 1:
                self._refuse(jobs[0].name, problem, done)
                return
            # One job is at fault and holds up all: each alone
            for job in jobs:
                self._launch([job], done)
            return
        done.submitted += len(placed)
        self._report_placed(placed)

    def _refuse(self, order_id: str, problem: ProvenanceError, done: Turn) -> None:
        """Report that an order cannot become a job.

        It counts as tried, so that people see it and it is not tried for ever.
        """
        done.refused += 1
        self.report(f"order {order_id}: {problem}")
        problem_text = f"{NOT_SUBMITTED}{problem}"[:_LONGEST_PROBLEM]
        self._report_ended([EndedOrder(order_id, problem=problem_text)])

    def _report_ends(self, done: Turn) -> None:
        """Bring home and report what is over of the jobs that were made here."""
        in_flight = {}
        for order in self.client.placed_orders(self.workshop.experiment):
            in_flight[order.order_id] = order
        mine = [order_id for order_id in in_flight if self.workshop.order(order_id) is not None]
        if time.monotonic() > self._tidy_at:
            self.workshop.tidy(mine, days=self.keep_days)
            self._tidy_at = time.monotonic() + _TIDY_SECONDS
        ends = self.launcher.ended(mine) if mine else []
        ended = []
        for end in ends:
            problem = self.workshop.bring_home(end)
            if has_outputs(end.folder / RETURNED):
                self.report(f"outputs of order {end.name} are in {end.folder / RETURNED}")
            if self.workshop.names_jobs:
                self._witness(end, in_flight[end.name])
            ended.append(EndedOrder(end.name, end.exit_code, end.signal, end.problem or problem))
        self._report_ended(ended)
        done.ended += len(ended)
        done.open += len(mine) - len(ended)

    def _witness(self, end: LaunchEnd, placed: OrderInFlight) -> None:
        """Record the end of a job whose own record never came: no other witness saw it."""
        order = self.workshop.order(end.name)
        if order is None or end.is_success or self._is_final(end.name):
            return
        task = {
            "task_id": order.task_id,
            "campaign": order.campaign,
            "stage": order.stage,
            "unit": order.unit,
        }
        has_own_exit = end.signal is None and end.problem is None
        code = end.exit_code if end.signal is None else 128 + end.signal
        record = {
            "schema_version": 1,
            "job_id": end.name,
            "witness": "history",
            "experiment": self.workshop.experiment,
            "state": "failed" if has_own_exit else "killed",
            "task": {name: value for name, value in task.items() if value},
            "started_at": placed.placed_at,
            "ended_at": datetime.now(UTC).isoformat(),
            "exit": {"code": code, "signal": end.signal, "message": end.problem},
            "retry_of": order.retry_of,
        }
        self.client.record(record)

    def _is_final(self, job_id: str) -> bool:
        """Return whether the service has a record of a job's end."""
        try:
            job = self.client.job(job_id, experiment=self.workshop.experiment)
        except NotFoundError:
            return False
        return bool(job.record["state"] != "running")

    def _report_placed(self, batch_ids: Mapping[str, str]) -> None:
        placed = [PlacedOrder(order_id, batch_id) for order_id, batch_id in batch_ids.items()]
        if placed:
            self._send(ReportBody(experiment=self.workshop.experiment, placed=placed))

    def _report_ended(self, ended: Sequence[EndedOrder]) -> None:
        for start in range(0, len(ended), _AT_ONCE):
            part = list(ended[start : start + _AT_ONCE])
            self._send(ReportBody(experiment=self.workshop.experiment, ended=part))

    def _send(self, report: ReportBody) -> None:
        self.client.report_orders(msgspec.to_builtins(report))


def _is_over(moment: str) -> bool:
    return datetime.fromisoformat(moment) <= datetime.now(UTC)


def summary(standing: WorkflowStanding) -> str:
    """Return how a workflow stands in one line: by stage, what is done of what is expected."""
    parts = []
    for stage in standing.stages:
        counts = {
            "running": stage.running,
            "queued": stage.queued,
            "failed": stage.failed,
            "waived": stage.waived,
        }
        others = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        part = f"{stage.stage} {stage.done}/{stage.units}"
        if others:
            part += f" ({others})"
        parts.append(part)
    return "; ".join(parts)
