"""How an experiment declares its outputs to be compared: by pattern and stage, the first that fits.

Source: docs/reference/verdicts.md, "Comparators".
"""

import json
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import msgspec

from jobprov.provenance.errors import BadInputError

_Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
_Positive = Annotated[float, msgspec.Meta(ge=0.0)]
_MOST_RULES = 200
_PARAMETERS = ("mask", "absolute", "relative", "p_value", "sigmas", "ignore")


class OutputRule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule.

    Attributes:
        pattern: of output names, with `*`, `?` and `[…]`.
        stage: pattern of stages; all where left out.
        comparator: what a rerun has to reach; stricter levels are told where they hold.
        required: whether the output decides the verdict.
        mask: regular expressions; what they match in a line of text does not count.
        absolute, relative: numbers may differ by the one, and by the other times the recorded
            number.
        p_value: the least that histograms and branches may have, times how many there are.
        sigmas: standard deviations by which numbers of events may differ.
        ignore: patterns of objects (`path`) and branches (`path/branch`) of ROOT files that do not
            count.
    """

    pattern: _Pattern
    stage: _Pattern | None = None
    comparator: (
        Literal["bytes", "masked", "content", "unordered", "text", "numeric", "histograms"] | None
    ) = None
    required: bool | None = None
    mask: list[_Pattern] | None = None
    absolute: _Positive | None = None
    relative: _Positive | None = None
    p_value: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)] | None = None
    sigmas: Annotated[float, msgspec.Meta(gt=0.0)] | None = None
    ignore: list[_Pattern] | None = None

    def fits(self, name: str, stage: str) -> bool:
        """Return whether the rule speaks of this output."""
        return fnmatchcase(name, self.pattern) and (
            self.stage is None or fnmatchcase(stage, self.stage)
        )

    def text(self) -> str:
        """Return the comparator as verify.py takes it: its word, and its parameters as JSON.

        Empty where none is declared.
        """
        if self.comparator is None:
            return ""
        values = {name: value for name in _PARAMETERS if (value := getattr(self, name)) is not None}
        return (
            f"{self.comparator} {json.dumps(values, sort_keys=True)}" if values else self.comparator
        )


class OutputRules(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The rules of an experiment, in order: of those that fit an output the first counts."""

    output: Annotated[list[OutputRule], msgspec.Meta(max_length=_MOST_RULES)]


def read_rules(document: Mapping[str, Any]) -> OutputRules:
    """Return the typed reading of `{"output": [rule, …]}`.

    Raises:
        BadInputError: a rule is wrong; the message names it.
    """
    try:
        rules = msgspec.convert(document, OutputRules)
    except msgspec.ValidationError as problem:
        raise BadInputError(
            f"The comparators cannot be read: {problem}.", {"output": [str(problem)]}
        ) from None
    for place, rule in enumerate(rules.output):
        for mask in rule.mask or ():
            try:
                re.compile(mask)
            except re.error as problem:
                field = f"output[{place}].mask"
                raise BadInputError(
                    f"{field}: {mask!r} is no regular expression: {problem}.",
                    {field: [str(problem)]},
                ) from None
    return rules


def rule_for(rules: Sequence[OutputRule], name: str, stage: str) -> OutputRule | None:
    """Return the rule that counts for an output; None where none fits."""
    return next((rule for rule in rules if rule.fits(name, stage)), None)
