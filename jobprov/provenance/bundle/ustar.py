"""Header blocks of a USTAR tar. FROZEN with tar.py.

Source: POSIX.1-1988 (IEEE 1003.1), "extended tar format".
"""

import zlib

from jobprov.provenance.bundle.draft import Member
from jobprov.provenance.bundle.names import split_for_ustar
from jobprov.provenance.errors import BundleError

BLOCK = 512
LARGEST = 8**11 - 1  # eleven octal digits
MTIME, CHECKSUM, KIND, PREFIX = 136, 148, 156, 345  # offsets of fields


def mtime_field(mtime: int) -> bytes:
    """The field of a time in seconds since 1970, clamped to what it can hold."""
    return b"%011o\0" % min(max(mtime, 0), LARGEST)


class Headers:
    """Header blocks; what all of them share is made once."""

    def __init__(self, mtime: int) -> None:
        self._mtime = mtime_field(mtime)
        owner = b"%07o\0" % 0  # user and group 0, root: the same number on every machine
        self._before = {mode: b"%07o\0" % mode + owner + owner for mode in (0o644, 0o755)}
        self._between = bytes(100) + b"ustar\x0000" + bytes(32) + bytes(32) + bytes(16)
        self._sums = {mode: sum(before) for mode, before in self._before.items()}
        self._constant = sum(self._mtime) + sum(b" " * 8) + sum(self._between)

    def of(self, path: bytes, member: Member | None) -> bytes:
        """The header of a member, or of a folder."""
        split = split_for_ustar(path)
        length = 0 if member is None else member.size
        if split is None or length > LARGEST:
            message = (
                f"{path.decode()}: {length} bytes under this name do not fit into USTAR; use a "
                "digest name, or leave it out."
            )
            raise BundleError(message)
        prefix, name = split
        mode, kind = (0o755, b"5") if member is None else (member.mode, b"0")
        octal = b"%011o\0" % length
        total = self._sums[mode] + self._constant + field_sum(name + prefix + octal) + kind[0]
        return b"".join(
            (
                name.ljust(100, b"\0"),
                self._before[mode],
                octal,
                self._mtime,
                b"%06o\0 " % total,
                kind,
                self._between,
                prefix.ljust(167, b"\0"),
            )
        )


def field_sum(field: bytes) -> int:
    """The sum of some hundred ASCII bytes, by way of Adler-32, which is faster than `sum`.

    The lower half of an Adler-32 is the sum plus one, as long as that is below its modulus.
    """
    return (zlib.adler32(field) & 0xFFFF) - 1
