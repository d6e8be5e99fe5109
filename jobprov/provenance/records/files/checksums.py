"""Checksums of catalogs, `algorithm:value`, in one form.

Writers differ in capitals, `0x`, and zeros before adler32.

Source: record.md, "Files and edges".
"""

import itertools
from collections.abc import Sequence

_HEX = frozenset({"adler32", "md5", "sha1", "sha256", "sha512", "crc32", "crc32c"})


def normal_checksum(checksum: str) -> str:
    """Return a checksum in the form that compares."""
    algorithm, _, value = checksum.partition(":")
    algorithm = algorithm.lower()
    if algorithm in _HEX:
        value = value.lower().removeprefix("0x")
    if algorithm == "adler32":
        value = value.zfill(8)
    return f"{algorithm}:{value}"


def have_other_checksum(one: str, other: str) -> bool:
    """Return whether two lists of checksums contradict each other for any algorithm."""
    first, second = _values_by_kind(one), _values_by_kind(other)
    return any(first[kind] != second[kind] for kind in first.keys() & second.keys())


def may_be_one_content(contents: Sequence[tuple[int | None, str]]) -> bool:
    """Return whether files may all be the same one: no size and no checksum differs.

    Args:
        contents: size and checksums of each, these separated by blanks.
    """
    sizes = {size_bytes for size_bytes, _ in contents if size_bytes is not None}
    for (_, one), (_, other) in itertools.combinations(contents, 2):
        if have_other_checksum(one, other):
            return False
    return len(sizes) <= 1


def _values_by_kind(checksums: str) -> dict[str, str]:
    """Return checksums without leading zeros, which some tools write and others do not."""
    values = {}
    for checksum in checksums.split():
        kind, _, value = normal_checksum(checksum).partition(":")
        values[kind] = value.lower().lstrip("0") or "0"
    return values


_ADLER_MODULUS = 65521


def adler32_of_enstore(checksum: str, size_bytes: int) -> str | None:
    """Return the adler32 of a file from Enstore's checksum of it, `enstore:1390300706`.

    Enstore writes the same sum in decimal, but begins it with 0 where adler32 begins with 1, which
    its lower half counts once and its upper half once a byte. None for any other checksum.
    """
    algorithm, _, value = checksum.partition(":")
    if algorithm.lower() != "enstore" or not (value.isascii() and value.isdigit()):
        return None
    upper, lower = divmod(int(value), 1 << 16)
    upper, lower = (upper + size_bytes) % _ADLER_MODULUS, (lower + 1) % _ADLER_MODULUS
    return f"adler32:{upper << 16 | lower:08x}"


_BYTES = {
    "adler32": (1, 4),
    "crc32": (2, 4),
    "crc32c": (3, 4),
    "md5": (4, 16),
    "sha1": (5, 20),
    "sha256": (6, 32),
    "sha512": (7, 64),
}
"""Code and bytes of a checksum whose value is hexadecimal."""
_OF_CODE = {code: (algorithm, size) for algorithm, (code, size) in _BYTES.items()}
_TEXT = 0
"""Code of any other checksum: four bytes of length, and its UTF-8."""


def pack_checksums(checksums: str) -> bytes:
    """Return checksums, separated by blanks, in half the bytes.

    A code and the value's own bytes for each.
    """
    return b"".join([_pack_checksum(checksum) for checksum in checksums.split()])


def _pack_checksum(checksum: str) -> bytes:
    algorithm, _, value = checksum.partition(":")
    code, size = _BYTES.get(algorithm, (_TEXT, 0))
    if code != _TEXT and len(value) == 2 * size:
        try:
            packed = bytes.fromhex(value)
        except ValueError:
            packed = b""
        if packed.hex() == value:
            return bytes((code,)) + packed
    text = checksum.encode()
    return bytes((_TEXT,)) + len(text).to_bytes(4, "big") + text


def unpack_checksums(packed: bytes) -> str:
    """Return what `pack_checksums` was given, with one blank between checksums."""
    checksums: list[str] = []
    place = 0
    while place < len(packed):
        code = packed[place]
        place += 1
        if code == _TEXT:
            size = int.from_bytes(packed[place : place + 4], "big")
            place += 4
            checksums.append(packed[place : place + size].decode())
        else:
            algorithm, size = _OF_CODE[code]
            checksums.append(f"{algorithm}:{packed[place : place + size].hex()}")
        place += size
    return " ".join(checksums)
