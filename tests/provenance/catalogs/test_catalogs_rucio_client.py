"""The unmodified client of rucio-clients asks the server of the tests as it asks a real one."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from jobprov.provenance.catalogs.http import Access
from jobprov.provenance.catalogs.rucio import Login, Rucio
from tests.library.environments import programs_of
from tests.library.servers.rucio import Copy, Held, RucioServer

pytestmark = pytest.mark.slow

_PROGRAM = """
import json, sys
from rucio.client.replicaclient import ReplicaClient
from rucio.common.exception import CannotAuthenticate
url, password = sys.argv[1:3]
dids = [{"scope": "dune", "name": name} for name in sys.argv[3:]]
try:
    client = ReplicaClient(
        rucio_host=url, auth_host=url, account="jobprov", auth_type="userpass",
        creds={"username": "ada", "password": password},
    )
    print(json.dumps(list(client.list_replicas(dids))))
except CannotAuthenticate as problem:
    print(json.dumps(str(problem)))
"""


@pytest.fixture
def server() -> RucioServer:
    rucio = RucioServer()
    copies = [Copy("FNAL_DCACHE", "root://door//a1.root"), Copy("TAPE", "root://t", medium="TAPE")]
    rucio.held["dune", "a1.root"] = Held(7, "0000000a", copies)
    rucio.held["dune", "a2.root"] = Held(8, "0000000b")
    return rucio


def answer_of_client(server: RucioServer, home: Path, *words: str) -> object:
    """Run the client with a configuration of its own, and tokens of its own."""
    configuration = home / "rucio.cfg"
    configuration.write_text("[client]\n[trace]\n")
    environment = {
        **os.environ,
        "RUCIO_CONFIG": str(configuration),
        "RUCIO_HOME": str(home),
        "TMPDIR": str(home),
        "HOME": str(home),
    }
    python = programs_of("rucio", ("rucio-clients==41.5.1",)) / "python"
    command = [python, "-c", _PROGRAM, server.url, *words]
    done = subprocess.run(
        command, env=environment, cwd=home, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_client_reads_what_jobprov_reads_and_asks_the_same(
    server: RucioServer, tmp_path: Path
) -> None:
    names = ["a1.root", "a2.root", "none.root"]

    rows = answer_of_client(server, tmp_path, "secret", *names)
    access = Access(server.url)
    login = Login("jobprov", user_name="ada", password="secret")  # noqa: S106
    held = Rucio(access, access, login).find_replicas([("dune", name) for name in names])

    assert isinstance(rows, list)
    assert [(row["name"], row["bytes"]) for row in rows] == [("a1.root", 7), ("a2.root", 8)]
    assert [row["name"] for row in rows] == [name for _, name in held]
    for row in rows:
        ours = held["dune", row["name"]].replicas
        assert [replica.address for replica in ours] == list(row["pfns"])
    (theirs, their_headers), (our_question, our_headers) = server.questions
    assert our_question == theirs
    for header in ("X-Rucio-Account", "X-Rucio-Vo"):
        assert our_headers[header] == their_headers[header]
    assert our_headers["X-Rucio-Auth-Token"] != ""


def test_the_client_is_refused_as_by_a_real_server(server: RucioServer, tmp_path: Path) -> None:
    problem = answer_of_client(server, tmp_path, "wrong", "a1.root")

    assert "Cannot authenticate to account jobprov" in str(problem)
