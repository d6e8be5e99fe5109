"""Which claims an identity resolves to."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobprov.provenance.db.recording.files.edges import (
    CROWD,
    ClaimFacts,
    ClaimLink,
    IdentityFacts,
    resolve_name,
)

A = IdentityFacts(1, 10, "adler32:a")
B = IdentityFacts(2, 10, "md5:b")
BOTH = IdentityFacts(3, None, "adler32:a md5:b")
BARE = IdentityFacts(4, None, "")
SIZED = IdentityFacts(5, 10, "")
OTHER_SIZE = IdentityFacts(6, 11, "")
OTHER_SUM = IdentityFacts(7, 10, "adler32:z")


def links(identities: list[IdentityFacts], *claims: tuple[int, bool]) -> set[tuple[int, int, bool]]:
    facts = [
        ClaimFacts(100 + place, identity, done) for place, (identity, done) in enumerate(claims)
    ]
    return {tuple(link) for link in resolve_name(identities, facts)}


def test_name_without_claims_has_no_links() -> None:
    assert resolve_name([A, B], []) == set()


def test_shared_checksum_is_sure() -> None:
    assert links([A], (1, True)) == {(1, 100, True)}


def test_checksum_shared_through_another_identity_is_sure() -> None:
    assert links([A, B, BOTH], (1, True)) == {(1, 100, True), (2, 100, True), (3, 100, True)}
    assert links([A, B], (1, True)) == {(1, 100, True), (2, 100, False)}


def test_possible_link_is_kept_only_where_there_is_no_sure_one() -> None:
    assert links([A, B], (1, True), (2, True)) == {(1, 100, True), (2, 101, True)}
    assert links([BARE, A, B], (1, True), (2, True)) >= {(4, 100, False), (4, 101, False)}


@pytest.mark.parametrize("other", [OTHER_SIZE, OTHER_SUM])
def test_contradiction_in_size_or_checksum_links_nothing(other: IdentityFacts) -> None:
    assert links([A, other], (1, True)) == {(1, 100, True)}


def test_what_says_nothing_contradicts_nothing() -> None:
    assert links([BARE, SIZED], (5, True)) == {(4, 100, False), (5, 100, False)}


def test_claim_of_a_failed_job_counts_only_when_sure() -> None:
    assert links([A, BARE], (1, False)) == {(1, 100, True)}
    assert links([BARE], (4, False)) == set()


def test_several_claims_of_one_content_are_all_linked() -> None:
    assert links([A], (1, True), (1, False)) == {(1, 100, True), (1, 101, True)}


def test_crowd_links_only_equal_identities_that_have_a_checksum() -> None:
    many = [(1, True)] * CROWD + [(4, True)]
    found = links([A, BOTH, BARE], *many)
    assert found == {(1, 100 + place, True) for place in range(CROWD)}
    assert (3, 100, True) in links([A, BOTH, BARE], *many[1:])


_identities = st.lists(
    st.tuples(
        st.sampled_from([None, 1, 2]),
        st.sets(
            st.sampled_from(["adler32:a", "adler32:b", "md5:a", "md5:b", "sha1:c"]), max_size=2
        ),
    ),
    min_size=1,
    max_size=5,
)


@given(
    seen=_identities,
    claims=st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=4),
    data=st.data(),
)
def test_links_depend_on_the_set_alone(
    seen: list[tuple[int | None, set[str]]], claims: list[tuple[int, bool]], data: st.DataObject
) -> None:
    identities = [
        IdentityFacts(n, size, " ".join(sorted(sums))) for n, (size, sums) in enumerate(seen)
    ]
    facts = [
        ClaimFacts(50 + n, which % len(identities), done) for n, (which, done) in enumerate(claims)
    ]
    found = resolve_name(identities, facts)
    shuffled = data.draw(st.permutations(identities)), data.draw(st.permutations(facts))
    assert resolve_name(*shuffled) == found
    for identity in identities:
        of_this = [link for link in found if link.identity_id == identity.id]
        assert len({link.is_sure for link in of_this}) <= 1
    for fact in facts:  # a claim with a checksum is the claim of its own identity
        if identities[fact.identity_id].checksums:
            assert ClaimLink(fact.identity_id, fact.id, is_sure=True) in found


def test_chains_of_shared_checksums_are_followed_in_any_order() -> None:
    chain = [
        IdentityFacts(n, None, f"md5:{n} sha1:{n + 1}".replace("sha1", "md5")) for n in range(5)
    ]
    for order in itertools.permutations(chain):
        assert links(list(order), (0, True)) == {(n, 100, True) for n in range(5)}


IN_A, IN_B = IdentityFacts(8, None, "", "a"), IdentityFacts(9, None, "", "b")


def of_campaigns(*claims: ClaimFacts) -> set[tuple[int, int]]:
    """Return which claims the names as campaigns a and b mention them resolve to."""
    identities = [A, B, IN_A, IN_B]
    found = resolve_name(identities, claims)
    return {(link.identity_id, link.claim_id) for link in found if link.identity_id in (8, 9)}


def test_name_alone_refers_to_the_file_of_its_own_campaign() -> None:
    """Two campaigns wrote files of one name; what each read of it is its own."""
    first = ClaimFacts(100, A.id, has_succeeded=True, campaign="a")
    second = ClaimFacts(101, B.id, has_succeeded=True, campaign="b")

    assert of_campaigns(first, second) == {(8, 100), (9, 101)}
    assert of_campaigns(first) == {(8, 100), (9, 100)}, "where only one made it, all read that"


def test_job_that_reads_and_writes_one_name_read_that_of_the_other_campaign() -> None:
    first = ClaimFacts(100, A.id, has_succeeded=True, campaign="a")
    again = ClaimFacts(101, B.id, has_succeeded=True, campaign="b", reads_name=True)

    assert of_campaigns(first, again) == {(8, 100), (9, 100), (9, 101)}
