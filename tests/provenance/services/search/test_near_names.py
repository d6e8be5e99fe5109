"""A text that no name holds is answered with names that are spelled much like it."""

import pytest
from sqlalchemy import text as sql

from jobprov.provenance.answers.search import Hit
from jobprov.provenance.db.queries.search.near import left_of, one_slip_away
from jobprov.provenance.db.tables.name_index import drop_name_index
from jobprov.provenance.services.search.near_names import LONGEST, MOST_NEAR, near_names
from jobprov.provenance.services.search.search import search
from tests.library.production import Production
from tests.library.records import a_record, file_entry, job_id

NAME = "prod_dimuon_mass_run00012345_0042_reco.root"


def record(production: Production) -> None:
    """Record some files of runs, and a job that names a task, a stage, a site and a host."""
    names = [f"prod_dimuon_mass_run000123{run}_0042_reco.root" for run in (40, 44, 45, 46, 51)]
    names += [f"other_minbias_{number:04}.art" for number in range(30)]
    production.record(
        a_record(1, outputs=[file_entry(name) for name in names]),
        a_record(
            2,
            task={"task_id": "nova-keepup-0007", "campaign": "spring-2026", "stage": "reco"},
            host={"hostname": "wn0042.fnal.gov", "site": "FNAL"},
            batch={"system": "htcondor", "id": "81234.17@sched01"},
        ),
    )


def near(production: Production, text: str) -> list[Hit]:
    """Return what is offered for a text, of which nothing is found."""
    with production.database.reading.connect() as connection:
        found = search(connection, text)
        assert found.hits == [], "it is found: nothing has to be offered"
        return found.near


@pytest.mark.parametrize(
    "typed",
    [
        "prod_diumon_mass_run00012345_0042_reco.root",  # two letters changed places
        "prod_dimuon_mas_run00012345_0042_reco.root",  # one is missing
        "prod_dimuon_masss_run00012345_0042_reco.root",  # one too many
        "xrod_dimuon_mass_run00012345_0042_reco.root",  # a wrong one, the first
        "prod_dimuon_mass_run00012345_0042_reco.roor",  # the last
        "Prod_Dimuon_Mass_Run00012345_0043_Reco.root",  # another case, and a wrong digit
        "prod_dimuon_mass_run00012345_0042_reco.art",  # another extension
        "produ_dimuon_mass_run00012345_0024_reco.root",  # two slips
        "/pnfs/nova/prod_dimuon_mas_run00012345_0042_reco.root",  # a path
    ],
)
def test_mistyped_name_of_a_file_is_offered_first(production: Production, typed: str) -> None:
    record(production)

    offered = near(production, typed)

    assert (offered[0].kind, offered[0].text) == ("file", NAME)
    assert offered[0].url.startswith(f"/files/{NAME}")
    assert len(offered) <= MOST_NEAR


def test_numbers_that_are_nearest_are_offered_where_one_is_wrong(production: Production) -> None:
    record(production)

    offered = near(production, NAME.replace("12345", "12347"))

    assert {hit.text for hit in offered[:3]} <= {
        NAME.replace("12345", run) for run in ("12340", "12344", "12345", "12346")
    }


@pytest.mark.parametrize("typed", ["dimoun", "diumon", "dimuom mass", "mass dimun 0042", "minbais"])
def test_part_of_a_name_may_be_mistyped(production: Production, typed: str) -> None:
    record(production)

    offered = near(production, typed)

    assert offered
    meant = "minbias" if "min" in typed else "dimuon"
    assert all(meant in hit.text for hit in offered)


@pytest.mark.parametrize(
    ("typed", "kind", "meant"),
    [
        ("nova-kepup-0007", "task", "nova-keepup-0007"),
        ("spirng-2026", "campaign", "spring-2026"),
        ("spring-2025", "campaign", "spring-2026"),
        ("rceo", "stage", "reco"),
        ("FNLA", "site", "FNAL"),
        ("wn0042.fnal.gvo", "host", "wn0042.fnal.gov"),
        ("81234.18@sched01", "job", "81234.17@sched01"),
        ("0f8b0000-0000-4000-8000-00000000ffff", "job", job_id(1)),
    ],
)
def test_other_kinds_are_offered_too(
    production: Production, typed: str, kind: str, meant: str
) -> None:
    record(production)

    offered = near(production, typed)

    assert (kind, meant) in [(hit.kind, hit.text) for hit in offered]


@pytest.mark.parametrize(
    "typed", ["zzzzzzzz", "quarkonium_upsilon.hdf5", "ab", "%_%", "日本日本日本"]
)
def test_what_nothing_is_like_is_offered_nothing(production: Production, typed: str) -> None:
    record(production)

    assert near(production, typed) == []


def test_name_that_no_record_has_any_more_is_not_offered(production: Production) -> None:
    production.record(a_record(1, outputs=[file_entry("mistyped_name.root", 1)]))
    assert [hit.text for hit in near(production, "mistyped_nmae.root")] == ["mistyped_name.root"]

    production.record(a_record(1, outputs=[file_entry("right.root", 1)]), reason="a slip")

    assert near(production, "mistyped_nmae.root") == []


def test_nothing_is_looked_for_where_the_text_is_longer_than_names_are(
    production: Production,
) -> None:
    record(production)
    with production.database.reading.connect() as connection:
        assert near_names(connection, NAME + "x" * LONGEST) == []
        assert near_names(connection, "a\0b" * 3) == []


def test_database_without_an_index_of_parts_offers_what_is_one_slip_away(
    production: Production,
) -> None:
    record(production)
    with production.database.writing.begin() as connection:
        drop_name_index(connection)

    assert near(production, NAME.replace("dimuon", "dimoun"))[0].text == NAME


def test_one_slip_is_undone_by_one_of_the_names_that_it_makes() -> None:
    for typed in ("acb", "ab", "abcd", "axc", "bac", "abc."):
        assert "abc" in one_slip_away(typed)
    assert "abc" not in one_slip_away("abc")
    assert "abc" not in one_slip_away("cba")


def test_one_slip_leaves_one_of_the_parts() -> None:
    """Wherever in a word it is: what is left is in the word that was meant."""
    for meant in ("abcdefgh", "abcdefghi", "abcdefghijklmnop"):
        for typed in one_slip_away(meant):
            choices = left_of(typed)
            assert any(all(part in meant for part in parts) for parts in choices), typed


def test_quotes_and_wildcards_mean_themselves(production: Production) -> None:
    production.record(a_record(1, outputs=[file_entry("it's_100%_a\"name.root")]))

    assert [hit.text for hit in near(production, "it's_100%_a\"nmae.root")] == [
        "it's_100%_a\"name.root"
    ]
    with production.database.reading.connect() as connection:
        assert connection.execute(sql("SELECT count(*) FROM files")).scalar_one() == 1
