"""Names that are spelled much like a mistyped one."""

from collections.abc import Iterable
from difflib import get_close_matches


def names_like(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that are spelled much like a name in any case, the nearest first.

    `NOvA` and `nova` are the same to whoever types them, but have half of their letters in common.
    """
    spellings: dict[str, list[str]] = {}
    for spelling in known:
        spellings.setdefault(spelling.casefold(), []).append(spelling)
    alike = []
    for folded in get_close_matches(name.casefold(), spellings):
        alike += spellings[folded]
    return alike
