"""The bounded part of `./scripts/endure`: a few kills on each database."""

from pathlib import Path

import pytest

from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.db.upkeep.migrating import upgrade
from tests.endurance.kills import Acknowledged, check_whole, endure
from tests.library.records import JOB, digest

KILLS = {"sqlite": 2, "postgresql": 1}


@pytest.mark.slow
def test_nothing_that_was_acknowledged_is_lost(empty_url: str, tmp_path: Path) -> None:
    upgrade(empty_url)
    kills = KILLS["sqlite" if empty_url.startswith("sqlite") else "postgresql"]

    report = endure(
        tmp_path / "var",
        kills,
        seed=1,
        most_seconds=0.5,
        with_upkeep=False,
        JOBPROV_DATABASE_URL=empty_url,
    )

    assert report.records >= kills


def test_what_is_lost_is_seen(database_url: str, tmp_path: Path) -> None:
    """Else nothing above could fail."""
    settings = {"JOBPROV_DATA": str(tmp_path), "JOBPROV_DATABASE_URL": database_url}
    service = open_service(load_settings(settings, {}))
    records, blobs = Acknowledged(), Acknowledged()
    records.records[JOB] = b"{}"
    blobs.blobs[digest(1)] = b"x"

    check_whole(service, Acknowledged())
    with pytest.raises(AssertionError, match="1 acknowledged records are lost"):
        check_whole(service, records)
    with pytest.raises(AssertionError):
        check_whole(service, blobs)
    service.close()
