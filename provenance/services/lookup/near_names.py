"""Names that are spelled much like a text that nothing has: what somebody who mistyped it meant."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.search import Hit
from jobprov.provenance.db.queries.search.files import find_files, sample_of_names
from jobprov.provenance.db.queries.search.found import Sought
from jobprov.provenance.db.queries.search.near import (
    LONGEST,
    NEAR_KINDS,
    SHORTEST,
    candidates,
)

MOST_NEAR = 5
_LEAST_ALIKE = 0.75
"""Of two texts, how much they have in common: of four letters, three."""
_SHORT = 8
"""Letters of a word of which a slip may leave too little to ask for."""
_WORD = re.compile(r"[^\W_]+")


def near_names(
    connection: Connection, text: str, kinds: Iterable[str] = NEAR_KINDS, most: int = MOST_NEAR
) -> list[Hit]:
    """Return names that are spelled much like a text, the nearest first, in a bounded time.

    A text may also be spelled like a part of a name: its words are compared with those of names.
    """
    wanted = text.strip()
    if not SHORTEST <= len(wanted) <= LONGEST or "\0" in wanted:
        return []
    kinds = frozenset(kinds)
    closeness = _Closeness(wanted)
    best: dict[str, tuple[float, int, Hit]] = {}
    for kind in NEAR_KINDS:
        if kind not in kinds:
            continue
        for hit in candidates(connection, wanted, kind):
            alike = closeness.of(hit.text)
            if alike >= _LEAST_ALIKE:
                best.setdefault(hit.url, (-alike, len(hit.text), hit))
    if not best and "file" in kinds and any(len(word) <= _SHORT for word in wanted.split()):
        return _by_usual_words(connection, wanted, most)
    ranked = sorted(best.values(), key=lambda rated: (*rated[:2], rated[2].text))
    return [hit for *_, hit in ranked[:most]]


def nearest(connection: Connection, name: str, kind: str) -> list[str]:
    """Return the names of a kind that are spelled much like one that nothing has."""
    found = dict.fromkeys(hit.text for hit in near_names(connection, name, (kind,)))
    # Another experiment may have the very name
    found.pop(name, None)
    return list(found)


def _by_usual_words(connection: Connection, text: str, most: int) -> list[Hit]:
    """Return files that hold the text once its words are those that many names have.

    A short word with a slip in its middle leaves nothing that an index could be asked for.
    """
    usual: set[str] = set()
    for name in sample_of_names(connection):
        usual.update(_WORD.findall(name))
    words = []
    for word in text.lower().split():
        alike = get_close_matches(word, sorted(usual), n=1, cutoff=_LEAST_ALIKE)
        words += alike or [word]
    return find_files(connection, Sought(" ".join(words), most)).hits


class _Closeness:
    """How much names have in common with a text, whatever the case of letters.

    Attributes:
        _matchers: by the text and each of its words.
        _known: what was compared already: many names have the same parts.
    """

    def __init__(self, text: str) -> None:
        self._text = text.lower()
        self._words = self._text.split()
        self._matchers = {part: _matcher(part) for part in (self._text, *self._words)}
        self._known: dict[tuple[str, str], float] = {}

    def of(self, name: str) -> float:
        """Return the share that a name, or its parts that the words are most like, have in common."""
        folded = name.lower()
        of_words = [self._of_word(word, folded) for word in self._words]
        return max(self._alike(self._text, folded), min(of_words))

    def _of_word(self, word: str, name: str) -> float:
        if word in name:
            return 1.0
        best = 0.0
        # A word of a name, and what follows it, as far as the text is long
        for start in (match.start() for match in _WORD.finditer(name)):
            best = max(best, self._alike(word, name[start : start + len(word)]))
        return best

    def _alike(self, word: str, part: str) -> float:
        """Return the share of letters in common, 0 where it is clearly too small."""
        known = self._known.get((word, part))
        if known is not None:
            return known
        matcher = self._matchers[word]
        matcher.set_seq1(part)
        share = 0.0
        if matcher.real_quick_ratio() >= _LEAST_ALIKE and matcher.quick_ratio() >= _LEAST_ALIKE:
            share = matcher.ratio()
        self._known[word, part] = share
        return share


def _matcher(text: str) -> SequenceMatcher[str]:
    matcher = SequenceMatcher[str](autojunk=False)
    # What it knows of this text is kept for all that is compared with it
    matcher.set_seq2(text)
    return matcher
