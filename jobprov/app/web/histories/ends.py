"""The pages of where histories end: a file's first inputs and final products, files no job made."""

from collections.abc import Sequence
from typing import NamedTuple

from flask import Response

from jobprov.app.web.frame.cuts import address
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import (
    answer,
    asked,
    asked_flag,
    experiment_asked,
    first_page,
    next_page,
    pages,
)
from jobprov.app.web.histories.question import asked_question, query_of, twin_of, version_sentence
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import Question, history_page
from jobprov.provenance.answers.histories.ends import FileRoots
from jobprov.provenance.answers.histories.lineage import LineageFile
from jobprov.provenance.answers.names import FileName
from jobprov.provenance.lineage.graph import ended
from jobprov.provenance.services.histories.ends import list_leaves, list_orphans, list_roots
from jobprov.provenance.services.histories.sentences import leaves_sentence, orphan_use

_ROWS = 100
_SIDES: dict[Question, str] = {
    "roots": "First inputs",
    "leaves": "Final products",
    "lineage": "Lineage",
}


@pages.get("/roots/<path:name>", endpoint="roots")
def show_roots(name: str) -> Response:
    """Show the files that a file goes back to."""
    question = asked_question()
    with get_service().reading() as connection:
        roots = list_roots(
            connection, name, **question._asdict(), limit=_ROWS, cursor=asked("cursor")
        )
    is_alone = roots.count == 1 and _is_of(roots.file, roots.files)
    if is_alone:
        sentence = "It was not made from any other file, as far as is recorded."
    elif roots.count:
        sentence = f"It goes back to {counted(roots.count, 'file')}."
    else:
        sentence = "It has no first input: its history is a circle."
    return _show_ends("roots", roots, sentence, is_alone=is_alone)


@pages.get("/leaves/<path:name>", endpoint="leaves")
def show_leaves(name: str) -> Response:
    """Show the final products of a file."""
    question = asked_question()
    with get_service().reading() as connection:
        leaves = list_leaves(
            connection, name, **question._asdict(), limit=_ROWS, cursor=asked("cursor")
        )
    is_alone = leaves.readers is not None
    return _show_ends("leaves", leaves, leaves_sentence(leaves), is_alone=is_alone)


def _is_of(file: FileName, listed: Sequence[LineageFile]) -> bool:
    """Return whether a list holds a file and nothing else."""
    names = [(row.name, row.namespace, row.experiment) for row in listed]
    return names == [(file.name, file.namespace, file.experiment)]


def _show_ends(kind: Question, ends: FileRoots, sentence: str, *, is_alone: bool) -> Response:
    """Show one side of a history; a file that is its own end needs no table."""
    file = ends.file
    others = []
    for side, title in _SIDES.items():
        if side != kind:
            others.append((title, history_page(side, file.name, file.experiment, file.namespace)))
    return answer(
        "histories/ends.html",
        twin=twin_of(file, f"/{kind}", query_of(file)),
        title=_SIDES[kind],
        first_line=sentence + version_sentence(ends.version, ends.versions),
        ends=ends,
        is_alone=is_alone,
        how_ended=ended,
        others=others,
        first_page=first_page(),
        next_page=next_page(ends.next),
    )


class OrphanQuestion(NamedTuple):
    """Which orphans the address asks for; `only` is `isolated`, `unread` or empty for all."""

    experiment: str | None
    namespace: str | None
    only: str

    def query(self) -> dict[str, str | None]:
        """Return the parameters that ask the same over HTTP."""
        return {
            "experiment": self.experiment,
            "namespace": self.namespace,
            "isolated": "true" if self.only == "isolated" else "",
            "unread": "true" if self.only == "unread" else "",
        }


def _orphan_question() -> OrphanQuestion:
    only = asked("only") or ("isolated" if asked_flag("isolated") else "")
    return OrphanQuestion(experiment_asked(), asked("namespace"), only)


@pages.get("/orphans", endpoint="orphans")
def show_orphans() -> Response:
    """Show files that records or catalogs name and that no recorded job made."""
    question = _orphan_question()
    with get_service().reading() as connection:
        orphans = list_orphans(
            connection,
            experiment=question.experiment,
            namespace=question.namespace,
            isolated=question.only == "isolated",
            unread=question.only == "unread",
            limit=_ROWS,
            cursor=asked("cursor"),
        )
    is_filtered = bool(question.experiment or question.namespace)
    return answer(
        "histories/orphans.html",
        twin=address("/lineage/orphans", {**question.query(), "cursor": asked("cursor")}),
        first_line=orphans_sentence(
            len(orphans.files), is_more=orphans.next is not None, is_filtered=is_filtered
        ),
        filters={"experiment": question.experiment or "", "namespace": question.namespace or ""},
        only=question.only,
        orphans=orphans,
        orphan_use=orphan_use,
        first_page=first_page(),
        next_page=next_page(orphans.next),
    )


def orphans_sentence(count: int, *, is_more: bool, is_filtered: bool = False) -> str:
    """Return how many files of the page no recorded job made, in words."""
    these = "this file" if count == 1 else f"these {counted(count, 'file')}"
    if is_more:
        return f"No recorded job made {these}, and there may be more."
    if count:
        return f"No recorded job made {these}."
    if is_filtered:
        return (
            "A recorded job made every file that is named here, "
            "or a name is not spelt as it is recorded."
        )
    return "A recorded job made every file that is named here."
