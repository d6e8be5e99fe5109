"""SciTokens and WLCG tokens: what an experiment's issuer signed is taken, and nothing else."""

import base64
import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.access.wrong_tokens import MOST_A_MINUTE
from jobprov.app.wiring import Service
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError, ForbiddenError
from jobprov.provenance.services.intake.issued_tokens import IssuedTokens
from jobprov.provenance.services.intake.issuers import read_issuers
from tests.library.answers import assert_problem
from tests.library.commands import run_alone
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record
from tests.library.servers.served_app import served
from tests.library.servers.token_issuer import (
    AUDIENCE,
    DISCOVERY,
    KEYS,
    TokenIssuer,
    issuers_file,
    table,
    token_issuer,
)

PUT = f"/api/v1/jobs/{JOB}"
# Not counted from now: each worker of a test run has to come to the same names of tests
LONG_AGO, LONG_FROM_NOW = 1_600_000_000, 4_000_000_000
PRODUCTION = """
[[nova.allow]]
scope = "compute.create"
may = ["record", "read"]

[[nova.allow]]
group = "/nova/production"
may = ["declare", "run"]

[[nova.allow]]
scope = "storage.read:/nova/raw"
may = ["read"]

[[nova.allow]]
subject = "robot@example.org"
scope = "compute.modify"
may = ["admin"]
"""


@pytest.fixture
def issuer() -> Iterator[TokenIssuer]:
    with token_issuer() as made:
        yield made


@pytest.fixture
def trust(service: Service, tmp_path: Path) -> Callable[..., None]:
    """Return a function that has the service take tokens as these tables say."""

    def trust(*tables: str) -> None:
        file = issuers_file(tmp_path, *tables)
        object.__setattr__(service, "issued_tokens", IssuedTokens(read_issuers(file)))

    return trust


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def put(client: FlaskClient, token: str) -> Any:
    return client.put(PUT, json=a_record(), headers=bearer(token))


def refusal(client: FlaskClient, token: str, status: int = 401) -> str:
    """Return why a token is refused, after a look at whether the answer repeats it."""
    answer = put(client, token)
    detail: str = assert_problem(answer, status)["detail"]
    assert token not in answer.text
    signature = token.rpartition(".")[2]
    assert len(signature) < 20 or signature not in answer.text
    return detail


@pytest.mark.parametrize("kind", ["ES256", "RS256"])
def test_token_of_the_issuer_records_and_its_subject_is_kept(
    client: FlaskClient, issuer: TokenIssuer, trust: Callable[..., None], kind: str
) -> None:
    issuer.add_key("second", kind)
    trust(table(issuer.url))

    assert put(client, issuer.token("second")).status_code == 201

    [witness] = client.get(PUT).get_json()["witnesses"]
    assert witness["submitter"] == f"issued ada@example.org of {issuer.url}"


def test_service_with_issuers_takes_nothing_without_a_token(
    client: FlaskClient, issuer: TokenIssuer, trust: Callable[..., None]
) -> None:
    assert client.put(PUT, json=a_record()).status_code == 201
    trust(table(issuer.url))

    assert_problem(client.put(PUT, json=a_record()), 401)


def test_issued_token_is_unknown_to_a_service_without_issuers(
    client: FlaskClient, issuer: TokenIssuer
) -> None:
    assert "unknown, expired or revoked" in refusal(client, issuer.token())


@on_sqlite_alone
@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"iss": "https://evil.example.org"}, "iss: the token is of 'https://evil.example.org'"),
        ({"iss": None}, "iss: the token is of (none)"),
        ({"iss": ["x"]}, "iss: "),
        ({"exp": LONG_AGO}, "exp: the token has ended (20"),
        ({"exp": None}, "exp: the token lacks this claim"),
        ({"exp": 1e400}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"nbf": LONG_FROM_NOW}, "nbf: the token is good only from later on (20"),
        ({"iat": LONG_FROM_NOW}, "iat: the token is good only from later on (20"),
        ({"aud": None}, "aud: the token lacks this claim"),
        ({"aud": "https://other.example.org"}, f"here it has to be {AUDIENCE}"),
        ({"aud": {"x": 1}}, "aud: "),
        ({"sub": None}, "sub: the token lacks this claim"),
        ({"sub": "ada\u202e"}, "sub: the token's subject is not printable"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_refusal_names_the_claim(
    client: FlaskClient,
    issuer: TokenIssuer,
    trust: Callable[..., None],
    claims: dict[str, Any],
    words: str,
) -> None:
    trust(table(issuer.url))

    assert words in refusal(client, issuer.token(**claims))


def test_time_limits_bear_clocks_a_minute_apart(
    client: FlaskClient, issuer: TokenIssuer, trust: Callable[..., None]
) -> None:
    trust(table(issuer.url))
    now = int(time.time())

    assert put(client, issuer.token(exp=now - 30, nbf=now + 30)).status_code in (200, 201)
    refusal(client, issuer.token(exp=now - 90))


def parts(token: str) -> list[str]:
    return token.split(".")


def packed(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def test_forged_tokens_are_refused(
    client: FlaskClient, issuer: TokenIssuer, trust: Callable[..., None]
) -> None:
    issuer.add_key("second", "RS256")
    trust(table(issuer.url))
    good = issuer.token()
    head, claims, signature = parts(good)
    ours = jwt.decode(good, options={"verify_signature": False})
    public = issuer.private["second"].public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    hs256 = jwt.PyJWS()
    # a shared secret may be any bytes to this algorithm, so also somebody's public key
    hs256._algorithms["HS256"].prepare_key = lambda key: key  # type: ignore[method-assign]
    by_public_key = hs256.encode(json.dumps(ours).encode(), pem, "HS256", {"kid": "second"})
    with token_issuer() as other:
        other.url = issuer.url
        by_other = other.token()
        of_own_key = other.token(
            headers={"jwk": other.documents[KEYS]["keys"][0], "jku": other.url + KEYS}
        )
    forged = {
        f"{packed({'alg': 'none', 'kid': 'first'})}.{claims}.": "alg: ",
        f"{packed({'alg': 'ES256', 'kid': 'second'})}.{claims}.{signature}": "signature",
        f"{packed({'alg': 'RS256', 'kid': 'first'})}.{claims}.{signature}": "signature",
        f"{packed({'alg': 'ES256', 'kid': 'first', 'crit': ['x']})}.{claims}.{signature}": "JWT",
        f"{packed({'alg': 'ES256', 'kid': 7})}.{claims}.{signature}": "JWT",
        f"{head}.{packed({**ours, 'sub': 'eve'})}.{signature}": "signature",
        f"{head}.{claims}.": "signature",
        by_public_key: "alg: ",
        by_other: "signature",
        of_own_key: "signature",
        "a.b.c": "form of a JWT",
        "..": "form of a JWT",
        f"{head}.{'A' * 20_000}.{signature}": "longer than",
    }

    assert put(client, good).status_code == 201
    for token, words in forged.items():
        client.application.extensions.pop("jobprov-wrong-tokens", None)
        assert words in refusal(client, token), token


def test_key_that_is_too_short_signs_nothing(
    client: FlaskClient, issuer: TokenIssuer, trust: Callable[..., None]
) -> None:
    issuer.add_key("short", "RS256", bits=1024)
    trust(table(issuer.url))
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        token = issuer.token("short")

    assert "too short" in refusal(client, token)


@on_sqlite_alone
@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "compute.create compute.read"}, {"record", "read"}),
        ({"scope": ["compute.create"]}, {"record", "read"}),
        ({"scope": "compute.read"}, None),
        ({"scope": None}, None),
        ({"scope": 7, "wlcg.groups": 8}, None),
        ({"scope": "", "wlcg.groups": ["/nova", "/nova/production"]}, {"declare", "run"}),
        ({"scope": "", "wlcg.groups": ["/nova", "/nova/production/x"]}, None),
        (
            {"scope": "compute.create", "wlcg.groups": ["/nova/production"]},
            {"record", "read", "declare", "run"},
        ),
        ({"scope": "storage.read:/"}, {"read"}),
        ({"scope": "storage.read"}, {"read"}),
        ({"scope": "storage.read:/nova//raw/"}, {"read"}),
        ({"scope": "storage.read:/nova/raw/2026"}, None),
        ({"scope": "storage.read:/nova/ra"}, None),
        ({"scope": "storage.read:/nova/raw/.."}, None),
        ({"scope": "storage.modify:/"}, None),
        ({"scope": "compute.modify"}, None),
        ({"scope": "compute.modify", "sub": "robot@example.org"}, {"admin"}),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_scopes_and_groups_allow_what_the_table_says(
    client: FlaskClient,
    service: Service,
    issuer: TokenIssuer,
    trust: Callable[..., None],
    claims: dict[str, Any],
    scopes: set[str] | None,
) -> None:
    trust(table(issuer.url, allow=PRODUCTION))
    token = issuer.token(**claims)

    if scopes is None:
        assert "nothing is allowed to what it has" in refusal(client, token, 403)
        return
    assert service.issued_tokens is not None
    grant = service.issued_tokens.grant(token)
    assert grant.scopes == scopes
    assert grant.experiment == "nova"


def test_call_of_another_scope_says_who_gives_it(
    client: FlaskClient, issuer: TokenIssuer, trust: Callable[..., None]
) -> None:
    trust(table(issuer.url))

    answer = client.put("/api/v1/workflows/w", json={}, headers=bearer(issuer.token()))

    detail = assert_problem(answer, 403)["detail"]
    assert "the scope run, and yours has read, record" in detail
    assert "JOBPROV_TOKEN_ISSUERS" in detail


def test_token_writes_to_the_experiment_of_its_issuer_alone(
    client: FlaskClient, issuer: TokenIssuer, trust: Callable[..., None]
) -> None:
    trust(table(issuer.url, "minerva"))

    assert "The token is of minerva" in refusal(client, issuer.token(), 403)


def test_experiments_that_share_an_issuer_are_told_by_groups(
    client: FlaskClient, service: Service, issuer: TokenIssuer, trust: Callable[..., None]
) -> None:
    def of_group(experiment: str) -> str:
        row = f'[[{experiment}.allow]]\ngroup = "/fermilab/{experiment}"\nmay = ["record"]\n'
        return table(issuer.url, experiment, allow=row)

    trust(of_group("nova"), of_group("mu2e"))
    assert service.issued_tokens is not None

    one = service.issued_tokens.grant(issuer.token(**{"wlcg.groups": ["/fermilab/mu2e"]}))
    both = issuer.token(**{"wlcg.groups": ["/fermilab/mu2e", "/fermilab/nova"]})

    assert one.experiment == "mu2e"
    assert "several experiments (nova, mu2e)" in refusal(client, both, 403)


def test_reading_and_forms_take_issued_tokens(
    client: FlaskClient, service: Service, issuer: TokenIssuer, trust: Callable[..., None]
) -> None:
    rows = '[[nova.allow]]\nscope = "compute.create"\nmay = ["read", "declare"]\n'
    trust(table(issuer.url, allow=rows))
    object.__setattr__(service.settings, "reading", "token")
    token, late = issuer.token(), issuer.token(exp=int(time.time()) - 3600)
    form = {"experiment": "nova", "rules": "", "who": "Ada", "why": "test"}

    assert client.get("/", auth=("me", token)).status_code == 200
    assert client.get("/api/v1/jobs", headers=bearer(token)).status_code == 200
    assert client.get("/", auth=("me", late)).status_code == 401
    assert "exp: the token has ended" in client.get("/", auth=("me", late)).text
    taken = client.post("/rules", data={**form, "token": token}, auth=("me", token))
    assert taken.status_code not in (401, 403)
    refused = client.post("/rules", data={**form, "token": late}, auth=("me", token))
    assert refused.status_code == 401
    assert "exp: the token has ended" in refused.text


def test_client_reads_the_token_file_again_for_each_call(
    app: Flask, issuer: TokenIssuer, trust: Callable[..., None], tmp_path: Path
) -> None:
    trust(table(issuer.url))
    file = tmp_path / "token"
    file.write_text(issuer.token(exp=int(time.time()) - 3600) + "\n")
    serving = served(app)
    client = Client(next(serving), "a token that counts no more", token_file=file)

    with pytest.raises(ForbiddenError, match="exp: the token has ended"):
        client.record(a_record())
    file.write_text(issuer.token() + "\n")
    assert client.record(a_record()).change == "created"
    for content in ("", "one two", "\N{LATIN SMALL LETTER E WITH ACUTE}geheim"):
        file.write_text(content)
        with pytest.raises(BadInputError, match=f"token file {file}") as caught:
            client.record(a_record())
        assert "geheim" not in str(caught.value)
    file.unlink()
    with pytest.raises(BadInputError, match="No such file"):
        client.record(a_record())
    next(serving, None)


@on_sqlite_alone
@pytest.mark.slow
def test_command_sends_the_token_in_the_file(
    app: Flask, issuer: TokenIssuer, trust: Callable[..., None], tmp_path: Path
) -> None:
    trust(table(issuer.url))
    record, file = tmp_path / "record.json", tmp_path / "token"
    record.write_text(json.dumps(a_record()))
    serving = served(app)
    settings = {"JOBPROV_URL": next(serving), "JOBPROV_TOKEN_FILE": str(file)}

    lacking = run_alone("record", str(record), **settings)
    file.write_text(issuer.token())
    sent = run_alone("record", str(record), **settings)
    next(serving, None)

    assert lacking.returncode != 0
    assert str(file) in lacking.stdout + lacking.stderr
    assert sent.returncode == 0, sent.stdout + sent.stderr


def test_wrong_issued_tokens_are_counted_and_never_logged(
    client: FlaskClient,
    issuer: TokenIssuer,
    trust: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    trust(table(issuer.url))
    late = issuer.token(exp=int(time.time()) - 3600)

    with caplog.at_level(logging.DEBUG):
        for _ in range(MOST_A_MINUTE):
            assert put(client, late).status_code == 401
        assert put(client, late).status_code == 429

    assert "exp: the token has ended" in caplog.text
    assert late.split(".")[1] not in caplog.text
    assert put(client, issuer.token()).status_code == 201


def test_keys_are_fetched_once(
    client: FlaskClient, issuer: TokenIssuer, trust: Callable[..., None]
) -> None:
    trust(table(issuer.url))

    for _ in range(3):
        assert put(client, issuer.token()).status_code in (200, 201)
    for name in ("x", "y", "z"):
        issuer.private[name] = issuer.private["first"]
        assert "kid: " in refusal(client, issuer.token(name))

    assert issuer.asked == [DISCOVERY, KEYS]
