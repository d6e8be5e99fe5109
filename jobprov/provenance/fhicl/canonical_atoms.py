"""Canonical text of numbers and strings, from which ParameterSetIDs and printed forms are made.

Only with string arithmetic: a float would lose digits, and with them the ParameterSetID.

Source: cetlib's `canonical_number` and `canonical_string`.
"""

import re
from functools import lru_cache

_REAL = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?", re.ASCII)
_PLAIN = re.compile(r"[ !#-&(-\[\]-~]*")
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_UNPRINTABLE = re.compile(r"[^ -~\n\t]")
_MEANINGS = {'"': '"', "'": "'", "\\": "\\", "n": "\n", "t": "\t", "": "\\"}
_ESCAPED = str.maketrans({'"': '\\"', "'": "\\'", "\\": "\\\\", "\n": "\\n", "\t": "\\t"})
_LONGEST_PLAIN_INTEGER = 6
_CHUNK_DIGITS = 2048
_LONGEST_REMEMBERED = 32


class NotCanonicalError(Exception):
    """A quoted string holds an unknown escape or an unprintable character.

    Never leaves the package.
    """


def canonical_number(text: str) -> str:
    """Return the canonical form of a decimal number that the lexer has accepted.

    1e5 -> 100000, 0.5 -> 5e-1, 1234567 -> 1.234567e6.
    """
    if len(text) <= _LONGEST_REMEMBERED:
        return _remembered_number(text)
    return _canonical_number(text)


def canonical_based(text: str) -> str:
    """Return the canonical form of a hexadecimal (0x) or binary (0b) number of any length."""
    base = 16 if text[1] in "xX" else 2
    return canonical_number(_decimal(int(text[2:], base)))


def canonical_single(content: str) -> str:
    """Return the canonical form of a single-quoted string's content, which has no escapes.

    Raises:
        NotCanonicalError: it holds an unprintable character.
    """
    if _PLAIN.fullmatch(content):
        return f'"{content}"'
    bad = _UNPRINTABLE.search(content)
    if bad:
        advice = "write it as \\n or \\t or leave it out"
        raise NotCanonicalError(f"the string holds the unprintable character {bad[0]!r}; {advice}")
    return f'"{content.translate(_ESCAPED)}"'


def canonical_double(content: str) -> str:
    """Return the canonical form of a double-quoted string's content.

    Raises:
        NotCanonicalError: it holds an unknown escape or an unprintable character.
    """
    if _PLAIN.fullmatch(content):
        return f'"{content}"'
    return canonical_single(_ESCAPE.sub(_meaning, content))


def decoded(canonical: str) -> str:
    """Return the text that a canonical string stands for."""
    return _ESCAPE.sub(_meaning, canonical[1:-1]) if "\\" in canonical else canonical[1:-1]


def as_c_index(digits: str) -> int:
    """Return an index as the reference reads it: by `atoi`, as an unsigned number of 32 bits."""
    return _as_c_integer(digits) & 0xFFFFFFFF


def _canonical_number(text: str) -> str:
    match = _REAL.fullmatch(text)
    sign, whole, fraction, exponent = match.groups() if match else ("", text, None, None)
    digits = whole + (fraction or "")
    # The exponent if the decimal point were before all digits
    point = len(whole) + _as_c_integer(exponent or "0")
    stripped = digits.rstrip("0")
    if not stripped:
        return "0"
    significant = stripped.lstrip("0")
    point -= len(stripped) - len(significant)
    minus = "-" if sign == "-" else ""
    if len(significant) <= point <= _LONGEST_PLAIN_INTEGER:
        return minus + significant.ljust(point, "0")
    mantissa = significant
    if len(significant) > 1:
        mantissa = f"{significant[0]}.{significant[1:]}"
    if point != 1:
        mantissa += f"e{point - 1}"
    return minus + mantissa


@lru_cache(maxsize=1 << 16)
def _remembered_number(text: str) -> str:
    return _canonical_number(text)


def _meaning(match: re.Match[str]) -> str:
    meaning = _MEANINGS.get(match[1])
    if meaning is None:
        known = "\\\" \\' \\\\ \\n \\t"
        raise NotCanonicalError(
            f"the string holds the unknown escape \\{match[1]}; known are {known}"
        )
    return meaning


def _as_c_integer(digits: str) -> int:
    """Return what C's `atoi` returns on the reference's platform.

    It clamps the number to 64 bits, then cuts it to 32.
    """
    if len(digits) <= 9:  # noqa: PLR2004 - such a number fits
        return int(digits)
    sign = -1 if digits.startswith("-") else 1
    significant = digits.lstrip("+-0")[:20] or "0"
    number = min(max(sign * int(significant), -(1 << 63)), (1 << 63) - 1)
    low = number & 0xFFFFFFFF
    return low - (1 << 32) if low >> 31 else low


def _decimal(number: int) -> str:
    """Return a number in decimal, with any number of digits, in less than quadratic time.

    Python's `str` refuses numbers of more than 4,300 digits.
    """
    powers = [10**_CHUNK_DIGITS]
    while powers[-1] * powers[-1] <= number:
        powers.append(powers[-1] * powers[-1])
    parts = [number]
    for power in reversed(powers):
        halves: list[int] = []
        for part in parts:
            halves += divmod(part, power)
        parts = halves
    return "".join(str(part).rjust(_CHUNK_DIGITS, "0") for part in parts).lstrip("0") or "0"
