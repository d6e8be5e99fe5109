"""Deflate with fixed codes: the same bytes from the same input on every machine, which no zlib promises of another.

Only for building the hook; any zlib reads it. Source: RFC 1951, 3.2.5 and 3.2.6.
"""

_WINDOW, _LONGEST, _SHORTEST = 32768, 258, 3
_MOST_TRIED = 48
_END = 256


def _table(bases, first_extra):
    """Return [(first value, extra bits)] of consecutive codes, in groups that share a number of extra bits."""
    found, value = [], bases
    for extra, count in first_extra:
        for _ in range(count):
            found.append((value, extra))
            value += 1 << extra
    return found


_LENGTHS = [*_table(3, [(0, 8), (1, 4), (2, 4), (3, 4), (4, 4), (5, 3)]), (227, 5), (258, 0)]
_DISTANCES = _table(1, [(0, 4), *[(extra, 2) for extra in range(1, 14)]])


class _Bits:
    """Collects bits, the lowest of a byte first."""

    def __init__(self):
        self.content, self._held, self._count = bytearray(), 0, 0

    def add(self, value, count):
        """Add a number, its lowest bit first."""
        self._held |= value << self._count
        self._count += count
        while self._count > 7:  # noqa: PLR2004 - a byte is full
            self.content.append(self._held & 0xFF)
            self._held >>= 8
            self._count -= 8

    def add_code(self, code, count):
        """Add a code, its highest bit first."""
        self.add(int("{:0{}b}".format(code, count)[::-1], 2), count)

    def finish(self):
        """Return all, the last byte filled up."""
        if self._count:
            self.add(0, 8 - self._count)
        return bytes(self.content)


def deflate(content):
    """Return the bytes as one deflate block with fixed codes."""
    bits, known, at = _Bits(), {}, 0
    bits.add(1, 1)  # the last block
    bits.add(1, 2)  # of fixed codes
    while at < len(content):
        length, distance = _longest_match(content, at, known)
        if length:
            _add_match(bits, length, distance)
        else:
            _add_symbol(bits, content[at])
        for place in range(at, at + max(1, length)):
            known.setdefault(content[place : place + _SHORTEST], []).append(place)
        at += max(1, length)
    _add_symbol(bits, _END)
    return bits.finish()


def _longest_match(content, at, known):
    """Return (length, distance) of what stood before and stands here again.

    (0, 0) for too little.
    """
    best, distance = 0, 0
    limit = min(_LONGEST, len(content) - at)
    if limit < _SHORTEST:
        return 0, 0
    for place in known.get(content[at : at + _SHORTEST], ())[: -_MOST_TRIED - 1 : -1]:
        if at - place > _WINDOW:
            break
        length = _SHORTEST
        while length < limit and content[place + length] == content[at + length]:
            length += 1
        if length > best:
            best, distance = length, at - place
    return best, distance


def _add_match(bits, length, distance):
    for value, table, first in ((length, _LENGTHS, 257), (distance, _DISTANCES, None)):
        code = max(index for index, (base, _) in enumerate(table) if base <= value)
        base, extra = table[code]
        if first is None:
            bits.add_code(code, 5)
        else:
            _add_symbol(bits, first + code)
        bits.add(value - base, extra)


def _add_symbol(bits, symbol):
    if symbol < 144:  # noqa: PLR2004 - the four ranges of the fixed codes
        bits.add_code(0x30 + symbol, 8)
    elif symbol < 256:  # noqa: PLR2004
        bits.add_code(0x190 + symbol - 144, 9)
    elif symbol < 280:  # noqa: PLR2004
        bits.add_code(symbol - 256, 7)
    else:
        bits.add_code(0xC0 + symbol - 280, 8)
