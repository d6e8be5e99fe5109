"""Which claims each seen identity of a file resolves to: the edges of the lineage graph.

The code is pure: the answer for a name depends only on the set of its identities and claims, so
that order of arrival cannot matter.

* *sure*: identity and claim share a checksum, directly or through other identities of the name.
* *possible*: nothing contradicts it (no algorithm with two values, no two sizes). Kept only where
  there is no sure one. Where jobs of a campaign name a file without a checksum, claims of the same
  campaign go before all others: two campaigns may use the same names.
* a claim of a job that did not succeed counts only when sure; a rerun claims nothing.
* a *crowded* name (more claims than `CROWD`) links only identities that are equal and have a
  checksum: guessing among thousands would be noise, and quadratic.

Source: record.md, "Files and edges".
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

CROWD = 1000


class IdentityFacts(NamedTuple):
    """An identity of one file, as stored.

    Attributes:
        campaign: of the jobs that saw it, where it has no checksum; else ''.
    """

    id: int
    size_bytes: int | None
    checksums: str
    campaign: str = ""


class ClaimFacts(NamedTuple):
    """A claim to one file: which identity it claims, and whether its job succeeded.

    Claims of reruns are left out.

    Attributes:
        campaign: of its job; '' where it names none.
        reads_name: its job also read a file of this name, which it did not make.
    """

    id: int
    identity_id: int
    has_succeeded: bool
    campaign: str = ""
    reads_name: bool = False


class ClaimLink(NamedTuple):
    """An edge: the identity resolves to the claim."""

    identity_id: int
    claim_id: int
    is_sure: bool


def resolve_name(
    identities: Sequence[IdentityFacts], claims: Sequence[ClaimFacts]
) -> set[ClaimLink]:
    """Return every link of one name."""
    if not claims:
        return set()
    if len(claims) > CROWD:
        return crowded_links(identities, claims)
    if len(identities) == 1:
        return _links_of_one(identities[0], claims)
    group_of = _groups(identities)
    known = {identity.id: _Known.of(identity) for identity in identities}
    merged = _merge_known(known, group_of)
    links: set[ClaimLink] = set()
    for identity in identities:
        links |= _links_of(identity, claims, group_of, merged)
    return links


def contradict(one: IdentityFacts, other: IdentityFacts) -> bool:
    """Return whether two identities cannot be of the same bytes: by size, or by a checksum."""
    return _Known.of(one).contradicts(_Known.of(other))


def crowded_links(
    identities: Iterable[IdentityFacts], claims: Iterable[ClaimFacts]
) -> set[ClaimLink]:
    """Return the links of a crowded name: equal identities that have a checksum."""
    checked = {identity.id for identity in identities if identity.checksums}
    counted = [claim for claim in claims if claim.identity_id in checked]
    return {ClaimLink(claim.identity_id, claim.id, is_sure=True) for claim in counted}


def _links_of_one(identity: IdentityFacts, claims: Sequence[ClaimFacts]) -> set[ClaimLink]:
    """Return the links of a name with one identity: all claims are claims to it."""
    is_sure = bool(identity.checksums)
    counted = [claim for claim in claims if is_sure or claim.has_succeeded]
    return {ClaimLink(identity.id, claim.id, is_sure) for claim in counted}


def _links_of(
    identity: IdentityFacts,
    claims: Sequence[ClaimFacts],
    group_of: dict[int, int],
    merged: "dict[int, _Known]",
) -> set[ClaimLink]:
    """Return the links of one identity: the sure ones, else the possible ones."""
    group = group_of[identity.id]
    known = merged[group]
    if known.values:
        same = [claim for claim in claims if group_of[claim.identity_id] == group]
        if same:
            return {ClaimLink(identity.id, claim.id, is_sure=True) for claim in same}
    possible = []
    for claim in claims:
        if claim.has_succeeded and not known.contradicts(merged[group_of[claim.identity_id]]):
            possible.append(claim)
    likely = _of_campaign(possible, identity.campaign) or possible
    return {ClaimLink(identity.id, claim.id, is_sure=False) for claim in likely}


def _of_campaign(claims: Sequence[ClaimFacts], campaign: str) -> list[ClaimFacts]:
    """Return the claims of a campaign to which a name alone refers in it; none without a campaign.

    A job that reads and writes one name read the file of another campaign.
    """
    if not campaign:
        return []
    return [claim for claim in claims if claim.campaign == campaign and not claim.reads_name]


class _Known(NamedTuple):
    """What is known of a group of identities: values by algorithm, and sizes."""

    values: dict[str, set[str]]
    sizes: set[int]

    @classmethod
    def of(cls, identity: IdentityFacts) -> "_Known":
        values: dict[str, set[str]] = {}
        for word in identity.checksums.split():
            algorithm, _, value = word.partition(":")
            values.setdefault(algorithm, set()).add(value)
        sizes = set() if identity.size_bytes is None else {identity.size_bytes}
        return cls(values, sizes)

    def contradicts(self, other: "_Known") -> bool:
        if self.sizes and other.sizes and self.sizes.isdisjoint(other.sizes):
            return True
        algorithms = self.values.keys() & other.values.keys()
        return any(self.values[name].isdisjoint(other.values[name]) for name in algorithms)


def _groups(identities: Sequence[IdentityFacts]) -> dict[int, int]:
    """Return a representative for each identity.

    Those that share a checksum, in steps, share it (union-find).
    """
    root = {identity.id: identity.id for identity in identities}

    def find(number: int) -> int:
        while root[number] != number:
            root[number] = root[root[number]]
            number = root[number]
        return number

    first: dict[str, int] = {}
    for identity in identities:
        for word in identity.checksums.split():
            root[find(identity.id)] = find(first.setdefault(word, identity.id))
    return {identity.id: find(identity.id) for identity in identities}


def _merge_known(known: dict[int, _Known], group_of: dict[int, int]) -> dict[int, _Known]:
    merged: dict[int, _Known] = {}
    for number, group in group_of.items():
        into = merged.setdefault(group, _Known({}, set()))
        into.sizes.update(known[number].sizes)
        for algorithm, values in known[number].values.items():
            into.values.setdefault(algorithm, set()).update(values)
    return merged
