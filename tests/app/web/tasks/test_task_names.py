"""Tasks with names that an address mangles: records take them, so each has a page and its links."""

import html
import re

import pytest
from flask.testing import FlaskClient

from jobprov.provenance.answers.addresses import task_page, with_query
from tests.library.answers import put_job
from tests.library.records import a_record

NAMES = (".", "..", " lead", "trail ")


def links_of_task(client: FlaskClient, task_id: str) -> list[str]:
    """Return where the page of the task leads with its name in the query."""
    page = client.get(task_page(task_id, "nova"))
    assert page.status_code == 200
    links = [html.unescape(link) for link in re.findall(r'href="(/[^"]*)"', page.text)]
    return sorted({link for link in links if "task_id=" in link and "/api/" not in link})


@pytest.mark.parametrize("task_id", NAMES)
def test_page_of_a_task_is_no_path_that_browsers_change(client: FlaskClient, task_id: str) -> None:
    put_job(client, a_record(1, task={"task_id": task_id, "stage": "gen", "unit": "u1"}))

    path = task_page(task_id, "nova").partition("?")[0]

    assert path.rpartition("/")[2] not in (".", "..", "")
    assert client.get(task_page(task_id, "nova")).status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("task_id", NAMES)
def test_links_of_its_page_find_its_job(client: FlaskClient, task_id: str) -> None:
    put_job(client, a_record(1, task={"task_id": task_id, "stage": "gen", "unit": "u1"}))

    links = links_of_task(client, task_id)

    assert len(links) >= 4
    assert [link for link in links if client.get(link).status_code != 200] == []


@pytest.mark.parametrize("task_id", [".", "é+%"])
def test_pages_of_a_task_called_so_lead_to_their_json(client: FlaskClient, task_id: str) -> None:
    put_job(client, a_record(1, task={"task_id": task_id, "stage": "gen", "unit": "u1"}))
    asked = {"experiment": "nova", "task_id": task_id}
    pages = [task_page(task_id, "nova")]
    pages += [with_query(path, asked) for path in ("/timeline", "/queue", "/catalog")]

    for page in pages:
        found = re.search(r'href="(/[^"]*)">This page as JSON', client.get(page).text)
        assert found, page
        twin = client.get(html.unescape(found.group(1)))
        assert twin.status_code == 200, twin.text
        assert "/." not in found.group(1).partition("?")[0]


def test_spaces_around_a_pasted_task_do_not_count(client: FlaskClient) -> None:
    put_job(client, a_record(1, task={"task_id": "t1", "unit": "u1"}))

    page = client.get("/jobs?experiment=nova&task_id=+t1+")

    assert page.status_code == 200
    assert "No job" not in page.text
