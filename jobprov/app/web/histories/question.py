"""What the address of a page of a history asks about, and the addresses that ask it again."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

from jobprov.app.web.frame.page import asked, asked_file, asked_number
from jobprov.app.web.lookup.jobs import asked_time
from jobprov.provenance.answers.addresses import with_query
from jobprov.provenance.answers.names import FileName
from jobprov.provenance.times import utc_text

_MOST_VERSIONS = 10**6


class FileQuestion(NamedTuple):
    """What the query of an address says of the file in its path."""

    experiment: str | None
    namespace: str | None
    version: int | None
    as_of: datetime | None


def asked_question() -> FileQuestion:
    """Return the question in the query.

    Raises:
        BadInputError: a version or a time cannot be read.
    """
    file = asked_file()
    return FileQuestion(
        experiment=file["experiment"],
        namespace=file["namespace"],
        version=asked_number("version", least=1, most=_MOST_VERSIONS),
        as_of=asked_as_of(),
    )


def asked_as_of() -> datetime | None:
    """Return the time up to which records count; None for all. A day alone counts to its end.

    Raises:
        BadInputError: it cannot be read.
    """
    return asked_time("as_of", of_day="23:59:59")


def text_of(as_of: datetime | None) -> str:
    """Return that time as the JSON twin of a page takes it; empty where none was asked for."""
    return "" if as_of is None else utc_text(as_of)


def query_of(file: FileName) -> dict[str, str]:
    """Return the query that asks the same about this file again, for the JSON twin of a page."""
    return {**place_of(file), "version": asked("version") or "", "as_of": text_of(asked_as_of())}


def twin_of(file: FileName, view: str, query: Mapping[str, str | None]) -> str:
    """Return the address of a view of a file as JSON, below /api/v1."""
    return with_query(f"/files/{quote(file.name, safe='')}{view}", query)


def place_of(file: FileName) -> dict[str, str]:
    """Return the query that tells a file from others of its name."""
    return {"experiment": file.experiment, "namespace": file.namespace}


def version_sentence(version: int | None, versions: int) -> str:
    """Return which of several versions an answer is about, as a sentence to append."""
    if versions <= 1:
        return ""
    if version is None:
        return f" This covers all {versions} versions."
    return f" This is about version {version} of {versions}."
