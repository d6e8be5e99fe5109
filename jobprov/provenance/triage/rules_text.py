"""Tables of rules as TOML, to be edited by people."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from jobprov.provenance.errors import BadInputError

_ORDER = (
    "name", "class", "words", "advice", "transient", "state", "exit_code", "signal", "step",
    "program", "error_class", "pattern", "cause", "tell_apart",
)  # fmt: skip
EXAMPLE = """\
# [[rules]]
# name = "calibration-server"
# class = "database"
# words = "The calibration server did not answer"
# advice = "Look at its status page; try again"
# transient = true                                 # or false; leave it out where nobody knows
# step = "reco*"                                   # conditions, all of which must hold: state, exit_code, signal, step,
# pattern = "calib*timed out"                      # program, error_class, pattern (text in a line of message or log)
"""


def rules_text(rules: Iterable[Mapping[str, Any]]) -> str:
    """Return rules as TOML, in their order; an example in comments for none."""
    tables = [_table(rule) for rule in rules]
    if not tables:
        return EXAMPLE
    return "\n\n".join(tables) + "\n"


def _table(rule: Mapping[str, Any]) -> str:
    lines = [f"{key} = {_value(rule[key])}" for key in sorted(rule, key=_place)]
    return "\n".join(["[[rules]]", *lines])


def read_rules_text(text: str) -> list[Any]:
    """Return the content of `rules` in a TOML text, not checked further.

    Raises:
        BadInputError: it is no TOML, or has more than `rules`.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise BadInputError(
            f"The rules are not TOML: {problem}.", {"rules": [str(problem)]}
        ) from None
    unknown = sorted(document.keys() - {"rules"})
    if unknown:
        raise BadInputError.of_field("rules", f"only [[rules]] may stand there, not {unknown[0]}")
    rules = document.get("rules", [])
    return rules if isinstance(rules, list) else [rules]


def _place(key: str) -> tuple[int, str]:
    place = _ORDER.index(key) if key in _ORDER else len(_ORDER)
    return place, key


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
