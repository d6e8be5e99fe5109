"""A PostgreSQL database that cannot keep every text is refused, before anything is in it."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tests.library.commands import run_alone

pytestmark = pytest.mark.slow


@pytest.fixture(params=["SQL_ASCII", "LATIN1"])
def encoded_url(request: pytest.FixtureRequest, postgresql_server: str) -> Iterator[str]:
    """Yield the URL of an empty database of another encoding."""
    name = f"test_{uuid.uuid4().hex}"
    administrator = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with administrator.connect() as connection:
        connection.execute(
            text(f"CREATE DATABASE {name} ENCODING '{request.param}' LOCALE 'C' TEMPLATE template0")
        )
    yield make_url(postgresql_server).set(database=name).render_as_string(hide_password=False)
    with administrator.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    administrator.dispose()


@pytest.mark.parametrize("command", ["migrate", "serve", "token list"])
def test_encoding_is_named_with_the_way_out(
    encoded_url: str, command: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    encoding = request.node.callspec.params["encoded_url"]

    ended = run_alone(
        *command.split(),
        JOBPROV_DATA=str(tmp_path / "var"),
        JOBPROV_DATABASE_URL=encoded_url,
        JOBPROV_PORT="0",
    )

    assert ended.returncode == 3
    [problem] = [line for line in ended.stderr.splitlines() if " starts on " not in line]
    assert f" is {encoding}, and jobprov needs UTF8" in problem
    assert "createdb --encoding=UTF8 --template=template0" in problem
    # As text whatever the driver makes of it
    engine = create_engine(encoded_url, connect_args={"client_encoding": "UTF8"})
    with engine.connect() as connection:
        made = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        assert connection.execute(text(made)).scalar_one() == 0
    engine.dispose()
