"""Rucio, read over HTTP: where the replicas of files are.

Source: the calls of rucio-clients 41.5 (`baseclient`, `replicaclient`) and what Rucio's REST server
answers to them. What a catalog calls the namespace of a file, Rucio calls its scope.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jobprov.provenance.answers.catalogs.replicas import Replica
from jobprov.provenance.catalogs import answers
from jobprov.provenance.catalogs.catalog import HeldFile
from jobprov.provenance.catalogs.http import Access, Transport
from jobprov.provenance.errors import (
    BadInputError,
    ForbiddenError,
    LimitError,
    NotFoundError,
    UnreachableError,
)

_AT_ONCE = 500
_MOST_REFUSALS = 64
_MOST_REPLICAS = 100
"""Addresses that are kept of one file."""
_LAST = 1 << 30
_TOKEN = "X-Rucio-Auth-Token"  # noqa: S105 - the name of a header
_JSON_LINES = "application/x-json-stream"


class Login(NamedTuple):
    """Who asks Rucio: by a token, else by user name and password, else by a certificate.

    Attributes:
        account: of Rucio; an identity may have several.
        vo: of a Rucio that serves several experiments; `def` for the only one.
        token: as Rucio issued it, or of its OpenID provider.
    """

    account: str
    vo: str = "def"
    token: str | None = None
    user_name: str | None = None
    password: str | None = None


class Rucio:
    """A Rucio server.

    Args:
        access: of the server, which its clients call `rucio_host`.
        auth: of `auth_host`, with the certificate, where that is how it is asked.
        login: who asks.
        scope: of files that have no namespace; None where these are not asked for.
        schemes: of the addresses that are wanted, such as `root`; all for none.
    """

    def __init__(
        self,
        access: Access,
        auth: Access,
        login: Login,
        *,
        scope: str | None = None,
        schemes: Sequence[str] = (),
    ) -> None:
        self._login, self._auth = login, auth
        self._scope, self._schemes = scope, schemes
        self._token = login.token
        headers = {"X-Rucio-Account": login.account, "X-Rucio-VO": login.vo}
        self._headers = {**headers, "X-Rucio-Script": "jobprov"}
        self._transport = Transport(access, {**self._headers, "Accept": _JSON_LINES})
        self._refusals = 0

    def find_replicas(self, files: Iterable[tuple[str, str]]) -> dict[tuple[str, str], HeldFile]:
        """Return by (namespace, name) the files that Rucio knows.

        Files that it does not know, or whose names it refuses, are left out.

        Raises:
            ForbiddenError, UnreachableError, LimitError, BadInputError: it cannot be asked.
        """
        asked: dict[tuple[str, str], tuple[str, str]] = {}
        for namespace, name in files:
            scope = namespace or self._scope
            if scope:
                asked[scope, name] = (namespace, name)
        dids = list(asked)
        held = {}
        for start in range(0, len(dids), _AT_ONCE):
            for row in self._rows(dids[start : start + _AT_ONCE]):
                file = asked.get((str(row.get("scope")), str(row.get("name"))))
                if file is not None:  # else it is a file of a dataset that has a file's name
                    held[file] = _held_file(row)
        return held

    def _rows(self, dids: Sequence[tuple[str, str]]) -> list[dict[str, object]]:
        """Return what Rucio says of these files; if it refuses one of them, it answers for none."""
        try:
            return list(self._list_replicas(dids))
        except (BadInputError, NotFoundError):
            self._refusals += 1
            if self._refusals > _MOST_REFUSALS:
                raise
        if len(dids) == 1:
            return []
        middle = len(dids) // 2
        return [*self._rows(dids[:middle]), *self._rows(dids[middle:])]

    def _list_replicas(self, dids: Sequence[tuple[str, str]]) -> Iterator[dict[str, object]]:
        """Yield a row for each file, as the server streams them: a JSON object a line."""
        question: dict[str, object] = {
            "dids": [{"scope": scope, "name": name} for scope, name in dids],
            "domain": None,
            "ignore_availability": True,
            "all_states": False,
            "resolve_archives": True,
            "resolve_parents": False,
        }
        if self._schemes:
            question["schemes"] = list(self._schemes)
        if self._token is None:
            self._token = self._new_token()
        lines = self._transport.lines(
            "POST",
            "/replicas/list",
            what=f"the replicas of {len(dids)} files",
            json=question,
            headers={_TOKEN: self._token},
        )
        for line in lines:
            if line.strip():
                row = answers.parsed(line, "Rucio", "replicas")
                if not isinstance(row, dict):
                    raise UnreachableError("Rucio answers with something that is no file.")
                yield row

    def _new_token(self) -> str:
        """Return a token that Rucio gives for a password or a certificate."""
        headers = dict(self._headers)
        if self._login.user_name is not None:
            path = "/auth/userpass"
            headers["X-Rucio-Username"] = self._login.user_name
            headers["X-Rucio-Password"] = self._login.password or ""
        elif self._auth.key is not None:
            path = "/auth/x509"
        else:
            path = "/auth/x509_proxy"
        what = f"a token for account {self._login.account}"
        token = Transport(self._auth, headers).header(_TOKEN, path, what=what)
        if not token:
            raise ForbiddenError(f"Rucio at {self._auth.url} gives no token, but no reason either.")
        return token


def _held_file(row: Mapping[str, Any]) -> HeldFile:
    """Return a row of Rucio's answer, as far as it can be kept."""
    checksums = []
    for kind in ("adler32", "md5"):
        if isinstance(row.get(kind), str):
            checksums.append(f"{kind}:{row[kind]}")
    places = answers.members(row.get("pfns"))
    if len(places) > _MOST_REPLICAS:
        message = f"Rucio has more than {_MOST_REPLICAS} addresses of {row.get('name')}."
        raise LimitError(message, _MOST_REPLICAS)
    replicas = []
    nearest_first = sorted(places, key=lambda address: _rank(places[address]))
    for address in nearest_first:
        if answers.word(address) is not None:
            replicas.append(_replica(address, answers.members(places[address])))
    return HeldFile(answers.whole(row.get("bytes")), answers.checksums(checksums), tuple(replicas))


def _rank(place: Any) -> tuple[bool, int]:
    """Return what replicas are sorted by: those on tape last, then as Rucio prefers them."""
    members = answers.members(place)
    priority = answers.whole(members.get("priority"))
    return members.get("type") == "TAPE", _LAST if priority is None else priority


def _replica(address: str, place: Mapping[str, Any]) -> Replica:
    medium = answers.word(place.get("type"))
    return Replica(
        address=address,
        storage=answers.word(place.get("rse")),
        medium=medium.lower() if medium else None,
    )
