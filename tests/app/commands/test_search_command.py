"""`jobprov find` and `jobprov files` as people type them."""

import json

import pytest
from click.testing import CliRunner, Result

from jobprov.app.cli import jobprov
from jobprov.provenance.answers.lookup.files import ListedFile
from jobprov.provenance.answers.search import Hit, Hits, KindCount
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted

HITS = Hits(
    [
        Hit("file", "a_dimuon.art", "nova", "/files/a_dimuon.art"),
        Hit("site", "Muon_HPC", "3 hosts", "/jobs?site=Muon_HPC"),
    ],
    "muon",
    [KindCount("file", 1000, has_more=True), KindCount("site", 1, has_more=False)],
)


def run(*words: str) -> Result:
    command, *rest = words
    return CliRunner().invoke(jobprov, [command, "--url", "http://127.0.0.1:1", *rest])


def a_file(name: str) -> ListedFile:
    return ListedFile(
        name=name,
        namespace="",
        experiment="nova",
        url=f"/files/{name}",
        is_placeholder=False,
        version_count=2,
        size_bytes=5_000_000,
        checksums=[],
        data_tier="reco",
        event_count=12,
        job_id="x",
        state="succeeded",
        task_id="t1",
    )


def test_find_prints_names_by_kind_with_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}
    monkeypatch.setattr(
        Client, "find", lambda _self, text, **query: asked.update(query, text=text) or HITS
    )

    done = run("find", "muon", "--limit", "1")

    assert (done.exit_code, asked) == (0, {"text": "muon", "kind": None, "limit": 1})
    assert done.stdout.splitlines() == [
        f"more than {counted(1000, 'file')}, of which 1:",
        "  a_dimuon.art  (nova)",
        "    http://127.0.0.1:1/files/a_dimuon.art",
        "",
        "1 site:",
        "  Muon_HPC  (3 hosts)",
        "    http://127.0.0.1:1/jobs?site=Muon_HPC",
    ]
    assert json.loads(run("find", "muon", "--json").stdout)["counts"][0] == {
        "kind": "file",
        "count": 1000,
        "has_more": True,
    }


def test_find_of_nothing_says_so_and_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "find", lambda *_, **__: Hits([], "mu", [], "Only beginnings."))

    done = run("find", "mu")

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.splitlines() == ["Nothing found for mu.", "Only beginnings."]
    assert run("find", "  ").exit_code == 2
    assert run("find", "mu", "--kind", "people").exit_code == 2


def test_find_of_a_typo_offers_what_is_spelled_like_it(monkeypatch: pytest.MonkeyPatch) -> None:
    near = [Hit("software", "sbndcode", "", "/jobs?software=sbndcode")]
    near.append(Hit("file", "\x1b[2Jmuon.root", "nova", "/files/x"))
    monkeypatch.setattr(Client, "find", lambda *_, **__: Hits([], "mu", near=near))

    done = run("find", "mu")

    assert (done.exit_code, done.stdout) == (1, "")
    told = done.stderr.splitlines()
    assert told[:3] == ["Nothing found for mu.", "Did you mean:", "  sbndcode  (package)"]
    assert told[3].endswith("/jobs?software=sbndcode")
    assert told[4] == "  \ufffd[2Jmuon.root  (file, nova)"


def test_names_do_not_control_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    hit = Hit("file", "a\x1b[31m.art", "no\x1bva", "/files/a")
    answers = iter([Hits([hit], "a", [KindCount("file", 1, has_more=False)]), Hits([], "\x1b[2J")])
    monkeypatch.setattr(Client, "find", lambda *_, **__: next(answers))
    monkeypatch.setattr(Client, "files", lambda *_, **__: iter([a_file("b\x1b.art")]))

    printed = [run("find", "a"), run("find", "\x1b[2J"), run("files", "b*")]

    assert "a\ufffd[31m.art  (no\ufffdva)" in printed[0].stdout
    assert "\x1b" not in "".join(done.output for done in printed)


def test_files_lists_those_that_fit_a_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Client, "files", lambda *_, **__: iter([a_file("a.art"), a_file("b.art"), a_file("c.art")])
    )

    done = run("files", "*.art", "--limit", "2")

    heads, *rows, more = done.stdout.splitlines()
    assert done.exit_code == 0
    assert " ".join(heads.split()) == "NAME SIZE EVENTS TIER VERSIONS STATE TASK EXPERIMENT"
    assert [row.split()[0] for row in rows] == ["a.art", "b.art"]
    assert more == "There are more: raise --limit."


def test_files_of_no_such_name_shows_how_to_ask_for_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "files", lambda *_, **__: iter(()))

    done = run("files", "dimuon")

    assert done.exit_code == 1
    assert done.stderr == "No file is named dimuon; '*dimuon*' finds those that hold it.\n"
