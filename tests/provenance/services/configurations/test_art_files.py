"""An art file held against a record, and made into one where there is none."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.fhicl import loads
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.configurations.art_files import (
    ArtFile,
    check_against,
    read_art_file,
    reconstruct,
)
from tests.library.production import Production, shown_job
from tests.library.records import a_record, file_entry

TOY = Path(__file__).parents[3] / "data" / "art" / "toy_reco.root"
RECO = "a4422c8028a420ee3ed44b0adaa40b57e38a3a91"


@pytest.fixture(scope="module")
def toy() -> ArtFile:
    return read_art_file(TOY)


def test_processes_are_told_and_the_one_that_wrote_the_file_is_last(toy: ArtFile) -> None:
    assert [(process.name, process.is_last, process.problem) for process in toy.processes] == [
        ("Gen", False, None),
        ("Reco", True, None),
    ]
    assert toy.last is not None
    assert toy.last.parameter_set_id == RECO


def test_a_record_that_names_the_set_of_the_file_agrees_and_another_does_not(toy: ArtFile) -> None:
    def verdict(*ids: str | None) -> Any:
        return check_against(
            toy, {"configurations": [{"step": "art", "parameter_set_id": each} for each in ids]}
        ).verdict

    assert verdict(RECO) == "agrees"
    assert verdict("0" * 40) == "differs"
    assert verdict(None) == "unknown"
    assert verdict() == "unknown"


def test_a_record_made_from_the_file_says_what_the_file_knows(toy: ArtFile) -> None:
    record, blobs = reconstruct(toy, "toyexp")
    decode_record(json.dumps(record).encode())

    assert (record["witness"], record["extra"]["reconstructed"]["from"]) == ("import", "RootFileDB")
    assert record["started_at"] == "2026-11-24T15:22:11Z"
    assert record["inputs"] == [{"name": "toy_gen.root", "role": "primary"}]
    [output] = record["outputs"]
    assert (output["name"], output["event_count"], output["runs"]) == (
        "toy_reco.root",
        20,
        [[1004, 0]],
    )
    [configuration] = record["configurations"]
    assert configuration["parameter_set_id"] == RECO
    assert loads(blobs[configuration["final_sha256"]]).parameter_set_id == RECO
    assert reconstruct(toy, "toyexp")[0] == record


def test_a_record_made_from_the_file_joins_the_job_that_the_file_names(toy: ArtFile) -> None:
    named = "0f8b0000-0000-4000-8000-000000000001"
    file = toy._replace(
        stored=_with_metadata(toy, {"prov.job_id": named, "prov.task_id": "reco-1"})
    )

    record, _ = reconstruct(file, "toyexp")

    assert (record["job_id"], record["task"]) == (named, {"task_id": "reco-1"})


def test_lineage_joins_a_reconstructed_job_to_the_maker_of_its_parent(
    production: Production, toy: ArtFile
) -> None:
    record, _ = reconstruct(toy, "nova")
    production.record(a_record(1, outputs=[file_entry("toy_gen.root", 1)]), record)

    with production.database.reading.connect() as connection:
        shown = shown_job(connection, production.store, record["job_id"])
    assert [made["job_id"] for made in shown["inputs"][0]["producers"]] == [a_record(1)["job_id"]]
    assert shown["witnesses"][0]["witness"] == "import"


@pytest.mark.parametrize(
    ("missing", "words"),
    [(("art.process_name",), "which process"), (("start_time", "end_time"), "no start_time")],
)
def test_a_file_that_does_not_tell_enough_makes_no_record(
    toy: ArtFile, missing: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    # Its reading is replaced below
    from jobprov.provenance.services.configurations import art_files  # noqa: PLC0415

    metadata = {name: value for name, value in toy.stored.metadata.items() if name not in missing}
    stored = _with_metadata(toy, metadata, whole=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(art_files, "read_stored", lambda _: stored)
        file = read_art_file(tmp_path)

    with pytest.raises(BadInputError, match=words):
        reconstruct(file, "toyexp")


def _with_metadata(file: ArtFile, metadata: dict[str, Any], *, whole: bool = False) -> Any:
    import dataclasses  # noqa: PLC0415

    return dataclasses.replace(
        file.stored, metadata=metadata if whole else {**file.stored.metadata, **metadata}
    )
