"""What is remembered from bundle to bundle is bounded, and the least used goes first."""

from jobprov.provenance.bundle.recent import Recent


def test_value_that_was_not_used_for_longest_is_forgotten() -> None:
    recent: Recent[str, str] = Recent(2)
    recent.keep("first", "1")
    recent.keep("second", "2")
    recent.get("first")

    recent.keep("third", "3")

    assert recent.get("first") == "1"
    assert recent.get("second") is None
    assert recent.get("third") == "3"


def test_values_together_weigh_no_more_than_the_limit() -> None:
    recent: Recent[str, str] = Recent(10, weight_of=len)
    recent.keep("short", "a" * 3)
    recent.keep("other", "b" * 3)

    recent.keep("long", "c" * 7)

    assert recent.get("short") is None
    assert recent.get("other") == "bbb"
    assert recent.get("long") == "c" * 7
