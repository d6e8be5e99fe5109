"""Words of the field explained where they stand, from the one glossary of the documentation.

A term is a button that opens a note: by tap, by key, and where a script runs by hover. The notes of
a page stand at its end, each once.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from flask import g
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from jobprov.app.web.frame.formats import text
from jobprov.app.web.frame.markup import ticked
from jobprov.provenance.answers.addresses import manual_page

GLOSSARY = Path(__file__).parents[3] / "docs" / "reference" / "glossary.md"
_ENTRY = re.compile(r"^- \*\*(.+?)\*\*(.*?)(?=^- |^\n|^#|\Z)", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^ *\| ([LR]\d[~=]?) \| (.+?) \|$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_LEVELS = {"L": "level", "R": "verdict"}
"""The first word of the entry that has the table of such levels."""


class Term(NamedTuple):
    """A word of the glossary.

    Attributes:
        names: all words that its entry explains; the anchor of the entry has the first.
        words: what it means, with code between backticks.
    """

    names: tuple[str, ...]
    words: str


def named_in(entry: str) -> list[str]:
    """Return the words that an entry of the glossary explains: the bold ones it begins with."""
    bold = re.match(r"\*\*(.+?)\*\*", " ".join(entry.split()))
    return [word.strip() for word in bold[1].split(",")] if bold else []


@cache
def glossary() -> dict[str, Term]:
    """Return the terms by their word, in small letters; levels as they are written."""
    source = GLOSSARY.read_text(encoding="utf-8")
    terms = {}
    for names, meaning in _ENTRY.findall(source):
        named = [name.strip() for name in " ".join(names.split()).split(",")]
        words = _sentence(meaning)
        for name in named:
            terms[name.lower()] = Term(tuple(named), words)
    for level, meaning in _ROW.findall(source):
        terms[level] = Term((level,), _sentence(meaning))
    return terms


def _sentence(meaning: str) -> str:
    """Return an explanation of the glossary as plain text, code between backticks."""
    plain = " ".join(meaning.split()).lstrip(":, ").replace("\\|", "|")
    return _LINK.sub(r"\1", plain).replace("*", "").rstrip(".:")


def term(word: str, label: str | None = None) -> Markup:
    """Return a word as a button that explains it.

    Args:
        word: as the glossary has it.
        label: what stands on the page; the word itself by default.
    """
    place = _place(word)
    _noted()[word] = place
    return Markup(
        '<button type="button" class="term" popovertarget="explain-{}">{}</button>'
    ).format(place, label or word)


@pass_context  # else Jinja calls it once for a constant, when it compiles the template
def level(_: Context, value: Any) -> Markup:
    """Return a grade or verdict, explained where the glossary has it; words may follow it."""
    whole = text(value)
    name, comma, rest = whole.partition(",")
    if name not in glossary():
        return escape(whole)
    return term(name) + escape(comma + rest)


TITLES = {
    "Attempts at the same unit": "attempt",
    "Campaign": "campaign",
    "Campaigns": "campaign",
    "Capsule": "capsule",
    "Cause": "cause",
    "Gaps": "gap",
    "Grade": "grade",
    "Recipe": "recipe",
    "Result": "result",
    "Stage": "stage",
    "Stages": "stage",
    "Task": "task",
    "Tasks": "task",
    "Unit": "unit",
    "Units": "unit",
    "Units expected": "unit",
    "Units that are not done": "unit",
    "Units by state": "state of a unit",
    "Verdict": "verdict",
    "Witness": "witness",
    "Witnesses": "witness",
}
"""Headings, columns and names of facts, with the word of the glossary that explains them."""


@pass_context
def explained(_: Context, title: str) -> Markup:
    """Return a heading, column or name of a fact, as a term where the glossary explains it."""
    word = TITLES.get(title)
    return escape(title) if word is None else term(word, title)


class Note(NamedTuple):
    """What is shown of a term that stands on the page."""

    place: str
    names: str
    words: Markup
    url: str


def notes() -> list[Note]:
    """Return the explanations of the terms that were written until now, for the end of the page."""
    shown = []
    for word, place in _noted().items():
        known = glossary()[word]
        entry = known.names[0]
        if entry == word:
            entry = _LEVELS.get(word[0], entry) if word[1:2].isdigit() else entry
        url = manual_page("reference/glossary", f"term-{anchor_of(entry)}")
        shown.append(Note(place, ", ".join(known.names), ticked(known.words), url))
    return shown


def _noted() -> dict[str, str]:
    noted: dict[str, str] = g.setdefault("terms", {})
    return noted


def _place(word: str) -> str:
    """Return what names the note of a word in its page."""
    return anchor_of(word.replace("~", " unordered").replace("=", " as recorded"))


def anchor_of(title: str) -> str:
    """Return the anchor of a heading, made as code hosting sites make them."""
    letters = []
    for letter in title.lower():
        is_letter_or_number = unicodedata.category(letter)[0] in "LN"
        if is_letter_or_number or letter in " -_":
            letters.append(letter)
    return "".join(letters).strip().replace(" ", "-")
