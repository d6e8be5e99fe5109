"""What both languages have alike: conditions joined by `and` and `or`, negation, parentheses."""

from collections.abc import Callable

from jobprov.provenance.selections.conditions import Not, Selection, all_of, some_of
from jobprov.provenance.selections.words import Words

ReadPart = Callable[[Words], Selection]
ReadCondition = Callable[[Words], Selection | None]
"""Reads a condition; None for one that every file meets, as SAM's `availability:`."""


def read_alternatives(words: Words, read_condition: ReadCondition) -> Selection:
    """Return conditions joined by `and`, and these by `or`, which binds less."""
    parts = [_conjunction(words, read_condition)]
    while words.takes_word("or"):
        parts.append(_conjunction(words, read_condition))
    return some_of(parts)


def read_group(words: Words, read_part: ReadPart) -> Selection:
    """Return what stands in parentheses, of which the next token must be the first."""
    words.expect_sign("(")
    words.enter()
    selection = read_part(words)
    words.leave()
    words.expect_sign(")", " to close the parenthesis")
    return selection


def read_negatable(
    words: Words, negation: str, *, within_group: ReadPart, comparison: ReadPart
) -> Selection:
    """Return a comparison, or what stands in parentheses, with what negates it in front.

    Args:
        words: where from.
        negation: the word or sign that negates; twice, it does not.
        within_group: reads what stands in parentheses.
        comparison: reads anything else.
    """
    is_negated = False
    while words.takes_word(negation) or words.takes_sign(negation):
        is_negated = not is_negated
    is_group = words.is_sign("(")
    selection = read_group(words, within_group) if is_group else comparison(words)
    return Not(selection) if is_negated else selection


def _conjunction(words: Words, read_condition: ReadCondition) -> Selection:
    parts: list[Selection] = []
    while True:
        condition = read_condition(words)
        if condition is not None:
            parts.append(condition)
        if not words.takes_word("and"):
            break
    if not parts:
        raise words.unexpected("a condition beside availability:")
    return all_of(parts)
