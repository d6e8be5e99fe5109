"""What records, ads, logs and questions hold is read in a time that grows with its length alone.

Each of these took minutes, hours or longer for a text that somebody made up, or by accident.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from jobprov.app.web.configurations.drawing import highlighted
from jobprov.provenance.db.queries.configurations.job_sources import sources_that_hold
from jobprov.provenance.db.queries.configurations.parameter_values import ParameterCondition
from jobprov.provenance.launchers.condor import ads, events
from jobprov.provenance.records.files.outputs import counts_for_unit
from jobprov.provenance.selections.conditions import Comparison, Operator, Value
from jobprov.provenance.selections.members import reader_of
from jobprov.provenance.services.bundles import known_inputs
from jobprov.provenance.services.lookup.parameter_filters import read_condition
from jobprov.provenance.software.urls import without_credentials

HEAD = "(1.0.0) 2026-01-01 00:00:00"


def count_output(name: str) -> None:
    counts_for_unit(name, ())


def read_ad(line: str) -> None:
    ads._long_ad([line])


def read_sizes(line: str) -> None:
    lines = [f"001 {HEAD} Job executing", "...", f"006 {HEAD} Image size", line, "..."]
    lines += [f"005 {HEAD} Job terminated.", "..."]
    assert len(events.attempts_of(events.read_events(lines, "log"))) == 1


def ask_for_value(value: str) -> None:
    read_condition("a.b", value)


def ask_for_member(pattern: str) -> None:
    values = (Value(pattern, is_pattern=True),)
    reader_of(Comparison("core.file_type", Operator.EQUAL, values))("a" * 2000)


def ask_for_source(pattern: str) -> None:
    sources_that_hold("sqlite", ParameterCondition(pattern))


def find_addresses(text: str) -> None:
    known_inputs._has_other_address(text.encode(), {"a.root": {None}})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("read", "given"),
    [
        (count_output, "log." * 30_000 + "x"),
        (count_output, "log." * 30_000 + "zip"),
        (without_credentials, ":" * 100_000),
        (without_credentials, "/" * 100_000),
        (read_ad, "A = [ " + "a" * 100_000 + " ]"),
        (read_ad, "A = [ " + "a=" * 100_000 + " ]"),
        (read_ad, "A = [ a =" + " " * 100_000 + "x ]"),
        (read_ad, "A = [ " + '; a = "\\"' * 10_000 + " ]"),
        (read_sizes, "1" * 100_000),
        (read_sizes, "1 " * 100_000),
        (ask_for_value, "x" + " " * 100_000 + "y"),
        (ask_for_member, "*a" * 20 + "*b"),
        (ask_for_source, "*e" * 20 + "*b"),
        (find_addresses, "a" * 200_000),
        (highlighted, "a" + " " * 100_000),
        (highlighted, "1" * 100_000 + "_"),
        (highlighted, "a[" * 50_000),
        (highlighted, '"' + '\\"' * 50_000),
        (highlighted, "a." * 50_000),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)[:24]),
)
def test_hostile_text_is_read_in_a_time_that_grows_with_its_length_alone(
    read: Callable[[Any], object], given: str
) -> None:
    began = time.process_time()

    read(given)

    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("name", "is_log"),
    [
        ("log.tar", True),
        ("job_logs.tar.gz", True),
        ("LOGS-7.zip", True),
        ("7log.tgz", True),
        ("catalog.zip", False),
        ("logic.tar", False),
        ("log.root", False),
        ("a.log.zst", True),
        ("zip", False),
    ],
)
def test_packed_logs_count_for_no_unit(name: str, *, is_log: bool) -> None:
    assert counts_for_unit(name, ()) is not is_log


def test_nested_ad_is_read_whatever_its_strings_hold() -> None:
    line = 'ToE = [ Who = "its;elf"; How = "OF \\"ITS\\" [OWN]"; HowCode = 0 ; When = 17; ]'

    ad = ads._long_ad([line])

    told = {"Who": "its;elf", "How": 'OF "ITS" [OWN]', "HowCode": 0, "When": 17}
    assert ad["ToE"] == told


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("a*c", "abc", True),
        ("a?c", "a\nc", True),
        ("[ab]*", "[ab]x", True),
        ("[ab]*", "a", False),
        ("a*", "ba", False),
        ("*", "", True),
    ],
)
def test_member_fits_a_pattern_of_letters(pattern: str, text: str, *, fits: bool) -> None:
    values = (Value(pattern, is_pattern=True),)

    assert reader_of(Comparison("core.file_type", Operator.EQUAL, values))(text) is fits


@pytest.mark.parametrize(
    ("line", "html"),
    [
        (
            "x.y: 1.5e3 @local::z",
            '<span class="k">x.y</span>: <span class="n">1.5e3</span> <span class="w">@local::</span>z',
        ),
        (
            "a @protect_ignore : 1",
            '<span class="k">a</span> <span class="w">@protect_ignore</span> ',
        ),
        ("[1., .5, 12abc]", '[<span class="n">1</span>., <span class="n">.5</span>, 12abc]'),
    ],
)
def test_line_of_fhicl_is_drawn_by_its_words(line: str, html: str) -> None:
    assert str(highlighted(line)).startswith(html)
