"""Deflates as the hook is packed: the same bytes of the same content, whatever zlib is here.

Each content becomes one block with codes of its own.

Source: RFC 1951, 3.2.5 to 3.2.7. This module is not in the hook.
"""

import bisect
import heapq
from typing import Dict, Iterable, List, NamedTuple, Sequence, Tuple

WINDOW = 32768
_LONGEST_MATCH, _SHORTEST_MATCH = 258, 3
_END_OF_BLOCK, _FIRST_LENGTH = 256, 257
_MOST_LITERALS, _MOST_DISTANCES = 286, 30
_LONGEST_CODE, _LONGEST_CODE_OF_LENGTHS = 15, 7
_UNUSED_BITS = 13  # what a symbol may cost that does not occur yet
_ROUNDS = 3  # a fourth one gains nothing
_OWN_CODES = 2  # kind of block
_REPEAT, _FEW_ZEROS, _MANY_ZEROS = 16, 17, 18
_ORDER_OF_LENGTHS = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)

Step = Tuple[int, int]
"""(length, distance) of a match; (1, 0) for the byte itself."""
Symbol = Tuple[int, int, int]
"""(what has a code, length, distance) of a step."""


class _Lengths(NamedTuple):
    """How many bits the code of each symbol has; 0 for one that does not occur."""

    literals: List[int]
    distances: List[int]


_FIXED_LENGTHS = _Lengths([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8, [5] * _MOST_DISTANCES)


def deflate(content: bytes, earlier: bytes = b"") -> bytes:
    """Return the bytes as one deflate block, which may refer to what was unpacked before it."""
    earlier = earlier[-WINDOW:]
    text, begin = earlier + content, len(earlier)
    matches = _find_matches(text, begin)
    # What the codes are depends on the steps, and which steps are the cheapest on the codes
    lengths = _FIXED_LENGTHS
    for _ in range(_ROUNDS):
        symbols = _symbols(text, begin, _cheapest_steps(text, matches, lengths))
        lengths = _lengths_for(symbols)
    bits = _Bits()
    bits.add(1, 1)  # the last block
    bits.add(_OWN_CODES, 2)
    _add_lengths(bits, lengths)
    _add_symbols(bits, symbols, lengths)
    return bits.finish()


def _add_symbols(bits: "_Bits", symbols: Sequence[Symbol], lengths: _Lengths) -> None:
    literals, distances = _codes(lengths.literals), _codes(lengths.distances)
    for literal, length, distance in symbols:
        bits.add_code(*literals[literal])
        if distance:
            code, extra, rest = _coded(length, _LENGTHS)
            bits.add(rest, extra)
            code, extra, rest = _coded(distance, _DISTANCES)
            bits.add_code(*distances[code])
            bits.add(rest, extra)


def _symbols(text: bytes, begin: int, steps: Sequence[Step]) -> List[Symbol]:
    """Return the symbol of each step from a place on, and that of the end."""
    symbols, at = [], begin
    while at < len(text):
        length, distance = steps[at]
        symbol = _FIRST_LENGTH + _coded(length, _LENGTHS)[0] if distance else text[at]
        symbols.append((symbol, length, distance))
        at += length
    return [*symbols, (_END_OF_BLOCK, 0, 0)]


def _cheapest_steps(
    content: bytes, matches: Sequence[Sequence[Step]], lengths: _Lengths
) -> List[Step]:
    """Return the best next step at each place."""
    literal_bits = [length or _UNUSED_BITS for length in lengths.literals]
    length_bits = [0] * _SHORTEST_MATCH
    for length in range(_SHORTEST_MATCH, _LONGEST_MATCH + 1):
        code, extra, _ = _coded(length, _LENGTHS)
        length_bits.append(literal_bits[_FIRST_LENGTH + code] + extra)
    distance_bits = []
    for used, (_, extra) in zip(lengths.distances, _DISTANCES):  # noqa: B905 - Python 3.6
        distance_bits.append((used or _UNUSED_BITS) + extra)
    steps = [(1, 0)] * len(content)
    bits = [0] * (len(content) + 1)  # that the rest from there on takes
    for at in reversed(range(len(content))):
        least, step = bits[at + 1] + literal_bits[content[at]], (1, 0)
        shortest = _SHORTEST_MATCH
        for longest, distance in matches[at]:
            code = bisect.bisect_right(_DISTANCE_BASES, distance) - 1
            for length in range(shortest, longest + 1):  # shorter ones have a nearer match
                cost = bits[at + length] + length_bits[length] + distance_bits[code]
                if cost < least:
                    least, step = cost, (length, distance)
            shortest = longest + 1
        bits[at], steps[at] = least, step
    return steps


def _lengths_for(symbols: Sequence[Symbol]) -> _Lengths:
    """Return the lengths of the codes that are the best for these symbols."""
    literals, distances = [0] * _MOST_LITERALS, [0] * _MOST_DISTANCES
    for symbol, _, distance in symbols:
        literals[symbol] += 1
        if distance:
            distances[_coded(distance, _DISTANCES)[0]] += 1
    return _Lengths(_code_lengths(literals, _LONGEST_CODE), _code_lengths(distances, _LONGEST_CODE))


def _code_lengths(counts: Sequence[int], longest: int) -> List[int]:
    """Return how long Huffman's code of each symbol is; at least two symbols have one."""
    counts = list(counts)
    for symbol in range(len(counts)):
        if sum(1 for count in counts if count) < 2:  # noqa: PLR2004 - one alone is no whole code
            counts[symbol] = counts[symbol] or 1
    while True:
        lengths = [0] * len(counts)
        heap = [(count, symbol, [symbol]) for symbol, count in enumerate(counts) if count]
        heapq.heapify(heap)
        while len(heap) > 1:
            first, second = heapq.heappop(heap), heapq.heappop(heap)
            members = first[2] + second[2]
            for symbol in members:
                lengths[symbol] += 1
            # no two have a symbol in common, so that the members are never compared
            heapq.heappush(heap, (first[0] + second[0], min(first[1], second[1]), members))
        if max(lengths) <= longest:
            return lengths
        counts = [(count + 1) // 2 for count in counts]


def _codes(lengths: Sequence[int]) -> List[Tuple[int, int]]:
    """Return (code, length) of each symbol."""
    codes, code = [(0, 0)] * len(lengths), 0
    for length in range(1, _LONGEST_CODE + 1):
        for symbol, own in enumerate(lengths):
            if own == length:
                codes[symbol] = (code, length)
                code += 1
        code <<= 1
    return codes


def _add_lengths(bits: "_Bits", lengths: _Lengths) -> None:
    """Add the lengths of all codes, themselves coded."""
    literals = _without_zeros(lengths.literals, _FIRST_LENGTH)
    distances = _without_zeros(lengths.distances, 1)
    words = _repeats([*literals, *distances])
    counts = [0] * len(_ORDER_OF_LENGTHS)
    for symbol, _, _ in words:
        counts[symbol] += 1
    own = _code_lengths(counts, _LONGEST_CODE_OF_LENGTHS)
    ordered = _without_zeros([own[symbol] for symbol in _ORDER_OF_LENGTHS], 4)
    bits.add(len(literals) - _FIRST_LENGTH, 5)
    bits.add(len(distances) - 1, 5)
    bits.add(len(ordered) - 4, 4)
    for length in ordered:
        bits.add(length, 3)
    codes = _codes(own)
    for symbol, rest, extra in words:
        bits.add_code(*codes[symbol])
        bits.add(rest, extra)


def _without_zeros(lengths: Sequence[int], least: int) -> List[int]:
    """Return the lengths without the zeros at the end, but so many at least."""
    count = len(lengths)
    while count > least and lengths[count - 1] == 0:
        count -= 1
    return list(lengths[:count])


def _repeats(lengths: Sequence[int]) -> List[Tuple[int, int, int]]:
    """Return (symbol, value of its extra bits, their count) that tell the lengths."""
    words, at = [], 0
    while at < len(lengths):
        length, count = lengths[at], 1
        while at + count < len(lengths) and lengths[at + count] == length:
            count += 1
        at += count
        if length:
            words.append((length, 0, 0))
            count -= 1
        while count > 2:  # noqa: PLR2004 - fewer are told one by one
            if length:
                some = min(count, 6)
                words.append((_REPEAT, some - 3, 2))
            elif count > 10:  # noqa: PLR2004
                some = min(count, 138)
                words.append((_MANY_ZEROS, some - 11, 7))
            else:
                some = count
                words.append((_FEW_ZEROS, some - 3, 3))
            count -= some
        words += [(length, 0, 0)] * count
    return words


def _find_matches(text: bytes, begin: int) -> List[List[Step]]:
    """Return [(length, distance)] of what stood before and stands here again, for each place.

    The nearest comes first; one further away is there only where it is longer. Before the beginning
    nothing is searched for.
    """
    matches: List[List[Step]] = []
    places: Dict[bytes, List[int]] = {}  # three bytes -> where they stood
    for at in range(len(text)):
        earlier = places.setdefault(text[at : at + _SHORTEST_MATCH], [])
        found: List[Step] = []
        if at >= begin:
            found = _matches_at(text, at, reversed(earlier))
        matches.append(found)
        earlier.append(at)
    return matches


def _matches_at(content: bytes, at: int, earlier: Iterable[int]) -> List[Step]:
    matches: List[Step] = []
    limit = min(_LONGEST_MATCH, len(content) - at)
    longest = _SHORTEST_MATCH - 1
    for place in earlier:
        if at - place > WINDOW or longest >= limit:
            break
        if content[place + longest] != content[at + longest]:
            continue
        length = _SHORTEST_MATCH
        while length < limit and content[place + length] == content[at + length]:
            length += 1
        if length > longest:
            matches.append((length, at - place))
            longest = length
    return matches


class _Bits:
    """Collects bits, the lowest of a byte first."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._held, self._count = 0, 0

    def add(self, value: int, count: int) -> None:
        """Add a number, its lowest bit first."""
        self._held |= value << self._count
        self._count += count
        while self._count > 7:  # noqa: PLR2004 - a byte is full
            self._content.append(self._held & 0xFF)
            self._held >>= 8
            self._count -= 8

    def add_code(self, code: int, count: int) -> None:
        """Add a code, its highest bit first."""
        self.add(int("{:0{}b}".format(code, count)[::-1], 2), count)

    def finish(self) -> bytes:
        """Return all, the last byte filled up."""
        if self._count:
            self.add(0, 8 - self._count)
        return bytes(self._content)


def _table(first_value: int, groups: Sequence[Tuple[int, int]]) -> List[Tuple[int, int]]:
    """Return [(first value, extra bits)] of consecutive codes.

    A group is (extra bits, count of codes).
    """
    codes, value = [], first_value
    for extra, count in groups:
        for _ in range(count):
            codes.append((value, extra))
            value += 1 << extra
    return codes


_LENGTHS = [*_table(3, [(0, 8), (1, 4), (2, 4), (3, 4), (4, 4), (5, 3)]), (227, 5), (258, 0)]
_DISTANCES = _table(1, [(0, 4), *[(extra, 2) for extra in range(1, 14)]])
_DISTANCE_BASES = [base for base, _ in _DISTANCES]


def _coded(value: int, table: Sequence[Tuple[int, int]]) -> Tuple[int, int, int]:
    """Return (code, count of extra bits, their value)."""
    code = bisect.bisect_right(table, (value, _LONGEST_MATCH)) - 1
    base, extra = table[code]
    return code, extra, value - base
