"""The reader against the reference implementation's answers.

Needs the shared data, and says so where it is absent.
"""

import csv
import re
from pathlib import Path

import pytest

from jobprov.provenance import fhicl
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.fhicl.conformance import Score, score

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scores(shared_data: Path) -> dict[str, Score]:
    return {each.name: each for each in score(shared_data / "fhicl")}


@pytest.fixture(scope="module")
def art_jobs(shared_data: Path) -> Path:
    return shared_data / "art-jobs"


def _load_of_job(art_jobs: Path, job: str, file: str) -> fhicl.Configuration:
    release = art_jobs / "00-release"
    return fhicl.load(
        art_jobs / job / file, [art_jobs / job, release / "toyexp", release / "toycore"]
    )


@pytest.mark.parametrize(("name", "least_cases"), [("probes", 290), ("corpus", 1700)])
def test_every_case_agrees_with_the_reference(
    scores: dict[str, Score], name: str, least_cases: int
) -> None:
    result = scores[name]

    assert result.mismatches == [], "\n".join(result.lines())
    assert result.good == result.total >= least_cases


def test_only_the_case_whose_absolute_name_was_cut_cannot_be_judged(
    scores: dict[str, Score], tmp_path: Path
) -> None:
    (tmp_path / "inc_a.fcl").write_text("ia: 1\n")
    (tmp_path / "i_abs.fcl").write_text(f'#include "{tmp_path}/inc_a.fcl"\n')

    with pytest.raises(fhicl.FhiclError) as caught:
        fhicl.load(tmp_path / "i_abs.fcl", [tmp_path])

    assert scores["probes"].contradictory == ["i_abs.fcl"]
    assert caught.value.kind == "include_not_found"


def test_configurations_of_real_art_jobs_have_the_ids_that_art_gave_them(art_jobs: Path) -> None:
    with (art_jobs / "ids.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))

    found = {}
    for row in rows:
        try:
            found[row["job"], row["file"]] = _load_of_job(
                art_jobs, row["job"], row["file"]
            ).parameter_set_id
        except fhicl.FhiclError as error:
            found[row["job"], row["file"]] = error.kind

    assert found == {
        (row["job"], row["file"]): row["parameter_set_id"] if row["class"] == "ok" else row["class"]
        for row in rows
    }


def test_annotated_places_are_those_that_art_printed(art_jobs: Path) -> None:
    job = "01-ok-1000-events"

    def places(text: str) -> dict[str, str]:
        return {
            key: re.sub(r".*/", "", place)
            for key, place in re.findall(r"#KEY\|(.*)\|\n#SRC\|(.*)\|", text)
        }

    art = places((art_jobs / job / "config-prefix-annotate.fcl").read_text())

    ours = places(_load_of_job(art_jobs, job, "job.fcl").to_prefix_annotated_string())

    common = {key for key in art if art[key] and key in ours}
    assert len(common) > 80
    assert {key: ours[key] for key in common} == {key: art[key] for key in common}


def test_a_folder_without_cases_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=re.escape(str(tmp_path))):
        score(tmp_path)


def test_disagreements_are_counted_and_spelled_out(tmp_path: Path) -> None:
    (tmp_path / "probes.jsonl").write_text(
        '{"file": "a.fcl", "source_latin1": "a: 1\\n", "ok": true, "class": "ok", "id": "0", '
        '"to_string": "a:1"}\n'
        '{"file": "b.fcl", "source_latin1": "b: [\\n", "ok": true, "class": "ok"}\n'
        '{"file": "c.fcl", "source_latin1": "c: 1\\n", "ok": false, "class": "syntax"}\n'
        '{"file": "d.fcl", "source_latin1": "d: 1\\n", "ok": true, "class": "ok", "to_string": '
        '"d:1"}\n'
    )

    (result,) = score(tmp_path)

    assert (result.good, result.total) == (1, 4)
    assert [(each.case, each.what) for each in result.mismatches] == [
        ("a.fcl", "id"),
        ("b.fcl", "acceptance"),
        ("c.fcl", "acceptance"),
    ]
    assert result.lines()[0].startswith("probes: 1 of 4 agree")
