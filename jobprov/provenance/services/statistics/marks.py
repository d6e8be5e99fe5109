"""What changed within a window of throughput: new releases, changed rules, sites that came or went.

Rules of alerts are not among them: they are a file of the operator, whose changes nobody records.

Source: http.md, `GET /statistics/throughput`.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from string import ascii_uppercase
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.addresses import jobs_list, with_query
from jobprov.provenance.answers.statistics.marks import Mark, MarkKind, Marks
from jobprov.provenance.db.connections.time_limits import SECONDS, time_limit
from jobprov.provenance.db.queries.fragments.steps import Window
from jobprov.provenance.db.queries.lookup.experiments import names_of_experiments
from jobprov.provenance.db.queries.lookup.jobs.code_versions import code_versions
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.statistics.marks import (
    RanInWindow,
    changed_rules,
    lists_before,
    lists_with,
    ran_in,
    sites_before,
)
from jobprov.provenance.times import utc_text

MOST_MARKS = 20
QUIET_STEPS, QUIET_FOR = 12, timedelta(hours=6)
"""A site counts as quiet if its last job ended so long before the last one of all.

The longer of both: jobs take hours, and with steps of a minute each site would be quiet at times.
"""
LEAST_JOBS = 5
LEAST_SHARE = 0.01
"""A quiet site is shown if it ran so many jobs in the window, and such a share of all."""
_POLICIES = "retry policies"
_RULES = "error rules, version "
_COMMIT = re.compile(r"[0-9a-f]{12}")
"""How `code_versions` names code without a ref."""


class _Change(NamedTuple):
    """A mark before it has a letter."""

    at: datetime
    kind: MarkKind
    experiment: int
    name: str
    jobs: int


class _Ran(NamedTuple):
    """What ended in the window of one release or site: how much, from when until when.

    Attributes:
        experiment: whose jobs most of them are.
    """

    experiment: int
    jobs: int
    first: datetime
    last: datetime


def find_marks(
    connection: Connection, filters: JobFilters, window: Window, *, seconds: float = SECONDS
) -> Marks:
    """Return what changed within a window, of the jobs that pass the filters.

    Args:
        filters: which jobs; in whatever state they ended.
        window: when they ended.
        seconds: how long reading may take.

    Raises:
        LimitError: reading took more than `seconds`.
    """
    with time_limit(connection, "ask for a shorter window or a campaign", seconds=seconds):
        ran = ran_in(connection, filters, window)
        ended: Counter[int] = Counter()
        for row in ran:
            ended[row.experiment] += row.jobs
        changes = [
            _rules(connection, ended, window),
            _releases(connection, filters, window, ran),
            *_sites(connection, filters, window, ran),
        ]
        names = names_of_experiments(connection, ended)
    in_turn = _in_turn(changes)
    shown = zip(ascii_uppercase, in_turn[:MOST_MARKS], strict=False)
    return Marks(
        marks=[_mark(letter, change, names[change.experiment]) for letter, change in shown],
        left_out=max(0, len(in_turn) - MOST_MARKS),
        ended=ended.total(),
    )


def _in_turn(kinds: Iterable[Sequence[_Change]]) -> list[_Change]:
    """Return the first change of each kind, then the second of each, and so on."""
    in_turn = []
    for changes in zip_longest(*kinds):
        in_turn += [change for change in changes if change is not None]
    return in_turn


def _rules(connection: Connection, ended: Mapping[int, int], window: Window) -> list[_Change]:
    """Return the changes of rules in the experiments whose jobs ended, the newest first."""
    changes = []
    for change in changed_rules(connection, ended, window):
        name = _POLICIES if change.version is None else f"{_RULES}{change.version}"
        jobs = ended[change.experiment]
        changes.append(_Change(change.at, "rule", change.experiment, name, jobs))
    return changes


def _releases(
    connection: Connection, filters: JobFilters, window: Window, ran: Sequence[RanInWindow]
) -> list[_Change]:
    """Return the releases that were new in the window, those with the most jobs first."""
    lists = {row.software_set for row in ran if row.software_set is not None}
    versions = code_versions(connection, lists)
    rows_with_release = []
    for row in ran:
        if row.software_set is not None and versions.get(row.software_set):
            rows_with_release.append((versions[row.software_set], row))
    if not rows_with_release:
        return []
    releases = _summed(rows_with_release)
    # The list of a release may be another today, for example with one more product
    products = {release.rpartition(" ")[0] or release for release in releases}
    versions |= code_versions(connection, lists_with(connection, products))
    before = lists_before(
        connection,
        filters,
        window.start,
        lists=[key for key, release in versions.items() if release in releases],
        experiments={row.experiment for _, row in rows_with_release},
    )
    return _firsts(releases, {versions[key] for _, key in before}, "release")


def _sites(
    connection: Connection, filters: JobFilters, window: Window, ran: Sequence[RanInWindow]
) -> tuple[list[_Change], list[_Change]]:
    """Return the sites that ran no job before the window, and those that ran none at its end."""
    sites = _summed((row.site, row) for row in ran if row.site)
    if not sites:
        return [], []
    before = sites_before(
        connection,
        filters,
        window.start,
        sites=sites.keys(),
        experiments={row.experiment for row in ran},
    )
    newest = max(row.last for row in ran)
    quiet_since = newest - max(QUIET_STEPS * window.step, QUIET_FOR)
    least = max(LEAST_JOBS, LEAST_SHARE * sum(row.jobs for row in ran))
    quiet = []
    for site, of_site in sites.items():
        if of_site.jobs >= least and of_site.last < quiet_since:
            quiet.append(_Change(of_site.last, "site_last", of_site.experiment, site, of_site.jobs))
    return _firsts(sites, {site for _, site in before}, "site_first"), _most_first(quiet)


def _summed(rows: Iterable[tuple[str, RanInWindow]]) -> dict[str, _Ran]:
    """Return what ended by name, of all experiments together, as the chart shows it."""
    rows_by_name: defaultdict[str, list[RanInWindow]] = defaultdict(list)
    for name, row in rows:
        rows_by_name[name].append(row)
    summed = {}
    for name, named in rows_by_name.items():
        jobs: Counter[int] = Counter()
        for row in named:
            jobs[row.experiment] += row.jobs
        [(experiment, _)] = jobs.most_common(1)
        first, last = min(row.first for row in named), max(row.last for row in named)
        summed[name] = _Ran(experiment, jobs.total(), first, last)
    return summed


def _firsts(
    ran_by_name: Mapping[str, _Ran], before: Collection[str], kind: MarkKind
) -> list[_Change]:
    """Return the first job of each release or site that ran none before the window."""
    changes = []
    for name, ran in ran_by_name.items():
        if name not in before:
            changes.append(_Change(ran.first, kind, ran.experiment, name, ran.jobs))
    return _most_first(changes)


def _most_first(changes: list[_Change]) -> list[_Change]:
    return sorted(changes, key=lambda change: (-change.jobs, change.at, change.name))


def _mark(letter: str, change: _Change, experiment: str) -> Mark:
    return Mark(
        letter=letter,
        at=utc_text(change.at),
        kind=change.kind,
        experiment=experiment,
        name=change.name,
        words=_words(change),
        jobs=change.jobs,
        url=_url(change, experiment),
    )


def _words(change: _Change) -> str:
    if change.kind == "rule":
        return f"{change.name} declared"
    if change.kind == "release":
        return f"first job of {change.name}"
    if change.kind == "site_first":
        return f"first job at {change.name}"
    return f"last job at {change.name}"


def _url(change: _Change, experiment: str) -> str:
    if change.kind == "rule":
        if change.name == _POLICIES:
            return with_query("/trail", {"experiment": experiment, "kind": "retry_policies"})
        version = change.name.removeprefix(_RULES)
        return with_query("/rules", {"experiment": experiment, "version": version})
    if change.kind != "release":
        return jobs_list(experiment=experiment, site=change.name)
    name, _, version = change.name.rpartition(" ")
    if not name:
        return jobs_list(experiment=experiment, software=version)
    if _COMMIT.fullmatch(version):
        return jobs_list(experiment=experiment, software=name, revision=version)
    return jobs_list(experiment=experiment, software=f"{name}={version}")
