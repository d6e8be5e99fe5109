"""The page of a file whose name two campaigns used, and of a job that evidence overruled."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, insert, select

from jobprov.app.commands.lookup.file import file_text
from jobprov.app.commands.lookup.job import job_text
from jobprov.provenance.answers.lookup.files import FileAnswer
from jobprov.provenance.answers.lookup.jobs import JobAnswer
from jobprov.provenance.db.changes.catalogs import CatalogFileDraft, add_unarrived, put_outputs
from jobprov.provenance.db.recording.output_counts import count_outputs_of_makers
from jobprov.provenance.db.tables import CatalogFileRow, Claim, File, Job, TaskRow
from jobprov.provenance.records.files.presence import Presence
from tests.library.markup import tight
from tests.library.records import a_record, job_id
from tests.library.servers.served_app import AppOn, opened_service

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def pages(app_on: AppOn, sqlite_template: Path, tmp_path: Path) -> Iterator[FlaskClient]:
    with opened_service(sqlite_template, tmp_path) as service:
        yield app_on(service).test_client()


def record(pages: FlaskClient, number: int, campaign: str, **fields: Any) -> None:
    task = {"task_id": campaign, "campaign": campaign}
    put = pages.put(f"/api/v1/jobs/{job_id(number)}", json=a_record(number, task=task, **fields))
    assert put.status_code == 201, put.text


def lead(page: str) -> str:
    """Return the first line of a page, without markup."""
    found = re.search(r'<p class="lead">(.*?)</p>', page, re.DOTALL)
    assert found is not None
    return " ".join(re.sub(r"<[^>]+>", "", found[1]).split())


def test_page_is_about_one_campaign_and_leads_to_the_other(pages: FlaskClient) -> None:
    out = {"name": "same.root"}
    record(pages, 1, "spring", inputs=[], outputs=[out])
    record(pages, 2, "autumn", inputs=[], outputs=[out])
    record(pages, 3, "spring", inputs=[out], outputs=[{"name": "plot.root"}])

    newest = pages.get("/files/same.root?experiment=nova").text
    older = pages.get("/files/same.root?experiment=nova&version=1").text

    assert "2 campaigns wrote files of this name" in newest
    assert "version=1" in newest, "it leads to the version of spring"
    assert "plot.root" not in newest
    assert "plot.root" in older
    assert pages.get("/files/same.root?experiment=nova&version=3").status_code == 422


def test_page_of_a_file_names_the_release_among_the_products(pages: FlaskClient) -> None:
    software = []
    for name in ("art", "larsoft", "sbndcode"):
        product = {"manager": "ups", "version": "v1_02_03", "qualifiers": "e26:prof"}
        software.append({"name": name, "product": product})
    record(pages, 1, "spring", inputs=[], outputs=[{"name": "a.root"}], software=software)

    said = lead(pages.get("/files/a.root?experiment=nova").text)
    job = pages.get(f"/jobs/{job_id(1)}").text

    assert "with sbndcode v1_02_03 (e26:prof)" in said
    assert job.index("<b>sbndcode</b>") < job.index("<b>larsoft</b>") < job.index("<b>art</b>")


@pytest.mark.parametrize(
    ("sums", "notes"),
    [
        (("adler32:000000a1", "adler32:000000b2"), 1),
        (("adler32:000000a1", "md5:d41d8cd98f00b204e9800998ecf8427e"), 0),  # may be the same
    ],
)
def test_file_and_command_tell_the_contents_that_jobs_read(
    pages: FlaskClient, sums: tuple[str, str], notes: int
) -> None:
    for number, checksum in enumerate(sums, 1):
        record(pages, number, "spring", inputs=[{"name": "calib.db", "checksums": [checksum]}])

    page = tight(pages.get("/files/calib.db").text)
    answer = pages.get("/api/v1/files/calib.db").data
    command = file_text(msgspec.json.decode(answer, type=FileAnswer), None, "http://x")

    assert page.count("were not all the same") == notes
    for number, checksum in enumerate(sums, 1):
        assert f"read as    {checksum}: 1 job" in command
        [url] = re.findall(rf'href="(/jobs\?file=calib\.db[^"]*{quote(checksum, safe="")})"', page)
        readers = pages.get(unescape(url)).text
        assert job_id(number) in readers
        assert job_id(3 - number) not in readers


def test_page_of_a_job_says_which_evidence_decided(pages: FlaskClient) -> None:
    evidence = {"evidence": "output-not-there", "text": "out.root was not written"}
    end = {"code": 0, "decided_by": evidence}
    record(pages, 1, "c", state="failed", exit=end)
    record(pages, 1, "c", witness="history", exit={"code": 0})

    page = tight(pages.get(f"/jobs/{job_id(1)}").text)

    assert "exit code 0, decided by an output that is not there" in lead(page)
    assert "out.root was not written" in page
    assert "explained: decided by an output that is not there" in page


def test_page_of_a_job_says_that_it_succeeded_without_output(pages: FlaskClient) -> None:
    record(pages, 1, "c", outputs=[{"name": "a.root", "size_bytes": 0}])
    record(pages, 2, "c", outputs=[{"name": "a.root", "size_bytes": 9}])

    assert "without output" in lead(pages.get(f"/jobs/{job_id(1)}").text)
    assert "without output" not in lead(pages.get(f"/jobs/{job_id(2)}").text)


def test_job_and_file_say_that_the_catalog_retired_what_was_made(
    app_on: AppOn, sqlite_template: Path, tmp_path: Path
) -> None:
    with opened_service(sqlite_template, tmp_path) as service:
        pages = app_on(service).test_client()
        record(pages, 1, "c", outputs=[{"name": "a.root", "size_bytes": 9}, {"name": "b.root"}])
        record(pages, 2, "c", outputs=[{"name": "kept.root", "size_bytes": 9}])
        service.write(lambda writing: retire(writing.connection, "c", ["a.root", "b.root"]))

        job = pages.get(f"/jobs/{job_id(1)}").text
        kept = pages.get(f"/jobs/{job_id(2)}").text
        file = pages.get("/files/a.root?experiment=nova").text
        answer = service_answer(pages, 1)

    retired = ", but a.root and 1 more were retired in the catalog; grade"
    assert retired in lead(job)
    assert job.count('<span class="tag">retired</span>') == 2
    assert "retired" not in kept
    assert "The catalog has retired this file" in tight(file)
    assert job_text(answer, "http://x").startswith(
        "Succeeded after 1 s, but a.root and 1 more were retired in the catalog."
    )
    assert "wrote      a.root (9 B, retired in the catalog)" in job_text(answer, "")


def test_file_says_that_it_never_arrived_and_leads_to_the_comparison(
    app_on: AppOn, sqlite_template: Path, tmp_path: Path
) -> None:
    with opened_service(sqlite_template, tmp_path) as service:
        pages = app_on(service).test_client()
        record(pages, 1, "c", outputs=[{"name": "a.root"}, {"name": "b.root"}])
        service.write(lambda writing: lose(writing.connection, "a.root"))

        lost = tight(pages.get("/files/a.root?experiment=nova").text)
        other = pages.get("/files/b.root?experiment=nova").text
        file = msgspec.convert(pages.get("/api/v1/files/a.root").get_json(), FileAnswer)
        job = service_answer(pages, 1)

    assert "it never arrived in the catalog" in lost
    assert 'href="/catalog?experiment=nova&amp;task_id=c"' in lost
    assert "never arrived" not in other
    assert "catalog    never got it" in file_text(file, job, "")
    assert "a.root (never arrived in the catalog)" in job_text(job, "")


def lose(connection: Connection, name: str) -> None:
    """Have a sync judge that a file never arrived."""
    query = select(Job.task_id, Claim.job_id, Claim.file_id).select_from(Claim)
    query = query.join(Job, Job.id == Claim.job_id).join(File, File.id == Claim.file_id)
    task, job, file = connection.execute(query.where(File.name == name)).one()
    add_unarrived(connection, task, [(job, file)])


def retire(connection: Connection, task_id: str, names: list[str]) -> None:
    """Have the catalog retire outputs of a task from which nothing was made."""
    task = connection.execute(select(TaskRow).where(TaskRow.task_id == task_id)).one()
    for key, name in enumerate(names, start=1):
        file = CatalogFileDraft(name, "", task.experiment_id, None, "", None, None, None, NOW)
        connection.execute(insert(CatalogFileRow).values(id=key, **file._asdict()))
        put_outputs(connection, task.id, {("", key): Presence.GONE})
    count_outputs_of_makers(connection, task.id, list(range(1, len(names) + 1)))


def service_answer(pages: FlaskClient, number: int) -> JobAnswer:
    """Return what the Python client gets of a job."""
    return msgspec.json.decode(pages.get(f"/api/v1/jobs/{job_id(number)}").data, type=JobAnswer)
