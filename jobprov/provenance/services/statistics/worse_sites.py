"""Sites at which jobs fail more often than before, of all experiments.

A site got worse where at least ten of its jobs did not succeed in the last 24 hours, and their share
is at least twice that of the seven days before, and five points above it. It must also be five points
above that of all other sites of the day: what fails everywhere is no matter of a site.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from jobprov.provenance.answers.attention import WorseSite, WorseSites
from jobprov.provenance.db.connections.time_limits import SECONDS
from jobprov.provenance.db.queries.alerts.watched import (
    EndedAtSite,
    EndedJobs,
    ended_by,
    ended_by_hour,
)
from jobprov.provenance.services.statistics.shares import (
    LEAST_BEFORE,
    LEAST_JOBS,
    LastDay,
    Share,
    compare_last_day,
    first_worse_hour,
)
from jobprov.provenance.times import utc_text


def list_worse_sites(
    connection: Connection, now: datetime, *, seconds: float = SECONDS
) -> WorseSites:
    """Return the sites that got worse, those of most failures first; see `compare_last_day`."""
    sites, ended = compare_last_day(connection, now, _compare, seconds=seconds)
    sites.sort(key=lambda site: (-site.failures, site.site))
    return WorseSites(sites=sites, ended=ended)


def _compare(connection: Connection, day: LastDay) -> tuple[list[WorseSite], int]:
    lately = ended_by_hour(connection, day.lately, day.now)
    ended = sum(row.jobs for row in lately)
    if sum(row.failures for row in lately) < LEAST_JOBS:
        return [], ended
    before = ended_by(connection, day.before, by="site")
    return _worse(day, lately, before), ended + sum(row.jobs for row in before)


def _worse(
    day: LastDay, lately: Sequence[EndedAtSite], before: Sequence[EndedJobs]
) -> list[WorseSite]:
    """Return the sites of an experiment that got worse."""
    ended: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    for row in lately:
        ended[row.site] += row.jobs
        failures[row.site] += row.failures
    usual_shares = {row.facet: Share(row.failures, row.jobs) for row in before}
    worse = []
    for site in ended:
        of_day = Share(failures[site], ended[site])
        elsewhere = Share(failures.total() - of_day.part, ended.total() - of_day.ended)
        usual = usual_shares.get(site, Share(0, 0))
        if not site or of_day.part < LEAST_JOBS or usual.ended < LEAST_BEFORE:
            continue
        if not of_day.is_above(usual) or not of_day.is_points_above(elsewhere):
            continue
        hours = {row.hour: Share(row.failures, row.jobs) for row in lately if row.site == site}
        hour = first_worse_hour(hours, usual, of_day)
        worse.append(
            WorseSite(
                experiment=day.experiment,
                site=site,
                failures=of_day.part,
                ended=of_day.ended,
                failures_before=usual.part,
                ended_before=usual.ended,
                since=utc_text(day.began + timedelta(hours=hour)),
            )
        )
    return worse
