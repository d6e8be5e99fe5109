"""How fast an archive grows, for one that is old and one that is a day young."""

from datetime import UTC, datetime, timedelta

import pytest

from jobprov.provenance.db.queries.upkeep import RecordedJobs
from jobprov.provenance.services.upkeep.archive_growth import forecast_growth

NOW = datetime(2026, 11, 29, tzinfo=UTC)
MEGABYTE = 10**6


@pytest.mark.parametrize(
    ("age_days", "days", "megabytes_a_day"), [(0.01, 1, 60), (2, 2, 30), (30, 30, 2), (900, 30, 2)]
)
def test_jobs_of_a_young_archive_are_not_spread_over_a_month(
    age_days: float, days: float, megabytes_a_day: float
) -> None:
    recorded = RecordedJobs(26, 26, NOW - timedelta(days=age_days))

    growth = forecast_growth(60 * MEGABYTE, recorded, now=NOW, free_bytes=600 * MEGABYTE)

    assert growth.days == days
    assert growth.bytes_a_day == pytest.approx(megabytes_a_day * MEGABYTE)
    assert growth.days_left == pytest.approx(600 / megabytes_a_day)


def test_archive_without_jobs_of_late_does_not_grow() -> None:
    assert forecast_growth(
        5, RecordedJobs(1, 0, NOW - timedelta(days=40)), now=NOW, free_bytes=None
    ) == (0, 30, None, None)
    assert forecast_growth(5, RecordedJobs(0, 0, None), now=NOW, free_bytes=9).bytes_a_day is None
