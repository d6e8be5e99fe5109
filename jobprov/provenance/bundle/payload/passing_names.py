"""Names of outputs that no rerun repeats, since a time or a random id is part of them.

Scripts add `$(date +%Y%m%dT%H%M%SZ)`, `$(date +%s)` or `$(uuidgen)`, so that no two jobs store under
one name. From the second edition of bundles on, verify.sh looks for such an output by a pattern.
"""

import re

_PASSING = re.compile(
    r"""
    [0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}  # a UUID
    | (?<!\d) (?:19|20)\d\d [-_.]? [01]\d [-_.]? [0-3]\d  # a day
      (?: [-_.T]? [0-2]\d [-_.:]? [0-5]\d (?: [-_.:]? [0-5]\d (?:\.\d+)? )? )?  # and a time of it
      Z? (?!\d)
    | (?<!\d) 1\d{9} (?:\d{3}){0,2} (?!\d)  # seconds since 1970, or their thousandths
    """,
    re.VERBOSE,
)
_SPECIAL = re.compile(r"([*?\[\]\\])")


def passing_pattern(name: str) -> str:
    """The pattern of a shell for all names that differ from this one in a time or an id alone.

    It is '' for a name that has neither.
    """
    fixed = _PASSING.split(name)
    if len(fixed) == 1:
        return ""
    return "*".join(_SPECIAL.sub(r"\\\1", part) for part in fixed)
