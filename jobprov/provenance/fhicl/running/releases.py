"""The rules that differ between releases of art.

Source: art's tags v3_06_00 to v3_15_00. Releases before them prune in other ways, and of later ones
nothing is known.
"""

import re
from typing import NamedTuple

from jobprov.provenance.fhicl.running.errors import NotKnownError

_RELEASE = re.compile(r"v?(\d+)[._](\d+)", re.ASCII)
_FIRST_KNOWN, _LAST_KNOWN = (3, 6), (3, 15)
_NUMBERS_PATHS, _LISTS_ALL_PATHS = (3, 9), (3, 12)


class Rules(NamedTuple):
    """How a release treats paths.

    Attributes:
        numbers_paths: `0:reco` names path and number, `@nil` keeps an empty place in the list.
        removes_empty_tables: tables of modules go, too, when nothing in them runs.
        lists_all_paths: lists of paths are written even if the configuration has none.
    """

    numbers_paths: bool
    removes_empty_tables: bool
    lists_all_paths: bool


def rules_of(release: str | None) -> Rules:
    """Return the rules of a release of art (v3_14_04, 3.14.04).

    Raises:
        NotKnownError: the release is not known, or its rules are not.
    """
    match = _RELEASE.match(release or "")
    if match is None:
        raise NotKnownError("Which release of art ran is not known.")
    version = (int(match[1]), int(match[2]))
    if not _FIRST_KNOWN <= version <= _LAST_KNOWN:
        known = "3.06 to 3.15 are"
        raise NotKnownError(f"The rules of art {(release or '')[:40]} are not known; {known}.")
    return Rules(
        numbers_paths=version >= _NUMBERS_PATHS,
        removes_empty_tables=version >= _NUMBERS_PATHS,
        lists_all_paths=version >= _LISTS_ALL_PATHS,
    )
