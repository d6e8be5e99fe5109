"""What both languages have alike: conditions joined by `and` and `or`, negation, parentheses."""

from collections.abc import Callable

from jobprov.provenance.selections.conditions import Not, Selection, all_of, some_of
from jobprov.provenance.selections.tokens import Tokens

ReadPart = Callable[[Tokens], Selection]
ReadCondition = Callable[[Tokens], Selection | None]
"""Reads a condition; None for one that every file meets, as SAM's `availability:`."""


def read_alternatives(tokens: Tokens, read_condition: ReadCondition) -> Selection:
    """Return conditions joined by `and`, and these by `or`, which binds less."""
    parts = [_conjunction(tokens, read_condition)]
    while tokens.takes_word("or"):
        parts.append(_conjunction(tokens, read_condition))
    return some_of(parts)


def read_group(tokens: Tokens, read_part: ReadPart) -> Selection:
    """Read what is in parentheses; the next token must open them."""
    tokens.expect_sign("(")
    tokens.enter()
    selection = read_part(tokens)
    tokens.leave()
    tokens.expect_sign(")", " to close the parenthesis")
    return selection


def read_negatable(
    tokens: Tokens, negation: str, *, within_group: ReadPart, comparison: ReadPart
) -> Selection:
    """Return a comparison, or what stands in parentheses, with what negates it in front.

    Args:
        tokens: where from.
        negation: the word or sign that negates; twice, it does not.
        within_group: reads what stands in parentheses.
        comparison: reads anything else.
    """
    is_negated = False
    while tokens.takes_word(negation) or tokens.takes_sign(negation):
        is_negated = not is_negated
    is_group = tokens.is_sign("(")
    selection = read_group(tokens, within_group) if is_group else comparison(tokens)
    return Not(selection) if is_negated else selection


def _conjunction(tokens: Tokens, read_condition: ReadCondition) -> Selection:
    parts: list[Selection] = []
    while True:
        condition = read_condition(tokens)
        if condition is not None:
            parts.append(condition)
        if not tokens.takes_word("and"):
            break
    if not parts:
        raise tokens.unexpected("a condition beside availability:")
    return all_of(parts)
