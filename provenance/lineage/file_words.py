"""What is said of a file in one or few words, the same on every page, in the command and in pictures: who used it, who made it."""

from collections.abc import Mapping
from typing import Any

from jobprov.provenance.lineage.words import counted, number

MOST_READERS = 1000
"""Readers of a file that are counted in a list; of more it says that there are at least so many."""

_ALL = {1: "it", 2: "both"}


def name_in_path(text: str) -> str:
    """Return the name of a file of which somebody gives a path or an address.

    What stands behind the last slash, '' for a folder.

    A name has no slash, so that nothing is lost of one that is given alone.
    """
    path = text.split("?", 1)[0] if "://" in text else text
    return path.rsplit("/", 1)[-1]


def use_words(file: Mapping[str, Any]) -> str:
    """Who used a file that no recorded job made, a row of `GET /lineage/orphans`.

    For example `read by 240 jobs, as shared input`.
    """
    if not file["is_isolated"]:
        return "files were made of it"
    count = file["reader_count"]
    if not count:
        return "nobody read it"
    more = " or more" if count >= MOST_READERS else ""
    return (
        f"read by {counted(count, 'job')}{more}{', as shared input' if file['is_shared'] else ''}"
    )


def impact_words(found: Mapping[str, Any], *, is_direct: bool) -> str:
    """What was made from one file, in a sentence.

    Of an answer of `GET /lineage/impact` to `reads=` that counted it.
    """
    if not found["jobs"]:
        return "No recorded job read it."
    if not found["touched"]:
        return f"No other file was made from it; {counted(found['jobs'], 'job')} read it."
    verb = "was" if found["touched"] == 1 else "were"
    directly = " directly" if is_direct else ""
    return f"{counted(found['touched'], 'other file')} {verb} made from it{directly}, by {counted(found['touched_jobs'], 'job')}."


def leaves_words(found: Mapping[str, Any]) -> str:
    """What came of a file last, or who read it where nothing did, in a sentence or two.

    Of an answer of `GET /files/{name}/leaves`.
    """
    readers = found["readers"]
    if readers is None:
        count = found["count"]
        return (
            f"{counted(count, 'file')} came of it last."
            if count
            else "No file is the last: what came of it is a circle."
        )
    if not readers["count"]:
        return "Nothing was made of it."
    shared = ", as shared input" if readers["is_shared"] else ""
    how = _how_they_ended(readers["count"], readers["states"])
    return f"No file was made of it. {counted(readers['count'], 'job')} read it{shared}{how}."


def _how_they_ended(count: int, states: Mapping[str, int]) -> str:
    odd = {state: some for state, some in states.items() if state != "succeeded"}
    if odd == {"failed": count}:
        return f"; {_ALL.get(count, 'all')} failed"
    return "".join(
        f"{', ' if place else '; '}{number(some)} {state}"
        for place, (state, some) in enumerate(odd.items())
    )
