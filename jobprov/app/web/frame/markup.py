"""Small pieces of HTML that every page uses: times, state marks, digests, commands.

Everything in them is escaped.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

from jobprov.app.web.frame.cuts import tightness
from jobprov.app.web.frame.formats import MISSING, asked_minute, text
from jobprov.provenance.answers.tasks.tasks import UnitState
from jobprov.provenance.lineage.words import elided
from jobprov.provenance.records.reading.times import read_time
from jobprov.provenance.times import minute_text, second_text

STATES = (*UnitState, "lost", "reproduced")
_LABELS = {state.value: state.label for state in UnitState}
_SHORT = 12
_AFTER_KIND = 8
_LONGEST_DIGEST = 140
_LONGEST_TITLE = 90
_TIME_WORDS = {
    "started_after": "since",
    "received_after": "since",
    "ended_after": "since",
    "started_before": "before",
    "ended_before": "before",
}
_TAG_OR_DATE = re.compile(r"<[^>]*>|(?<![\w-])[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:]+Z)?(?![\w-])")


def time_tag(value: Any) -> Markup:
    """Return a `<time>` in UTC; a small script may show it in the reader's zone."""
    return _time_tag(value, minute_text)


def second_tag(value: Any) -> Markup:
    """Return a `<time>` as `time_tag` does, but with its seconds."""
    return _time_tag(value, second_text, " data-seconds")


def _time_tag(value: Any, shown: Callable[[datetime], str], more: str = "") -> Markup:
    time = read_time(value)
    if time is None:
        return escape(text(value))
    stamp = time.isoformat(timespec="seconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
        stamp, second_text(time), more, shown(time)
    )


def mark(state: Any, *, label: bool = False) -> Markup:
    """Return the mark of a state, by shape and colour.

    Its word stands beside it, or is there for screen readers only.
    """
    known = state if state in STATES else "unknown"
    drawn = Markup(
        '<svg class="mark is-{0}" aria-hidden="true"><use href="#mark-{0}"/></svg>'
    ).format(known)
    if label:
        return Markup('<span class="state">{}<span class="word">{}</span></span>').format(
            drawn, _words(state)
        )
    state_word = _words(state)
    return Markup('<span class="state" title="{}">{}<span class="unseen">{}</span></span>').format(
        state_word, drawn, state_word
    )


def _words(state: Any) -> str:
    """Return a state as people read it."""
    return _LABELS.get(str(state)) or text(state)


_BAD = frozenset({"failed", "killed", "lost", "silent", "no_output", "held"})
_UNDER_WAY = frozenset({"running", "idle"})


def state_icon(states: Iterable[Any]) -> str:
    """Return the file of the icon that a tab shows of a page about these states: the worst one."""
    names = {str(state) for state in states}
    if names & _BAD:
        return "icon-failed.svg"
    if names & _UNDER_WAY:
        return "icon-running.svg"
    return "icon-done.svg" if "succeeded" in names else "icon.svg"


def narrowed(filters: Mapping[str, Any]) -> str:
    """Return the words after the title of a list that was narrowed down.

    As ` of toyexp, failed, since 2026-11-24 16:01 UTC`.
    """
    values, times = [], []
    for name, value in filters.items():
        if not value:
            continue
        if name in _TIME_WORDS:
            times.append(f"{_TIME_WORDS[name]} {asked_minute(value)}")
        else:
            values.append(text(value).replace(",", ", "))
    parts = [f"of {', '.join(values)}"] if values else []
    words = ", ".join([*parts, *times])
    return elided(f" {words}", _LONGEST_TITLE) if words else ""


def digest(value: Any, width: int = _SHORT) -> Markup:
    """Return a digest or id shortened to `width`, or eight letters after what names its kind.

    It is whole as tooltip, and when it is copied.
    """
    if not isinstance(value, str) or not value:
        return escape(text(value))
    shown = elided(value, _LONGEST_DIGEST)
    width = max(width, shown.find(":") + 1 + _AFTER_KIND)
    if len(shown) <= width + 1:
        return Markup("<code>{}</code>").format(shown)
    return Markup('<code class="digest" title="{}">{}<span class="rest">{}</span></code>').format(
        shown, shown[:width], shown[width:]
    )


def cut(value: Any, width: int = 60) -> Markup:
    """Return one line of text, cut in the middle where it is long, with the whole as tooltip.

    The tooltip has a limit too.
    """
    whole = text(value)
    if whole == MISSING:
        return escape(MISSING)
    if tight := tightness():
        return escape(elided(whole, max(12, width >> tight)))
    seen = elided(whole, width)
    if seen == whole:
        return escape(whole)
    return Markup('<span title="{}">{}</span>').format(elided(whole, 400), seen)


def command(argv: Any, width: int = 600) -> Markup:
    """Return a command as one would type it; each argument quoted where a shell would need that."""
    if not isinstance(argv, Iterable) or isinstance(argv, str):
        return escape(text(argv))
    return escape(
        elided(" ".join(_quoted(str(word)) for word in argv), max(40, width >> tightness()))
    )


def ticked(value: str) -> Markup:
    """Return a sentence of ours, what stands between backticks as code."""
    parts = value.split("`")
    pieces = [
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    ]
    return Markup("").join(pieces)


def whole_dates(value: Any) -> Markup:
    """Return a sentence, or markup of one, in which no line is broken within a date."""
    marked = _TAG_OR_DATE.sub(_unbroken, str(escape(value)))
    return Markup(marked)  # noqa: S704 - escaped above


def _unbroken(found: re.Match[str]) -> str:
    """Return a date in a span that keeps it on one line; a tag, which may hold a date, as it is."""
    piece = found[0]
    return piece if piece.startswith("<") else f'<span class="unbroken">{piece}</span>'


def _quoted(word: str) -> str:
    plain = word and all(char.isalnum() or char in "@%+=:,./-_" for char in word)
    return word if plain else "'" + word.replace("'", "'\\''") + "'"


_TURNS = [0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_TURNS_SHOWN = {code: f"\\u{code:04x}" for code in _TURNS}
_TURN = re.compile(f"[{''.join(map(chr, _TURNS))}]")


def without_turns(value: Any) -> Any:
    """Return what a template prints, with letters that turn the direction of text made visible.

    A name that holds one could make the rest of a line look like something else. Source: Unicode
    Technical Report 36, "Bidirectional Text Spoofing".
    """
    # Nearly no page has one, and `translate` takes ten times as long to say so of a long table
    if not isinstance(value, str) or value.isascii() or not _TURN.search(value):
        return value
    return value.translate(_TURNS_SHOWN)
