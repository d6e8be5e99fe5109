"""An HTTP server that speaks as Rucio does where replicas are read.

From rucio-clients 41.5 and Rucio's REST server: tokens for a password or certificate in a header,
`POST /replicas/list` with a JSON object a line, errors with `ExceptionClass` and
`ExceptionMessage`. `tests/provenance/catalogs/test_catalogs_rucio_client.py` holds it to the client.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from werkzeug.wrappers import Request, Response

from tests.library.servers.catalogs import CatalogServer, Shelf

PASSWORD = "secret"  # noqa: S105 - of this server alone
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_-]*")


@dataclass
class Copy:
    """A replica; Rucio lists those that are AVAILABLE."""

    rse: str
    address: str
    medium: str = "DISK"
    priority: int = 1
    state: str = "AVAILABLE"


@dataclass
class Held:
    """A file of Rucio."""

    size_bytes: int
    adler32: str
    copies: list[Copy] = field(default_factory=list)


class RucioServer(CatalogServer):
    """Rucio, as far as jobprov asks it.

    Attributes:
        held: files by scope and name.
        refuses_unknown: whether a file that it does not know is 404 for the whole question.
        questions: what `/replicas/list` was asked, with the headers of each question.
    """

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], Held] = {}
        self.refuses_unknown = False
        self.questions: list[tuple[dict[str, Any], dict[str, str]]] = []
        self._tokens = {"given-token"}
        super().__init__(Shelf())
        self.token = ""  # so that each call is checked

    def is_allowed(self, request: Request) -> bool:
        """A token that it issued; whoever asks for one has none yet."""
        is_login = request.path.startswith("/auth/")
        return is_login or request.headers.get("X-Rucio-Auth-Token") in self._tokens

    def expire_tokens(self) -> None:
        """Forget all tokens."""
        self._tokens.clear()

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Return Rucio's calls."""
        return {
            "GET /auth/userpass": self._by_password,
            "GET /auth/x509(?:_proxy)?": self._new_token,  # certificates are TLS's to check
            "POST /replicas/list": self._replicas,
        }

    def _by_password(self, request: Request) -> Response:
        if request.headers.get("X-Rucio-Password") != PASSWORD:
            account = request.headers.get("X-Rucio-Account")
            words = f"Cannot authenticate to account {account} with given credentials"
            return _error(401, "CannotAuthenticate", words)
        return self._new_token(request)

    def _new_token(self, request: Request) -> Response:
        token = f"{request.headers['X-Rucio-Account']}-token-{len(self._tokens)}"
        self._tokens.add(token)
        headers = {
            "X-Rucio-Auth-Token": token,
            "X-Rucio-Auth-Token-Expires": "Sun, 29 Nov 2099 12:00:00 UTC",
        }
        return Response("", headers=headers, mimetype="application/octet-stream")

    def _replicas(self, request: Request) -> Response:
        question = json.loads(request.get_data())
        self.questions.append((question, dict(request.headers)))
        dids = [(did["scope"], did["name"]) for did in question["dids"]]
        for scope, name in dids:
            if not _NAME.fullmatch(name) or not _NAME.fullmatch(scope):
                return _error(400, "InvalidObject", f"Problem validating dids: {name!r}")
            if self.refuses_unknown and (scope, name) not in self.held:
                words = f"Data identifier {scope}:{name} not found"
                return _error(404, "DataIdentifierNotFound", words)
        known = [did for did in dids if did in self.held]
        schemes = question.get("schemes")
        lines = [json.dumps(_row(did, self.held[did], schemes)) + "\n" for did in known]
        return Response("".join(lines), mimetype="application/x-json-stream")


def _row(did: tuple[str, str], held: Held, schemes: list[str] | None) -> dict[str, Any]:
    copies = [
        copy
        for copy in held.copies
        if copy.state == "AVAILABLE" and (not schemes or copy.address.split(":")[0] in schemes)
    ]
    return {
        "scope": did[0],
        "name": did[1],
        "bytes": held.size_bytes,
        "md5": None,
        "adler32": held.adler32,
        "pfns": {
            copy.address: {
                "rse_id": "e" * 32,
                "rse": copy.rse,
                "type": copy.medium,
                "volatile": False,
                "domain": "wan",
                "priority": copy.priority,
                "client_extract": False,
            }
            for copy in copies
        },
        "rses": {copy.rse: [copy.address] for copy in copies},
        "states": {copy.rse: copy.state for copy in copies},
    }


def _error(status: int, kind: str, words: str) -> Response:
    body = json.dumps({"ExceptionClass": kind, "ExceptionMessage": words})
    headers = {"ExceptionClass": kind, "ExceptionMessage": words}
    return Response(body, status, headers=headers, mimetype="application/octet-stream")
