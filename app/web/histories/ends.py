"""The pages of whole histories: where one ends, how two files hang together, and the files that nobody made."""

from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import (
    answer,
    asked,
    asked_file,
    asked_flag,
    asked_number,
    asked_pair,
    experiment_asked,
    here,
)
from jobprov.app.web.lookup.jobs import asked_time
from jobprov.app.wiring import get_service
from jobprov.provenance.lineage.graph import ended
from jobprov.provenance.lineage.sentences import leaves_words, use_words
from jobprov.provenance.services.histories.ends import list_leaves, list_orphans, list_roots
from jobprov.provenance.services.histories.relations import find_common, find_paths

_ROWS = 100
_PATHS = 5


def add_routes(blueprint: Blueprint) -> None:
    """Put the pages on the blueprint."""
    blueprint.add_url_rule("/roots/<path:name>", view_func=show_roots, endpoint="roots")
    blueprint.add_url_rule("/leaves/<path:name>", view_func=show_leaves, endpoint="leaves")
    blueprint.add_url_rule("/relation", view_func=show_relation, endpoint="relation")
    blueprint.add_url_rule("/orphans", view_func=show_orphans, endpoint="orphans")


def show_roots(name: str) -> Response:
    """Show the files that a file goes back to."""
    found = _ask(list_roots, name, limit=_ROWS, cursor=asked("cursor"))
    count, is_alone = found["count"], _is_alone(found)
    line = (
        f"It goes back to {counted(count, 'file')}."
        if count
        else "It goes back to no file: its history is a circle."
    )
    line = "It was made from no other file, as far as is recorded." if is_alone else line
    return _ends(found, "roots", "First inputs", line + _of_version(found), is_alone=is_alone)


def show_leaves(name: str) -> Response:
    """Show what last was made of a file."""
    found = _ask(list_leaves, name, limit=_ROWS, cursor=asked("cursor"))
    is_alone = found["readers"] is not None
    return _ends(
        found,
        "leaves",
        "Final products",
        leaves_words(found) + _of_version(found),
        is_alone=is_alone,
    )


def _is_alone(found: dict[str, Any]) -> bool:
    """Return whether the file itself is all that was found."""
    names = [(row["name"], row["namespace"], row["experiment"]) for row in found["files"]]
    file = found["file"]
    return names == [(file["name"], file["namespace"], file["experiment"])] and found["count"] == 1


def _ends(found: dict[str, Any], kind: str, title: str, line: str, *, is_alone: bool) -> Response:
    file = found["file"]
    path = f"/files/{quote(file['name'], safe='')}/{kind}"
    return answer(
        "histories/ends.html",
        twin=address(path, {**_place(file), **_moment()}),
        title=title,
        first_line=line,
        ended=ended,
        is_alone=is_alone,
        **_shown(found),
        others=[
            (words, address(f"/{other}/{file['name']}", _place(file)))
            for other, words in (
                ("roots", "First inputs"),
                ("leaves", "Final products"),
                ("lineage", "Lineage"),
            )
            if other != kind
        ],
    )


def _shown(found: dict[str, Any]) -> dict[str, Any]:
    """Return what the template takes of a page of files."""
    return {
        "found": found,
        "file": found.get("file"),
        "next_page": here(cursor=found["next"]) if found["next"] else None,
        "first_page": here(cursor=None) if asked("cursor") else None,
    }


def show_relation() -> Response:
    """Show how two files hang together; ask for what the address does not name."""
    a, b, experiments = asked("a"), asked("b"), asked_pair()
    words = {"a": a, "b": b, **experiments, "as_of": asked("as_of")}
    if a is None or b is None:
        return answer(
            "histories/relation.html",
            names=(a, b),
            experiments=experiments,
            first_line="Was one made from the other, or both from the same?",
        )
    with get_service().reading() as connection:
        moment = asked_time("as_of")
        paths = find_paths(connection, a, b, **experiments, as_of=moment, limit=_PATHS)
        common = find_common(
            connection, a, b, **experiments, as_of=moment, limit=_ROWS, cursor=asked("cursor")
        )
    return answer(
        "histories/relation.html",
        twin=address("/lineage/paths", words),
        common_twin=address("/api/v1/lineage/common", words),
        names=(a, b),
        experiments=experiments,
        first_line=relation_line(paths, common),
        paths=paths["paths"],
        is_truncated=paths["is_truncated"],
        ancestors=cut_rows("common", common["ancestors"], 30),
        diverge=address("/diverge", {"a": a, "b": b, **experiments}),
        **_shown(common),
    )


def relation_line(paths: dict[str, Any], common: dict[str, Any]) -> str:
    """Return how two files hang together, in words."""
    hubs = (
        f"; {counted(common['hub_count'], 'file')} that many jobs read left out"
        if common["hub_count"]
        else ""
    )
    if paths["older"] is not None:
        younger = "second" if paths["older"] == "a" else "first"
        jobs, ways = counted(paths["paths"][0]["jobs"], "job"), len(paths["paths"])
        if ways == 1 and not paths["is_truncated"]:
            return f"The {younger} was made from the other, by {jobs}."
        more = " at least" if paths["is_truncated"] else ""
        return f"The {younger} was made from the other, in {counted(ways, 'way')}{more}; the shortest has {jobs}."
    if common["count"]:
        return f"Neither was made from the other; both were made from {counted(common['count'], 'file')}{hubs}."
    if common["hub_count"]:
        return f"Neither was made from the other; all that they share is {counted(common['hub_count'], 'file')} that many jobs read."
    return "They have nothing in common."


def show_orphans() -> Response:
    """Show files that somebody names and no recorded job made."""
    only = asked("only") or ("isolated" if asked_flag("isolated") else "")
    query: dict[str, Any] = {
        "experiment": experiment_asked(),
        "namespace": asked("namespace"),
        "isolated": only == "isolated",
        "unread": only == "unread",
    }
    with get_service().reading() as connection:
        found = list_orphans(connection, **query, limit=_ROWS, cursor=asked("cursor"))
    filters = {name: query[name] for name in ("experiment", "namespace") if query[name]}
    words = {name: "true" if value is True else value or "" for name, value in query.items()}
    return answer(
        "histories/orphans.html",
        twin=address("/lineage/orphans", {**words, "cursor": asked("cursor") or ""}),
        first_line=orphans_line(
            len(found["files"]), is_more=found["next"] is not None, is_filtered=bool(filters)
        ),
        filters=filters,
        only=only,
        use_words=use_words,
        **_shown(found),
    )


def orphans_line(count: int, *, is_more: bool, is_filtered: bool = False) -> str:
    """Return how many files of the page nobody made, in words."""
    if is_more:
        return f"No recorded job made these {counted(count, 'file')}, and there may be more."
    if count:
        return f"No recorded job made these {counted(count, 'file')}."
    unless = ", or a name is not spelt as it is recorded" if is_filtered else ""
    return f"A recorded job made every file that is named here{unless}."


def _ask(question: Any, name: str, **how: Any) -> dict[str, Any]:
    with get_service().reading() as connection:
        found: dict[str, Any] = question(
            connection,
            name,
            **asked_file(),
            version=asked_number("version", least=1, most=10**6),
            as_of=asked_time("as_of"),
            **how,
        )
    return found


def _moment() -> dict[str, str]:
    """Return which version is asked about, and when."""
    return {"version": asked("version") or "", "as_of": asked("as_of") or ""}


def _of_version(found: dict[str, Any]) -> str:
    """Return which of several versions of a file an answer is about, as a sentence."""
    if found["versions"] <= 1:
        return ""
    number = found["version"]
    return (
        f" That is of all {found['versions']} versions."
        if number is None
        else f" That is of version {number} of {found['versions']}."
    )


def _place(file: dict[str, Any]) -> dict[str, str]:
    return {"experiment": file["experiment"], "namespace": file["namespace"]}
