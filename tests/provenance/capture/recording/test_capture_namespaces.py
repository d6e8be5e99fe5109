"""Files with their namespaces, and sidecars that a catalog takes as they are."""

import json
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.files import sidecar
from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.files.names import split_did
from jobprov.provenance.capture.options import Options
from tests.library.hook import Runner, only_entry, said


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("hd-protodune:raw.root", ("hd-protodune", "raw.root")),
        ("ns:/pnfs/x/raw.root", ("ns", "/pnfs/x/raw.root")),
        ("ns:root://host:1094//x/raw.root", ("ns", "root://host:1094//x/raw.root")),
        (":raw.root", ("", "raw.root")),
        ("root://host//x/raw.root", (None, "root://host//x/raw.root")),
        ("/pnfs/a:b.root", (None, "/pnfs/a:b.root")),
        ("a:b:c", (None, "a:b:c")),
        ("a b:c", (None, "a b:c")),
        ("ns:", (None, "ns:")),
        ("raw.root", (None, "raw.root")),
    ],
)
def test_name_is_split_at_its_namespace(word: str, meant: tuple[str | None, str]) -> None:
    assert split_did(word) == meant


def test_file_that_is_there_is_meant_whatever_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:b.root").touch()

    assert split_did("a:b.root") == (None, "a:b.root")


def test_option_names_the_namespace_of_a_file_and_the_others_have_the_usual_one() -> None:
    words = ["--input", "raw:in.root", "--output", "reco:out_*.root", "--input", ":bare.root"]
    options = Options(words, {"JOBPROV_NAMESPACE": "usual"})

    assert options.paths("input") == ["in.root", "bare.root"]
    names = ("in.root", "out_7.root", "bare.root", "seen.root")
    assert [options.namespace_of(name) for name in names] == ["raw", "reco", "", "usual"]
    assert options.warnings == []


def test_namespace_and_names_of_no_use_are_told() -> None:
    options = Options(["--namespace", "a:b", "--sidecar", "xml", "--input", "a:b:c"], {})

    assert (options.namespace, options.sidecar, options.paths("input")) == (None, None, ["a:b:c"])
    assert options.warnings == [
        "--namespace a:b is left out: it has letters, digits, _, . and - alone",
        "--sidecar xml is left out: metacat or sam",
        "--input a:b:c is taken as a name: it is no NAMESPACE:NAME",
    ]


@pytest.mark.slow
def test_types_of_an_experiment_make_numbers_of_its_keys(runner: Runner) -> None:
    words = [
        "D.id=4711",
        "D.p=1",
        "D.runs=[1,2]",
        "D.note=7",
        "D.bad=x",
        "D.nan=nan",
        "D.own:json=5",
    ]
    types = [
        "D.id=int",
        "D.p=float",
        "D.runs=json",
        "D.bad=int",
        "D.nan=float",
        "D.own=text",
        "x=y",
    ]

    runner(
        "run",
        *[part for word in words for part in ("--metadata", word)],
        *["--output", "made.root", "--", "sh", "-c", "echo made > made.root"],
        environment={"JOBPROV_METADATA_TYPE": "\n".join(types)},
    )

    record, _ = only_entry(runner)
    [output] = record["outputs"]
    assert output["metadata"] == {
        "D.id": 4711,
        "D.p": 1.0,
        "D.runs": [1, 2],
        "D.note": "7",
        "D.own": 5,
    }
    assert isinstance(output["metadata"]["D.p"], float)
    for told in ("D.bad=x, left out", "D.nan=nan, left out", "--metadata-type x=y is no KEY=KIND"):
        assert any(told in note for note in said(record)), told


@pytest.mark.slow
def test_key_without_a_dot_is_told_where_the_sidecar_leaves_it_out(runner: Runner) -> None:
    """`runs=26305` was neither in the sidecar nor in any message."""
    runner(
        "run",
        *["--metadata", "runs=26305", "--metadata", "data_tier=reco"],
        *["--output", "made.root", "--", "sh", "-c", "echo made > made.root"],
    )

    record, _ = only_entry(runner)
    metadata = json.loads((runner.folder / "made.root.json").read_text())["metadata"]
    assert [key for key in metadata if not key.startswith("prov.")] == ["core.data_tier"]
    told = [note for note in said(record) if "without a dot" in note]
    assert told == ["left out of a sidecar, MetaCat takes no key without a dot: runs"]


@pytest.mark.slow
def test_job_with_namespaces_gets_a_sidecar_that_metacat_takes(runner: Runner) -> None:
    (runner.folder / "raw.root").write_text("raw")
    (runner.folder / "list.txt").write_text("raw.root\n")
    (runner.folder / "in.fcl").write_text("#\n")
    words = ["core.runs:json=[26305]", "core.run_type=mc", "event_count=3", "x.y:json=NaN"]

    runner(
        "run",
        *["--input", "hd-protodune:raw.root", "--input", "list.txt", "--input", "in.fcl"],
        *["--output", "reco*.root"],
        *[part for word in words for part in ("--metadata", word)],
        *["--", "sh", "-c", "cp raw.root reco1.root; cp raw.root seen.root"],
        environment={"JOBPROV_NAMESPACE": "usertests"},
    )

    record, _ = only_entry(runner)
    assert {entry["name"]: entry["namespace"] for entry in record["inputs"]} == {
        "raw.root": "hd-protodune",
        "list.txt": "usertests",
        "in.fcl": "usertests",
    }
    assert {entry["namespace"] for entry in record["outputs"]} == {"usertests"}
    assert record["outputs"][0]["metadata"] == {"core.runs": [26305], "core.run_type": "mc"}
    written = json.loads((runner.folder / "reco1.root.json").read_text())
    assert (written["namespace"], written["name"]) == ("usertests", "reco1.root")
    assert written["parents"] == [{"namespace": "hd-protodune", "name": "raw.root"}]
    assert written["metadata"] == {
        "core.runs": [26305],
        "core.run_type": "mc",
        "core.event_count": 3,
        "prov.job_id": record["job_id"],
        "prov.output": "reco1.root",
    }
    assert any("x.y:json=NaN, left out" in note for note in said(record))


@pytest.mark.slow
def test_copy_has_the_parents_of_what_was_copied(runner: Runner) -> None:
    (runner.folder / "raw.root").write_text("raw")
    (runner.folder / "store").mkdir()
    runner("start", "--namespace", "toy")
    runner("step", "--name", "make", "--", "cp", "raw.root", "out.root")

    runner("step", "--name", "copy_out", "--", "cp", "out.root", "store/out.root")

    for place in ("out.root.json", "store/out.root.json"):
        written = json.loads((runner.folder / place).read_text())
        assert (written["name"], written["namespace"]) == ("out.root", "toy")
        assert written["parents"] == [{"namespace": "toy", "name": "raw.root"}]


def output(tmp_path: Path, **more: Any) -> dict[str, Any]:
    return {
        "name": "o.root",
        "path": f"{tmp_path}/o.root",
        "size_bytes": 4,
        "checksums": ["adler32:03e70155"],
        "event_count": 3,
        "metadata": {"group": "dune", "toy.x": 1},
        **more,
    }


def parents_of(*words: str) -> list[dict[str, Any]]:
    names = [word.rpartition(":") for word in words]
    return [{"namespace": namespace or None, "name": name} for namespace, _, name in names]


def test_parents_that_a_catalog_refuses_are_left_out_and_told(tmp_path: Path) -> None:
    parents = parents_of(
        *["ns:good.root", "ns:good.root", "bare.root", "ns:b+d.root", "toy:o.root", "other:o.root"],
        *["ns:run.log", "ns:reco.fcl", "ns:cnf.mu2e.x.y.fcl"],
    )

    problems = sidecar.write(output(tmp_path, namespace="toy"), {}, {}, parents, Clock(10))

    written = json.loads((tmp_path / "o.root.json").read_text())
    names = [f"{parent['namespace']}:{parent['name']}" for parent in written["parents"]]
    assert names == ["ns:good.root", "other:o.root", "ns:cnf.mu2e.x.y.fcl"]
    begin = "left out as parents in a sidecar, "
    assert problems == [
        begin + "their namespace is unknown (--namespace, or --input NAMESPACE:NAME): bare.root",
        begin + "MetaCat takes no such names: b+d.root",
        begin + "a file is no parent of its own: o.root",
        begin + "they are no files of data: reco.fcl, run.log",
        "left out of a sidecar, MetaCat takes no key without a dot: group",
    ]


def test_sidecar_of_an_earlier_run_tells_no_old_size(tmp_path: Path) -> None:
    old = {"size": 9, "checksums": {"adler32": "00000000", "md5": "x"}, "parents": []}

    sidecar.write(output(tmp_path), old, {}, [], Clock(10))

    written = json.loads((tmp_path / "o.root.json").read_text())
    assert (written["size"], written["checksums"]) == (4, {"adler32": "03e70155", "md5": "x"})


def test_text_becomes_numbers_where_every_metacat_wants_them(tmp_path: Path) -> None:
    given = {"core.runs": "26305,26306", "core.start_time": "1", "toy.run": "7"}
    given.update({"core.last_event_number": "many", "core.end_time": "NaN"})

    problems = sidecar.write(output(tmp_path, metadata=given), {}, {}, [], Clock(10))

    assert json.loads((tmp_path / "o.root.json").read_text())["metadata"] == {
        "core.runs": [26305, 26306],
        "core.start_time": 1.0,
        "core.event_count": 3,
        "core.last_event_number": "many",
        "core.end_time": "NaN",
        "toy.run": "7",
    }
    assert problems == [
        "MetaCat takes numbers for core.last_event_number, not many",
        "MetaCat takes numbers for core.end_time, not NaN",
    ]


def test_sidecar_in_the_form_of_sam(tmp_path: Path) -> None:
    parents = parents_of("in.root", "ns:other.root", "o.root", "run.log")

    sidecar.write_for_sam(output(tmp_path), {"prov.job_id": "j"}, parents, Clock(10))

    assert json.loads((tmp_path / "o.root.json").read_text()) == {
        "file_name": "o.root",
        "file_size": 4,
        "checksum": ["adler32:03e70155"],
        "event_count": 3,
        "group": "dune",
        "toy.x": 1,
        "parents": [{"file_name": "in.root"}, {"file_name": "other.root"}],
        "prov.job_id": "j",
    }


def test_output_of_a_program_has_the_parents_of_that_program() -> None:
    """A script ran two programs: the second read what the first one made."""
    inputs = [
        {"name": "raw.root", "step": "gen", "role": "primary"},
        {"name": "a.root", "step": "reco", "role": "primary"},
        {"name": "noise.root", "step": "reco", "role": "secondary"},
        {"name": "geometry.root", "step": "reco", "role": "shared"},
    ]
    outputs = [{"name": "a.root", "step": "gen"}, {"name": "b.root", "step": "reco"}]

    made_from = sidecar.MadeFrom({"inputs": inputs}, inputs, outputs, [])

    names = [[entry["name"] for entry in made_from.parents(made)] for made in outputs]
    assert names == [["raw.root"], ["noise.root", "raw.root"]]
