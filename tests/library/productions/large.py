"""A production of 20,000 jobs that goes as productions go, with what a count by hand says of it.

Failures and retries, holds, records that come twice, late, in any order or not at all, several
witnesses of one job. The counting is done with dictionaries alone, on the records as they end: it
shares no line with the service.
"""

import random
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

UNITS = 5200
STAGES = ("gen", "reco", "pid")
MERGED = 20
_START = datetime(2026, 6, 1, tzinfo=UTC)
_FAILURES: tuple[tuple[float, dict[str, Any]], ...] = (
    (
        0.45,
        {
            "code": 65,
            "failed_step": "stage-in",
            "error_class": "CopyFailed",
            "message": "ifdh cp timed out",
        },
    ),
    (
        0.30,
        {
            "code": 1,
            "failed_step": "art",
            "error_class": "ProductNotFound",
            "message": "getByLabel: no product",
        },
    ),
    (0.15, {"code": 137, "signal": 9, "message": "memory usage exceeded"}),
    (0.10, {"code": 7}),
)
_NAMED = ("schema_version", "job_id", "experiment", "task", "host")
_BEGUN = (*_NAMED, "started_at", "software", "inputs")


class Counts(NamedTuple):
    """What a count by hand says.

    Attributes:
        units: `{task: {expected, produced, running, failed, waived, missing}}`.
        causes: jobs by (failed step, error class, exit code, signal, state).
        over: jobs that are over; `failures` those of them that did not succeed.
        ready: names of files of `reco` that no job of `pid` reads or has read with success.
        wall: median seconds of the successful jobs of each stage.
        modules: (events, seconds) by label, of successful jobs of `reco`.
        sites: failures by site.
    """

    units: dict[str, dict[str, int]]
    causes: Counter[tuple[Any, ...]]
    over: int
    failures: int
    ready: set[str]
    wall: dict[str, float]
    modules: dict[str, tuple[int, float]]
    sites: Counter[str]


class LargeProduction:
    """Records in the order in which they arrive, and the last word on each job."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.jobs: dict[str, dict[str, Any]] = {}
        self.arrivals: list[dict[str, Any]] = []
        self.waived = {"t-reco": ["u7", "u11"], "t-pid": ["u7"]}
        self._make()
        self._shuffle()

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Return the declarations, by task id."""
        units = [f"u{number}" for number in range(UNITS)]
        merges = [f"m{number}" for number in range(UNITS // MERGED)]
        return {
            f"t-{stage}": {
                "experiment": "nova",
                "campaign": "prod",
                "stage": stage,
                "units": merges if stage == "merge" else units,
                "outputs_per_unit": 1,
            }
            for stage in (*STAGES, "merge")
        }

    def _make(self) -> None:
        for place, stage in enumerate(STAGES):
            for number in range(UNITS):
                name = f"u{number}"
                is_waived = name in self.waived.get(f"t-{stage}", ())
                self._attempts(stage, name, place, is_hopeless=is_waived)
        for number in range(UNITS // MERGED // 2):
            self._attempts("merge", f"m{number}", 3)

    def _attempts(self, stage: str, unit: str, place: int, *, is_hopeless: bool = False) -> None:
        """Try a unit until it succeeds, at most three times; a hopeless one never does.

        Some are never tried, some still run.
        """
        if self.chance.random() < 0.02:
            return
        for attempt in range(3):
            drawn = self.chance.random()
            state = "succeeded"
            if drawn < 0.25 or is_hopeless:
                state = "failed"
            elif drawn < 0.26:
                state = "running"
            if state == "failed" and self.chance.random() < 0.1:
                state = self.chance.choice(("killed", "lost"))
            self._add(stage, unit, place, attempt, state)
            if state in ("succeeded", "running"):
                return

    def _add(self, stage: str, unit: str, place: int, attempt: int, state: str) -> None:
        started = _START + timedelta(days=place, hours=attempt, seconds=self.chance.randrange(3600))
        seconds = self.chance.randrange(60, 7200)
        job = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        record: dict[str, Any] = {
            "schema_version": 1,
            "job_id": job,
            "experiment": "nova",
            "state": state,
            "started_at": started.isoformat(),
            "task": {"task_id": f"t-{stage}", "campaign": "prod", "stage": stage, "unit": unit},
            "host": {
                "hostname": f"wn{self.chance.randrange(200)}",
                "site": self.chance.choice(("FNAL", "SU", "CERN")),
            },
            "software": [{"name": "novasoft", "requested_ref": "R1", "revision": "1" * 40}],
        }
        if state != "running":
            record["ended_at"] = (started + timedelta(seconds=seconds)).isoformat()
        if place and state != "lost":
            record["inputs"] = self._inputs(stage, unit, place)
        if state == "succeeded":
            record["outputs"] = [
                {"name": f"{stage}_{unit}.root", "size_bytes": seconds, "event_count": 100}
            ]
            record["resources"] = {"wall_seconds": float(seconds), "cpu_user_seconds": seconds / 2}
            record["exit"] = {"code": 0}
            if stage == "reco":
                record["modules"] = [
                    {
                        "label": "slicer",
                        "type": "Slicer",
                        "events": 100,
                        "seconds_total": seconds / 4,
                    }
                ]
        elif state in ("failed", "killed"):
            weights = [weight for weight, _ in _FAILURES]
            record["exit"] = self.chance.choices([failure for _, failure in _FAILURES], weights)[0]
        self.jobs[job] = record

    def _inputs(self, stage: str, unit: str, place: int) -> list[dict[str, Any]]:
        if stage != "merge":
            return [{"name": f"{STAGES[place - 1]}_{unit}.root", "role": "primary"}]
        first = int(unit[1:]) * MERGED
        return [
            {"name": f"pid_u{number}.root", "role": "primary"}
            for number in range(first, first + MERGED)
        ]

    def _shuffle(self) -> None:
        """Put the records into the order of their arrival, with what comes besides."""
        for record in self.jobs.values():
            drawn = self.chance.random()
            if record["state"] == "succeeded" and drawn < 0.05:  # announced before it ended
                self.arrivals.append({**_part(record, *_BEGUN), "state": "running"})
            elif record["state"] == "succeeded" and drawn < 0.07:  # taken for lost, then found
                self.arrivals.append(
                    {**_part(record, *_NAMED), "state": "lost", "witness": "history"}
                )
            self.arrivals.append(record)
            if drawn > 0.97:  # sent twice
                self.arrivals.append(record)
            # The batch system saw it too
            elif record["state"] in ("failed", "killed") and drawn > 0.8:
                seen = {
                    "exit": {"code": record["exit"]["code"]},
                    "state": record["state"],
                    "witness": "history",
                }
                self.arrivals.append({**_part(record, *_NAMED, "started_at", "ended_at"), **seen})
        self.chance.shuffle(self.arrivals)

    def batches(self, size: int = 500) -> Iterator[list[dict[str, Any]]]:
        """Yield the records as they arrive."""
        for start in range(0, len(self.arrivals), size):
            yield self.arrivals[start : start + size]

    def counts(self) -> Counts:
        """Count by hand."""
        jobs = self.jobs.values()
        over = [job for job in jobs if job["state"] != "running"]
        bad = [job for job in over if job["state"] != "succeeded"]
        good = [job for job in over if job["state"] == "succeeded"]
        slicer = [job["modules"][0] for job in good if "modules" in job]
        slicer_events = sum(row["events"] for row in slicer)
        slicer_seconds = sum(row["seconds_total"] for row in slicer)
        units = {}
        for task, declared in self.tasks().items():
            units[task] = self._units(task, declared["units"])
        return Counts(
            units=units,
            causes=Counter(_cause(job) for job in bad),
            over=len(over),
            failures=len(bad),
            ready=self._ready_files(),
            wall={stage: _median_wall(good, stage) for stage in (*STAGES, "merge")},
            modules={"slicer": (slicer_events, slicer_seconds)},
            sites=Counter(job["host"]["site"] for job in bad),
        )

    def _ready_files(self) -> set[str]:
        """Return the files of `reco` that no job of `pid` reads or has read with success."""
        made: set[str] = set()
        taken: set[str] = set()
        for job in self.jobs.values():
            stage, state = job["task"]["stage"], job["state"]
            if stage == "reco" and state == "succeeded":
                made.add(job["outputs"][0]["name"])
            elif stage == "pid" and state in ("running", "succeeded"):
                taken.update(file["name"] for file in job.get("inputs", ()))
        return made - taken

    def _units(self, task: str, units: list[str]) -> dict[str, int]:
        """Return how many units of a task are in each state; each counts by its best job."""
        states: dict[str, set[str]] = {unit: set() for unit in units}
        for job in self.jobs.values():
            if job["task"]["task_id"] == task:
                states[job["task"]["unit"]].add(job["state"])
        counts = Counter(expected=len(units))
        for unit, states_of_jobs in states.items():
            if "succeeded" in states_of_jobs:
                counts["produced"] += 1
            elif "running" in states_of_jobs:
                counts["running"] += 1
            elif unit in self.waived.get(task, ()):
                counts["waived"] += 1
            elif states_of_jobs:
                counts["failed"] += 1
        names = ("expected", "produced", "running", "failed", "waived")
        missing = len(units) - counts["produced"] - counts["waived"]
        return {**{name: counts[name] for name in names}, "missing": missing}


def _cause(job: dict[str, Any]) -> tuple[Any, ...]:
    found = job.get("exit", {})
    return (
        found.get("failed_step"),
        found.get("error_class"),
        found.get("code"),
        found.get("signal"),
        job["state"],
    )


def _median_wall(jobs: list[dict[str, Any]], stage: str) -> float:
    return median(job["resources"]["wall_seconds"] for job in jobs if job["task"]["stage"] == stage)


def _part(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: record[name] for name in names if name in record}
