"""The page of a configuration: files with links, and a tree that folds.

One configuration has 30,000 parameters, and one is none.
"""

import re
from html import unescape
from typing import Any
from urllib.parse import urljoin

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.web.configurations.drawing import (
    Node,
    branch,
    highlighted,
    inside,
    matching,
    page_of,
)
from jobprov.provenance.fhicl import loads
from jobprov.provenance.lineage.words import number
from tests.library.productions.large_configuration import JOB, LIBRARY, MODULES, PAGE, RAN

# One process makes the large configuration
pytestmark = pytest.mark.xdist_group("configured")


@pytest.fixture
def large(configured_app: Flask) -> FlaskClient:
    """Return a client of the application with a large configuration."""
    return configured_app.test_client()


def page(client: FlaskClient, query: str = "", step: str = "reco") -> str:
    answer = client.get(f"{PAGE}/{step}{query}")
    assert answer.status_code == 200
    assert len(answer.data) <= 80_000
    return answer.text


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def link(html: str, text: str) -> str:
    """Return where the first link with this text leads."""
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{re.escape(text)}</a>', html)
    assert found is not None, text
    return urljoin(f"{PAGE}/reco", unescape(found[1]))


@pytest.mark.slow
def test_thirty_thousand_parameters_fit_on_a_page_and_every_one_is_reached_by_links(
    large: FlaskClient,
) -> None:
    top = page(large)
    assert "2 files, 30 002 parameters; ParameterSetID" in words(top)

    producers = large.get(link(top, "Open physics.producers")).text
    at_end = large.get(link(producers, f"{number(MODULES - 220)} more")).text
    module = page(large, "?form=evaluated&at=physics.producers.m7")

    assert words(producers).count("m1 20") == 1
    assert "m9 20" not in words(producers)
    assert len(at_end) < 80_000
    assert re.search(r"parameter3 22 reco\.fcl:1505\b", words(module))
    assert re.search(r"parameter4 28 library\.fcl:154\b", words(module))


@pytest.mark.slow
def test_a_branch_comes_alone_for_a_page_that_opens_it(large: FlaskClient) -> None:
    piece = page(large, "?form=evaluated&at=physics.producers.m7&piece=1")

    assert "<html" not in piece
    assert piece.count("<li>") == 18 + 2


@pytest.mark.slow
def test_a_parameter_leads_to_the_jobs_that_ran_with_it(large: FlaskClient) -> None:
    found = page(large, "?form=evaluated&at=physics.producers.m8.parameter3")

    assert "24" in words(found)
    # It ran without, says what art wrote
    assert JOB[:8] not in large.get(link(found, "with this value")).text

    ran = page(large, "?form=evaluated&at=physics.producers.m7.parameter3")
    assert JOB[:8] in large.get(link(ran, "with another value")).text


@pytest.mark.slow
def test_a_filter_keeps_the_tree_of_what_matches(large: FlaskClient) -> None:
    found = page(large, "?form=evaluated&q=M77.parameter3")
    assert "1 parameter with M77.parameter3" in words(found)
    assert "physics 1 producers 1 m77 1 parameter3 231 library.fcl:" in words(found)

    many = page(large, "?form=evaluated&q=parameter3")
    assert "1 500 parameters with" in words(many)
    assert "q=parameter3" in link(many, "Open physics.producers")
    assert "No parameter or value contains" in page(large, "?form=evaluated&q=nowhere")


@pytest.mark.slow
def test_files_are_shown_as_sent_with_their_includes_as_links(large: FlaskClient) -> None:
    text = page(large, "?form=files")

    assert "library.fcl /cvmfs/toyexp/fcl toy 3fa1c2d97be0" in words(text)
    assert "library.fcl" in link(text, "library.fcl")
    assert "END_PROLOG" not in text
    library = page(large, "?file=library.fcl&line=153")
    assert '<li id="L153" class="is-here">' in library
    later = large.get(link(page(large, "?file=library.fcl"), "Later lines")).text
    assert '<ol start="1">' not in later
    saved = large.get(link(library, "Save as it is"))
    assert saved.data == LIBRARY.encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "begins"),
    [
        ("expanded", LIBRARY[:40]),
        ("canonical", "physics:{producers:{m0:{fit:{steps:[1,2]} parameter0:0 "),
        ("compact", "physics:@id::"),
        ("indented", "physics: {\n   producers: {\n"),
        ("annotated", "physics: {  # reco.fcl:"),
        ("prefix-annotated", "#KEY|physics|\n#SRC|reco.fcl:"),
        ("ran", RAN),
    ],
)
def test_every_form_can_be_saved(large: FlaskClient, form: str, begins: str) -> None:
    linked = [
        unescape(url)
        for url in re.findall(r'href="(/api/v1/[^"]*form=[^"]*)" download', page(large))
    ]
    [url] = [url for url in linked if url.endswith(f"form={form}")]

    answer = large.get(url)

    assert answer.text.startswith(begins)
    assert answer.content_type == "text/plain; charset=utf-8"


@pytest.mark.slow
def test_what_the_program_wrote_is_held_against_what_was_sent(large: FlaskClient) -> None:
    text = words(page(large))
    told = large.get(f"/api/v1/jobs/{JOB}/configurations/reco?form=files").json

    assert told is not None
    assert (told["evaluation"]["ran_as"], told["evaluation"]["problem"]) == (
        loads(RAN).parameter_set_id,
        None,
    )
    assert (
        "As run it differs: the files sent say physics.producers.m7.parameter3 is 22, "
        "the program ran with 23" in text
    )
    assert words(page(large, "?form=ran")).count("module_label") == 1


@pytest.mark.slow
def test_text_that_is_no_fhicl_leads_to_its_line(large: FlaskClient) -> None:
    text = page(large, step="bad")
    assert "bad.fcl:3:1:" in words(text)

    marked = large.get(link(text, "Go to the line").replace("/reco?", "/bad?")).text

    assert '<li id="L3" class="is-here"><span class="k">c</span>' in marked


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?form=none", 422),
        ("?form=evaluated&at=physics.nowhere", 404),
        ("?file=other.fcl", 404),
        ("?form=evaluated&from=x", 422),
        ("?file=library.fcl&line=0", 422),
    ],
)
def test_a_wrong_address_is_answered_in_words(large: FlaskClient, query: str, status: int) -> None:
    assert large.get(f"{PAGE}/reco{query}").status_code == status


def test_a_file_that_is_not_of_the_configuration_cannot_be_had(large: FlaskClient) -> None:
    answer = large.get(f"/api/v1/jobs/{JOB}/configurations/reco?form=source&file=other.fcl")

    assert answer.status_code == 404
    assert "reco.fcl" in answer.text


def parameters(text: str) -> Any:
    return list(loads(text).parameters())


def test_a_small_tree_is_open_and_a_large_one_a_link() -> None:
    text = "a: { b: { c: 1 d: [ 1, { e: 2 } ] } } z: @nil long: [" + ", ".join("1" * 100) + "]"

    small = branch(parameters(text), "", bears=500)
    large = branch(parameters(text), "", bears=20)

    [a, long, z] = small.nodes
    assert (a.is_open, a.count, long.is_open, z.value) == (True, 3, True, "@nil")
    assert a.children is not None
    [b] = a.children
    assert b.children is not None
    assert [(node.label, node.path) for node in b.children] == [("c", "a.b.c"), ("d", "a.b.d")]
    assert large.nodes[1] == Node("long", "long", 100)


def test_a_branch_is_paged() -> None:
    listed = parameters("s: [" + ", ".join(str(n) for n in range(50)) + "]")

    part = branch(inside(listed, "s"), "s", bears=20, first=40)

    assert [node.value for node in part.nodes] == [str(n) for n in range(40, 50)]
    assert (part.last, part.total) == (50, 50)


def test_inside_takes_names_whole_and_matching_any_part() -> None:
    listed = parameters("a: 1 ab: 2 b: { a: Three }")

    assert [each.path for each in inside(listed, "a")] == ["a"]
    assert [each.path for each in matching(listed, "three")] == ["b.a"]
    assert [each.path for each in matching(listed, "B")] == ["ab", "b.a"]


@pytest.mark.parametrize(
    ("line", "html"),
    [
        ('#include "a/b.fcl"', '<span class="w">#include</span> "<a href="/a/b.fcl">a/b.fcl</a>"'),
        ("a.b: 0x1F // <c>", '<span class="k">a.b</span>: <span class="n">0x1F</span> <span class="c">// &lt;c&gt;</span>'),
        ('s: "# no \\" comment"', '<span class="k">s</span>: <span class="s">&#34;# no \\&#34; comment&#34;</span>'),
        ("x: @local::y.z", '<span class="k">x</span>: <span class="w">@local::</span>y.z'),
        ("x @protect_error: true", '<span class="k">x</span> <span class="w">@protect_error</span>: <span class="w">true</span>'),
        ("a1: b2", '<span class="k">a1</span>: b2'),
        ("BEGIN_PROLOG", '<span class="w">BEGIN_PROLOG</span>'),
        ("'open", '<span class="s">&#39;open</span>'),
        ("\x1b[31m\x00", "\ufffd"),
    ],
)  # fmt: skip
def test_a_line_is_coloured_and_escaped(line: str, html: str) -> None:
    lines = page_of(line.encode(), link=lambda name: f"/{name}").lines

    assert lines == [html]


def test_a_page_of_text_has_an_end_and_a_hostile_line_is_quick() -> None:
    many = page_of(b"a: 1\n" * 5000, start=4990, link=lambda _: None)
    assert (many.first, many.last, many.total) == (4990, 5000, 5000)
    assert page_of(b"<" * 70_000 + b"\n", link=lambda _: None).last == 1
    assert page_of(b"", link=lambda _: None).lines == []
    assert len(highlighted('"\\' * 20_000)) > 20_000


def test_numbers_are_shown_and_found_as_people_write_them() -> None:
    found = parameters("a: 0.95 b: [1000000, 7] c: '9e-1'")

    shown = {node.label: node.value for node in branch(found, "", bears=10).nodes}

    assert shown == {"a": "0.95", "b": "[1000000, 7]", "c": '"9e-1"'}
    assert [each.path for each in matching(found, "0.95")] == ["a"]
    assert [each.path for each in matching(found, "9.5e-1")] == ["a"]
