"""Catalogs and rules as their users meet them: commands beside a running service and a catalog."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from jobprov.app.commands.catalogs.differences import sync_lines
from jobprov.provenance.services.catalogs.syncing.task import TaskSync
from tests.library.servers.catalogs import SamServer, Shelf
from tests.library.servers.live_service import LiveService

UNITS = ["a1.root", "a2.root", "a3.root"]
RULES = """
who = "Ada"
why = "the database was down last night"

[[rules]]
name = "db-down"
class = "database"
words = "The database was down"
advice = "Try again."
transient = true
pattern = "db*down"
"""


@pytest.fixture(scope="module")
def sam() -> Iterator[SamServer]:
    """Yield a SAM with three raw files, of which one was reconstructed."""
    shelf = Shelf()
    for unit in UNITS:
        shelf.add(unit)
    shelf.lists["raw"] = list(UNITS)
    shelf.add("b1.root", parents=["a1.root"], metadata={"data_tier": "reco", "prov.task_id": "t1"})
    server = SamServer(shelf)
    yield server
    server.close()


@pytest.fixture(scope="module")
def live(sam: SamServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    folder = tmp_path_factory.mktemp("catalogs")
    named = folder / "catalogs.toml"
    named.write_text(f'[nova]\nkind = "sam"\nurl = "{sam.url}"\n')
    service = LiveService(folder / "var", JOBPROV_CATALOGS=str(named))
    ended = service.run(
        "declare", "t1", "--experiment", "nova", "--campaign", "c", "--stage", "reco", "--sam-definition", "raw", "--output",
        "data_tier=reco",
    )  # fmt: skip
    assert "with 3 units" in ended.stdout, ended.stderr
    yield service
    service.stop()


@pytest.mark.slow
def test_inputs_are_frozen_by_the_service_or_from_here(live: LiveService, sam: SamServer) -> None:
    words = (
        "declare",
        "t2",
        "--experiment",
        "nova",
        "--query",
        "file_name 'a2.root'",
        "--catalog-url",
        sam.url,
    )
    from_here = live.run(*words, "--json")
    twice = live.run(
        "declare", "t3", "--experiment", "nova", "--count", "3", "--sam-definition", "raw"
    )
    nothing = live.run("declare", "t3", "--experiment", "nova", "--sam-definition", "none")

    assert json.loads(from_here.stdout)["unit_count"] == 1
    assert twice.returncode == 2
    assert (nothing.returncode, "refuses" in nothing.stderr) == (2, True)


@pytest.mark.slow
def test_task_is_compared_and_what_is_left_listed(live: LiveService, sam: SamServer) -> None:
    before = live.run("catalog", "draining", "t1")
    synced = live.run("catalog", "sync", "--task", "t1", "--experiment", "nova")
    listed = live.run("catalog", "draining", "t1")
    said = live.run("catalog", "draining", "t1", "--format", "sam")
    told = live.run("catalog", "differences", "t1")

    assert (before.returncode, "not compared" in before.stderr) == (2, True)
    assert (synced.returncode, "compared whole" in synced.stdout) == (0, True), synced.stderr
    assert (listed.returncode, listed.stdout.split()) == (1, UNITS[1:])
    assert (
        requests.get(f"{sam.url}/files/list", {"dims": said.stdout}, timeout=5).text.split()
        == UNITS[1:]
    )
    query = json.loads(live.run("catalog", "differences", "t1", "--json").stdout)["draining_query"]
    assert (
        requests.get(f"{sam.url}/files/list", {"dims": query}, timeout=5).text.split() == UNITS[1:]
    )
    assert told.returncode == 1
    assert "no-job: " in told.stdout
    assert "1 of 3 units done" in live.run("task", "t1").stdout


@pytest.mark.parametrize(
    ("sync", "words"),
    [
        (TaskSync("t1", problem="no answer"), "could not ask about any unit, continues next time"),
        (
            TaskSync("t1", units=200, outputs=1, problem="no answer"),
            "asked about 200 units, found 1 output, continues next time",
        ),
        (TaskSync("t1", is_whole=True), "found nothing new, compared whole"),
        (TaskSync("t1", outputs=2, is_whole=True), "found 2 outputs, compared whole"),
    ],
)
def test_a_sync_that_asked_for_nothing_says_so_in_words(sync: TaskSync, words: str) -> None:
    assert next(sync_lines([("nova", sync)])) == f"nova t1: {words}"


@pytest.mark.slow
def test_rules_are_declared_shown_and_failures_read_again(
    live: LiveService, tmp_path: Path
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(RULES)
    bad = tmp_path / "bad.toml"
    bad.write_text(RULES.replace('pattern = "db*down"', ""))

    assert live.run("rules", "check", str(file)).returncode == 0
    refused = live.run("rules", "check", str(bad))
    none = live.run("rules", "show", "nova")
    declared = live.run("rules", "set", "nova", str(file))
    late = live.run("rules", "set", "nova", str(file), "--after", "0", "--why", "other")
    shown = live.run("rules", "show", "nova", "--built-in")
    again = live.run("rules", "rerun", "nova", "--task", "t1")

    assert (refused.returncode, "would fit every failure" in refused.stderr) == (2, True)
    words = "nova has no rules of its own; --built-in shows those of jobprov.\n"
    assert none.stdout == words
    assert "Version 1 of the rules of nova declared" in declared.stdout
    assert (late.returncode, "version 1 by now" in late.stderr) == (1, True)
    assert {"db-down", "built-in.art-fcl", "Ada:"} <= set(shown.stdout.split())
    assert "0 failures will be read by version 1" in again.stdout
