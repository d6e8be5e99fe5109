"""The figures of `/metrics` about database, archive and upkeep, in the form of Prometheus."""

import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobprov.app.access.wrong_tokens import header_tokens, known_grant
from jobprov.app.kept_answers import read_everything
from jobprov.app.moments import BACKUP, SEAL, last_done
from jobprov.app.wiring import Service
from jobprov.provenance.answers.reruns.reproduction import Reproduction
from jobprov.provenance.answers.statistics.states import StateCount
from jobprov.provenance.db.queries.upkeep import (
    Unsealed,
    count_dead_letters,
    count_unsealed,
    database_bytes,
)
from jobprov.provenance.db.queries.work.queue import QueueLength, queue_lengths
from jobprov.provenance.db.upkeep.key_widths import keys_used
from jobprov.provenance.errors import LimitError
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.services.kept_answers.counting import STATES
from jobprov.provenance.services.reruns.reproduction import reproduction_facts


class StandbyState(NamedTuple):
    """How a standby does.

    Attributes:
        is_used: whether anything is read from it.
        lag_seconds: how far it is behind at most, None where nothing is known.
    """

    is_used: bool
    lag_seconds: float | None


class Figures(NamedTuple):
    """The figures.

    Attributes:
        jobs: by experiment and state, of the experiments that the sender of the request may see;
            none while they are counted for the first time.
        reproduction: what became of reruns.
        work: background work by kind.
        unsealed: of the ledger.
        dead_letters: how many wait.
        database_bytes: how large it is.
        free_bytes: of the disk that the data folder is on.
        keys_used: share of the keys that each table has given out.
        last_done: when something was last done, in seconds since 1970.
        standby: how the standby does; None where none is set.
    """

    jobs: list[StateCount]
    reproduction: Reproduction
    work: list[QueueLength]
    unsealed: Unsealed
    dead_letters: int
    database_bytes: int
    free_bytes: int
    keys_used: Mapping[str, float]
    last_done: Mapping[str, float]
    standby: StandbyState | None


def read_figures(service: Service) -> Figures:
    """Return the figures as they are now."""
    data = service.settings.data
    with service.reading() as connection:
        reproduction = reproduction_facts(connection, datetime.now(UTC))
    # Numbers without a name; those of experiments are below
    with service.reading_everything() as connection:
        work, unsealed = queue_lengths(connection), count_unsealed(connection)
        dead_letters, used = count_dead_letters(connection), keys_used(connection)
        bytes_of_database = database_bytes(connection)
    moments = {}
    for act in (BACKUP, SEAL):
        done_at = last_done(data, act)
        if done_at is not None:
            moments[act] = done_at
    return Figures(
        jobs=_jobs(service),
        reproduction=reproduction,
        work=work,
        unsealed=unsealed,
        dead_letters=dead_letters,
        database_bytes=bytes_of_database,
        free_bytes=shutil.disk_usage(data).free,
        keys_used=used,
        last_done=moments,
        standby=read_standby(service),
    )


def read_standby(service: Service) -> StandbyState | None:
    """Return the current state of the standby; None if no standby is set."""
    if service.standby is None:
        return None
    is_used = service.standby.known.engine() is not None
    return StandbyState(is_used, service.standby.known.lag())


def _jobs(service: Service) -> list[StateCount]:
    if not _may_read(service):
        return []
    hidden = service.hidden_experiments()
    try:
        counts = read_everything(STATES).counts
    except LimitError:
        return []
    return [count for count in counts if count.experiment not in hidden]


def _may_read(service: Service) -> bool:
    """Return whether the sender may read: metrics are answered to others too, without names."""
    if service.settings.reading == "open":
        return True
    grants = [known_grant(token) for token in header_tokens()]
    return any(grant is not None and grant.may(Scope.READ) for grant in grants)


class FiguresCollector(Collector):
    """Tells figures in Prometheus' terms."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Yield each figure with its meaning."""
        figures = self._figures
        yield from _of_jobs(figures)
        yield from _of_work(figures.work)
        yield from _of_ledger(figures.unsealed)
        yield GaugeMetricFamily(
            "jobprov_dead_letters", "Records that could not be decoded.", figures.dead_letters
        )
        yield GaugeMetricFamily(
            "jobprov_database_bytes", "Size of the database.", figures.database_bytes
        )
        yield GaugeMetricFamily(
            "jobprov_data_free_bytes", "Free on the disk of the data folder.", figures.free_bytes
        )
        if figures.standby is not None:
            yield from _of_standby(figures.standby)
        for what, done_at in figures.last_done.items():
            yield GaugeMetricFamily(
                f"jobprov_last_{what}_timestamp_seconds", f"When the last {what} was done.", done_at
            )
        if figures.keys_used:
            used = GaugeMetricFamily(
                "jobprov_keys_used",
                "Share of the integer keys that each table has given out (PostgreSQL).",
                labels=["table"],
            )
            for table, share in sorted(figures.keys_used.items()):
                used.add_metric([table], share)
            yield used


def scraped(counted: Collector, figures: Figures) -> CollectorRegistry:
    """Return what was counted and the figures together."""
    registry = CollectorRegistry()
    registry.register(counted)
    registry.register(FiguresCollector(figures))
    return registry


def _of_jobs(figures: Figures) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        "jobprov_jobs", "Jobs by experiment and state.", labels=["experiment", "state"]
    )
    for count in figures.jobs:
        jobs.add_metric([count.experiment, count.state], count.jobs)
    yield jobs
    yield GaugeMetricFamily("jobprov_recipes", "Recipes recorded.", figures.reproduction.recipes)
    rerun = GaugeMetricFamily(
        "jobprov_recipes_rerun", "Recipes by the level of their last verdict.", labels=["level"]
    )
    for level, recipes in figures.reproduction.by_level.items():
        rerun.add_metric([level], recipes)
    yield rerun


def _of_work(lengths: list[QueueLength]) -> Iterator[Metric]:
    items = GaugeMetricFamily("jobprov_work_items", "Background work by kind.", labels=["kind"])
    failed = GaugeMetricFamily(
        "jobprov_work_failed_items", "Background work that failed and waits.", labels=["kind"]
    )
    oldest = GaugeMetricFamily(
        "jobprov_work_oldest_seconds",
        "How long the oldest work of a kind has been due; 0 where none is.",
        labels=["kind"],
    )
    for length in lengths:
        items.add_metric([length.kind], length.items)
        failed.add_metric([length.kind], length.failed)
        oldest.add_metric([length.kind], _age(length.due_at))
    yield from (items, failed, oldest)


def _of_ledger(unsealed: Unsealed) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "jobprov_unsealed_entries", "Ledger entries that wait to be sealed.", unsealed.entries
    )
    yield GaugeMetricFamily(
        "jobprov_unsealed_oldest_seconds",
        "Age of the oldest ledger entry that waits to be sealed; 0 where none does.",
        0.0 if unsealed.oldest_at is None else _age(unsealed.oldest_at),
    )


def _of_standby(standby: StandbyState) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "jobprov_standby_used",
        "1 while pages are read from the standby, 0 while all is read from the primary.",
        int(standby.is_used),
    )
    if standby.lag_seconds is not None:
        yield GaugeMetricFamily(
            "jobprov_standby_lag_seconds",
            "How far the standby is behind at most; missing while it does not answer.",
            standby.lag_seconds,
        )


def _age(moment: datetime) -> float:
    return max(0.0, time.time() - moment.timestamp())
