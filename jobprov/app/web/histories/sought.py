"""Which files of a whole history hold some words: for the map, which draws the nearest alone."""

import msgspec
from flask import Response

from jobprov.app.web.frame.page import asked
from jobprov.app.web.histories.question import asked_question
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import file_page
from jobprov.provenance.answers.histories.lineage import LineageList
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.histories.lineage_lists import list_ancestors, list_descendants

MOST = 50
_MOST_LETTERS = 200
_WALKS = {
    "ancestors": (list_ancestors,),
    "descendants": (list_descendants,),
    "both": (list_ancestors, list_descendants),
}


class SoughtFile(msgspec.Struct, frozen=True):
    """A file of the history whose name holds the words; `url` is the path of its page."""

    name: str
    url: str


class SoughtFiles(msgspec.Struct, frozen=True):
    """The files whose names hold the words.

    Attributes:
        files: at most 50 of `count`, by name.
        is_truncated: whether there are files in the history that were not looked at.
    """

    files: list[SoughtFile]
    count: int
    is_truncated: bool


def answer_sought(name: str, words: str) -> Response:
    """Return the files of a file's history whose names hold these words, in any case.

    Raises:
        BadInputError: the words are too long.
        LimitError: the walk took more than five seconds.
    """
    if len(words) > _MOST_LETTERS:
        raise BadInputError.of_field("sought", f"more than {_MOST_LETTERS} letters")
    lists = _asked_lists(name)
    wanted = words.casefold()
    urls: dict[str, str] = {}
    for listed in lists:
        for file in listed.files:
            if wanted in file.name.casefold():
                url = file_page(file.name, file.experiment, file.namespace)
                urls.setdefault(url, file.name)
    files = [SoughtFile(name, url) for url, name in list(urls.items())[:MOST]]
    is_truncated = any(listed.is_truncated for listed in lists)
    sought = SoughtFiles(files, len(urls), is_truncated)
    return Response(msgspec.json.encode(sought), content_type="application/json")


def _asked_lists(name: str) -> list[LineageList]:
    """Return the lists of a file's ancestors, its descendants or both, as the address asks."""
    question, direction = asked_question(), asked("direction") or "ancestors"
    lists = []
    with get_service().reading() as connection:
        for list_files in _WALKS.get(direction, ()):
            listed = list_files(
                connection,
                name,
                experiment=question.experiment,
                namespace=question.namespace,
                version=question.version,
            )
            lists.append(listed)
    return lists
