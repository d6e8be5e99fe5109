"""Rules by which an experiment declares how its outputs are compared.

The first rule whose pattern and stage match an output counts.

Source: docs/reference/verdicts.md, "Comparators".
"""

import json
import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import msgspec

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.reading.misfits import misfit

_Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
_Positive = Annotated[float, msgspec.Meta(ge=0.0)]
_MOST_RULES = 200
_PARAMETERS = ("mask", "absolute", "relative", "p_value", "sigmas", "ignore")


class OutputRule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How outputs whose names match a pattern are compared.

    Attributes:
        pattern: of output names, with `*`, `?` and `[…]`.
        stage: pattern of stages; the rule is for all stages where it is left out.
        comparator: what a rerun must reach at least. A verdict names the strictest level that
            holds.
        required: whether the output counts for the level of the verdict.
        mask: regular expressions; text that one of them matches in a line does not count.
        absolute: numbers may differ by so much,
        relative: and by so much times the recorded number.
        p_value: the smallest p-value that is accepted, times the number of tests.
        sigmas: standard deviations by which numbers of entries may differ.
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
        """Return whether the rule is for this output."""
        is_for_stage = self.stage is None or fnmatchcase(stage, self.stage)
        return is_for_stage and fnmatchcase(name, self.pattern)

    def text(self) -> str:
        """Return the comparator as verify.py takes it (see `parameters`).

        Empty where none is declared.
        """
        if self.comparator is None:
            return ""
        parameters = {}
        for name in _PARAMETERS:
            value = getattr(self, name)
            if value is not None:
                parameters[name] = value
        if not parameters:
            return self.comparator
        return f"{self.comparator} {json.dumps(parameters, sort_keys=True)}"


class OutputRules(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The rules of an experiment, in order: the first that fits an output counts."""

    output: Annotated[list[OutputRule], msgspec.Meta(max_length=_MOST_RULES)]


def read_rules(document: Mapping[str, Any]) -> OutputRules:
    """Return the rules that a document `{"output": [rule, …]}` holds.

    Raises:
        BadInputError: a rule is wrong; the message names it.
    """
    try:
        rules = msgspec.convert(document, OutputRules)
    except msgspec.ValidationError as problem:
        found = misfit(problem, OutputRules)
        raise BadInputError(
            f"The comparators cannot be read: {found}.", {found.path or "output": [found.message]}
        ) from None
    for place, rule in enumerate(rules.output):
        for mask in rule.mask or ():
            _check_mask(mask, field=f"output[{place}].mask")
    return rules


def _check_mask(mask: str, *, field: str) -> None:
    try:
        re.compile(mask)
    except re.error as problem:
        raise BadInputError(
            f"{field}: {mask!r} is not a regular expression: {problem}.", {field: [str(problem)]}
        ) from None


def rule_for(rules: Sequence[OutputRule], name: str, stage: str) -> OutputRule | None:
    """Return the rule that counts for an output; None where none fits."""
    return next((rule for rule in rules if rule.fits(name, stage)), None)
