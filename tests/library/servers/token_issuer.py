"""An issuer of tokens on loopback: its keys are made for the test, its documents are served."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as new_rsa_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "https://wlcg.cern.ch/jwt/v1/any"
KEYS = "/keys"
DISCOVERY = "/.well-known/openid-configuration"
_FOLDER = "/nova"
PrivateKey = RSAPrivateKey | EllipticCurvePrivateKey


class TokenIssuer:
    """Signs tokens, and serves the documents by which they are checked.

    Attributes:
        url: its address, which is the claim `iss`.
        documents: what it serves, by path; a test may change them.
        statuses: with which status it answers a path, in place of 200 and 404.
        posted: the bodies that were sent to it, in order.
        asked: the paths that were asked for, in order.
        pause: seconds that it waits before each answer.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.private: dict[str, PrivateKey] = {}
        self.asked: list[str] = []
        self.posted: list[str] = []
        self.pause = 0.0
        self.statuses: dict[str, int] = {}
        self.documents: dict[str, Any] = {
            DISCOVERY: {"issuer": url, "jwks_uri": url + KEYS},
            KEYS: {"keys": []},
        }

    def add_key(self, key_id: str, kind: str = "ES256", *, bits: int = 2048) -> None:
        """Make a key and list it."""
        key: PrivateKey
        if kind == "ES256":
            key = new_ec_key(SECP256R1())
            listed = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        else:
            key = new_rsa_key(65537, bits)
            listed = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self.private[key_id] = key
        self.documents[KEYS]["keys"].append({**listed, "kid": key_id, "alg": kind, "use": "sig"})

    def token(
        self, key_id: str = "first", *, headers: Mapping[str, Any] | None = None, **claims: Any
    ) -> str:
        """Return a token as WLCG issuers make them; a claim of None is left out."""
        now = int(time.time())
        every = {
            "iss": self.url,
            "sub": "ada@example.org",
            "aud": AUDIENCE,
            "exp": now + 600,
            "nbf": now - 5,
            "iat": now - 5,
            "wlcg.ver": "1.0",
            "scope": "compute.create",
            **claims,
        }
        given = {name: value for name, value in every.items() if value is not None}
        key = self.private[key_id]
        algorithm = "RS256" if isinstance(key, RSAPrivateKey) else "ES256"
        # as bytes: an issuer may say in a claim what PyJWT's own makers of tokens would not
        content = json.dumps(given).encode()
        return jwt.PyJWS().encode(content, key, algorithm, {"kid": key_id, **(headers or {})})

    def count(self, path: str) -> int:
        """Return how often a document was asked for."""
        return self.asked.count(path)


@contextmanager
def token_issuer() -> Iterator[TokenIssuer]:
    """Yield an issuer with one key, `first`, for ES256."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            issuer.posted.append(self.rfile.read(length).decode())
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.removeprefix(_FOLDER)
            issuer.asked.append(path)
            time.sleep(issuer.pause)
            document = issuer.documents.get(path)
            content = json.dumps(document).encode()
            self.send_response(issuer.statuses.get(path, 404 if document is None else 200))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = TokenIssuer(f"http://127.0.0.1:{server.server_port}{_FOLDER}")
    issuer.add_key("first")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def issuers_file(folder: Path, *tables: str) -> Path:
    """Return a file of issuers with these tables."""
    path = folder / "issuers.toml"
    path.write_text("\n".join(tables), encoding="utf-8")
    return path


def table(issuer: str, experiment: str = "nova", *, allow: str | None = None) -> str:
    """Return the table of an issuer, which by default lets tokens of jobs record and read."""
    rows = allow or '[[{0}.allow]]\nscope = "compute.create"\nmay = ["record", "read"]\n'
    head = f'[[{experiment}]]\nissuer = "{issuer}"\naudience = ["{AUDIENCE}"]\n'
    return head + rows.format(experiment)
