r"""The patterns of tokens, one for each context, tried at a position of the text.

FHiCL has no tokens that are the same everywhere: `true` is a boolean before a blank and the string
"true" before a `#`; `1e5` is a number, `1e` is a string. So each pattern skips blanks and comments,
then matches what is allowed at this place. Its last part says which character may follow:

==============  =============================================================
after           may follow, besides the end, blanks and control characters
==============  =============================================================
name, word      ``# / , ] } . [ :``
digit word      ``# / , ] }``
number          ``# / , ] } )``
string, @nil    ``, ] }``; likewise true and false
infinity        ``) , ] }``
==============  =============================================================

Source: the token rules of fhicl-cpp (`tokens.h`, `parse.cc`) as facts of behaviour. The text is
ASCII, which is checked before.
"""

import re

# The visible characters that must not follow: one class for each row of the table above
_NOT_AFTER_NAME = r"(?![!\"$-+\-0-9;-Z\\^-|~])"
_NOT_AFTER_WORD = r"(?![!\"$-+\-.0-Z\[\\^-z{|~])"
_NOT_AFTER_NUMBER = r"(?![!\"$-(*+\-.0-\\^-|~])"
_NOT_AFTER_STRING = r"(?![!-+\-./0-\\^-|~])"

SKIPPED = r"(?:[ \t\n\v\f\r]++|#[^\n]*+\n|//[^\n]*+\n)*+"
_NAME = r"([A-Za-z_]\w*+)" + _NOT_AFTER_NAME
_NUMBER = (
    r"((?:[+-]?(?:\d++\.?+\d*+|\.\d++)(?:[eE][+-]?+\d++)?+|0[xX][0-9A-Fa-f]++|0[bB][01]++)"
    + _NOT_AFTER_NUMBER
    + r"|[+-]infinity(?![!-(*+\-./0-\\^-|~]))"
)
_DIGIT_WORD = r"(\d\w*+)" + _NOT_AFTER_WORD
_DOUBLE_QUOTED = r'"([^"\\]*+(?:\\"?+[^"\\]*+)*+)"' + _NOT_AFTER_STRING
_SINGLE_QUOTED = r"'([^']*+)'" + _NOT_AFTER_STRING
_VALUE = f"(?:{_NAME}|{_NUMBER}|{_DOUBLE_QUOTED}|{_SINGLE_QUOTED}|{_DIGIT_WORD}|([\\[{{(@]))"


def _compiled(pattern: str) -> "re.Pattern[str]":
    return re.compile(pattern, re.ASCII)


SKIP = _compiled(SKIPPED)
NAME = _compiled(_NAME)
BINDING = _compiled(SKIPPED + "(:|@protect_ignore:|@protect_error:)")
INDEX = _compiled(SKIPPED + r"(\d++)" + _NOT_AFTER_NUMBER)
PART = _compiled(SKIPPED + r"([.\[])")
DOTTED = _compiled(SKIPPED + _NAME)
# A value. Groups: name, number, double-quoted, single-quoted, digit word, opening bracket
VALUE = _compiled(SKIPPED + _VALUE)
# A member of a table, up to its value. Groups: name, binding, then those of VALUE
MEMBER = _compiled(
    f"{SKIPPED}{_NAME}{SKIPPED}(:|@protect_ignore:|@protect_error:){SKIPPED}{_VALUE}?+"
)
DELIMITER = _compiled(SKIPPED + r"([,\]])")
NUMBER_ONLY = _compiled(SKIPPED + _NUMBER)
INFINITY = _compiled(SKIPPED + r"(infinity)(?![!-(*+\-./0-\\^-|~])")
PARAMETER_SET_ID = _compiled(r"([0-9A-Fa-f]{40})" + r"(?![0-9A-Fa-f])" + _NOT_AFTER_NUMBER)
PROLOG_MARK = _compiled(
    r"(BEGIN|END)_PROLOG(?!\w)(?!" + SKIPPED + r"(?:[:.\[]|@protect_(?:ignore|error):))"
)
NOT_ASCII = re.compile("[^\x00-\x7f]")

NAMED, NUMBERED, DOUBLE_QUOTED, SINGLE_QUOTED, DIGIT_WORD, OPENER = range(1, 7)

_ENDS_BOOLEAN = _compiled(_NOT_AFTER_STRING)
_ENDS_INFINITY = _compiled(r"(?![!-(*+\-./0-\\^-|~])")


def ends_boolean(text: str, position: int) -> bool:
    """Return whether `true` or `false` may end here and be a boolean."""
    return _ENDS_BOOLEAN.match(text, position) is not None


def ends_infinity(text: str, position: int) -> bool:
    """Return whether `infinity` may end here and be a number."""
    return _ENDS_INFINITY.match(text, position) is not None
