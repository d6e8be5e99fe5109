"""Checksums of catalogs, `algorithm:value`, in one form: writers differ in capitals, `0x`, and the zeros that adler32 begins with.

Source: record.md, "Files and edges".
"""

_HEX = frozenset({"adler32", "md5", "sha1", "sha256", "sha512", "crc32", "crc32c"})


def normal_checksum(checksum: str) -> str:
    """Return a checksum in the form that compares."""
    algorithm, _, value = checksum.partition(":")
    algorithm = algorithm.lower()
    if algorithm in _HEX:
        value = value.lower().removeprefix("0x")
    return f"{algorithm}:{value.zfill(8) if algorithm == 'adler32' else value}"
