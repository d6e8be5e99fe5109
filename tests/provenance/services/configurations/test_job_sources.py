"""Jobs are found by the files that art was given on their command lines: `source.fileNames` as run."""

from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.answers.configurations import RunAnswer
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.services.configurations.configuration import (
    read_configurations,
    run_answer,
)
from jobprov.provenance.services.histories.impact import find_impact
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from tests.library.production import Production
from tests.library.productions.configured_jobs import configured, found, paged
from tests.library.records import job_id

TEXT = b"""source: { module_type: RootInput fileNames: ["written.root"] }
physics: { producers: { gen: { module_type: Gen } } p: [gen] }
"""
TUNE = "GENIE_XSEC_TUNE"
RELEASE = [{"name": "art", "product": {"manager": "ups", "version": "v3_14_04"}}]


def job(production: Production, number: int, *words: str, **more: Any) -> dict[str, Any]:
    """Return the record of a job of art with these words on its command line."""
    argv = ["art", "-c", "job.fcl", *words]
    command = {"argv": argv, "steps": [{"name": "art", "argv": argv}]}
    return {**configured(production, number, TEXT), "command": command, "software": RELEASE, **more}


def recorded(production: Production) -> None:
    production.record(
        job(production, 1, "-s", "/data/r1/a.root", "/data/r1/b.root"),
        job(production, 2, "-s", "/data/r2/a.root"),
        job(production, 3),
        job(production, 4, "/data/r1/a.root"),
    )
    production.work()


@pytest.mark.parametrize(
    ("key", "value", "numbers"),
    [
        ("source.fileNames[*]", "/data/r1/a.root", [1, 4]),
        ("source.fileNames[*]", "~*/a.root", [1, 2, 4]),
        ("source.fileNames[1]", None, [1]),
        ("source.fileNames[0]", "!=/data/r1/a.root", [2, 3]),
        ("source.fileNames", '["/data/r2/a.root"]', [2]),
        ("source.fileNames", '["/data/r1/a.root", "/data/r1/b.root"]', [1]),
        ("source.fileNames", None, [1, 2, 3, 4]),
        ("*", "~/data/r2/*", [2]),
        ("source.*", "written.root", [3]),
        ("source.fileNames[*]", ">5", []),
        ("source.fileNames[*]", "5", []),
        ("source.fileNames[2]", None, []),
    ],
)
def test_jobs_are_found_by_the_files_of_their_command_lines(
    production: Production, key: str, value: str | None, numbers: list[int]
) -> None:
    recorded(production)

    assert found(production, parameter=key, value=value) == numbers


def test_lists_say_which_file_matched(production: Production) -> None:
    recorded(production)
    filters = JobFilters(parameter="source.fileNames[*]", value="~*/r1/*")

    with production.database.reading.connect() as connection:
        matched = list_jobs(connection, filters).matched

    values = [(found.key, found.value) for found in matched[job_id(1)]]
    assert values == [
        ("source.fileNames[0]", '"/data/r1/a.root"'),
        ("source.fileNames[1]", '"/data/r1/b.root"'),
    ]


@pytest.mark.slow
def test_jobs_of_the_file_and_of_command_lines_come_in_one_order(production: Production) -> None:
    for number in range(1, 12):
        words = ["-s", f"/data/{number}.root"] if number % 2 else []
        production.record(job(production, number, *words))
    production.work()

    assert paged(production, parameter="source.fileNames[0]") == list(range(11, 0, -1))
    odd = paged(production, parameter="source.fileNames[0]", value="~/data/*")
    assert odd == [11, 9, 7, 5, 3, 1]


def test_a_file_and_a_variable_are_asked_for_at_once(production: Production) -> None:
    for number, tune in ((1, "one"), (2, "two"), (3, None)):
        variables = {"HOME": "/", **({TUNE: tune} if tune else {})}
        tuned = job(production, number, "-s", "/data/a.root", environment={"variables": variables})
        production.record(tuned)
    production.work()
    asked = {"parameter": "source.fileNames[*]", "value": "~/data/*", "variable": f"{TUNE}=one"}

    assert found(production, **asked) == [1]
    assert found(production, **{**asked, "variable": f"{TUNE}=three"}) == []
    assert found(production, **asked, state="failed") == []
    with production.database.reading.connect() as connection:
        assert find_impact(connection, JobFilters(**asked)).jobs == 1


def test_files_of_a_list_are_those_that_the_record_has_of_it(production: Production) -> None:
    read = [
        {"name": "a.root", "path": "/data/a.root", "role": "primary", "step": "art"},
        {"name": "b.root", "location": "root://host//b.root", "role": "primary", "step": "art"},
        {"name": "x.xml", "path": "/data/x.xml", "role": "configuration", "step": "art"},
        {"name": "c.root", "path": "/data/c.root", "role": "primary", "step": "other"},
    ]
    production.record(job(production, 1, "-S", "files.txt", inputs=read))
    production.work()

    assert found(production, parameter="source.fileNames", value='["/data/a.root", "root://host//b.root"]') == [1]  # fmt: skip
    assert found(production, parameter="source.fileNames[*]", value="~*x.xml") == []


def test_a_record_that_comes_again_has_its_last_files(production: Production) -> None:
    production.record({**job(production, 1, "-s", "old.root"), "state": "running"})
    production.record(job(production, 1, "-s", "new.root"))
    production.work()

    assert found(production, parameter="source.fileNames[0]", value="old.root") == []
    assert found(production, parameter="source.fileNames[0]", value="new.root") == [1]


def test_many_and_odd_names_are_kept_within_bounds(production: Production) -> None:
    long, odd = "/" + "x" * 5000 + ".root", "na\u00efve\n.root"
    names = [f"/data/{number}.root" for number in range(300)]
    production.record(
        job(production, 1, "-s", long),
        job(production, 2, "-s", odd),
        job(production, 3, "-s", *names),
    )
    production.work()
    key = "source.fileNames[*]"

    assert found(production, parameter=key, value=long) == [1]
    assert found(production, parameter=key, value="~na*") == [2]
    assert found(production, parameter=key, value="/data/199.root") == [3]
    assert found(production, parameter=key, value="/data/200.root") == []


def test_a_rebuilt_database_finds_the_same_jobs(production: Production, tmp_path: Path) -> None:
    recorded(production)
    seal_all(production.database, production.writer, production.store)
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"

    rebuild_database(production.store, url)

    rebuilt = open_database(url)
    filters = JobFilters(parameter="source.fileNames[*]", value="~*/r1/*")
    with rebuilt.reading.connect() as connection:
        jobs = list_jobs(connection, filters).jobs
    rebuilt.dispose()
    assert [job.job_id for job in jobs] == [job_id(4), job_id(1)]


def ran_as(production: Production, number: int) -> RunAnswer:
    with production.database.reading.connect() as connection:
        [read] = read_configurations(connection, production.store, job_id(number))
    return run_answer(read)


def test_a_job_with_a_list_of_files_has_the_id_of_one_with_their_names(
    production: Production,
) -> None:
    names = ["/data/a.root", "root://host//b.root"]
    text = f"# files\n{names[0]}\n\n{names[1]}# the last\n".encode()
    digest = production.upload(text)
    listed = {
        "name": "files.txt",
        "path": "in/files.txt",
        "role": "configuration",
        "sha256": digest,
    }
    production.record(
        job(production, 1, "-s", *names),
        job(production, 2, "-S", "./in/files.txt", inputs=[{**listed, "evidence": "seen"}]),
        job(production, 3, "-S", "files.txt"),
        job(production, 4, "-S", "in/files.txt", inputs=[{**listed, "sha256": "0" * 64}]),
    )
    production.work()

    assert ran_as(production, 2) == ran_as(production, 1)
    assert ran_as(production, 1).evidence == "computed"
    for number in (3, 4):
        assert "does not hold the source list" in (ran_as(production, number).not_known or "")
