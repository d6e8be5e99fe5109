"""The unmodified `metacat` of metacat-client, against a service that serves it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.library.answers import put_job
from tests.library.records import record_of
from tests.library.servers.served_app import served

pytestmark = pytest.mark.slow

CALLS = [
    ("version", "Server version:"),
    ("file show nova:f2.root", "adler32   : 00000003"),
    ("file show -m nova:f2.root", "prov.task_id        : t1"),
    ("file show -m -p nova:f2.root", "'prov.task_id': 't1'"),
    ("file show -l nova:f2.root", "nova:f1.root"),
    ("query files from nova:t1 where core.data_tier = reco", "nova:f1.root\nnova:f2.root"),
    ("query files where core.runs = 26305", "nova:f1.root\nnova:f2.root\nnova:f3.root"),
    ("query files where 26306 in core.runs", "nova:f1.root\nnova:f2.root\nnova:f3.root"),
    ("query -s files where DUNE.unknown = 1", "Files:        0"),
    ("query -s files from nova:t1", "Files:        3"),
    ("query -m all files from nova:t1 limit 1", "core.data_tier\t=\t'reco'"),
    ("query parents(file nova:f2.root)", "nova:f1.root"),
    ("query -i children(file nova:f1.root)", "3"),
    ("dataset list", "nova:c\nnova:t1"),
    ("dataset list -l -c nova:*", "3 nova:t1"),
    ("dataset show nova:t1", "Estimated file count:  3"),
    ("dataset files nova:t1", "nova:f1.root\nnova:f2.root\nnova:f3.root"),
    ("namespace list", "nova"),
]
REFUSED = [
    ("file show nova:nope.root", "File not found"),
    ("query files from nova:nope", "There is no definition nope"),
    ("query files from", "column 11"),
    ("dataset create nova:new", "for reading only"),
]


@pytest.fixture
def url(app: Flask) -> Iterator[str]:
    """Yield the address of a served application with three files."""
    client = app.test_client()
    for number in range(1, 4):
        record = record_of(number)
        record["outputs"][0].update(data_tier="reco", runs=[26305, 26306])
        put_job(client, record)
    for address in served(app):
        yield f"{address}/metacat/nova"


def metacat(url: str, home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the client with nothing but the address of its server."""
    environment = {
        **os.environ,
        "METACAT_SERVER_URL": url,
        "METACAT_AUTH_SERVER_URL": f"{url}/auth",
        "HOME": str(home),
    }
    command = [sys.executable, "-m", "metacat.ui.metacat_ui", *words]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_unmodified_client_is_answered(url: str, tmp_path: Path) -> None:
    for call, expected in CALLS:
        done = metacat(url, tmp_path, *_words(call))

        assert done.returncode == 0, (call, done.stderr)
        assert expected in done.stdout, call


def test_unmodified_client_shows_why_it_is_refused(url: str, tmp_path: Path) -> None:
    for call, expected in REFUSED:
        done = metacat(url, tmp_path, *_words(call))

        assert done.returncode != 0, call
        assert expected in done.stdout + done.stderr, call


def _words(call: str) -> list[str]:
    """Return the arguments of a call; a query is one of them."""
    for start in (" files ", " parents(", " children("):
        options, found, query = call.partition(start)
        if found and options.startswith("query"):
            return [*options.split(), f"{start}{query}".strip()]
    return call.split()
