"""Whatever a token says, it is refused with a reason or allowed by the table; nothing else happens."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance.errors import ForbiddenError
from jobprov.provenance.services.intake.issued_tokens import IssuedTokens
from jobprov.provenance.services.intake.issuers import read_issuers
from jobprov.provenance.services.intake.tokens import Scope
from tests.library.servers.token_issuer import (
    AUDIENCE,
    TokenIssuer,
    issuers_file,
    table,
    token_issuer,
)

CLAIMS = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope", "wlcg.groups", "wlcg.ver")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([AUDIENCE, "compute.create", 1e308, 10**400, "\ud800", "\0"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def issuer() -> Iterator[TokenIssuer]:
    with token_issuer() as made:
        yield made


@pytest.fixture(scope="module")
def tokens(issuer: TokenIssuer, tmp_path_factory: pytest.TempPathFactory) -> IssuedTokens:
    folder: Path = tmp_path_factory.mktemp("issuers")
    return IssuedTokens(read_issuers(issuers_file(folder, table(issuer.url))))


def check(tokens: IssuedTokens, token: str) -> None:
    try:
        grant = tokens.grant(token)
    except ForbiddenError as reason:
        assert 0 < len(str(reason)) < 2000  # noqa: PT017
        str(reason).encode()
    else:
        assert grant.scopes == {Scope.RECORD, Scope.READ}
        assert grant.submitter is not None
        assert grant.submitter.isprintable()
        assert len(grant.submitter) <= 200


@pytest.mark.slow
@given(claims=st.dictionaries(st.sampled_from(CLAIMS), VALUES, max_size=4))
def test_signed_claims_of_any_kind(
    tokens: IssuedTokens, issuer: TokenIssuer, claims: dict[str, Any]
) -> None:
    check(tokens, issuer.token(**claims))


def test_half_a_letter_in_a_scope_can_be_sent(tokens: IssuedTokens, issuer: TokenIssuer) -> None:
    check(tokens, issuer.token(scope="\ud800\nstorage.read:/"))


@pytest.mark.slow
@given(header=st.dictionaries(st.sampled_from(("alg", "kid", "crit", "typ", "b64")), VALUES))
def test_headers_of_any_kind(
    tokens: IssuedTokens, issuer: TokenIssuer, header: dict[str, Any]
) -> None:
    _, claims, signature = issuer.token().split(".")
    content = json.dumps({"alg": "ES256", "kid": "first", **header}).encode()
    packed = base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    check(tokens, f"{packed}.{claims}.{signature}")


@given(text=st.text(max_size=60), place=st.integers(0, 300), length=st.integers(0, 30))
def test_tokens_with_a_part_replaced(
    tokens: IssuedTokens, issuer: TokenIssuer, text: str, place: int, length: int
) -> None:
    token = issuer.token()

    check(tokens, token[:place] + text + token[place + length :])
