"""Where replicas are, as Rucio tells."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobprov.provenance.answers.catalogs.replicas import Replica
from jobprov.provenance.catalogs.http import Access
from jobprov.provenance.catalogs.opening import open_rucio, read_catalogs
from jobprov.provenance.catalogs.rucio import Login, Rucio
from jobprov.provenance.errors import BadInputError, ForbiddenError, UnreachableError
from tests.library.servers.rucio import Copy, Held, RucioServer

ON_DISK = "root://fndca1.fnal.gov:1094//pnfs/dune/a1.root"
FAR = "davs://eospublic.cern.ch:443/eos/dune/a1.root"
ON_TAPE = "root://fndca1.fnal.gov:1094//pnfs/dune/tape/a1.root"
LOGIN = Login("jobprov", token="given-token")  # noqa: S106 - of the test's own server


@pytest.fixture
def server() -> Iterator[RucioServer]:
    """Yield a Rucio with two files: a1.root has three copies, a2.root none that is available."""
    rucio = RucioServer()
    rucio.held["dune", "a1.root"] = Held(
        7,
        "0000000a",
        [
            Copy("FNAL_DCACHE_TAPE", ON_TAPE, medium="TAPE", priority=1),
            Copy("CERN_PDUNE_EOS", FAR, priority=3),
            Copy("FNAL_DCACHE", ON_DISK, priority=2),
        ],
    )
    rucio.held["dune", "a2.root"] = Held(8, "0000000b", [Copy("RAL", "root://x", state="COPYING")])
    yield rucio
    rucio.close()


def rucio_of(server: RucioServer, login: Login = LOGIN, **more: object) -> Rucio:
    access = Access(server.url, seconds=30.0, attempts=2, pause=0.01)
    return Rucio(access, access, login, **more)  # type: ignore[arg-type]


def test_replicas_on_disk_come_first_as_rucio_prefers_them(server: RucioServer) -> None:
    wanted = [("dune", "a1.root"), ("dune", "a2.root"), ("dune", "none.root"), ("", "bare.root")]

    held = rucio_of(server).find_replicas(wanted)

    first = held["dune", "a1.root"]
    assert (first.size_bytes, first.checksums) == (7, ("adler32:0000000a",))
    assert list(first.replicas) == [
        Replica(address=ON_DISK, storage="FNAL_DCACHE", medium="disk"),
        Replica(address=FAR, storage="CERN_PDUNE_EOS", medium="disk"),
        Replica(address=ON_TAPE, storage="FNAL_DCACHE_TAPE", medium="tape"),
    ]
    assert held["dune", "a2.root"].replicas == ()
    assert len(held) == 2


def test_schemes_and_the_scope_of_bare_names_are_settings(server: RucioServer) -> None:
    rucio = rucio_of(server, scope="dune", schemes=["davs"])

    held = rucio.find_replicas([("", "a1.root")])

    assert [replica.address for replica in held["", "a1.root"].replicas] == [FAR]


@pytest.mark.parametrize("refuses_unknown", [False, True])
def test_one_name_that_rucio_refuses_spoils_nothing_for_the_others(
    server: RucioServer, *, refuses_unknown: bool
) -> None:
    server.refuses_unknown = refuses_unknown
    names = [f"b{number}.root" for number in range(50)]
    for name in names:
        server.held["dune", name] = Held(1, "00000001")
    wanted = [("dune", name) for name in [*names[:20], "odd name+.root", "none.root", *names[20:]]]

    held = rucio_of(server).find_replicas(wanted)

    assert {name for _, name in held} == set(names)


@pytest.mark.slow
def test_a_rucio_that_refuses_everything_is_not_asked_for_each(server: RucioServer) -> None:
    wanted = [("dune", f"odd {number}") for number in range(400)]

    with pytest.raises(BadInputError, match="Problem validating"):
        rucio_of(server).find_replicas(wanted)

    assert len(server.questions) < 80


def test_password_and_certificate_get_a_token_first(server: RucioServer) -> None:
    wanted = [("dune", "a1.root")]
    by_password = Login("jobprov", user_name="ada", password="secret")  # noqa: S106

    assert rucio_of(server, by_password).find_replicas(wanted)
    assert rucio_of(server, Login("jobprov")).find_replicas(wanted)
    assert server.asked == [
        "GET /auth/userpass",
        "POST /replicas/list",
        "GET /auth/x509_proxy",
        "POST /replicas/list",
    ]
    with pytest.raises(ForbiddenError, match="Cannot authenticate to account jobprov"):
        rucio_of(server, by_password._replace(password="wrong")).find_replicas(wanted)  # noqa: S106


def test_an_expired_token_and_a_broken_answer_are_told(server: RucioServer) -> None:
    wanted = [("dune", "a1.root")]
    server.faults = ["broken"]
    with pytest.raises(UnreachableError):
        rucio_of(server).find_replicas(wanted)
    server.faults = [302]
    with pytest.raises(UnreachableError, match="redirects"):
        rucio_of(server).find_replicas(wanted)
    server.expire_tokens()
    with pytest.raises(ForbiddenError, match="renew the certificate or token"):
        rucio_of(server).find_replicas(wanted)


def test_rucio_is_named_beside_the_catalog_of_its_experiment(
    server: RucioServer, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("given-token\n")
    catalog = '[dune]\nkind = "metacat"\nurl = "https://metacat.example.org"\n'
    path = tmp_path / "catalogs.toml"
    path.write_text(
        f'{catalog}[dune.rucio]\nurl = "{server.url}"\naccount = "jobprov"\n'
        f'token_file = "{token}"\n'
    )

    rucio = open_rucio(read_catalogs(path), "dune")

    assert rucio is not None
    assert rucio.find_replicas([("dune", "a1.root")])
    assert open_rucio(read_catalogs(path), "nova") is None


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('url = "https://r"', "account"),
        ('url = "https://r"\naccount = "a"', "name one of token_file, certificate"),
        (
            'url = "https://r"\naccount = "a"\ntoken_file = "t"\ncertificate = "c"',
            "name one of token_file, certificate",
        ),
        ('url = "https://r"\naccount = "a"\nuser_name = "u"', "user_name needs password_file"),
        ('url = "http://r"\naccount = "a"\ntoken_file = "t"', "needs https, and url is http"),
        (
            'url = "https://r"\nauth_url = "http://r"\naccount = "a"\ntoken_file = "t"',
            "needs https, and auth_url is http",
        ),
        ('url = "r"\naccount = "a"\ntoken_file = "t"', "no http"),
        (
            'url = "https://r"\naccount = "a"\ntoken = "t"',
            r"rucio\.token: there is no such field here; there are url, auth_url",
        ),
    ],
)
def test_mistakes_in_the_settings_are_told(tmp_path: Path, lines: str, problem: str) -> None:
    path = tmp_path / "catalogs.toml"
    catalog = '[dune]\nkind = "metacat"\nurl = "https://metacat.example.org"\n'
    path.write_text(f"{catalog}[dune.rucio]\n{lines}\n")

    with pytest.raises(BadInputError, match=problem):
        read_catalogs(path)
