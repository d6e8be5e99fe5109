"""Tasks and campaigns with names that a path, a comma or a shell reads otherwise.

Every link leads where it says.
"""

import re
import shlex
from html import unescape
from urllib.parse import quote

import msgspec
import pytest
from flask.testing import FlaskClient
from werkzeug.urls import iri_to_uri

from jobprov.app.commands.tasks.tasks import _task_lines, missing_command
from jobprov.provenance.answers.tasks.tasks import TaskProgress
from jobprov.provenance.client.transport import campaign_place
from tests.library.answers import put_job
from tests.library.records import a_record, job_id


def put(client: FlaskClient, number: int, **task: str) -> None:
    record = a_record(number, task={"campaign": "c", "stage": "s", "unit": "u", **task})
    put_job(client, record)


def link(client: FlaskClient, page: str, words: str) -> str:
    """Return where a link of a page leads, by its words."""
    text = client.get(page).get_data(as_text=True)
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{re.escape(words)}</a>', text)
    assert found, text[:3000]
    return unescape(found.group(1))


@pytest.mark.parametrize(
    "name",
    [
        ".",
        "a/../b",
        "a b/é?#%",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("..", "/lead", "a//b", "end/", "a/report", "a/lineage")
        ),
    ],
)
def test_pages_of_a_campaign_are_found_by_their_links_whatever_it_is_called(
    client: FlaskClient, name: str
) -> None:
    put(client, 1, task_id="t", campaign=name)
    home = link(client, "/", name)

    pages = [
        home,
        *(
            link(client, home, words)
            for words in ("Lineage of the campaign", "Report, to print or send")
        ),
    ]

    for address in pages:
        path = address.partition("?")[0]
        assert not re.search(r"/(\.|%2e){1,2}(/|$)|//", path, re.IGNORECASE), (
            "a browser would fold it"
        )
        answer = client.get(iri_to_uri(address))
        assert (
            answer.status_code,
            name.rsplit("/", maxsplit=1)[-1] in unescape(answer.get_data(as_text=True)),
        ) == (
            200,
            True,
        )


@pytest.mark.parametrize(
    "name",
    [
        ".",
        "a//b",
        "a b é?#%+",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("..", "/lead", "a/../b", "-")),
    ],
)
def test_a_campaign_is_answered_as_json_whatever_it_is_called(
    client: FlaskClient, name: str
) -> None:
    put(client, 1, task_id="t", campaign=name)
    place, named = campaign_place(name)
    asked = {"experiment": "nova", **named}
    home = link(client, "/", name)

    for view in ("", "/report", "/graph"):
        found = client.get(f"/api/v1/campaigns/{place}{view}", query_string=asked)
        assert found.status_code == 200, found.get_data(as_text=True)
        told = found.get_json()
        assert (told["campaign"]["campaign"] if view == "/report" else told["campaign"]) == name
    assert client.get(f"/api/v1/campaigns/{place}/bundle", query_string=asked).status_code in (
        200,
        409,
    )
    for page in (home, link(client, home, "Lineage of the campaign")):
        twin = client.get(iri_to_uri(link(client, iri_to_uri(page), "This page as JSON")))
        assert (twin.status_code, twin.get_json()["campaign"]) == (200, name)


def test_a_campaign_called_like_a_report_is_answered(client: FlaskClient) -> None:
    put(client, 1, task_id="t", campaign="a/report")

    assert (
        client.get("/api/v1/campaigns/a%2Freport?experiment=nova").get_json()["campaign"]
        == "a/report"
    )
    assert client.get("/api/v1/campaigns/b%2Freport?experiment=nova").status_code == 404


def test_a_task_with_a_comma_is_seen_in_the_large_and_several_still_are(
    client: FlaskClient,
) -> None:
    put(client, 1, task_id="a,b")
    put(client, 2, task_id="d")
    put(client, 3, task_id="e")

    alone = client.get(link(client, "/tasks/a,b?experiment=nova", "Lineage of the task, folded"))
    graph = "/api/v1/campaigns/c/graph?experiment=nova&task_id="

    assert "Only task a,b" in alone.get_data(as_text=True)
    assert sum(node["jobs"] for node in client.get(f"{graph}a,b").get_json()["nodes"]) == 1
    assert sum(node["jobs"] for node in client.get(f"{graph}d,e").get_json()["nodes"]) == 2


@pytest.mark.slow
def test_what_nobody_did_yet_is_not_offered_to_be_estimated(client: FlaskClient) -> None:
    assert (
        client.put(
            "/api/v1/tasks/t", json={"experiment": "nova", "campaign": "c", "units": 3}
        ).status_code
        == 201
    )
    pages = (
        "/tasks/t?experiment=nova",
        "/campaigns/nova/c",
        "/resources?experiment=nova&campaign=c",
    )

    assert all(
        "How long would it take again?" not in client.get(page).get_data(as_text=True)
        for page in pages
    )
    put(client, 1, task_id="t")
    assert all(
        "How long would it take again?" in client.get(page).get_data(as_text=True) for page in pages
    )


@pytest.mark.parametrize("task", ["a%b#c?d", "a b", "it's", "$(x)", "-n", "plain"])
def test_the_command_for_what_is_missing_is_one_that_a_shell_takes(task: str) -> None:
    assert shlex.split(missing_command(task, "nova"))[-1] == task


def test_whole_name_stands_below_the_heading_that_cuts_it(client: FlaskClient) -> None:
    name = "-".join(f"run{number:05}" for number in range(30)) + ".root"
    turned = "run-\u202etoor.x"
    outputs = [{"name": name}, {"name": turned}, {"name": "short.root"}]
    place = {"task_id": f"task-{name}", "campaign": f"campaign-{name}", "stage": "s", "unit": "u"}
    put_job(client, a_record(1, task=place, outputs=outputs))

    whole = {}
    for address in (
        f"/files/{name}",
        f"/files/{quote(turned)}",
        "/files/short.root",
        f"/tasks/task-{name}",
        f"/campaigns/nova/campaign-{name}",
    ):
        page = client.get(f"{address}?experiment=nova").text
        whole[address] = re.findall(r'Its whole name is <code class="command">(.*?)</code>', page)

    shown = [[name], ["run-\\u202etoor.x"], [], [f"task-{name}"], [f"campaign-{name}"]]
    assert list(whole.values()) == shown


LONG_TASK = "it's of $(whoami) " + "a-campaign-" * 8


def commands(page: str) -> list[list[str]]:
    """Return the commands of ours on a page, as a shell reads what somebody copies."""
    found = re.findall(r"<(?:code|pre)[^>]*>\s*(jobprov [^<]*)</", page)
    return [shlex.split(unescape(line)) for line in found]


@pytest.mark.parametrize("task", [LONG_TASK, "-n"])
def test_commands_on_the_pages_of_a_task_are_whole_and_quoted(
    client: FlaskClient, task: str
) -> None:
    outputs = [{"name": f"f{number}.root"} for number in range(101)]
    place = {"task_id": task, "campaign": "c", "stage": "s"}
    put_job(client, a_record(1, task={**place, "unit": "u"}, outputs=outputs))
    lost = [{"name": "lost.root"}]
    put_job(client, a_record(2, task={**place, "unit": "lost.root"}, inputs=lost))
    asked = {"experiment": "nova", "task_id": task}

    ready = commands(client.get(f"/tasks/{quote(task)}", query_string=asked).text)
    retry = commands(client.get("/retry", query_string=asked).text)

    end = ["--"] if task == "-n" else []
    assert ["jobprov", "ready", "--experiment", "nova", *end, task] in ready
    folder = ["--input-dir", "FOLDER"]
    assert ["jobprov", "retry", *folder, "--experiment", "nova", "--task", task] in retry
    assert ["jobprov", "retry-policy", "nova"] in retry


def test_commands_that_compare_name_both_sides_whole(client: FlaskClient) -> None:
    names = [f"it's {'long ' * 150}{number}" for number in (1, 2)]
    for number, name in enumerate(names, 1):
        put(client, number, task_id=f"t{number}", campaign=name)
    asked = {"experiment": "nova", "a": names[0], "b": names[1]}

    page = commands(client.get("/diff", query_string=asked).text)

    assert page == [["jobprov", "diff", "--campaigns", "--experiment", "nova", *names]]


def test_command_for_many_jobs_names_each_of_them(client: FlaskClient) -> None:
    for number in range(1, 26):
        put_job(client, a_record(number, state="failed", task={"task_id": "t", "unit": "u"}))
    jobs = [job_id(number) for number in range(1, 26)]

    page = client.get(
        "/retry", query_string={"experiment": "nova", "job": jobs, "format": "condor"}
    )

    shown = ["jobprov", "retry", "--experiment", "nova", *jobs, "--format", "condor", "-o", "retry"]
    assert shown in commands(page.text)


def test_the_address_that_the_command_prints_leads_to_the_task(client: FlaskClient) -> None:
    put(client, 1, task_id="a%b#c?d")
    body = client.get("/api/v1/tasks/a%25b%23c%3Fd").data
    task = msgspec.json.decode(body, type=TaskProgress)

    address = list(_task_lines(task, ""))[-1]

    assert address == "/tasks/a%25b%23c%3Fd?experiment=nova"
    assert client.get(address).status_code == 200
