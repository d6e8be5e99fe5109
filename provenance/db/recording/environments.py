"""Environment variables as what jobs of a stage and site share, and the small difference of each.

A difference is one zstd frame with the shared variables' document as its dictionary: their names are in there, and it takes half of
what it would alone. That document lies beside it, so nothing outlives an erasure that was not kept anyway.
"""

import json
from collections.abc import Mapping, Sequence

import msgspec
import zstandard

from provenance.db.recording.packing import compress_all, unpack

_LEVEL = 3
_LONGEST = 64 * 1024 * 1024


def base_document(variables: Mapping[str, str]) -> bytes:
    """Return the document of shared variables, the same for the same ones."""
    return json.dumps(variables, sort_keys=True, separators=(",", ":")).encode()


class SharedVariables:
    """Variables that jobs share; one thread's."""

    def __init__(self, packed: bytes) -> None:
        """Take their document as it is stored."""
        document = unpack(packed)
        self.variables: dict[str, str] = json.loads(document)
        dictionary = zstandard.ZstdCompressionDict(document, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        dictionary.precompute_compress(level=_LEVEL)
        self._compressor = zstandard.ZstdCompressor(
            level=_LEVEL, dict_data=dictionary, write_content_size=False, write_dict_id=False
        )
        self._decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)

    def difference(self, variables: Mapping[str, str]) -> bytes | None:
        """Return what turns the shared variables into these, packed; None where they are equal."""
        return self.differences([variables])[0]

    def differences(self, listed: Sequence[Mapping[str, str]]) -> list[bytes | None]:
        """Return the same of each."""
        changes = [self._changes(variables) for variables in listed]
        packed = iter(compress_all(self._compressor, [change for change in changes if change is not None]))
        return [None if change is None else next(packed) for change in changes]

    def _changes(self, variables: Mapping[str, str]) -> bytes | None:
        shared = self.variables
        changed = {name: value for name, value in variables.items() if shared.get(name) != value}
        gone = sorted(shared.keys() - variables.keys())
        return msgspec.json.encode([changed, gone]) if changed or gone else None

    def apply(self, difference: bytes | None) -> dict[str, str]:
        """Return the variables of a job from its difference."""
        if difference is None:
            return dict(self.variables)
        changed, gone = json.loads(self._decompressor.decompress(difference, max_output_size=_LONGEST))
        return {name: value for name, value in {**self.variables, **changed}.items() if name not in set(gone)}
