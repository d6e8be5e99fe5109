"""Each gap: one record with it and one without."""

from typing import Any

import msgspec
import pytest

from jobprov.provenance.records import proofs
from jobprov.provenance.records.files.inputs import small_inputs
from jobprov.provenance.records.gaps.codes import GAPS
from jobprov.provenance.records.gaps.findings import Findings, UnseenReads
from jobprov.provenance.records.gaps.gaps import find_gaps, level_of, needs_of_next
from jobprov.provenance.records.job_record import JobRecord
from tests.library.records import FIRST, a_record, digest

COMPLETE = a_record(
    1,
    task={"task_id": "t1"},
    command={"argv": ["run"]},
    exit={"code": 0},
    software=[
        {"name": "soft", "repository": "https://git.example.org/soft.git", "evidence": "observed"}
    ],
    environment={"variables": {}},
    logs=[{"name": "out", "sha256": digest(1)}],
    inputs=[{"name": "a.root", "sha256": digest(2), "size_bytes": 10, "role": "primary"}],
    outputs=[{"name": "b.root", "sha256": digest(3), "status": "written"}],
    witness="wrapper",
)


ARRIVED = Findings(arrived_at=FIRST)


def codes(findings: Findings | None = None, **fields: Any) -> list[str]:
    record = msgspec.convert({**COMPLETE, **fields}, JobRecord)
    return [gap.code for gap in find_gaps(record, findings or Findings())]


def file(**fields: Any) -> dict[str, Any]:
    return {"name": "x", "sha256": digest(9), **fields}


def with_processes(**fields: Any) -> dict[str, Any]:
    return {"command": {"argv": ["x"], "processes": fields}}


def ran(*argv: str, **fields: Any) -> dict[str, Any]:
    """Return a job that has another script and ran a command in /w."""
    processes = fields.pop("command_processes", {})
    steps = [{"name": "s", "role": "payload", "argv": list(argv)}]
    command = {"working_directory": "/w", "steps": steps, "processes": processes}
    return {"command": command, "software": [], "scripts": [file(path="other.sh")], **fields}


def silent(*argv: str, **fields: Any) -> dict[str, Any]:
    """Return a job without a log that the hook ran as a whole, or a step of another command."""
    step = {"name": "x", "argv": ["x"], "exit_code": 0, "ended_at": "2026-01-01T00:01:00Z"}
    command = {"argv": list(argv or ["x"]), "steps": [step]}
    return {"logs": [], "hook": {"version": "1.0"}, "command": command, **fields}


def weak_capture() -> dict[str, Any]:
    """Return what a record says where the hook could not take what a command left."""
    return {"kind": "capture-incomplete", "name": "what the command left", "detail": "MemoryError"}


def left_out(why: str, *, is_output: bool = False) -> dict[str, Any]:
    """Return a record with a file left out of a checkout, which is an output where that is said."""
    software = {"name": "s", "checkout": "/w", "left_out": [{"path": "a.x", "why": why}]}
    outputs = [{"name": "a.x", "path": "/w/a.x", "sha256": digest(3)}] if is_output else []
    return {"software": [software], "outputs": outputs}


def weak(kind: str, **fields: Any) -> dict[str, Any]:
    return {"weaknesses": [{"kind": kind, **fields}]}


def standard_input(kind: str) -> dict[str, Any]:
    return {"command": {"argv": ["true"], "stdin": kind}}


def limited(**limits: int) -> dict[str, Any]:
    return {"environment": {"variables": {}, "limits": limits}}


MISSING = Findings(missing_blobs=frozenset({digest(9)}))
ERASED = Findings(erased=frozenset({digest(9)}))
DIRTY = {"name": "soft", "is_dirty": True}
PRODUCT = {"name": "release", "product": {"manager": "ups", "version": "v1"}}
LARGE = [{"name": "a", "sha256": digest(2), "size_bytes": 7 << 30}]
BY_TAG = {"variables": {}, "container": {"image": "sl7"}}
MADE = {"name": "b.root", "sha256": digest(2)}
NOT_KEPT = {**MADE, "status": "not_kept"}
BY_MD5 = {"name": "a", "checksums": ["md5:1"]}
LISTED = {"environment": {"variables": {}, "packages_sha256": digest(9)}}
READING = {"command": {"argv": ["run"], "stdin_sha256": digest(9)}}
READING_STEP = {
    "command": {
        "steps": [{"name": "s", "role": "payload", "argv": ["x"], "stdin_sha256": digest(9)}]
    }
}
PRIVATE = {"trace": {"not_kept": [{"path": "/home/u/.netrc", "reason": "private"}]}}
NO_ROOTRC = Findings(unseen=UnseenReads(settings=("~/.rootrc",)), has_capsule=True)
WAITING = {"trace": {"waits_for": [digest(1)]}}
FOLDER = {"trace": {"not_kept": [{"path": "/data/x/", "reason": "listed"}], "not_kept_count": 1}}
CUT_TRACE = {"trace": {"why_incomplete": "the log of the command's calls was too large"}}
SERVED = Findings(has_capsule=True)
ART = {"steps": [{"name": "reco", "role": "payload", "argv": ["/opt/bin/nova", "-n", "1"]}]}
PROGRAM = {"argv": ["x"], "steps": [{"name": "mine", "role": "program", "within": "x"}]}
MANY = [{"name": "x", "namespace": str(number)} for number in range(1500)]
UNHELD = Findings(unheld_inputs=frozenset({digest(2)}), has_capsule=True)

CHECKED = {
    "checked": {"file": "b.root", "processes": [{"name": "Reco", "parameter_set_id": "b" * 40}]}
}
# code, (findings, fields) with the gap, (findings, fields) without
CASES: list[tuple[str, tuple[Findings | None, dict[str, Any]], tuple[Findings | None, dict[str, Any]]]] = [
    ("command-missing", (None, {"command": None}), (None, {"command": {"steps": [{"name": "s", "role": "payload", "argv": ["x"]}]}})),
    ("command-missing", (None, {"command": {"steps": [{"name": "s"}]}}), (None, {"command": {"argv": ["x"]}})),
    ("command-missing", (None, {"command": {"steps": [{"name": "s", "role": "stage_in", "argv": ["x"]}]}}), (None, {})),
    (
        "configuration-differs-in-file",
        (None, {"configurations": [{"parameter_set_id": "a" * 40}], "extra": CHECKED}),
        (None, {"configurations": [{"parameter_set_id": "a" * 40}, {"parameter_set_id": "b" * 40}], "extra": CHECKED}),
    ),
    (
        "configuration-differs-in-file",
        (None, {"configurations": [{"parameter_set_id": "a" * 40}], "extra": {"reconstructed": CHECKED["checked"]}}),
        (None, {"configurations": [{"parameter_set_id": "a" * 40}], "extra": {"checked": {"processes": "?"}, "reconstructed": 1}}),
    ),
    ("exit-missing", (None, {"exit": {"message": "?"}}), (None, {"exit": {"signal": 9}})),
    ("exit-missing", (None, {"exit": None, "state": "failed"}), (None, {"exit": None, "state": "killed"})),
    ("environment-missing", (None, {"environment": {}}), (None, {"environment": {"variables": {}}})),
    ("environment-missing", (None, {"environment": None}), (None, {})),
    ("fcl-missing", (MISSING, {"configurations": [{"files": [file()]}]}), (None, {"configurations": [{"files": [file()]}]})),
    ("fcl-missing", (None, {"configurations": [{"files": [file(sha256=None)]}]}), (None, {"configurations": [{}]})),
    ("script-missing", (MISSING, {"scripts": [file()]}), (None, {"scripts": [file()]})),
    ("log-missing", (MISSING, {"logs": [file()]}), (None, {"logs": [file()]})),
    ("log-expired", (Findings(expired=frozenset({digest(9)})), {"logs": [file()]}), (None, {"logs": [file()]})),
    ("source-erased", (ERASED, {"scripts": [file()]}), (None, {"scripts": [file()]})),
    ("source-erased", (ERASED, {"configurations": [{"files": [file()]}]}), (ERASED, {"logs": [file()]})),
    ("source-erased", (ERASED, {"software": [{**DIRTY, "objects_sha256": digest(9)}]}), (None, {"software": [DIRTY]})),
    ("source-erased", (ERASED, LISTED), (None, LISTED)),
    ("input-erased", (ERASED, READING), (None, READING)),
    ("input-erased", (ERASED, READING_STEP), (None, READING_STEP)),
    ("input-erased", (ERASED, {"conditions": [{"tag": "v1", "payload_sha256": digest(9)}]}), (ERASED, {})),
    ("blob-erased", (ERASED, {"logs": [file()]}), (None, {"logs": [file()]})),
    ("blob-erased", (ERASED, {}), (ERASED, {"scripts": [file()]})),
    ("log-missing", (None, {"logs": []}), (None, {"logs": [], "state": "running"})),
    ("log-missing", (None, silent(hook=None)), (None, silent())),
    ("log-missing", (None, silent(hook={}, command={"argv": ["x"]})), (None, silent(state="failed"))),
    ("log-missing", (None, silent("sh", "job.sh")), (None, silent())),
    ("log-missing", (None, silent(weaknesses=[weak_capture()])), (None, silent(weaknesses=[]))),
    ("log-missing", (None, silent(extra={"hook_notes": ["log a.log: OSError: gone"]})), (None, silent(extra={"hook_notes": ["seeds: ?"]}))),
    ("environment-missing", (MISSING, LISTED), (None, LISTED)),
    ("software-missing", (None, {"software": []}), (None, {"software": [], "scripts": [file()]})),
    ("software-missing", (None, ran("/home/me/prog")), (None, ran("/home/me/prog", scripts=[file(path="/home/me/prog")]))),
    ("software-missing", (None, ran("./prog")), (None, ran("./prog", software=[{"checkout": "/w"}]))),
    ("software-missing", (None, ran("env", "A=1", "../x/prog")), (None, ran("nice", "/x/prog", software=[{"product": {"prefix": "/x"}}]))),
    ("software-missing", (None, ran("python3", "-u", "a.py")), (None, ran("python3", "-u", "a.py", scripts=[file(path="a.py")]))),
    ("software-missing", (None, ran("bash", "/home/me/run.sh")), (None, ran("bash", "-c", "/home/me/run.sh"))),
    ("software-missing", (None, ran("timeout", "9", "/w/x")), (None, ran("/w/x", command_processes={"unknown_programs": ["/w/x"]}))),
    ("software-missing", (None, ran("/home/me/prog", hook={})), (None, ran("/usr/bin/sort", "a.txt", hook={}, scripts=[]))),
    ("software-missing", (None, ran("prog", scripts=[])), (None, ran("sort", "a.txt", hook={}, scripts=[]))),
    ("software-missing", (None, ran("/home/me/prog")), (None, ran("/home/me/prog", software=[{"name": "somewhere"}]))),
    ("software-unresolved", (Findings(unresolved={0: "no mirror"}), {}), (Findings(unresolved={0: "no mirror"}), {"software": [PRODUCT]})),
    (
        "software-unresolved",
        (Findings(unresolved={0: "a tar file"}, missing_blobs=frozenset({digest(9)})), {"software": [{"name": "t", "tarball": file()}]}),
        (Findings(unresolved={0: "a tar file"}), {"software": [{"name": "t", "tarball": {"sha256": digest(9)}}]}),
    ),
    ("software-installed", (Findings(unresolved={0: "no repository"}), {"software": [PRODUCT]}), (None, {"software": [PRODUCT]})),
    ("software-installed", (Findings(unresolved={0: "no repository"}), {"software": [PRODUCT]}), (Findings(unresolved={0: "a"}), {})),
    ("software-ambiguous", (Findings(ambiguous={0: "a branch"}), {}), (None, {})),
    ("software-ambiguous", (Findings(ambiguous={0: "a branch"}), {}), (Findings(ambiguous={0: "?"}, inferred=frozenset({0})), {})),
    ("submodule-missing", (Findings(submodules=frozenset({0})), {}), (None, {})),
    ("dirty-tree-missing", (None, {"software": [DIRTY]}), (None, {"software": [{**DIRTY, "objects_sha256": digest(9)}]})),
    ("dirty-tree-missing", (MISSING, {"software": [{**DIRTY, "objects_sha256": digest(9)}]}), (None, {})),
    ("dirty-tree-missing", (None, {"software": [{"name": "a", "worktree_tree": "1" * 40}]}), (None, {"software": [{"name": "a"}]})),
    ("untracked-left-out", (None, left_out("too large")), (None, left_out("too large", is_output=True))),
    ("secret-removed", (None, left_out("secret")), (None, left_out("data"))),
    ("ignored-left-out", (None, left_out("ignored")), (None, left_out("secret"))),
    ("no-configuration", (None, {"command": ART}), (None, {"command": ART, "configurations": [{"step": "reco"}]})),
    ("no-configuration", (None, {"command": PROGRAM}), (None, {"command": {"steps": [{"name": "s", "role": "payload", "argv": ["x"]}]}})),
    ("code-unknown", (None, with_processes(unknown_programs=["/w/x"])), (None, with_processes(count=1))),
    ("children-unseen", (None, with_processes(is_complete=False)), (None, with_processes(is_complete=True))),
    ("outputs-missing", (None, {"outputs": [], "hook": {"version": "1"}}), (None, {"outputs": []})),
    ("outputs-missing", (None, {"outputs": [NOT_KEPT], "hook": {}}), (None, {"outputs": [], "hook": {}, "state": "failed"})),
    ("output-not-there", (None, {"outputs_not_there": [{"path": "b.root"}]}), (None, {"outputs_not_there": []})),
    ("input-missing", (Findings(unheld_inputs=frozenset({digest(2)})), {}), (None, {})),
    ("input-missing", (UNHELD, {}), (UNHELD, {"inputs": LARGE})),
    ("input-missing", (None, {"inputs": [BY_MD5]}), (None, {"inputs": [{**BY_MD5, "size_bytes": 7 << 30}]})),
    ("input-missing", (MISSING, READING), (None, READING)),
    ("input-missing", (MISSING, READING_STEP), (None, READING_STEP)),
    ("input-missing", (UNHELD, {}), (UNHELD, {"inputs": [MADE], "outputs": [MADE]})),
    ("input-without-checksum", (None, {"inputs": [{"name": "a"}]}), (None, {"inputs": [{"name": "a", "status": "skipped"}]})),
    ("input-without-checksum", (None, {"inputs": [{"name": "a"}]}), (None, {"inputs": [{"name": "a", "checksums": ["md5:1"]}]})),
    (
        "input-checksum-short",
        (None, {"inputs": [{"name": "a", "checksums": ["enstore:1", "ADLER32:00000001"]}]}),
        (None, {"inputs": [{"name": "a", "checksums": ["adler32:1", "SHA256:2"]}]}),
    ),
    ("input-checksum-short", (None, {"inputs": [{"name": "a", "checksums": ["adler32:1"]}]}), (None, {"inputs": [{"name": "a"}]})),
    ("commit-unreferenced", (Findings(unreferenced=frozenset({0})), {}), (Findings(unreferenced=frozenset({1})), {})),
    ("conditions-missing", (None, {"conditions": [{"tag": "v1"}]}), (None, {"conditions": [{"tag": "v1", "payload_sha256": digest(9)}]})),
    ("conditions-untagged", (None, {"conditions": [{"payload_sha256": digest(9)}]}), (None, {"conditions": [{"tag": "v1"}]})),
    ("conditions-missing", (MISSING, {"conditions": [{"tag": "v1", "payload_sha256": digest(9)}]}), (None, {"conditions": []})),
    (
        "image-without-digest",
        (None, {"environment": {"variables": {}, "container": {"image": "sl7"}}}),
        (None, {"environment": {"variables": {}, "container": {"image": "sl7", "digest": "sha256:1"}}}),
    ),
    (
        "configuration-unevaluated",
        (Findings(unevaluated={0: "a.fcl:3:1: unexpected }"}), {"configurations": [{"main": "a.fcl", "files": [file()]}]}),
        (None, {"configurations": [{"main": "a.fcl", "files": [file()]}]}),
    ),
    (
        "configuration-too-large",
        (
            Findings(
                unevaluated={0: "the set is larger than the limit of 10 values"},
                too_large=frozenset({0}),
            ),
            {"configurations": [{"main": "a.fcl", "files": [file()]}]},
        ),
        (
            Findings(unevaluated={0: "past the limit of a.fcl:3:1: unexpected }"}),
            {"configurations": [{"main": "past the limit of a.fcl", "files": [file()]}]},
        ),
    ),
    (
        "configuration-differs",
        (Findings(differing={0: "another value"}), {"configurations": [{"main": "a.fcl", "files": [file()]}]}),
        (None, {"configurations": [{"main": "a.fcl", "files": [file()]}]}),
    ),
    ("output-without-checksum", (None, {"outputs": [{"name": "b"}]}), (None, {"outputs": [{"name": "b", "status": "dropped"}]})),
    ("output-without-checksum", (None, {"outputs": [{"name": "b"}]}), (None, {"outputs": [{"name": "b"}], "state": "failed"})),
    ("output-without-checksum", (None, {"outputs": [{"name": "b"}]}), (None, {"outputs": [{"name": "b", "content_digest": "x-1:0"}]})),
    ("seed-unknown", (None, {"inputs": []}), (None, {"inputs": [], "seeds": [{"seed": 1}]})),
    ("threads-unseeded", (None, {"threads": 2}), (None, {"threads": 1})),
    ("touched-not-kept", (None, FOLDER), (None, {"trace": {"not_kept": []}})),
    ("touched-not-kept", (SERVED, PRIVATE), (SERVED, FOLDER)),
    ("touched-not-kept", (None, CUT_TRACE), (SERVED, CUT_TRACE)),
    ("touched-not-kept", (NO_ROOTRC, {"trace": {"waits_for": [digest(1)]}}), (None, {})),
    ("changed-while-running", (None, {"trace": {"changed": ["/data/a.txt"]}}), (None, {"trace": {}})),
    ("network-used", (None, {"trace": {"network": ["192.0.2.1:80"]}}), (None, {"trace": {}})),
    (
        "withheld-variable-read",
        (None, {"environment": {"variables": {}, "withheld_read": ["DB_PASS"]}}),
        (None, {"environment": {"variables": {}, "withheld": ["DB_PASS"]}}),
    ),
    ("blob-missing", (Findings(missing_blobs=frozenset({digest(8)})), {}), (None, {})),
    (
        "blob-missing",
        (MISSING, {"software": [{"name": "soft", "objects_sha256": digest(9)}]}),
        (MISSING, {"software": [{**DIRTY, "objects_sha256": digest(9)}]}),
    ),
    ("task-missing", (None, {"task": {"campaign": "c"}}), (None, {})),
    ("task-missing", (None, {"task": None}), (None, {})),
    (
        "event-count-mismatch",
        (None, {"inputs": [file(events_read=1), file(events_read=2)], "outputs": [file(event_count=4)]}),
        (None, {"inputs": [file(events_read=1), file(events_read=2)], "outputs": [file(event_count=3)]}),
    ),
    ("parents-unknown", (None, {"inputs": MANY, "outputs": MANY}), (None, {"inputs": MANY, "outputs": MANY[:9]})),
    ("value-out-of-range", (Findings(repairs=("threads",)), {}), (None, {})),
    ("witness-contradiction", (Findings(contradictions=("exit.code",)), {}), (None, {})),
    ("clock-ahead", (ARRIVED, {"ended_at": "2026-01-01T12:05:01Z"}), (ARRIVED, {"ended_at": "2026-01-01T12:05:00Z"})),
    (
        "clock-ahead",
        (ARRIVED, {"state": "running", "ended_at": None, "started_at": "2026-01-01T12:05:01Z"}),
        (ARRIVED, {"state": "lost", "ended_at": "2026-01-01T15:00:00Z"}),
    ),
    ("unknown-word", (None, {"witness": "oracle"}), (None, {"witness": None})),
    ("unknown-word", (None, {"inputs": [file(role="tertiary")]}), (None, {"inputs": [file(role="shared")]})),
    ("unknown-word", (None, {"outputs": [file(status="lost")]}), (None, {"outputs": [file(status="empty")]})),
    ("unknown-word", (None, {"software": [{"name": "s", "evidence": "felt"}]}), (None, {"software": [{"name": "s"}]})),
    ("bytes-as-text", (None, weak("bytes-as-text")), (None, {"weaknesses": []})),
    ("capture-incomplete", (None, weak("capture-incomplete")), (None, {"weaknesses": []})),
    ("changed-while-running", (None, weak("changed-while-running")), (None, {"weaknesses": []})),
    ("run-specific", (None, weak("run-specific")), (None, {"weaknesses": []})),
    ("random-unseeded", (None, weak("random-unseeded")), (None, {"weaknesses": []})),
    ("reads-unseen", (None, weak("reads-unseen")), (None, {"weaknesses": []})),
    ("reads-unseen", (None, WAITING), (Findings(unseen=UnseenReads()), WAITING)),
    ("network-used", (Findings(unseen=UnseenReads(hosts=("10.0.0.1:80",))), WAITING), (None, {})),
    ("secret-removed", (None, weak("secret-removed")), (None, {"weaknesses": []})),
    ("untracked-left-out", (None, left_out("too large")), (None, left_out("too large", is_output=True))),
    ("secret-removed", (None, left_out("secret")), (None, left_out("data"))),
    ("ignored-left-out", (None, left_out("ignored")), (None, left_out("secret"))),
    ("fcl-missing", (None, weak("fcl-missing", name="a.fcl")), (None, weak("bytes-as-text"))),
    ("limit-not-restored", (None, limited(file_size_bytes=1000)), (None, limited(open_files=256))),
    ("limit-not-restored", (None, limited(processes=100)), (None, limited(processes=30000))),
    ("terminal-used", (None, standard_input("terminal")), (None, standard_input("closed"))),
    ("unknown-word", (None, weak("felt-strange")), (None, weak("bytes-as-text"))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "with_it", "without"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)]
)
def test_gap_is_found_where_it_is_and_only_there(code: str, with_it: Any, without: Any) -> None:
    assert code in codes(with_it[0], **with_it[1])
    assert code not in codes(without[0], **without[1])


def test_complete_record_has_no_gap() -> None:
    assert codes() == []


def test_every_code_has_a_case() -> None:
    told_by_proofs = {proofs.GAP}
    assert {case[0] for case in CASES} == set(GAPS) - told_by_proofs


def test_sentence_names_what_is_weak_and_many_of_a_kind_are_counted() -> None:
    changed = {"kind": "changed-while-running", "name": "script a.sh", "detail": "it is not kept"}
    record = msgspec.convert({**COMPLETE, "weaknesses": [changed] * 30}, JobRecord)

    gaps = find_gaps(record, Findings())
    assert gaps[0].message == "Script a.sh changed while the job ran; it is not kept."
    assert (len(gaps), gaps[-1].message) == (21, "The same holds for 10 more.")


def test_gaps_that_cost_the_lowest_level_come_first() -> None:
    found = find_gaps(msgspec.convert(a_record(1), JobRecord), MISSING)
    levels = [GAPS[gap.code][0] for gap in found]
    assert levels == sorted(levels)
    assert all(gap.how_to_close == GAPS[gap.code][1] for gap in found)


@pytest.mark.parametrize(
    ("fields", "level", "with_capsule", "without_the_input"),
    [
        ({}, 2, 4, 1),
        ({"task": None}, 2, 4, 1),
        ({"environment": BY_TAG}, 2, 4, 1),
        ({"inputs": [{"name": "a"}]}, 1, 1, 1),
        ({"software": []}, 0, 0, 0),
        ({"software": [], "inputs": [{"name": "a"}]}, 0, 0, 0),
        ({"inputs": LARGE}, 2, 4, 3),
        ({"inputs": LARGE, "environment": BY_TAG}, 2, 4, 3),
        ({"inputs": [{"name": "a", "size_bytes": 7 << 30, "checksums": ["md5:1"]}]}, 2, 3, 3),
    ],
)
def test_level_is_the_highest_that_the_gaps_leave_complete(
    fields: dict[str, Any], level: int, with_capsule: int, without_the_input: int
) -> None:
    record = msgspec.convert({**COMPLETE, **fields}, JobRecord)
    gaps = find_gaps(record, Findings())

    assert level_of(gaps, record, Findings()) == level
    assert level_of(gaps, record, Findings(has_capsule=True)) == with_capsule
    assert level_of(find_gaps(record, UNHELD), record, UNHELD) == without_the_input


def test_next_level_needs_what_stands_in_its_way() -> None:
    def needs(findings: Findings, **fields: Any) -> list[str]:
        record = msgspec.convert({**COMPLETE, **fields}, JobRecord)
        gaps = find_gaps(record, findings)
        return needs_of_next(level_of(gaps, record, findings), gaps)

    held = Findings(has_capsule=True)
    assert needs(Findings(), software=[], inputs=[{"name": "a"}]) == ["software-missing"]
    assert needs(Findings(), inputs=[{"name": "a"}, {"name": "b"}]) == ["input-without-checksum"]
    assert needs(Findings(), environment=BY_TAG) == ["capsule"]
    assert needs(UNHELD, inputs=LARGE) == ["large-inputs"]
    short = {"name": "a", "checksums": ["adler32:00000001"], "size_bytes": 7 << 30}
    assert needs(held, inputs=[short]) == ["input-checksum-short"]
    assert needs(held) == []


def test_small_inputs_are_those_with_digest_and_no_size_beyond_the_limit() -> None:
    sizes = {1: 0, 2: 16 * 1024 * 1024, 3: 16 * 1024 * 1024 + 1, 4: None}
    inputs = [{"name": "x", "sha256": digest(n), "size_bytes": size} for n, size in sizes.items()]
    record = msgspec.convert(
        {**COMPLETE, "inputs": [*inputs, {"name": "y", "size_bytes": 1}]}, JobRecord
    )
    assert small_inputs(record) == {digest(1), digest(2), digest(4)}
