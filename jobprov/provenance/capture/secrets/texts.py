"""Takes secrets out of texts: scripts, fcl, logs, values of variables.

A redacted place says which rule hit it. No digest of a secret is ever made.
"""

import array
import functools
import os
import re
import threading
from typing import Any, Callable, Dict, Iterable, List, Sequence, Set, Tuple

from jobprov.provenance.capture.secrets import programs, rules
from jobprov.provenance.capture.secrets.rules import URL_PASSWORD, Rule

RULES = [*rules.BY_FORM, *programs.PROGRAMS, *rules.OF_FILES, *rules.BY_NAME]


def _rare_signs() -> List[bytes]:
    signs: Set[bytes] = set()
    for rule in RULES:
        if rule is not URL_PASSWORD:
            signs.update(rule.signs)
    return sorted(signs)


def _shortest_signs() -> List[bytes]:
    """Return the signs that hold no other sign: without one of them, a text has none at all."""
    signs: List[bytes] = []
    for sign in sorted([*URL_PASSWORD.signs, *RARE_SIGNS], key=len):
        if not any(shorter in sign for shorter in signs):
            signs.append(sign)
    return signs


RARE_SIGNS = _rare_signs()
"""The signs of all rules but one: that of `url-password` stands in every address."""
_SHORTEST_SIGNS = _shortest_signs()
_MOST_VALUES = 500  # each is looked for in every text
# Of variables that are secret, as texts may have them; longest first: one may be a part of another
_values: List[bytes] = []
_adding = threading.Lock()


def withhold(values: Iterable[str]) -> None:
    """From now on take these values out of every text, whatever stands around them."""
    with _adding:
        known = set(_values)
        for value in sorted(values, key=len, reverse=True):
            quoted = (value, re.sub(r'(["$`\\])', r"\\\1", value), value.replace("'", "'\\''"))
            if len(known) < _MOST_VALUES:
                known.update(map(os.fsencode, quoted))  # as `env`, `export -p` and `set` write it
        _values[:] = sorted(known, key=len, reverse=True)


def redact_text(text: str) -> str:
    """Return the text without secrets; undecodable bytes, as the system hands them on, survive."""
    return redact(text.encode("utf-8", "surrogateescape"))[0].decode("utf-8", "surrogateescape")


def redact(content: bytes) -> Tuple[bytes, List[str]]:
    """Return (content without secrets, names of the rules that hit), for any kind of text."""
    content, hits = _without_values(content)
    lowered = content.lower()
    for rule in possible_rules(RULES, lowered):
        count = 0
        if rule.may_hit(lowered):
            content, count = _replace(rule, content, lowered)
        if count:
            hits.add(rule.name)
            lowered = content.lower()
    return content, sorted(hits)


def redact_lines(content: bytes) -> Tuple[bytes, List[str]]:
    """Return what `redact` does, for a listing: its lines have nothing to do with each other."""
    content, hits = _without_values(content)
    pieces, done = [], 0
    for sign in _any_sign().finditer(content.lower()):
        if sign.start() < done:
            continue
        begin, end = content.rfind(b"\n", 0, sign.start()) + 1, content.find(b"\n", sign.start())
        end = len(content) if end < 0 else end
        line, names = redact(content[begin:end])
        pieces += [content[done:begin], line]
        hits.update(names)
        done = end
    return b"".join([*pieces, content[done:]]), sorted(hits)


def _without_values(content: bytes) -> Tuple[bytes, Set[str]]:
    """Return the content without values of secret variables, and the name of the rule if it hit."""
    clean = content
    for value in tuple(_values):
        clean = clean.replace(value, b"<redacted:variable>")
    return clean, set() if clean == content else {"variable"}


def may_hold_secret(text: bytes) -> bool:
    """Tell whether a text may hold a secret."""
    has_sign = _any_sign().search(text.lower()) is not None
    return has_sign or _without_values(text)[0] != text


@functools.lru_cache(maxsize=1)
def _any_sign() -> Any:
    """Return a pattern of the shortest signs, of which no two begin at one place.

    One search for all takes half the time of one for each, if what signs begin with alike is
    written once.
    """
    return re.compile(_pattern_of(_SHORTEST_SIGNS))


def _pattern_of(signs: Sequence[bytes]) -> bytes:
    if len(signs) == 1:
        return re.escape(signs[0])
    rests: Dict[bytes, List[bytes]] = {}
    for sign in signs:
        rests.setdefault(sign[:1], []).append(sign[1:])
    ways = [re.escape(first) + _pattern_of(rest) for first, rest in rests.items()]
    return b"(?:" + b"|".join(ways) + b")"


def possible_rules(among: Sequence[Rule], lowered: bytes) -> List[Rule]:
    """Return the rules of which a text, in lower case, holds a sign.

    Most texts hold none but that of addresses, and the search for signs is what the redaction of a
    release costs.
    """
    there: Set[bytes] = set()
    found = _any_sign().search(lowered)
    while found:
        there.add(found.group())
        found = _any_sign().search(lowered, found.start() + 1)  # signs may overlap
    if not there:
        return []

    @functools.lru_cache(maxsize=None)
    def stands(sign: bytes) -> bool:
        return any(shorter in sign for shorter in there) and sign in lowered

    return [rule for rule in among if any(map(stands, rule.signs))]


def _replace(rule: Rule, content: bytes, lowered: bytes) -> Tuple[bytes, int]:
    """Return (content with the mark in place of each secret, how many they are)."""
    pattern, beginning = rule.pattern(), rule.beginning()
    marked = _marked_by(rule)
    if beginning is None:
        replaced: Tuple[bytes, int] = pattern.subn(marked, content)
        return replaced
    searched = lowered if rule.is_any_case else content
    starts = array.array("L", (match.start() for match in beginning.finditer(searched)))
    pieces, done = [], 0
    for place, start in enumerate(starts):
        following = place + 1 + rule.further
        limit = starts[following] if following < len(starts) else len(content)
        secret = pattern.match(content, start, limit) if start >= done else None
        if secret:
            pieces += [content[done:start], marked(secret)]
            done = secret.end()
    return b"".join([*pieces, content[done:]]), len(pieces) // 2


def _marked_by(rule: Rule) -> Callable[[Any], bytes]:
    mark = b"<redacted:" + rule.name.encode() + b">"

    def marked(secret: Any) -> bytes:
        return bytes(secret.group("before") + mark)

    return marked
