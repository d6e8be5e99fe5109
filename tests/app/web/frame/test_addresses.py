"""Paths of pages lead to the page that they name, whatever characters a name has."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from flask.testing import FlaskClient

from jobprov.provenance.answers import addresses
from tests.library.productions import toy_experiment as samples

NAMES = ("plain.root", "a+b 100%.root", "in/a/folder.root", "ü?x=1#part.root")
JOB = samples.job_id("reco-4")
_ARGUMENT = re.compile(r"<(?:path:)?\w+>")
_NUMBER_ARGUMENT = re.compile(r"<int:\w+>")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("path_of", "endpoint", "argument"),
    [
        (addresses.file_page, "file", "name"),
        (lambda name: addresses.history_page("lineage", name), "lineage", "name"),
        (lambda name: addresses.history_page("roots", name), "roots", "name"),
        (lambda name: addresses.history_page("leaves", name), "leaves", "name"),
        (lambda name: addresses.history_page("cost", name), "cost", "name"),
        (lambda name: addresses.history_page("rebuild", name), "rebuild", "name"),
        (lambda name: addresses.lineage_of(addresses.file_page(name)), "lineage", "name"),
        (lambda name: addresses.log_page(JOB, name), "log", "name"),
        (lambda name: addresses.configuration_page(JOB, name), "configuration", "step"),
        (addresses.task_page, "task", "task_id"),
        (lambda name: addresses.campaign_page(name, "toyexp"), "campaign", "name"),
        (lambda name: addresses.campaign_lineage_page(name, "toyexp"), "campaign_lineage", "name"),
        (lambda name: addresses.report_page(name, "toyexp"), "report", "name"),
    ],
)
def test_path_of_a_name_leads_to_its_page(
    pages: FlaskClient,
    path_of: Callable[[str], str],
    endpoint: str,
    argument: str,
    name: str,
) -> None:
    with pages.application.test_request_context(path_of(name)) as context:
        assert context.request.endpoint == f"pages.{endpoint}"
        assert context.request.view_args == {**(context.request.view_args or {}), argument: name}


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        (addresses.job_page(JOB), "job"),
        (addresses.difference_page(JOB, JOB, experiment="toyexp"), "diff"),
        (addresses.jobs_list(experiment="toyexp"), "jobs"),
        (addresses.recipe_page("0" * 64), "recipe"),
        (addresses.workflow_page("reco", "toyexp"), "workflow"),
    ],
)
def test_path_leads_to_its_page(pages: FlaskClient, path: str, endpoint: str) -> None:
    with pages.application.test_request_context(path) as context:
        assert context.request.endpoint == f"pages.{endpoint}"


def test_empty_namespace_stays_in_the_query_of_a_file() -> None:
    """It tells a file without a namespace from its namesakes."""
    query = urlsplit(addresses.file_page("a.root", "nova", "")).query

    assert parse_qs(query, keep_blank_values=True) == {"experiment": ["nova"], "namespace": [""]}


def test_filters_without_a_value_are_not_in_the_query() -> None:
    assert addresses.jobs_list(experiment="nova", stage=None, state="") == "/jobs?experiment=nova"


def test_name_of_a_campaign_that_no_path_can_hold_is_in_the_query() -> None:
    path = addresses.campaign_lineage_page("../x", "nova", "task")

    assert path == "/campaigns/nova/-/lineage?campaign=..%2Fx&task_id=task"


def test_twin_of_a_history_is_quoted_once(pages: FlaskClient) -> None:
    """A twin that was quoted twice led to a file that nobody knows."""
    quoted = quote(samples.HOSTILE, safe="")
    questions: tuple[addresses.Question, ...] = ("roots", "leaves", "cost", "rebuild")
    for question in questions:
        page = pages.get(addresses.history_page(question, samples.HOSTILE))

        assert f'"/api/v1/files/{quoted}/{question}?' in page.get_data(as_text=True)


@pytest.mark.slow
def test_no_address_with_a_nul_is_a_mistake_of_ours(client: FlaskClient) -> None:
    """PostgreSQL takes no NUL, and no name has one."""
    addresses_with_nul = set()
    for rule in client.application.url_map.iter_rules():
        path = _NUMBER_ARGUMENT.sub("1", rule.rule)
        for argument in _ARGUMENT.finditer(path):
            before, after = path[: argument.start()], path[argument.end() :]
            addresses_with_nul.add(_ARGUMENT.sub("x", before) + "a%00b" + _ARGUMENT.sub("x", after))

    mistakes = []
    for address in sorted(addresses_with_nul):
        if client.get(address).status_code >= 500:
            mistakes.append(address)

    assert len(addresses_with_nul) > 80
    assert mistakes == []
