"""The checksum that POSIX's `cksum` prints, at the speed of zlib.

Both CRCs have the same polynomial, but zlib takes the bits of each byte in reverse order. So the
bits of each byte are reversed before, and those of the result afterwards. POSIX starts from 0 and
appends the length, lowest byte first. Source: POSIX.1-2017, cksum; RFC 1952 section 8.
"""

import zlib

_TURNED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_ALL_ONES = 0xFFFFFFFF
_PIECE = 1 << 16  # bytes reversed at a time: a copy of a whole git pack would take much memory


class PosixCksum:
    """The checksum of bytes that come in pieces."""

    def __init__(self) -> None:
        self._crc = _ALL_ONES  # zlib inverts the register, so this means that it is 0
        self._size = 0

    def update(self, data: bytes) -> None:
        """Take the next piece."""
        for start in range(0, len(data), _PIECE):
            self._crc = zlib.crc32(data[start : start + _PIECE].translate(_TURNED), self._crc)
        self._size += len(data)

    def value(self) -> int:
        """The checksum of everything so far."""
        length = self._size.to_bytes((self._size.bit_length() + 7) // 8, "little")
        return int(f"{zlib.crc32(length.translate(_TURNED), self._crc):032b}"[::-1], 2)


def posix_cksum(data: bytes) -> int:
    """The checksum of these bytes."""
    whole = PosixCksum()
    whole.update(data)
    return whole.value()
