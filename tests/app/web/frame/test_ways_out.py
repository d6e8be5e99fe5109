"""What a page says where names are wrong or lists are cut, and the links that lead on."""

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.factory import create_app
from jobprov.archive.errors import BlobMissingError
from tests.library.answers import lead, put_job
from tests.library.markup import tight
from tests.library.productions import toy_experiment as samples
from tests.library.records import a_record
from tests.library.servers.served_app import opened_service

EXPERIMENTS = [f"exp{number}" for number in range(8)]
READERS = 102


@pytest.fixture(scope="module")
def wide(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """Yield a client of a service with eight experiments, and a ninth with a much-read file.

    102 jobs read that file.
    """
    folder = tmp_path_factory.mktemp("ways-out")
    with opened_service(sqlite_template, folder) as service:
        client = create_app(service.settings, service=service).test_client()
        task = {"task_id": "t1", "campaign": "c", "stage": "reco"}
        jobs = [
            a_record(number, task=task, inputs=[{"name": "calib, v0.root"}])
            for number in range(READERS)
        ]
        jobs += [
            a_record(1000 + place, experiment=name, task={"campaign": "c"})
            for place, name in enumerate(EXPERIMENTS)
        ]
        for job in jobs:
            put_job(client, job)
        yield client


def links(text: str) -> dict[str, str]:
    """Return the links of a page by what they say; the last of those that say the same."""
    found = re.findall(r'<a [^>]*?href="([^"]*)"[^>]*>(.*?)</a>', text, re.DOTALL)
    return {unescape(re.sub(r"<[^>]+>", "", words)).strip(): unescape(url) for url, words in found}


@pytest.mark.parametrize(
    ("address", "given", "way"),
    [
        ("/jobs?experiment=toyexp&state=asleep", "asleep", "/jobs?experiment=toyexp"),
        ("/jobs?started_after=yesterday", "yesterday", "/jobs"),
        ("/errors?by=colour&sort=newest", "colour", "/errors?sort=newest"),
        (f"/lineage/{samples.MERGED}?depth=deep", "deep", f"/lineage/{samples.MERGED}"),
    ],
)
def test_page_of_a_filter_that_cannot_be_read_leads_to_the_page_without_it(
    pages: FlaskClient, address: str, given: str, way: str
) -> None:
    text = pages.get(address).text

    words = re.sub(r"<[^>]+>", " ", text.partition("<main")[2].partition("</main>")[0])
    assert words.count(given) == 1, "told once"
    assert links(text)["This page without the parts that cannot be read"] == way
    assert pages.get(way).status_code in (200, 300)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("/errors?by=colour", "one of stage, site"),
        ("/jobs?limit=1&limit=2", "given more than once"),
        ("/timeline?task_id=t&by=colour", "Must be one of: job"),
    ],
)
def test_page_says_once_what_is_wrong_and_what_the_address_has(
    pages: FlaskClient, address: str, told: str
) -> None:
    text = tight(pages.get(address).text)

    assert text.count(told) == 1
    given = "1, 2" if "limit" in address else "colour"
    assert f"the address has <code>{given}</code>" in text


def test_file_that_must_be_there_is_taken_as_lost_by_its_full_name(pages: FlaskClient) -> None:
    plan = f"/rebuild/{samples.MERGED}?experiment=toyexp"
    least, scratch = tight(pages.get(plan).text), tight(pages.get(f"{plan}&from_scratch=1").text)
    way = links(least)["lost too?"]

    assert 'aria-current="true">Only this file is lost<' in least
    assert 'aria-current="true">Everything is lost<' in scratch
    assert "lost=toyexp%2F%3A" in way
    answer = pages.get(way)
    assert answer.status_code == 200
    assert "Also taken as lost: " in tight(answer.text)
    besides = tight(answer.text).partition("Also taken as lost: ")[2].partition("</p>")[0]
    assert re.sub("<[^>]+>", "", besides).startswith("toyexp_demo-2026_0001_reco_")


@pytest.mark.slow
def test_first_page_leads_to_every_experiment(wide: FlaskClient) -> None:
    text = wide.get("/").text

    assert "3 more experiments</summary>" in text
    assert all(f'<a href="/samples/{name}">' in text for name in [*EXPERIMENTS, "nova"])


@pytest.mark.slow
def test_search_that_shows_ten_of_a_kind_counts_and_leads_to_the_others(wide: FlaskClient) -> None:
    text = wide.get("/search?q=0f8b0000").text
    (way,) = [way for words, way in links(text).items() if words.endswith(" jobs")]

    assert text.count('<a class="name" href="/jobs/') == 10
    assert wide.get(way).text.count('<a class="name" href="/jobs/') > 10
    assert lead(wide, "/search?q=ALIB").startswith("1 name contains ")
    assert "The first" not in wide.get("/search?q=calib").text


@pytest.mark.slow
def test_page_of_a_hub_leads_to_all_jobs_that_read_it(wide: FlaskClient) -> None:
    text = wide.get("/files/calib%2C%20v0.root").text
    way = links(text)[f"All {READERS} of them"]

    assert links(text)["t1"] == "/tasks/t1"
    assert lead(wide, way) == (
        f"{READERS} jobs with reads calib, v0.root, file experiment nova, no namespace; "
        "the 50 newest are shown."
    )


def test_page_of_a_log_whose_bytes_the_archive_lost_says_so_and_leads_to_the_job(
    pages_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = "a" * 64
    monkeypatch.setattr("jobprov.app.web.lookup.logs.read_job", lambda *_, **__: None)
    monkeypatch.setattr("jobprov.app.web.lookup.logs.read_log", raises(BlobMissingError(digest)))

    answer = pages_app.test_client().get("/jobs/some-id/logs/reco.out")

    assert answer.status_code == 404
    assert "Its bytes are no longer in the archive." in answer.text
    assert "jobprov archive check" in answer.text
    assert digest in answer.text
    assert links(answer.text)["The job's page"] == "/jobs/some-id"
    assert "Search knows" not in answer.text


def test_page_of_a_file_that_was_not_known_then_leads_to_what_is_known_now(
    pages: FlaskClient,
) -> None:
    text = pages.get(f"/lineage/{samples.MERGED}?depth=2&as_of=2020-01-01").text

    assert links(text)["As it is known now"] == f"/lineage/{samples.MERGED}?depth=2"
    assert "Search knows" not in text


def raises(error: Exception) -> Callable[..., None]:
    """Return a function that fails."""

    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    return fail
