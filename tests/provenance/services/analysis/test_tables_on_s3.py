"""Tables in a bucket: the same files as in a folder, whole or not at all, asked in SQL from there."""

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from jobprov.archive.opening import open_bucket
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.errors import BadInputError, ConflictError, UnreachableError
from jobprov.provenance.services.analysis.folders import BucketFolder, open_folder
from jobprov.provenance.services.analysis.questions import ask_tables
from tests.library.analysis import contents, export
from tests.library.production import Production
from tests.library.records import record_of
from tests.library.servers.s3 import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("s3")]


@pytest.fixture
def production(sqlite_template: Path, tmp_path: Path) -> Iterator[Production]:
    """Yield a production of two jobs."""
    shutil.copy(sqlite_template, tmp_path / "jobprov.db")
    made = Production(open_database(f"sqlite:///{tmp_path / 'jobprov.db'}"))
    made.record(record_of(1), record_of(2, ended_at="2026-02-01T00:00:00Z"))
    yield made
    made.close_all()


def in_bucket(url: str) -> dict[str, bytes]:
    bucket = open_bucket(url)
    return {
        listed.key: bucket.read(listed.key, 0, listed.size_bytes) or b""
        for listed in bucket.listed("")
    }


def test_bucket_gets_the_files_of_a_folder_and_answers_sql(
    production: Production, s3_url: str, tmp_path: Path
) -> None:
    export(production, tmp_path / "tables")

    first = export(production, s3_url)
    again = export(production, s3_url)
    answer = ask_tables(
        s3_url, "SELECT month, count(*) FROM jobs GROUP BY 1 ORDER BY 1", memory_bytes=10**8
    )

    assert in_bucket(s3_url) == contents(tmp_path / "tables")
    assert (len(first.written), again.written) == (3, [])
    assert list(answer.rows) == [("2026-01", 1), ("2026-02", 1)]
    assert list(ask_tables(s3_url, "FROM modules WHERE events > 9", memory_bytes=10**8).rows) == []


def test_of_two_exports_at_once_one_refuses_and_the_lock_of_a_dead_one_ends(
    production: Production, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(production, s3_url)
    other = open_folder(s3_url)
    with other.alone():
        with pytest.raises(ConflictError, match=r"Another export writes into .*: process \d+ "):
            export(production, s3_url)
        # As if it had been killed a quarter of an hour ago
        monkeypatch.setattr(
            "jobprov.provenance.services.analysis.folders._ABANDONED", -timedelta(days=1)
        )
        production.record(record_of(3))
        assert export(production, s3_url).rows["jobs"] == 3
        with pytest.raises(ConflictError, match=r"took .* over; this one published nothing"):
            other.check_alone()
    assert "_lock" not in in_bucket(s3_url)


def test_bucket_that_holds_something_else_is_left_as_it_is(
    production: Production, s3_url: str
) -> None:
    open_bucket(s3_url).put("thesis.tex", b"a year of work")

    with pytest.raises(BadInputError, match=r"holds something else \(thesis.tex\)"):
        export(production, s3_url)

    assert in_bucket(s3_url) == {"thesis.tex": b"a year of work"}


class Cable:
    """Leads connections of one port to the S3 server, until it is cut."""

    def __init__(self, server: S3Server) -> None:
        address = urlsplit(server.url)
        self._target = (address.hostname or "", address.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection, and take no more."""
        for end in [self._listener, *self._ends]:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._ends += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError), closing(source), closing(target):
        while data := source.recv(1 << 16):
            target.sendall(data)


class CutFolder(BucketFolder):
    """A prefix whose server goes away when the second file is staged."""

    cable: Cable
    staged = 0

    def stage(self, path: Path, name: str) -> None:
        self.staged += 1
        if self.staged == 2:
            self.cable.cut()
        super().stage(path, name)


def test_server_that_goes_away_leaves_the_tables_as_they_were(
    production: Production, s3_url: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(production, s3_url)
    before = in_bucket(s3_url)
    production.record(record_of(3))
    cable = Cable(s3_server)
    with monkeypatch.context() as patched:
        patched.setenv("AWS_ENDPOINT_URL", cable.url)
        folder = CutFolder(open_bucket(s3_url))
        folder.cable = cable
        with pytest.raises(
            UnreachableError, match=f"^{s3_url} cannot take the tables: the server does not answer"
        ):
            export(production, folder)

    after = in_bucket(s3_url)
    visible = {name: data for name, data in after.items() if not name.startswith("_")}
    assert visible.items() <= before.items()
    assert after["_jobprov.json"] == before["_jobprov.json"]
    open_bucket(s3_url).delete(["_lock"])  # a quarter of an hour later
    assert export(production, s3_url).rows["jobs"] == 3
    assert not any(name.startswith("_staging") for name in in_bucket(s3_url))
