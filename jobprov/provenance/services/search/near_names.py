"""Names spelled much like a text that no name holds: what a mistyped text may have meant."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.search import Hit
from jobprov.provenance.db.queries.search.files import find_files, sample_of_names
from jobprov.provenance.db.queries.search.matches import SearchText
from jobprov.provenance.db.queries.search.near import LONGEST, NEAR_KINDS, SHORTEST, candidates

MOST_NEAR = 5
_LEAST_ALIKE = 0.75
"""The share of their letters that two texts must have in common: three of four."""
_SHORT_WORD = 8
"""Letters of a word: in a shorter one, a slip may leave too little to ask an index for."""
_WORD = re.compile(r"[^\W_]+")


class _Candidate(NamedTuple):
    """A name that may be meant, and how much it has in common with the text."""

    hit: Hit
    alike: float

    @property
    def rank(self) -> tuple[float, int, str]:
        """What candidates are sorted by: the most alike first, then the shortest."""
        return (-self.alike, len(self.hit.text), self.hit.text)


def near_names(
    connection: Connection, text: str, kinds: Iterable[str] = NEAR_KINDS, most: int = MOST_NEAR
) -> list[Hit]:
    """Return names that are spelled much like a text, the nearest first, in a bounded time.

    A text may also be spelled like a part of a name: its words are compared with those of names.
    """
    text = text.strip()
    if not SHORTEST <= len(text) <= LONGEST or "\0" in text:
        return []
    wanted_kinds = frozenset(kinds)
    closeness = _Closeness(text)
    near: list[_Candidate] = []
    for kind in NEAR_KINDS:
        if kind in wanted_kinds:
            near += _near_of_kind(connection, text, kind, closeness)
    if near:
        near.sort(key=lambda candidate: candidate.rank)
        return [candidate.hit for candidate in near[:most]]
    has_short_word = any(len(word) <= _SHORT_WORD for word in text.split())
    if "file" in wanted_kinds and has_short_word:
        return _by_usual_words(connection, text, most)
    return []


def _near_of_kind(
    connection: Connection, text: str, kind: str, closeness: "_Closeness"
) -> list[_Candidate]:
    """Return the names of a kind that are spelled much like a text, each once."""
    near: dict[str, _Candidate] = {}
    for hit in candidates(connection, text, kind):
        alike = closeness.of(hit.text)
        if alike >= _LEAST_ALIKE:
            near.setdefault(hit.url, _Candidate(hit, alike))
    return list(near.values())


def nearest(connection: Connection, name: str, kind: str) -> list[str]:
    """Return the names of a kind that are spelled much like one that does not exist."""
    names = dict.fromkeys(hit.text for hit in near_names(connection, name, (kind,)))
    # Another experiment may have the very name
    names.pop(name, None)
    return list(names)


def _by_usual_words(connection: Connection, text: str, most: int) -> list[Hit]:
    """Return files that hold the text after its words are corrected to words that many names have.

    A short word with a slip in its middle has no part long enough for a search in the index.
    """
    usual_words: set[str] = set()
    for name in sample_of_names(connection):
        usual_words.update(_WORD.findall(name))
    corrected = []
    for word in text.lower().split():
        alike = get_close_matches(word, sorted(usual_words), n=1, cutoff=_LEAST_ALIKE)
        corrected += alike or [word]
    return find_files(connection, SearchText(" ".join(corrected), most)).hits


class _Closeness:
    """How much names have in common with a text, whatever the case of letters.

    Attributes:
        _matchers: of the text and of each of its words.
        _shares: by word and part of a name: many names have the same parts.
    """

    def __init__(self, text: str) -> None:
        self._text = text.lower()
        self._words = self._text.split()
        self._matchers = {part: _matcher(part) for part in (self._text, *self._words)}
        self._shares: dict[tuple[str, str], float] = {}

    def of(self, name: str) -> float:
        """Return the share of letters that a name has in common with the text.

        This is the share of the whole text or of its least similar word, whichever is larger.
        """
        folded = name.lower()
        shares_of_words = [self._of_word(word, folded) for word in self._words]
        return max(self._alike(self._text, folded), min(shares_of_words))

    def _of_word(self, word: str, name: str) -> float:
        """Return the share that a word has in common with the part of the name most like it."""
        if word in name:
            return 1.0
        best = 0.0
        for match in _WORD.finditer(name):
            # From a word of the name on, as far as the word that is looked for is long
            part = name[match.start() : match.start() + len(word)]
            best = max(best, self._alike(word, part))
        return best

    def _alike(self, word: str, part: str) -> float:
        """Return the share of letters in common, 0 where it is clearly too small."""
        known_share = self._shares.get((word, part))
        if known_share is not None:
            return known_share
        matcher = self._matchers[word]
        matcher.set_seq1(part)
        share = 0.0
        # The two quick ratios are upper limits of the exact one, which takes much longer
        if matcher.real_quick_ratio() >= _LEAST_ALIKE and matcher.quick_ratio() >= _LEAST_ALIKE:
            share = matcher.ratio()
        self._shares[word, part] = share
        return share


def _matcher(text: str) -> SequenceMatcher[str]:
    matcher = SequenceMatcher[str](autojunk=False)
    # It analyses its second sequence once, however many others are compared with it
    matcher.set_seq2(text)
    return matcher
