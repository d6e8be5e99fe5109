"""What names a file in every answer, and which version of it an answer is about."""

import re

from msgspec import Struct

_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHORT = 8
_BY_TIME = ("6", "7")
_SHORT_BY_TIME = 18


class FileName(Struct, frozen=True):
    """What names a file.

    Attributes:
        namespace: empty where the file has none.
        url: the path of its page.
    """

    name: str
    namespace: str
    experiment: str
    url: str


class FileVersion(FileName, frozen=True):
    """What names a file, and one of its versions.

    Attributes:
        version: its number, None for a file that no recorded job made.
        versions: how many versions of the file there are.
    """

    version: int | None
    versions: int


def is_job_id(text: str) -> bool:
    """Return whether a text is the whole id of a job: a UUID in small letters."""
    return _JOB_ID.fullmatch(text) is not None


def short_job(job_id: str) -> str:
    """Return as many digits of a job id as tell it from others, for lists and labels.

    Versions 6 and 7 of a UUID begin with the time, so that all jobs of a minute share their first
    eight digits; the first eighteen have the millisecond and digits that a generator chose.

    Source: RFC 9562, sections 5.6 and 5.7.
    """
    is_by_time = job_id[14:15] in _BY_TIME
    return job_id[: _SHORT_BY_TIME if is_by_time else _SHORT]
