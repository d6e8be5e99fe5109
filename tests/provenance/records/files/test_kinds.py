"""Names of one kind differ in numbers, hashes and the unit alone."""

import pytest

from jobprov.provenance.records.files.kinds import kind_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("prod5_reco_000123_7.root", None), ("prod5_reco_000124_12.root", None)),
        (("reco_20260101T010203.root", None), ("reco_20251231T235959.root", None)),
        (
            ("reco_0f8b0000-0000-4000-8000-00000000000a.root", None),
            ("reco_deadbeef-cafe-babe-dead-beefdeadbeef.root", None),
        ),
        (("reco_a3f9c2e.root", None), ("reco_77aa01bd.root", None)),
        (("alpha_reco.root", "dune:alpha.root"), ("beta_reco.root", "dune:beta.root")),
        (("b17.root", "a017.root"), ("b2.root", "a002.root")),
    ],
)
def test_files_of_one_kind(one: tuple[str, str | None], other: tuple[str, str | None]) -> None:
    assert kind_of(*one) == kind_of(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("prod5_reco_000123_7.root", "prod5_hist_000123_7.root"),
        ("raw7_reco1.root", "raw7_hist1.root"),
        ("out.root", "out.json"),
        ("reco_5.root", "reco_5.root.json"),
        ("deadbeef_5.root", "cafe_5.root"),
    ],
)
def test_files_of_different_kinds(one: str, other: str) -> None:
    assert kind_of(one, "raw7.root") != kind_of(other, "raw7.root")
