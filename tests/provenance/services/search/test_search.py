"""The search finds names by any part of them, on both databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.answers.search import Hits
from jobprov.provenance.db.connections.engines import Database, open_database
from jobprov.provenance.db.queries.search import files as searched_files
from jobprov.provenance.db.tables.name_index import (
    drop_name_index,
    has_name_index,
    make_name_index,
)
from jobprov.provenance.db.writer import indexed_names
from jobprov.provenance.db.writer.indexed_names import newest_indexed
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.search.search import KINDS, search
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from tests.library.production import Production
from tests.library.records import a_record, file_entry, job_id

FCL = b"physics: { producers: { slicer: { threshold: 5 module_type: SlicerTop } } }\n"
ODD = ("a%b.root", "a_b.root", 'quo"te.root', "it's.root", "größe 日本.root", "back\\slash.root")
NOTHING = ("", "   ", "\t", "\0", "%", "%%%", "___", '"""', "' OR '1'='1", "x" * 3000, "日" * 1000)


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    """Yield an empty production with an archive in files."""
    opened = Production(database, open_store(f"file:{tmp_path / 'archive'}"), tmp_path)
    yield opened
    opened.close()


def found(production: Production, text: str, **how: Any) -> Hits:
    with production.database.reading.connect() as connection:
        return search(connection, text, **how)


def names(production: Production, text: str, kind: str = "file", **how: Any) -> list[str]:
    return [hit.text for hit in found(production, text, kind=kind, **how).hits]


def make_files(production: Production, *names: str, first: int = 1) -> None:
    for number, name in enumerate(names, first):
        production.record(a_record(number, outputs=[file_entry(name, number, number)]))


def test_every_kind_is_found_by_a_part_of_its_name_in_any_case(production: Production) -> None:
    fcl = production.upload(FCL)
    task = {"task_id": "dune-Spring-7", "campaign": "spring26", "stage": "midSpring", "unit": "u"}
    configuration = {"name": "slicer.fcl", "path": "slicer.fcl", "sha256": fcl}
    module = {"step": "art", "path": "reco", "label": "springCleaner", "type": "CleanerTop"}
    production.record(
        a_record(
            1,
            task=task,
            host={"hostname": "wn-SPRINGfield.fnal.gov", "site": "Springs_HPC"},
            software=[
                {"name": "springcode", "repository": "https://git/x.git"},
                {"name": "x", "requested_ref": "v1-spring", "repository": "https://git/y.git"},
            ],
            modules=[{**module, "events": 1, "seconds_total": 1.0}],
            outputs=[file_entry("reco_spring_dimuon.art", 1, 1)],
            configurations=[{"step": "art", "main": "slicer.fcl", "files": [configuration]}],
        ),
        a_record(2, state="failed", exit={"code": 9, "message": "Cannot open the mainSpring"}),
    )
    production.work()

    hits = {(hit.kind, hit.text) for hit in found(production, "SPRING").hits}

    assert hits == {
        ("file", "reco_spring_dimuon.art"),
        ("task", "dune-Spring-7"),
        ("campaign", "spring26"),
        ("stage", "midSpring"),
        ("site", "Springs_HPC"),
        ("host", "wn-SPRINGfield.fnal.gov"),
        ("software", "springcode"),
        ("commit", "v1-spring"),
        ("module", "springCleaner"),
        ("message", next(text for kind, text in hits if kind == "message")),
    }
    assert names(production, "ICER.THR", "parameter") == ["physics.producers.slicer.threshold"]
    kinds = [count.kind for count in found(production, "spring").counts]
    assert kinds == [kind for kind in KINDS if kind in kinds], "in the order of the page"


def test_hits_of_one_name_are_told_apart_by_stage_state_and_date(production: Production) -> None:
    task = {"task_id": "t1", "campaign": "c", "stage": "reco", "unit": "u"}
    early, late = "2026-01-02T03:04:05Z", "2026-03-04T05:06:07Z"
    output = file_entry("hist_dimuon.root", 1, 1)
    production.record(
        a_record(1, task=task, ended_at=early, outputs=[output]),
        a_record(2, experiment="dune", ended_at=early, state="failed", outputs=[output]),
        a_record(3, task=task, ended_at=late, outputs=[file_entry("hist_dimuon.root", 2, 2)]),
        # A rerun, and a file that was only read
        a_record(4, rerun_of=job_id(1), ended_at=late, outputs=[output]),
        a_record(5, ended_at=late, inputs=[{"name": "raw_dimuon.root"}]),
    )

    details = {(hit.text, hit.detail) for hit in found(production, "dimuon", kind="file").hits}

    assert details == {
        ("hist_dimuon.root", "dune, failed 2026-01-02 03:04 UTC"),
        ("hist_dimuon.root", "nova, reco, succeeded 2026-03-04 05:06 UTC"),
        ("raw_dimuon.root", "nova, no recorded job made it"),
    }
    [task_hit] = found(production, "t1", kind="task").hits
    assert task_hit.detail == "nova, c, reco"
    [job_hit] = found(production, job_id(1), kind="job").hits
    assert job_hit.detail == "nova, reco, succeeded 2026-01-02 03:04 UTC"


def test_whole_names_come_first_then_beginnings_then_the_newest(production: Production) -> None:
    make_files(production, "a_dimuon.art", "dimuon_b.art", "dimuon", "c_DiMuon.art")

    assert names(production, "dimuon") == [
        "dimuon",
        "dimuon_b.art",
        "c_DiMuon.art",
        "a_dimuon.art",
    ]
    (count,) = found(production, "dimuon", kind="file", limit=2).counts
    assert (count.count, count.has_more) == (4, False)


def test_more_than_are_counted_are_told(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searched_files, "MOST_ROWS", 3)
    monkeypatch.setattr(searched_files, "MOST_COUNTED", 2)
    make_files(production, "x1.root", "x2.root", "ax3.root", "ax4.root")

    (few,) = found(production, "ax3").counts
    (many,) = found(production, ".root").counts

    assert (few.count, few.has_more) == (1, False)
    assert (many.count, many.has_more) == (2, True)


@pytest.mark.slow
def test_letters_that_mean_something_to_a_database_mean_themselves(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexed_names, "MOST_WAITING", len(ODD))
    make_files(production, *ODD, "axb.root")

    assert {name: names(production, name[1:-1]) for name in ODD} == {name: [name] for name in ODD}
    assert {name: names(production, name) for name in ODD} == {name: [name] for name in ODD}
    assert {text: found(production, text).hits for text in NOTHING} == {
        text: [] for text in NOTHING
    }


def test_one_or_two_letters_find_beginnings_and_say_so(production: Production) -> None:
    make_files(production, "dimuon.art", "odd.art")

    answer = found(production, "di")

    assert [hit.text for hit in answer.hits] == ["dimuon.art"]
    assert answer.note == "Of one or two letters only the beginnings of names are found."


def test_unknown_kind_is_refused(production: Production) -> None:
    with pytest.raises(BadInputError, match="kind: one of file, job, task"):
        found(production, "dimuon", kind="people")


def test_names_that_wait_and_names_that_are_indexed_are_found(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexed_names, "MOST_WAITING", 3)
    make_files(production, *[f"{number}_dimuon_{number:02}.art" for number in range(8)])

    assert len(names(production, "dimuon")) == 8
    assert names(production, "uon_01") == ["1_dimuon_01.art"]
    assert names(production, "uon_07") == ["7_dimuon_07.art"]
    if production.database.is_sqlite:
        with production.database.reading.connect() as connection:
            assert newest_indexed(connection) == 6


def test_many_parts_of_a_name_are_looked_up_by_the_rarest(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexed_names, "MOST_WAITING", 1)
    names_made = [
        f"x_prod_reco_run{number:08}_0001_{number * 7919:08x}.art" for number in range(30)
    ]
    make_files(production, *names_made)

    assert names(production, "_reco_run00000007_0001_") == [names_made[7]]
    assert names(production, names_made[23][1:]) == [names_made[23]]
    assert len(names(production, "_prod_reco_run000000", limit=100)) == 30


def test_file_that_no_record_names_any_more_is_not_found(production: Production) -> None:
    make_files(production, "of_Ada_dimuon.art", "of_Bob_dimuon.art")

    production.erase_record(1, fields=("outputs[0].name",))

    assert names(production, "dimuon") == ["of_Bob_dimuon.art"]


def test_rebuilt_database_finds_the_same(
    production: Production, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexed_names, "MOST_WAITING", 2)
    make_files(production, "a_dimuon.art", "b_dimuon.art", "c_dimuon.art")
    seal_all(production.database, production.writer, production.store)

    rebuild_database(production.store, empty_url)

    rebuilt = open_database(empty_url)
    with rebuilt.reading.connect() as connection:
        hits = search(connection, "dimuon").hits
    rebuilt.dispose()
    assert sorted(hit.text for hit in hits) == ["a_dimuon.art", "b_dimuon.art", "c_dimuon.art"]


def test_without_an_index_the_newest_names_and_beginnings_are_found(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searched_files, "MOST_LOOKED_AT", 1)
    with production.database.writing.begin() as connection:
        drop_name_index(connection)
    make_files(production, "dimuon_old.art", "old_dimuon.art", "new_dimuon.art")

    answer = found(production, "dimuon")

    assert [hit.text for hit in answer.hits] == ["dimuon_old.art", "new_dimuon.art"]
    assert answer.note is not None
    assert "the database has no index of parts" in answer.note


def test_index_that_is_made_later_has_the_names_from_before(production: Production) -> None:
    with production.database.writing.begin() as connection:
        drop_name_index(connection)
    make_files(production, "a_dimuon.art", "b_dimuon.art")

    with production.database.writing.begin() as connection:
        is_made = make_name_index(connection)

    with production.database.reading.connect() as connection:
        assert has_name_index(connection) is is_made
        if production.database.is_sqlite:
            assert newest_indexed(connection) == 2
    assert len(names(production, "dimuon")) == 2


def test_part_of_a_path_is_found_by_its_last_name(production: Production) -> None:
    make_files(production, "a_dimuon.art")

    answer = found(production, "root://door//pnfs/nova/a_dimuon.art")

    assert (answer.text, [hit.text for hit in answer.hits]) == ("a_dimuon.art", ["a_dimuon.art"])


def test_each_word_is_in_the_name_in_any_order(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexed_names, "MOST_WAITING", 3)  # some by the index, some one by one
    names_of_files = ("reco_0042_dimuon_mass.root", "Mass_of_0042.root", "dimuon_0042.root")
    make_files(production, *names_of_files, "mass and dimuon 7.root")
    production.record(
        a_record(9, state="failed", exit={"code": 9, "message": "No space left on device"}),
        a_record(
            8,
            modules=[
                {"step": "art", "path": "reco", "label": "massOfDimuon", "type": "M", "events": 1}
            ],
        ),
    )
    production.work()
    both = {"reco_0042_dimuon_mass.root", "mass and dimuon 7.root"}

    assert set(names(production, "dimuon mass")) == both
    assert set(names(production, "MASS  dimuon")) == both
    assert names(production, "dimuon mass 42") == ["reco_0042_dimuon_mass.root"]
    assert names(production, "dimuon mass muon_ 0042_ root eco") == ["reco_0042_dimuon_mass.root"]
    assert names(production, "dimuon electron") == []
    assert names(production, "dimuon mass", "module") == ["massOfDimuon"]
    assert len(names(production, "device space", "message")) == 1
    assert names(production, "a d") == [], "no word that an index has: the text as it is"
