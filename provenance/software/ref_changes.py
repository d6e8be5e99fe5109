"""What changed between two looks at a server's refs, and which old values must be kept.

Pure functions.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RefObservation:
    """One ref that is not as it was known.

    Attributes:
        ref: full name, `refs/heads/…` or `refs/tags/…`.
        old: the object id known before, None for a new ref.
        new: the object id now, None for a deleted ref.
        change: created, advanced (a branch grew), moved (a tag, or a branch that lost commits) or
            deleted.
    """

    ref: str
    old: str | None
    new: str | None
    change: str


def compare_refs(
    before: Mapping[str, str], now: Mapping[str, str], *, is_ancestor: Callable[[str, str], bool]
) -> list[RefObservation]:
    """Return what changed, by ref; `is_ancestor(old, new)` tells growth from a rewrite."""
    changed = sorted(ref for ref in before.keys() | now.keys() if before.get(ref) != now.get(ref))
    return [_observe(ref, before.get(ref), now.get(ref), is_ancestor) for ref in changed]


def old_values_to_keep(
    changes: Iterable[RefObservation], *, kind_of: Callable[[str], str], pins: str, tags: str
) -> dict[str, str]:
    """Return the object id by keeping ref for every old value that no ref would reach any more.

    Args:
        changes: as observed.
        kind_of: the type of an object.
        pins: prefix of the refs that keep commits.
        tags: prefix of the refs that keep tag objects.
    """
    lost = {
        seen.old for seen in changes if seen.old is not None and seen.change in ("moved", "deleted")
    }
    return {(tags if kind_of(oid) == "tag" else pins) + oid: oid for oid in sorted(lost)}


def _observe(
    ref: str, old: str | None, new: str | None, is_ancestor: Callable[[str, str], bool]
) -> RefObservation:
    if old is None:
        return RefObservation(ref, old, new, "created")
    if new is None:
        return RefObservation(ref, old, new, "deleted")
    has_grown = ref.startswith("refs/heads/") and is_ancestor(old, new)
    return RefObservation(ref, old, new, "advanced" if has_grown else "moved")
