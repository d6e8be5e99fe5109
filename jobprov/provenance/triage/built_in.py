"""The rules that stand behind those of every experiment, by version.

What was classified before keeps its meaning.
"""

import tomllib
from functools import cache
from importlib import resources

import msgspec

from jobprov.provenance.triage.rules import Rule

VERSION = 3
"""The newest.

A change of the rules is another file with the next number. It has what is new, and is tried before
the versions before it; a rule of a name that stands there as well replaces that one.
"""
_FIRST = 2
"""The first that was released."""
FOLDER = resources.files("jobprov.provenance.triage")

PREFIX = "built-in."


@cache
def built_in_rules(version: int = VERSION) -> tuple[Rule, ...]:
    """Return the rules of a version, in the order in which they are tried.

    Their names begin with `built-in.`.
    """
    rules: dict[str, Rule] = {}
    for number in range(version, _FIRST - 1, -1):
        text = (FOLDER / f"built_in_{number}.toml").read_text(encoding="utf-8")
        for rule in tomllib.loads(text)["rules"]:
            name = PREFIX + rule["name"]
            rules.setdefault(name, msgspec.convert({**rule, "name": name}, Rule))
    return tuple(rules.values())
