"""Proofs: every new recipe is rerun soon, with limits, and what is known of it afterwards."""

import hashlib
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.tables import DueProof, Job, Proof
from jobprov.provenance.errors import BundleError, NotFoundError
from jobprov.provenance.records.proofs import STATES
from jobprov.provenance.services.bundles.comparators import declare_comparators
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.recording.gap_updates import refresh_jobs
from jobprov.provenance.services.reruns.isolation import Isolation
from jobprov.provenance.services.reruns.proof_budgets import ProofBudget
from jobprov.provenance.services.reruns.proof_lists import list_proofs
from jobprov.provenance.services.reruns.proving import ProvedJob, prove
from jobprov.provenance.services.reruns.recorded_trials import TrialParts
from tests.library.databases import on_sqlite_alone
from tests.library.production import shown_job
from tests.library.productions.joining import BAD, EXPERIMENT, GOOD
from tests.library.productions.trials import record, shell_job, trial_parts
from tests.library.records import a_record

pytestmark = pytest.mark.slow


@pytest.fixture
def parts(database: Database, tmp_path: Path) -> Iterator[TrialParts]:
    """Yield a service that holds the two jobs of the sample."""
    with trial_parts(database, tmp_path) as opened:
        if not opened.isolation.is_offline:
            pytest.skip("THE KERNEL ALLOWS NO USER NAMESPACE: nothing can be proven here")
        yield opened


def proved(parts: TrialParts, **budget: Any) -> list[ProvedJob]:
    """Prove with a budget of its own; return the jobs."""
    done = prove(parts, {}, ProofBudget(**budget))
    assert done is not None
    return done


def one(parts: TrialParts, job: dict[str, Any], **budget: Any) -> ProvedJob:
    """Record one job after all others are proven; return its proof."""
    proved(parts)
    record(parts, job)
    [done] = proved(parts, **budget)
    return done


def keep(parts: TrialParts, *files: bytes) -> None:
    """Have the experiment possess the bytes of files."""
    uploads = []
    for data in files:
        sha256 = hashlib.sha256(data).hexdigest()
        parts.store.put(data)
        uploads.append(Upload(EXPERIMENT, sha256))
    parts.writer.run(lambda writing: grant_possession(writing, uploads))


def output(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "path": name, "sha256": hashlib.sha256(data).hexdigest()}


def test_new_recipes_are_proven_once(parts: TrialParts) -> None:
    first = proved(parts)

    assert {each.job_id: (each.state, each.level) for each in first} == {
        GOOD: ("proven", "R7"),
        BAD: ("proven", "R1="),  # failed as recorded
    }
    assert all(each.cpu_seconds > 0 for each in first)
    assert proved(parts) == []


def test_recipes_that_most_jobs_share_come_first(parts: TrialParts) -> None:
    proved(parts)
    for number in (21, 22, 23):
        record(parts, shell_job(parts, number, "echo three > three.txt"))
    for number in (24, 25):
        record(parts, shell_job(parts, number, "echo two > two.txt"))
    record(parts, shell_job(parts, 26, "echo one > one.txt"))

    done = proved(parts, jobs=2)
    rest = proved(parts)

    # Of jobs that share a recipe, the newest is run
    assert [each.job_id for each in done] == [a_record(n)["job_id"] for n in (23, 25)]
    assert [each.job_id for each in rest] == [a_record(26)["job_id"]]


def test_failed_proof_names_the_first_thing_missing(parts: TrialParts) -> None:
    script = "cat /nowhere/at/all.cfg > out.txt || exit 4"
    done = one(parts, shell_job(parts, 7, script, outputs=[output("out.txt", b"x")]))

    assert (done.state, done.level) == ("failed", "R1")
    assert done.message == "The file /nowhere/at/all.cfg is missing."


def test_output_that_is_not_made_fails_and_one_that_changes_differs(parts: TrialParts) -> None:
    nothing = one(parts, shell_job(parts, 8, "true", outputs=[output("gone.txt", b"x")]))
    script = "cat /proc/sys/kernel/random/uuid > id.txt; echo same > same.txt"
    outputs = [output("id.txt", b"x"), output("same.txt", b"same\n")]
    record(parts, shell_job(parts, 9, script, outputs=outputs))
    [changed] = proved(parts)

    assert (nothing.state, nothing.message) == ("failed", "The rerun did not make gone.txt.")
    assert changed.state == "differs"
    assert changed.message == "id.txt differs from the recorded one; 1 other is equal (R7)."


def test_recipe_that_needs_the_network_is_not_proven(parts: TrialParts) -> None:
    script = "getent hosts example.org || { echo 'Could not resolve host: example.org'; exit 6; }"
    done = one(parts, shell_job(parts, 10, script, outputs=[output("page", b"x")]))

    assert done.state == "failed"
    assert "needs the network" in str(done.message)


def test_job_whose_input_is_not_here_stays_unproven_with_a_reason(
    parts: TrialParts, tmp_path: Path
) -> None:
    far = {"name": "far.root", "path": "/pnfs/far.root", "size_bytes": 1 << 30}
    far["sha256"] = hashlib.sha256(b"far").hexdigest()
    near = {**far, "name": "near.txt", "path": "/pnfs/near.txt", "size_bytes": 3}
    done = one(parts, shell_job(parts, 11, "true", inputs=[far]))
    (tmp_path / "near.txt").write_bytes(b"far")
    record(
        parts,
        shell_job(parts, 12, "cp /pnfs/near.txt o", inputs=[near], outputs=[output("o", b"far")]),
    )
    [found] = proved(parts, input_dirs=(tmp_path,))

    assert (done.state, done.message) == (
        "unproven",
        "Its input far.root is not in the bundle.",
    )
    assert found.state == "proven"


def test_job_without_outputs_proves_nothing(parts: TrialParts) -> None:
    done = one(parts, shell_job(parts, 13, "true", outputs=[]))

    assert done.state == "unproven"
    assert "the record has no output that a rerun must make again" in str(done.message)


def test_recipe_that_is_not_proven_is_due_when_something_comes(parts: TrialParts) -> None:
    script = "cat /proc/sys/kernel/random/uuid > id.txt"
    done = one(parts, shell_job(parts, 14, script, outputs=[output("id.txt", b"x")]))
    assert done.state == "differs"
    assert proved(parts) == []

    parts.writer.run(lambda writing: refresh_jobs(writing, _keys(parts)))
    assert [each.job_id for each in proved(parts)] == [done.job_id]
    rule = {"output": [{"pattern": "*.txt", "comparator": "bytes"}]}
    parts.writer.run(lambda writing: declare_comparators(writing, EXPERIMENT, rule))
    assert [each.job_id for each in proved(parts)] == [done.job_id]
    assert [each.job_id for each in proved(parts, again_after=timedelta(0))] == [done.job_id]
    with parts.database.reading.connect() as connection:
        assert connection.execute(select(DueProof)).all() == []


def test_job_without_a_recipe_is_proven_by_itself(parts: TrialParts) -> None:
    proved(parts)
    for number in (31, 32):  # without inputs and seeds, as nobody knows what it drew
        record(
            parts, shell_job(parts, number, "echo 1 > o", inputs=[], outputs=[output("o", b"1\n")])
        )
    done = proved(parts)

    assert [(each.recipe_id, each.state) for each in done] == [(None, "proven")] * 2
    assert proved(parts) == []


def test_comparator_is_offered_for_what_differs(parts: TrialParts) -> None:
    log = b"events 100\nStarted at 17.25\n"
    mass = b"mass 91.1876\n"
    script = (
        "echo events 100 > fit.log; echo Started at $(date +%s.%N) >> fit.log;"
        "echo mass 91.18760001 > mass.txt; date +%N > any.txt"
    )
    outputs = [output("fit.log", log), output("mass.txt", mass), output("any.txt", b"odd\n")]
    keep(parts, log, mass, b"odd\n")
    done = one(parts, shell_job(parts, 33, script, outputs=outputs))
    with parts.database.reading.connect() as connection:
        verdict = shown_job(connection, parts.store, done.job_id)["verdicts"][0]
        [listed] = list_proofs(connection, experiment=EXPERIMENT).recipes
    rules = tomllib.loads(str(listed.comparators))

    assert (done.state, listed.state, listed.job_id) == ("differs", "differs", done.job_id)
    assert rules == {"output": verdict["offers"]}
    assert rules["output"] == [
        {"pattern": "fit.log", "comparator": "text", "mask": ["^Started at .*"]},
        {"pattern": "mass.txt", "comparator": "numeric", "relative": 1e-09},
    ]
    accepted = [*rules["output"], {"pattern": "any.txt", "required": False}]
    parts.writer.run(lambda writing: declare_comparators(writing, EXPERIMENT, {"output": accepted}))
    [again] = proved(parts)
    assert (again.state, again.level) == ("proven", "R4")


def test_comparator_is_offered_behind_an_output_whose_name_has_a_time_in_it(
    parts: TrialParts,
) -> None:
    mass = b"mass 91.1876\n"
    script = "echo ok > ran_20261203T112233Z.txt; echo mass 91.18760001 > mass.txt"
    outputs = [output("ran_20260807T101112Z.txt", b"ok\n"), output("mass.txt", mass)]
    keep(parts, mass)
    done = one(parts, shell_job(parts, 33, script, outputs=outputs))
    with parts.database.reading.connect() as connection:
        verdict = shown_job(connection, parts.store, done.job_id)["verdicts"][0]

    assert [offer["pattern"] for offer in verdict["offers"]] == ["mass.txt"]


@on_sqlite_alone
def test_fork_bomb_is_stopped(parts: TrialParts) -> None:
    """The bomb is bounded: 2,000 processes, each of which ends after 60 seconds."""
    bomb = "i=0; while [ $i -lt 2000 ]; do sleep 60 & i=$((i+1)); done; wait; echo x > o"
    done = one(parts, shell_job(parts, 15, bomb, outputs=[output("o", b"x\n")]), processes=100)

    assert done.state == "unproven"
    assert "processes" in str(done.message)
    assert done.seconds < 30


@on_sqlite_alone
def test_job_that_fills_disk_or_memory_is_stopped(parts: TrialParts) -> None:
    fill = "dd if=/dev/zero of=full bs=1M count=4000 2>/dev/null; sleep 20"
    disk = one(parts, shell_job(parts, 16, fill, outputs=[]), disk_bytes=200 << 20)
    grow = "exec python3 -c 'a = []\nwhile len(a) < 3000: a.append(bytes(1 << 20) + b\"x\")'"
    record(parts, shell_job(parts, 17, grow, outputs=[]))
    [memory] = proved(parts, memory_bytes=300 << 20)

    assert (disk.state, "of disk" in str(disk.message)) == ("unproven", True)
    assert (memory.state, "memory" in str(memory.message)) == ("unproven", True)
    assert list((parts.folder).iterdir()) == [parts.folder / "lock"]


def test_budget_ends_proofs(parts: TrialParts) -> None:
    assert proved(parts, jobs=0) == []
    assert proved(parts, seconds=0.0) == []
    assert len(proved(parts, cpu_seconds=0.0001)) == 1
    assert len(prove(parts, {EXPERIMENT: ProofBudget(jobs=0)}, ProofBudget()) or ()) == 0


@on_sqlite_alone
def test_bundle_too_large_for_the_disk_is_unproven(parts: TrialParts) -> None:
    done = proved(parts, disk_bytes=1000)

    assert {each.state for each in done} == {"unproven"}
    assert "too many for the disk" in str(done[0].message)
    assert proved(parts) == []  # until the next turn


@on_sqlite_alone
def test_nothing_is_proven_with_a_network(parts: TrialParts) -> None:
    with pytest.raises(BundleError, match="no namespace"):
        prove(parts._replace(isolation=Isolation()), {}, ProofBudget())
    with pytest.raises(NotFoundError, match="nosuch"):
        prove(parts, {}, ProofBudget(), experiment="nosuch")


def test_proof_is_kept_by_recipe(parts: TrialParts) -> None:
    proved(parts)
    with parts.database.reading.connect() as connection:
        proofs = connection.execute(select(Proof.state, Proof.message)).all()
    assert [(STATES[state], message) for state, message in proofs] == [("proven", None)] * 2


def _keys(parts: TrialParts) -> list[int]:
    with parts.database.reading.connect() as connection:
        return list(connection.execute(select(Job.id)).scalars())
