"""Where a JSON document holds what looks like a secret.

The hook's rules, applied again before anything is stored.

No rule hits in bytes that hold none of the rules' signs, and looking for all signs at once takes 2
us of a record. Where one is there, the record is taken apart at its quotes, and the answer for a
text is remembered, since most stand in thousands of records. Nothing is redacted here: the client
learns what was found, and sends again what it may.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import ahocorasick_rs
import msgspec

from jobprov.provenance.capture.secrets.arguments import redact_arguments
from jobprov.provenance.capture.secrets.programs import COMMANDS
from jobprov.provenance.capture.secrets.rules import URL_PASSWORD
from jobprov.provenance.capture.secrets.texts import RARE_SIGNS, redact
from jobprov.provenance.capture.secrets.values import names_secret_value, redact_strings
from jobprov.provenance.capture.secrets.variables import is_secret, secret_names
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.records.reading.decoding import DecodedRecord
from jobprov.provenance.records.reading.slow_numbers import has_many_slow_numbers
from jobprov.provenance.services.intake.packed_texts import Unpacking, texts_within

_OPTION_AND_VALUE = re.compile(
    rb'(?P<keep>"--?[\w.-]*(?:password|passwd|passphrase|token|secret)"\s*,\s*)"[^"]*"',
    re.IGNORECASE,
)
_REMEMBERED = 8192
_SHORTEST_SECRET = 12
"""In characters; what is shorter no rule finds."""
# Digests, ids, times
_HARMLESS = re.compile(r"[0-9a-f-]{12,64}|[0-9T:.Z+-]{12,40}|[a-z0-9-]{1,20}:[0-9a-f]{6,128}")
_LONGEST_HARMLESS = 160
"""Letters of the longest text that it matches."""
_LONG = 1000
"""Letters from which a text is not remembered: long ones are seldom the same."""
_HARMLESS_BYTES = re.compile(_HARMLESS.pattern.encode())
_clean: set[bytes] = set()  # texts in which no rule finds anything
_plain_names: set[str] = set()  # of variables, none suspicious
# In lower case; one of them stands in whatever `_PAIRS` finds
_SIGNS_OF_PAIRS = [
    b"credential",
    b"api-key",
    b"pw=",
    b"secret=",
    b"pass=",
    b"auth=",
    b"key=",
    b'bearer"',
    b'"login"',
    b'zip"',
    b'"mc"',
    b'"7z"',
    b'"7za"',
    # Signs that hold a quote, in a text of JSON that stands within JSON
    b'token\\"',
    b'pw\\"',
]
_OPTION_BEFORE_VALUE = (
    rb'"-{1,2}[\w.-]{0,40}(?:password|passwd|passphrase|token|bearer|secret|credentials?'
    rb'|(?:api|access|secret|private)[-_]?key)"\s*,\s*"'
)
_KEY_BEFORE_VALUE = (
    rb'"[\w.-]{0,60}(?:password|passwd|passphrase|pw|secret|token'
    rb'|(?:api|access|secret|private)_?key)"\s*:\s*"[^$<{%./"]'
)
_PROGRAMS = [
    *[program for _, program, _ in COMMANDS],
    rb"curl|mysql\w*|mariadb|sshpass|skopeo|kubectl",
]
_PROGRAM_WITH_PASSWORD = rb'"(?:[^"]*/)?(?:' + b"|".join(_PROGRAMS) + rb')"'
_ASSIGNMENT = rb'"-{0,2}[\w.-]{0,40}(?:pass|pw|token|secret|key|auth|cred)\w{0,40}='
# Texts of JSON of which one may say that the next is a secret
_PAIRS = re.compile(
    b"|".join([_OPTION_BEFORE_VALUE, _KEY_BEFORE_VALUE, _PROGRAM_WITH_PASSWORD, _ASSIGNMENT]),
    re.IGNORECASE,
)
# Where the names alone make a secret of a value: one in a hundred files of Python's library and of
# packages has such a line, and would withhold the whole archive, such as the code of a job
_GUESSES = frozenset({"assignment", "cookie"})
_ARGUMENTS = frozenset({"argv", "args", "arguments"})
# The library chooses this automaton itself up to a hundred signs; the one that it takes beyond is
# three times as slow, and these few hundred states take a quarter of a megabyte
_AUTOMATON = ahocorasick_rs.Implementation.DFA
_signs = ahocorasick_rs.BytesAhoCorasick(
    sorted({*RARE_SIGNS, *_SIGNS_OF_PAIRS}),
    matchkind=ahocorasick_rs.MatchKind.LeftmostLongest,
    implementation=_AUTOMATON,
)
_signs_of_text = ahocorasick_rs.BytesAhoCorasick(RARE_SIGNS, implementation=_AUTOMATON)
_LONGEST_SIGN = max(map(len, RARE_SIGNS))
_SEARCHED_AT_ONCE = 1 << 16


def find_secret(data: bytes, unpacking: Unpacking | None = None) -> list[str]:
    """Return the rules by which the texts within some bytes hold a secret; empty where none does.

    What is neither text nor packed is not searched. Without `unpacking` the bounds are those of one
    blob.
    """
    rules: set[str] = set()
    for text in texts_within(data, unpacking or Unpacking()):
        found = set(rules_in_text(text.content))
        rules |= found - _GUESSES if text.is_of_archive else found
    return sorted(rules)


def rules_in_text(text: bytes) -> list[str]:
    """Return the rules by which a text holds a secret.

    All signs are looked for at once: for most logs that is all, and takes a tenth of the time that
    the rules take to look for one sign after the other.
    """
    if not _has_rare_sign(text.lower()) and not _has_url_password(text):
        return []
    return list(redact(text)[1])


def _has_url_password(text: bytes) -> bool:
    """Tell whether the one rule hits whose sign is not in `RARE_SIGNS`."""
    return URL_PASSWORD.pattern().search(text) is not None


def _has_rare_sign(lowered: bytes) -> bool:
    # In pieces, as all that is found in one comes as a list, and a text may be full of signs
    for start in range(0, len(lowered), _SEARCHED_AT_ONCE):
        piece = lowered[start : start + _SEARCHED_AT_ONCE + _LONGEST_SIGN]
        if _signs_of_text.find_matches_as_indexes(piece):
            return True
    return False


def secrets_in_record(decoded: DecodedRecord) -> dict[str, list[str]]:
    """Return {field path: [rules]} of the texts in a record that a rule finds."""
    if decoded.record is not None and _is_clean_record(decoded, decoded.record):
        return {}
    return secrets_in(decoded.raw)


def _is_clean_record(decoded: DecodedRecord, record: JobRecord) -> bool:
    variables = (record.environment.variables if record.environment is not None else None) or {}
    own, *shared = decoded.pieces
    return _are_plain(variables) and all(map(_is_clean_part, shared)) and _is_clean(own)


def _are_plain(names: Mapping[str, str]) -> bool:
    if _plain_names.issuperset(names):
        return True
    if any(map(_is_suspicious, names)):
        return False
    if len(_plain_names) > _REMEMBERED:
        _plain_names.clear()
    _plain_names.update(names)
    return True


def secrets_in(document: Any) -> dict[str, list[str]]:
    """Return {field path: [rules]} of the texts in a decoded JSON document that a rule finds.

    Empty where there is none.
    """
    # Mostly there is none, and the first look, which builds no paths, is the only one
    if not _has_any(document):
        return {}
    return {found.path: list(found.rules) for found in _findings(document)}


def without_secrets(body: bytes) -> bytes:
    """Return bytes that are no readable record, each secret replaced by the name of its rule."""
    if has_many_slow_numbers(body):
        return _without_secret_texts(body)
    try:
        document = msgspec.json.decode(body)
        clean = redact_strings(_without_arguments(document))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _without_secret_texts(body)
    # What is not JSON to everybody else may still hold a secret between its texts
    return body if clean == document else bytes(msgspec.json.encode(clean))


def _without_arguments(value: Any) -> Any:
    """Return a document whose lists of arguments hold no secrets."""
    if isinstance(value, dict):
        return {key: _without_arguments_of(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_arguments(item) for item in value]
    return value


def _without_arguments_of(key: str, item: Any) -> Any:
    return redact_arguments(item) if _are_arguments(key, item) else _without_arguments(item)


def _are_arguments(key: str, item: Any) -> bool:
    return key in _ARGUMENTS and isinstance(item, list) and all(isinstance(w, str) for w in item)


def _without_secret_texts(body: bytes) -> bytes:
    """Return bytes that are no JSON, without secrets."""
    for text, _ in texts_within(body, Unpacking()):
        if text is not body and redact(text)[1]:
            return b"<redacted: a body with a secret, packed or in UTF-16>"
    clean = bytes(redact(body)[0])
    # As JSON that was cut has them: a rule asks for a quote and finds a backslash before it
    unescaped, rules = redact(clean.replace(b'\\"', b'"'))
    if rules:
        clean = bytes(unescaped)
    return _OPTION_AND_VALUE.sub(rb'\g<keep>"<redacted:option>"', clean)


def _is_clean(body: bytes) -> bool:
    """Whether no text between two quotes holds a secret.

    It is False as well where an escape could hide one.
    """
    if b"\\u" in body or b"\\/" in body:
        return False
    if not (_signs.find_matches_as_indexes(body.lower()) or _has_url_password(body)):
        return True
    if _PAIRS.search(body):
        return False
    # A text with an escape in it is not what stands between its quotes
    if b"\\" in body:
        return False
    return _are_clean(set(body.split(b'"')))


def _are_clean(texts: set[bytes]) -> bool:
    """Whether no rule finds a secret in any of these texts."""
    fresh = [text for text in texts.difference(_clean) if len(text) >= _SHORTEST_SECRET]
    searched = [text for text in fresh if not _HARMLESS_BYTES.fullmatch(text)]
    if not searched:
        return True
    if redact(b"\n".join(searched))[1]:
        return False
    if len(_clean) > _REMEMBERED:
        _clean.clear()
    _clean.update(text for text in searched if len(text) < _LONG)
    return True


# Thousands of records have these in the same bytes
_is_clean_part = lru_cache(maxsize=_REMEMBERED // 64)(_is_clean)


def _has_any(document: Any) -> bool:
    # Not recursive: a client's lists may lie in each other deeper than Python's calls can go
    stack = [document]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            if _rules_of(value):
                return True
        elif isinstance(value, dict):
            if any(True for _ in _of_keys(value, "")):
                return True
            stack += value.values()
        elif isinstance(value, list):
            stack += value
    return False


class _Finding(NamedTuple):
    """A text in a document that rules find."""

    path: str
    rules: tuple[str, ...]


def _findings(document: Any) -> Iterator[_Finding]:
    """Yield each text that a rule finds."""
    stack = [(document, "")]
    while stack:
        value, path = stack.pop()
        if isinstance(value, str):
            if rules := _rules_of(value):
                yield _Finding(path, rules)
        elif isinstance(value, dict):
            yield from _of_keys(value, path)
            # Backwards, since the last one on the stack is looked at first
            for key, item in reversed(value.items()):
                stack.append((item, f"{path}.{key}" if path else key))
        elif isinstance(value, list):
            items = [(item, f"{path}[{place}]") for place, item in enumerate(value)]
            stack += reversed(items)


def _of_keys(value: Mapping[str, Any], path: str) -> Iterator[_Finding]:
    """Yield what is secret in an object because of its keys: a key itself, or a value beside one.

    Where the object is an environment, the names of its variables are searched as well.
    """
    for key in value:
        if rules := _rules_of(key):
            yield _Finding(path, rules)
    yield from _of_items(value, path)
    if _is_environment(value):
        below = f"{path}.variables" if path else "variables"
        for name in _secret_names(value["variables"]):
            yield _Finding(f"{below}.{name}", ("name",))


def _of_items(value: Mapping[str, Any], path: str) -> Iterator[_Finding]:
    """Yield values that are secret by their key, or by the argument before them."""
    for key, item in value.items():
        below = f"{path}.{key}" if path else key
        if names_secret_value(key, item):
            yield _Finding(below, ("name",))
        elif _are_arguments(key, item):
            yield from _of_arguments(item, below)


def _of_arguments(words: Sequence[str], path: str) -> Iterator[_Finding]:
    """Yield the words of a command line that are secret by the word before them."""
    clean_words = redact_arguments(words)
    for place, (word, clean) in enumerate(zip(words, clean_words, strict=True)):
        if word != clean:
            yield _Finding(f"{path}[{place}]", ("option",))


def _is_environment(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("variables"), dict)


def _rules_of(text: str) -> tuple[str, ...]:
    if len(text) < _SHORTEST_SECRET:
        return ()
    if len(text) <= _LONGEST_HARMLESS and _HARMLESS.fullmatch(text):
        return ()
    if len(text) >= _LONG:
        return _searched(text)
    return _remembered(text)


def _searched(text: str) -> tuple[str, ...]:
    return tuple(redact(text.encode("utf-8", "surrogatepass"))[1])


_remembered = lru_cache(maxsize=_REMEMBERED)(_searched)


def _secret_names(variables: Mapping[str, Any]) -> list[str]:
    texts = {name: text for name, text in variables.items() if isinstance(text, str)}
    if not any(map(_is_suspicious, texts)):
        return []
    return sorted(secret_names(texts))


@lru_cache(maxsize=_REMEMBERED)
def _is_suspicious(name: str) -> bool:
    """Whether the name of a variable alone could make its value a secret."""
    return bool(is_secret(name, "no rule finds this value"))
