"""A server of PostgreSQL that is gone, and says nothing, is not waited for."""

import socket
import time

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import OperationalError

from jobprov.provenance.db.connections.postgresql import PATIENCE, Patience, open_postgresql


@pytest.mark.slow
def test_connecting_to_a_server_that_says_nothing_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = make_url(f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nothing")
        reading, writing = open_postgresql(url, Patience(connecting=2, silent=2))
        for engine in (reading, writing):
            began = time.monotonic()
            with pytest.raises(OperationalError, match="timeout"):
                engine.connect()
            # psycopg would wait for 130 s, its own default
            assert time.monotonic() - began < 60


def test_limits_of_the_url_go_before_ours() -> None:
    url = make_url("postgresql://somebody@db.example.org/jobprov?tcp_user_timeout=7000")

    for engine in open_postgresql(url):
        limits = engine.dialect.create_connect_args(engine.url)[1]
        assert limits["tcp_user_timeout"] == "7000"
        assert limits["connect_timeout"] == str(PATIENCE.connecting)
        assert int(limits["keepalives_idle"]) < PATIENCE.silent
