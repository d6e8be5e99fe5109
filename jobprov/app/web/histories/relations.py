"""The page of how two files are related: the ways between them, and what both were made from."""

from datetime import datetime
from typing import NamedTuple

from flask import Response

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import answer, asked, asked_pair, first_page, next_page, pages
from jobprov.app.web.histories.question import asked_as_of, text_of
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.histories.relations import CommonAncestors, FilePaths
from jobprov.provenance.services.histories.relations import find_common, find_paths

_PATHS = 5
_ROWS = 100
_ROWS_SHOWN = 30


class PairQuestion(NamedTuple):
    """The two files that the address asks about, their experiments, and the moment."""

    a: str | None
    b: str | None
    experiments: dict[str, str | None]
    as_of: datetime | None

    def query(self) -> dict[str, str | None]:
        """Return the parameters that ask the same over HTTP."""
        return {"a": self.a, "b": self.b, **self.experiments, "as_of": text_of(self.as_of)}


@pages.get("/relation", endpoint="relation")
def show_relation() -> Response:
    """Show how two files are related; ask for files that the address does not name."""
    question = PairQuestion(asked("a"), asked("b"), asked_pair(), asked_as_of())
    if question.a is None or question.b is None:
        return answer(
            "histories/relation.html",
            question=question,
            first_line="Was one made from the other, or both from the same?",
            paths=None,
            common=None,
        )
    a, b, experiments, as_of = question.a, question.b, question.experiments, question.as_of
    with get_service().reading() as connection:
        paths = find_paths(connection, a, b, as_of=as_of, limit=_PATHS, **experiments)
        common = find_common(
            connection,
            a,
            b,
            experiment=experiments["experiment"],
            experiment_a=experiments["experiment_a"],
            experiment_b=experiments["experiment_b"],
            as_of=as_of,
            limit=_ROWS,
            cursor=asked("cursor"),
        )
    query = question.query()
    return answer(
        "histories/relation.html",
        twin=address("/lineage/paths", query),
        common_twin=address("/api/v1/lineage/common", query),
        question=question,
        first_line=relation_sentence(paths, common),
        paths=paths,
        common=common,
        ancestors=cut_rows("common", common.ancestors, _ROWS_SHOWN),
        diverge=address("/diverge", {"a": a, "b": b, **experiments}),
        first_page=first_page(),
        next_page=next_page(common.next),
    )


def relation_sentence(paths: FilePaths, common: CommonAncestors) -> str:
    """Return how two files are related, in words."""
    if paths.older is not None:
        return _descent_sentence(paths)
    hubs = f"{counted(common.hub_count, 'file')} that many jobs read"
    if common.count:
        sentence = "Neither was made from the other; both were made from "
        sentence += counted(common.count, "file")
        if common.hub_count:
            sentence += f", not counting {hubs}"
        return sentence + "."
    if common.hub_count:
        return f"Neither was made from the other; all that they share is {hubs}."
    return "They have nothing in common."


def _descent_sentence(paths: FilePaths) -> str:
    younger = "second" if paths.older == "a" else "first"
    ways = len(paths.paths)
    shortest = counted(paths.paths[0].jobs, "job")
    if ways == 1 and not paths.is_truncated:
        return f"The {younger} was made from the other, by {shortest}."
    in_ways = counted(ways, "way")
    if paths.is_truncated:
        in_ways += " at least"
    return f"The {younger} was made from the other, in {in_ways}; the shortest has {shortest}."
