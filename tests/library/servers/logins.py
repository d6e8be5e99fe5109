"""A provider of logins that gives whatever ID token a test makes, and a browser's steps through it."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from jobprov.app.wiring import Login, Service
from jobprov.provenance.services.intake.identity_provider import IdentityProvider
from jobprov.provenance.services.intake.logins import read_login_rules
from tests.library.servers.token_issuer import DISCOVERY, KEYS, TokenIssuer

CLIENT_ID = "jobprov"
SECRET = "a secret of the client"  # noqa: S105
TOKEN = "/token"  # noqa: S105 - a path
PAGE = "/docs/"
"""A page with the frame of all pages; unlike the home page it counts nothing."""
ROWS = """
[[allow.nova]]
group = "/nova/production"
role = "producer"

[[allow.nova]]
group = "/nova/operators"
role = "operator"

[[allow.nova]]
subject = "ada@example.org"
role = "admin"

[[allow.mu2e]]
group = "/mu2e"
role = "reader"
"""


def login_file(folder: Path, issuer: str, *more: str, rows: str = ROWS) -> Path:
    """Return a file of who may log in by a provider; `more` are its further lines."""
    secret = folder / "login-secret"
    secret.write_text(SECRET + "\n", encoding="utf-8")
    lines = [
        "[provider]",
        f'issuer = "{issuer}"',
        f'client_id = "{CLIENT_ID}"',
        f'secret_file = "{secret}"',
        *more,
    ]
    path = folder / "login.toml"
    path.write_text("\n".join(lines) + "\n" + rows, encoding="utf-8")
    return path


def take_logins(service: Service, file: Path, *, public_url: str = "http://127.0.0.1") -> None:
    """Have a service take logins as a file says."""
    rules = read_login_rules(file)
    provider = None
    if rules.provider is not None:
        provider = IdentityProvider(rules.provider, rules.named_groups())
    object.__setattr__(service, "login", Login(rules, provider))
    object.__setattr__(service.settings, "public_url", public_url)


def describe_provider(issuer: TokenIssuer) -> None:
    """Have an issuer of tokens say that it also logs people in."""
    issuer.documents[DISCOVERY] = {
        "issuer": issuer.url,
        "jwks_uri": issuer.url + KEYS,
        "authorization_endpoint": issuer.url + "/auth",
        "token_endpoint": issuer.url + TOKEN,
        "id_token_signing_alg_values_supported": ["none", "HS256", "ES256"],
    }


def begin(client: FlaskClient, wanted: str = "/jobs") -> dict[str, str]:
    """Begin a login; return what the provider is asked."""
    sent = client.get("/login", query_string={"next": wanted})
    assert sent.status_code == 303, sent.text
    return dict(parse_qsl(urlsplit(sent.headers["Location"]).query))


def come_back(client: FlaskClient, issuer: TokenIssuer, state: str, id_token: Any) -> TestResponse:
    """Come back from the provider, which then gives this ID token."""
    issuer.documents[TOKEN] = {"access_token": "x", "token_type": "Bearer", "id_token": id_token}
    return client.get("/login/done", query_string={"state": state, "code": "c"})


def id_token(issuer: TokenIssuer, asked: dict[str, str], **claims: Any) -> str:
    """Return an ID token as it should be, but for some claims."""
    right = {"aud": CLIENT_ID, "nonce": asked["nonce"], "name": "Ada Lovelace", "scope": None}
    return issuer.token(**{**right, **claims})


def log_in(
    client: FlaskClient, issuer: TokenIssuer, wanted: str = "/jobs", **claims: Any
) -> TestResponse:
    """Log in with these claims, and return the answer to coming back."""
    asked = begin(client, wanted)
    return come_back(client, issuer, asked["state"], id_token(issuer, asked, **claims))


def is_logged_in(client: FlaskClient) -> bool:
    """Return whether pages offer to log out."""
    return "Log out" in client.get(PAGE).text
