"""What the pages say of a file and its history.

One thing in the same words on every page, and nothing of it on the wrong side.
"""

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from flask.testing import FlaskClient

from jobprov.app.factory import create_app
from jobprov.app.web.histories.relations import relation_sentence
from jobprov.provenance.answers.histories.relations import CommonAncestors, FilePaths
from jobprov.provenance.answers.names import FileVersion
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.recording.submissions import Submission
from tests.library.markup import tight
from tests.library.productions import toy_experiment as samples
from tests.library.servers.served_app import opened_service

NOW = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)


def file(name: str, checksum: int, **more: Any) -> dict[str, Any]:
    """Return an input or output."""
    return {"name": name, "checksums": [f"adler32:{checksum:08x}"], **more}


def job(
    number: int, stage: str, reads: list[Any], makes: list[Any], state: str = "succeeded"
) -> dict[str, Any]:
    """Return a record."""
    return {
        "schema_version": 1,
        "job_id": str(uuid.UUID(int=number)),
        "experiment": "nova",
        "state": state,
        "started_at": "2026-11-24T15:00:00Z",
        "ended_at": f"2026-11-24T15:00:{number:02}Z",
        "task": {"task_id": f"t-{stage}", "campaign": "c", "stage": stage},
        "batch": {"system": "htcondor", "id": f"81284.{number}@sched01"},
        "inputs": reads,
        "outputs": makes,
    }


RECORDS = (
    job(
        1,
        "reco",
        [file("raw", 1, role="primary"), file("geometry", 9, role="shared")],
        [file("reco", 2)],
    ),
    job(2, "caf", [file("other-raw", 3), file("reco", 99)], [file("caf", 4)]),
    job(3, "plot", [file("caf", 4, role="primary")], [file("broken", 5)], "failed"),
    job(4, "plot", [file("caf", 4, role="primary")], [], "killed"),
    job(5, "plot", [file("lonely", 6)], [], "failed"),
    job(6, "plot", [file("lonely", 6)], [], "failed"),
    job(7, "plot", [file("geometry", 9, role="shared")], [], "failed"),
)


@pytest.fixture(scope="module")
def told(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """Yield a client of a service with a raw file whose reco was read in another version.

    The service also has a caf that failed jobs read.
    """
    folder = tmp_path_factory.mktemp("words")
    submissions = [
        Submission(decode_record(json.dumps(record).encode()), NOW, "test") for record in RECORDS
    ]
    with opened_service(sqlite_template, folder) as service:
        service.record_many(submissions)
        yield create_app(service.settings, service=service).test_client()


def words(html: str) -> str:
    """Return HTML as its reader sees it."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def page(client: FlaskClient, address: str) -> str:
    """Return a page."""
    answer = client.get(address)
    assert answer.status_code == 200, address
    return tight(answer.text)


def lead(client: FlaskClient, address: str) -> str:
    """Return the first line of a page."""
    found = re.search(r'<p class="lead">(.*?)</p>', page(client, address), re.DOTALL)
    assert found is not None
    return words(found[1])


@pytest.mark.slow
def test_jobs_that_failed_after_a_file_are_not_blamed_on_what_made_it(told: FlaskClient) -> None:
    assert lead(told, "/lineage/caf") == "2 files and 1 job made this."
    assert lead(told, "/lineage/caf?direction=both") == (
        "2 files and 1 job made this. 1 file and 2 jobs came of it; 1 failed, 1 killed."
    )


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("/lineage/raw", "No recorded job made this file. What came of it"),
        (
            "/lineage/geometry?direction=ancestors",
            "No recorded job made this file. What came of it",
        ),
        (
            "/lineage/reco?direction=descendants",
            "Nothing is known that came of this file. What made it",
        ),
        (
            "/lineage/reco?direction=descendants&state=killed",
            "Nothing of this file's history passes these filters.",
        ),
        ("/lineage/lonely?direction=descendants", "2 jobs came of this; 2 failed."),
    ],
)
def test_history_of_a_file_alone_offers_the_other_side_where_there_is_one(
    told: FlaskClient, address: str, expected: str
) -> None:
    assert lead(told, address) == expected


@pytest.mark.parametrize(
    ("only", "listed"),
    [
        ("", ["raw", "geometry", "other-raw", "broken", "lonely"]),
        ("isolated", ["geometry", "broken", "lonely"]),
        ("unread", ["broken"]),
    ],
)
def test_orphans_say_who_used_them_and_are_listed_by_it(
    told: FlaskClient, only: str, listed: list[str]
) -> None:
    uses = {
        "raw": "files were made from it",
        "geometry": "read by 2 jobs, as shared input",
        "other-raw": "files were made from it",
        "broken": "no job read it",
        "lonely": "read by 2 jobs",
    }

    html = page(told, f"/orphans?only={only}")

    rows = [words(row) for row in re.findall(r"<tr><td>.*?</tr>", html)]
    assert {row.partition(" nova")[0] for row in rows} == set(listed)
    assert all(row.endswith(uses[row.partition(" nova")[0]]) for row in rows)
    these = "this file" if len(listed) == 1 else f"these {len(listed)} files"
    assert lead(told, f"/orphans?only={only}") == f"No recorded job made {these}."


def test_output_of_a_failed_job_is_the_same_thing_on_every_page(told: FlaskClient) -> None:
    writer = "81284.3@sched01"

    assert lead(told, "/files/broken").startswith(f"broken was written by job {writer} ")
    assert lead(told, "/files/broken").endswith(", which failed; it counts as not made.")
    assert "may have come from outside" not in page(told, "/files/broken")
    assert lead(told, "/lineage/broken") == (
        f"No recorded job made this file. It was written by job {writer}, which failed: "
        "it counts as not made."
    )
    assert "file of a failed job broken" in words(page(told, "/lineage/caf?direction=both"))
    assert f"job {writer} , which failed: counts as not made" in words(page(told, "/leaves/caf"))
    picture = told.get("/lineage/caf?direction=both&picture=map").json
    [box] = [box for box in picture["boxes"] if box["label"] == "broken"]
    assert (box["is_placeholder"], box["detail"]) == (True, "of a failed job")


def test_file_that_was_read_in_another_version_than_was_made_is_no_missing_record(
    told: FlaskClient,
) -> None:
    maker = f"/jobs/{uuid.UUID(int=1)}"

    picture = told.get("/lineage/caf?picture=map").json
    boxes = {box["label"]: box for box in picture["boxes"]}
    assert boxes["reco"]["detail"] == "another version than made"
    assert ["Known", "another version than job 81284.1@sched01 made", maker] in boxes["reco"][
        "facts"
    ]
    assert boxes["other-raw"]["detail"] == "only mentioned"
    assert (
        "another version than job 81284.1@sched01 made"
        in told.get("/api/v1/files/caf/lineage?format=text").text
    )
    assert "another version than made" in words(page(told, "/lineage/caf"))
    assert "another version than made" in words(page(told, "/files/reco"))
    assert "another version than made" not in words(page(told, "/files/caf"))
    [reader] = told.get("/api/v1/files/reco").json["consumers"]
    assert reader["is_linked"] is False
    assert f'another version by <a href="{maker}">' in page(told, "/roots/caf")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (1, ("Lineage of what it made", "reco", {"experiment": "nova"})),
        (3, ("Lineage of what it read", "caf", {"experiment": "nova", "direction": "both"})),
        (7, None),
    ],
)
def test_job_leads_to_the_lineage_that_it_is_in(
    told: FlaskClient, number: int, expected: Any
) -> None:
    """Without an output that counts, to that of what it read, in which its own box is chosen."""
    job_id = str(uuid.UUID(int=number))
    found = re.search(r'href="(/lineage/[^"]*)">([^<]*)</a>', page(told, f"/jobs/{job_id}"))
    if expected is None:
        assert found is None
        return
    assert found is not None
    address = urlsplit(unescape(found[1]))
    query = dict(parse_qsl(address.query))
    chosen = query.pop("at", None)

    assert (found[2], address.path.removeprefix("/lineage/"), query) == expected
    if chosen is not None:
        boxes = told.get(f"{unescape(found[1])}&picture=map").json["boxes"]
        assert [box["url"] for box in boxes if chosen in box["keys"]] == [f"/jobs/{job_id}"]


def listed(html: str) -> list[str]:
    """Return the names in the first column of a table."""
    return re.findall(r'<tr><td><a class="name[^"]*" href="[^"]*">([^<]*)</a>', html)


@pytest.mark.parametrize(
    ("query", "expected", "names"),
    [
        ("file=reco", "1 other file was made from it, by 1 job.", ["caf"]),
        (
            "file=reco&experiment=nova&direct=1",
            "1 other file was made from it directly, by 1 job.",
            ["caf"],
        ),
        ("reads=reco", "1 other file was made from it, by 1 job.", ["caf"]),
        ("file=lonely", "No other file was made from it; 2 jobs read it.", []),
        ("file=broken", "No recorded job read it.", []),
        ("file=reco&stage=caf", "1 job made 1 file.", ["caf"]),
    ],
)
def test_impact_of_a_file_is_what_came_of_it_without_itself(
    told: FlaskClient, query: str, expected: str, names: list[str]
) -> None:
    html = page(told, f"/impact?{query}")

    assert (lead(told, f"/impact?{query}"), listed(html)) == (expected, names)
    named = (
        f'<h1>Impact of <span class="name">{query.partition("&")[0].partition("=")[2]}</span></h1>'
    )
    assert (named in html) == (re.search(r"\bit\b", expected) is not None)
    twin = re.search(r'href="(/api/v1/lineage/impact\?[^"]*)"', html)
    assert twin is not None
    rows = tight(told.get(unescape(twin[1])).text)
    assert all(name in rows for name in names)
    assert '"name":"reco"' not in rows


def test_ends_of_a_file_alone_are_a_sentence_and_no_list_of_itself(told: FlaskClient) -> None:
    assert lead(told, "/leaves/lonely") == "No file was made from it. 2 jobs read it; both failed."
    assert (
        lead(told, "/leaves/geometry")
        == "No file was made from it. 2 jobs read it, as shared input; 1 failed."
    )
    assert lead(told, "/leaves/broken") == "Nothing was made from it."
    assert lead(told, "/roots/raw") == "It was not made from any other file, as far as is recorded."
    for address in ("/leaves/lonely", "/leaves/broken", "/roots/raw"):
        assert "<table>" not in page(told, address)
    assert "<table>" in page(told, "/leaves/caf")


@pytest.mark.parametrize(
    ("count", "hub_count", "words"),
    [
        (0, 0, "They have nothing in common."),
        (
            0,
            1,
            "Neither was made from the other; all that they share is 1 file that many jobs read.",
        ),
        (
            2,
            1,
            (
                "Neither was made from the other; both were made from 2 files, "
                "not counting 1 file that many jobs read."
            ),
        ),
    ],
)
def test_files_that_share_only_what_many_jobs_read_have_that_in_common(
    count: int, hub_count: int, words: str
) -> None:
    file = FileVersion("a", "", "nova", "/files/a", 1, 1)
    no_paths = FilePaths(file, file, None, [], is_truncated=False)
    common = CommonAncestors(file, file, count, [], hub_count, [], is_truncated=False, next=None)

    assert relation_sentence(no_paths, common) == words


def test_impact_tells_what_came_of_a_file_directly_from_the_rest(pages: FlaskClient) -> None:
    html = tight(pages.get(f"/impact?experiment=toyexp&reads={samples.FIRST_GEN}").text)

    ways = {row: words(row).split()[-1] for row in re.findall(r"<tr><td>.*?</tr>", html)}
    direct = {words(row).split()[0] for row, way in ways.items() if way == "directly"}
    assert set(ways.values()) == {"directly", "indirectly"}
    assert all("_reco_" in name for name in direct)
