"""The rules that stand behind those of every experiment, by version.

What was classified before keeps its meaning.
"""

import tomllib
from functools import cache
from importlib import resources

import msgspec

from jobprov.provenance.triage.rules import Rule

VERSION = 2
"""The newest, and the first that was released.

A change of the rules is another file with the next number.
"""
FOLDER = resources.files("jobprov.provenance.triage")

PREFIX = "built-in."


@cache
def built_in_rules(version: int = VERSION) -> tuple[Rule, ...]:
    """Return the rules of a version, in the order in which they are tried.

    Their names begin with `built-in.`.
    """
    text = (FOLDER / f"built_in_{version}.toml").read_text(encoding="utf-8")
    rules = tomllib.loads(text)["rules"]
    return tuple(msgspec.convert({**rule, "name": PREFIX + rule["name"]}, Rule) for rule in rules)
