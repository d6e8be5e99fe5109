"""Which requests may be answered from a standby; on a real one: journeys/test_read_standby.py."""

from pathlib import Path

import pytest
from flask import Flask

from jobprov.app.access import standby_reading
from jobprov.app.factory import create_app
from jobprov.provenance.errors import BadInputError


def test_sqlite_refuses_a_standby_in_a_sentence(tmp_path: Path) -> None:
    settings = {
        "JOBPROV_DATA": str(tmp_path),
        "JOBPROV_DATABASE_READ_URL": "postgresql+psycopg://standby.example.org/jobprov",
    }

    with pytest.raises(BadInputError, match="needs PostgreSQL: SQLite has no standby"):
        create_app(settings)


def test_what_may_lag_is_there(bare_app: Flask) -> None:
    """A blueprint that was renamed would be read from the primary for ever, unseen."""
    assert bare_app.blueprints.keys() >= standby_reading._MAY_LAG


@pytest.mark.parametrize(
    "section",
    [
        "recording",
        "blobs",
        "traces",
        "log-tails",
        "tickets",
        "events",
        "orders",
        "workflows",
        "operations",
        "trail",
        "rules",
    ],
)
def test_what_agents_and_hooks_act_on_never_lags(bare_app: Flask, section: str) -> None:
    assert section in bare_app.blueprints
    assert section not in standby_reading._MAY_LAG


def test_without_a_standby_nothing_is_added(bare_app: Flask) -> None:
    answer = bare_app.test_client().post("/search", data={})

    assert standby_reading._WROTE not in str(answer.headers)
    assert "standby" not in (bare_app.test_client().get("/api/v1/ready").json or {})
