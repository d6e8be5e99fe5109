"""A parameter set from art's stored sets, which are compact: nested tables are `@id::` and an id.

Source: fhicl-cpp `ParameterSetRegistry`, `ParameterSet::to_compact_string`.
"""

import re
from collections.abc import Mapping

from jobprov.provenance.fhicl.configuration import Configuration
from jobprov.provenance.fhicl.errors import LIMIT, UNKNOWN_ID, FhiclError
from jobprov.provenance.fhicl.limits import DEFAULT_LIMITS
from jobprov.provenance.fhicl.loading import loads

_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|@id::([0-9a-f]{40})""", re.DOTALL)
_DEEPEST = 200


def load_stored(sets: Mapping[str, str], identity: str) -> Configuration:
    """Return the set with this id, with nested tables in place of their ids.

    If nothing was altered, its own `parameter_set_id` equals `identity`.

    Args:
        sets: compact text by ParameterSetID.
        identity: 40 hex digits.

    Raises:
        FhiclError: a set is missing, contains itself, or is too large or deep.
    """
    return loads(_Writer(sets).text(identity, ()), name=f"@id::{identity}")


class _Writer:
    def __init__(self, sets: Mapping[str, str]) -> None:
        self._sets = sets
        self._written: dict[str, str] = {}
        # For everything that is composed on the way: sets that name each other twice double in size
        self._bytes_left = DEFAULT_LIMITS.canonical_bytes

    def text(self, identity: str, around: tuple[str, ...]) -> str:
        """Return the full text of a set. Each set is composed once."""
        if identity in self._written:
            return self._written[identity]
        if identity not in self._sets:
            raise FhiclError(UNKNOWN_ID, f"no stored set has the id {identity}")
        if identity in around:
            raise FhiclError(LIMIT, f"the stored set {identity} contains itself")
        if len(around) > _DEEPEST:
            raise FhiclError(LIMIT, f"stored sets nest deeper than the limit of {_DEEPEST}")
        pieces: list[str] = []
        position = 0
        compact = self._sets[identity]
        for token in _TOKEN.finditer(compact):
            inner = token[0]
            if token[1]:
                inner = f"{{{self.text(token[1], (*around, identity))}}}"
            pieces += [compact[position : token.start()], inner]
            position = token.end()
            self._bytes_left -= len(inner)
            if self._bytes_left < 0:
                limit = f"{DEFAULT_LIMITS.canonical_bytes:,} bytes (canonical_bytes)"
                message = f"the stored set {identity}, written out, passes the limit of {limit}"
                raise FhiclError(LIMIT, message)
        pieces.append(compact[position:])
        self._written[identity] = "".join(pieces)
        return self._written[identity]
