"""Submits what is ordered, and tells the service what became of it.

It submits under the account that it runs in.

Nothing is submitted twice, whenever this is killed: an order is leased to one holder; its id goes
into the batch system with the job; and the batch system is asked for that id before each
submission. What was submitted and not told is found there and told.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobprov.provenance.client import Client
from jobprov.provenance.errors import (
    BadInputError,
    NotFoundError,
    ProvenanceError,
    UnreachableError,
)
from jobprov.provenance.launchers.job import NOT_SUBMITTED, BatchJob, LaunchEnd, Launcher
from jobprov.provenance.services.agents.order_jobs import NotHereYetError, Workshop

_AT_ONCE = 100
_TIDY_SECONDS = 3600.0


@dataclass
class Turn:
    """What one turn did.

    Attributes:
        submitted, found, ended, waiting: jobs submitted; found submitted before; that are over;
            whose input is not there yet.
        refused: orders that cannot become a job, with the reason.
        open: orders that are placed and not over.
    """

    submitted: int = 0
    found: int = 0
    ended: int = 0
    waiting: int = 0
    refused: int = 0
    open: int = 0

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
        """Tell what is over, submit what is ordered; return what was done.

        Raises:
            UnreachableError: the service or the batch system does not answer; the next turn goes
                on.
        """
        done = Turn()
        self._tell_ends(done)
        asked = {"experiment": self.workshop.experiment, "holder": self.holder, "limit": _AT_ONCE}
        if self.workflow is not None:
            asked["workflow"] = self.workflow
        orders = self.client.take_orders(asked)
        if orders:
            self._submit(orders, done)
        return done

    def _submit(self, orders: Sequence[Mapping[str, Any]], done: Turn) -> None:
        known = self.launcher.find([order["order_id"] for order in orders])
        done.found += len(known)
        self._tell(placed=known)
        fresh: list[BatchJob] = []
        for order in orders:
            if order["order_id"] in known or _is_over(order["leased_until"]):
                continue
            try:
                fresh.append(self.workshop.make(order))
            except NotHereYetError:
                done.waiting += 1
            except UnreachableError:
                raise
            except ProvenanceError as problem:
                self._refuse(order["order_id"], problem, done)
        self._launch(fresh, done)
        done.open += len(known) + done.submitted

    def _launch(self, jobs: Sequence[BatchJob], done: Turn) -> None:
        try:
            placed = self.launcher.submit(jobs) if jobs else {}
        except (BadInputError, NotFoundError) as problem:
            if len(jobs) == 1:
                self._refuse(jobs[0].name, problem, done)
                return
            for job in jobs:  # one of them is at fault: each alone
                self._launch([job], done)
            return
        done.submitted += len(placed)
        self._tell(placed=placed)

    def _refuse(self, order_id: str, problem: ProvenanceError, done: Turn) -> None:
        """Tell that an order cannot become a job.

        It counts as tried, so that it is seen and not tried for ever.
        """
        done.refused += 1
        self.report(f"order {order_id}: {problem}")
        self._tell(ended=[{"order_id": order_id, "problem": f"{NOT_SUBMITTED}{problem}"[:3000]}])

    def _tell_ends(self, done: Turn) -> None:
        placed = {
            order["order_id"]: order
            for order in self.client.placed_orders(self.workshop.experiment)
        }
        mine = [order_id for order_id in placed if self.workshop.order(order_id) is not None]
        if time.monotonic() > self._tidy_at:
            self.workshop.tidy(mine, days=self.keep_days)
            self._tidy_at = time.monotonic() + _TIDY_SECONDS
        ends = self.launcher.ended(mine) if mine else []
        told = []
        for end in ends:
            wrong = self.workshop.bring_home(end)
            if self.workshop.names_jobs:
                self._witness(end, placed[end.name])
            problem = end.problem or wrong
            told.append(
                {
                    "order_id": end.name,
                    "exit_code": end.exit_code,
                    "signal": end.signal,
                    "problem": problem,
                }
            )
        for start in range(0, len(told), _AT_ONCE):
            self._tell(ended=told[start : start + _AT_ONCE])
        done.ended += len(told)
        done.open += len(mine) - len(told)

    def _witness(self, end: LaunchEnd, placed: Mapping[str, Any]) -> None:
        """Tell of a job that is over and whose own record never came: nobody else saw its end."""
        order = self.workshop.order(end.name) or {}
        if end.is_success or self._is_final(end.name):
            return
        code = end.exit_code if end.signal is None else 128 + end.signal
        record = {
            "schema_version": 1,
            "job_id": end.name,
            "witness": "history",
            "experiment": self.workshop.experiment,
            "state": "failed" if end.signal is None and end.problem is None else "killed",
            "task": {
                name: order[name]
                for name in ("task_id", "campaign", "stage", "unit")
                if order.get(name)
            },
            "started_at": placed["placed_at"],
            "ended_at": datetime.now(UTC).isoformat(),
            "exit": {"code": code, "signal": end.signal, "message": end.problem},
            "retry_of": order.get("retry_of"),
        }
        self.client.record(record)

    def _is_final(self, job_id: str) -> bool:
        try:
            shown = self.client.job(job_id, experiment=self.workshop.experiment)
        except NotFoundError:
            return False
        return bool(shown.record["state"] != "running")

    def _tell(
        self, *, placed: Mapping[str, str] | None = None, ended: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        if placed or ended:
            listed = [
                {"order_id": name, "batch_id": batch_id}
                for name, batch_id in (placed or {}).items()
            ]
            self.client.report_orders(
                {"experiment": self.workshop.experiment, "placed": listed, "ended": list(ended)}
            )


def _is_over(moment: str) -> bool:
    return datetime.fromisoformat(moment) <= datetime.now(UTC)


def summary(shown: Mapping[str, Any]) -> str:
    """Return how a workflow stands in one line.

    It says what is done of what is expected by stage, what failed, and what it waits for.
    """
    parts = []
    for stage in shown["stages"]:
        counts = Counter(
            {name: stage[name] for name in ("running", "queued", "failed", "waived") if stage[name]}
        )
        words = ", ".join(f"{count} {name}" for name, count in counts.items())
        parts.append(
            f"{stage['stage']} {stage['done']}/{stage['units']}" + (f" ({words})" if words else "")
        )
    return "; ".join(parts)
