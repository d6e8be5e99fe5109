"""Groups of alike nodes: same facts, and alike neighbours on both sides.

Colours are refined until they are stable: two nodes keep one colour while their facts agree and the
colours around them agree. Groups too small to be worth a box are taken apart, and the refinement
runs again, so that forty files of two merges become two groups of twenty and not one of forty.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence

MINIMUM = 5
"""A group of fewer nodes is drawn one by one."""

ROUNDS = 64
"""Refinements at most; then the groups are coarser than they could be, never wrong in their counts."""


def alike(
    facts: Mapping[str, Hashable],
    after: Mapping[str, Sequence[str]],
    before: Mapping[str, Sequence[str]],
    *,
    alone: Collection[str] = (),
) -> list[list[str]]:
    """Every node in exactly one group, groups and members in the order of `facts`.

    Nodes in `alone` stay alone.
    """
    single = set(alone)
    colours: dict[str, int] = _numbered(
        {node: (facts[node], node if node in single else None) for node in facts}
    )
    for _ in range(ROUNDS):
        refined = _refined(colours, after, before)
        if len(set(refined.values())) > len(set(colours.values())):
            colours = refined
            continue
        small = _members_of_small_groups(colours) - single
        if not small:
            break
        single |= small
        colours = _numbered(
            {node: (colour, node if node in single else None) for node, colour in colours.items()}
        )
    return _groups(colours, single)


def _refined(
    colours: Mapping[str, int],
    after: Mapping[str, Sequence[str]],
    before: Mapping[str, Sequence[str]],
) -> dict[str, int]:
    return _numbered(
        {
            node: (
                colour,
                tuple(sorted({colours[other] for other in after.get(node, ())})),
                tuple(sorted({colours[other] for other in before.get(node, ())})),
            )
            for node, colour in colours.items()
        }
    )


def _numbered(looks: Mapping[str, Hashable]) -> dict[str, int]:
    numbers: dict[Hashable, int] = {}
    return {node: numbers.setdefault(look, len(numbers)) for node, look in looks.items()}


def _members_of_small_groups(colours: Mapping[str, int]) -> set[str]:
    sizes = Counter(colours.values())
    return {node for node, colour in colours.items() if sizes[colour] < MINIMUM}


def _groups(colours: Mapping[str, int], single: Collection[str]) -> list[list[str]]:
    small = _members_of_small_groups(colours)
    groups: dict[Hashable, list[str]] = {}
    for node, colour in colours.items():
        groups.setdefault(node if node in single or node in small else colour, []).append(node)
    return list(groups.values())
