"""Plans that make a lost file again, on a small production whose graph is known."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobprov.archive.opening import open_store
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.services.histories.rebuilds import listed_files, plan_rebuild
from tests.library.production import Production
from tests.library.records import job_id, record_of
from tests.library.statements import constant_statements_sent

# raw1 and raw2 are of nobody; reco1 and reco2 read one each and the flux; merge reads both; the
# plot reads the merge.
JOBS = {
    1: (["raw1", "flux"], ["reco1"]),
    2: (["raw2", "flux"], ["reco2", "log2"]),
    3: (["reco1", "reco2"], ["merged"]),
    4: (["merged"], ["plot"]),
}


def job(number: int, reads: list[str], makes: list[str], **more: Any) -> dict[str, Any]:
    def files(names: list[str]) -> list[dict[str, Any]]:
        return [
            {"name": name, "checksums": [f"adler32:{sum(name.encode()):08x}"]} for name in names
        ]

    resources = {"wall_seconds": 10.0 * number}
    return record_of(
        number,
        inputs=files(reads),
        outputs=files(makes),
        resources=resources,
        configurations=[],
        **more,
    )


@pytest.fixture
def production(database: Database, tmp_path: Path) -> Iterator[Production]:
    made = Production(database, open_store("memory:"), tmp_path)
    made.record(*[job(number, reads, makes) for number, (reads, makes) in JOBS.items()])
    yield made
    made.close()


def planned(production: Production, name: str, **how: Any) -> dict[str, Any]:
    with production.database.reading.connect() as connection:
        plan = plan_rebuild(connection, production.store, name, **how)
    answer: dict[str, Any] = msgspec.to_builtins(plan)
    return answer


def jobs_of(plan: dict[str, Any]) -> list[int]:
    return [next(n for n in range(1, 99) if job_id(n) == step["job_id"]) for step in plan["jobs"]]


def names(files: list[dict[str, str]]) -> list[str]:
    return [file["name"] for file in files]


def test_claims_of_many_lost_files_are_read_together(production: Production) -> None:
    with constant_statements_sent() as statements:
        planned(production, "plot", lost=["merged", "log2", "flux"])

    claims_of_files = [sql for sql in statements if "coalesce(alias_of, id) FROM claims" in sql]
    assert len(claims_of_files) == 1


def test_one_job_is_enough_while_what_it_read_is_there(production: Production) -> None:
    plan = planned(production, "plot")

    assert jobs_of(plan) == [4]
    assert names(plan["needs"]) == ["merged"]
    assert (plan["is_possible"], plan["beyond"]) == (True, [])
    assert plan["jobs"][0]["reads"] == ["merged"]
    assert plan["jobs"][0]["makes"] == ["plot"]


def test_only_what_is_lost_is_made_again(production: Production) -> None:
    plan = planned(production, "plot", lost=["merged", "reco2"])

    assert jobs_of(plan) == [2, 3, 4]
    assert names(plan["needs"]) == ["flux", "raw2", "reco1"]
    assert plan["jobs"][1]["after"] == [job_id(2)]
    assert plan["resources"]["wall_seconds"] == 90


def test_from_scratch_every_job_comes_after_those_whose_files_it_reads(
    production: Production,
) -> None:
    plan = planned(production, "plot", from_scratch=True)

    order = jobs_of(plan)
    assert sorted(order) == [1, 2, 3, 4]
    assert order[2:] == [3, 4]
    assert names(plan["needs"]) == ["flux", "raw1", "raw2"]


def test_lost_file_that_no_job_made_is_beyond_the_plan(production: Production) -> None:
    plan = planned(production, "reco1", lost=["raw1"])

    assert (plan["is_possible"], names(plan["beyond"])) == (False, ["raw1"])
    assert planned(production, "flux")["is_possible"] is False


def test_file_that_was_never_kept_is_made_again_without_being_named(production: Production) -> None:
    passing = job(5, ["raw1"], [])
    passing["outputs"] = [
        {"name": "passing", "status": "not_kept", "checksums": ["adler32:00000001"]}
    ]
    reader = job(6, [], ["late"])
    reader["inputs"] = [{"name": "passing", "checksums": ["adler32:00000001"]}]
    production.record(passing, reader)

    assert jobs_of(planned(production, "late")) == [5, 6]


def test_of_several_makers_the_newest_that_succeeded_is_taken(production: Production) -> None:
    production.record(
        job(7, ["raw1", "flux"], ["reco1"]),
        job(8, ["raw1", "flux"], ["reco1"], state="failed", exit={"code": 1}),
    )

    assert jobs_of(planned(production, "merged", lost=["reco1"])) == [7, 3]


@pytest.mark.parametrize("order", [(5, 6), (6, 5)])
def test_newest_maker_is_the_one_that_ended_last_whichever_was_recorded_first(
    production: Production, order: tuple[int, int]
) -> None:
    makers = {
        5: job(5, ["raw1"], ["twice"], ended_at="2026-01-02T00:00:00Z"),
        6: job(6, ["raw2"], ["twice"], ended_at="2026-01-03T00:00:00Z"),
    }
    production.record(*(makers[number] for number in order), job(7, ["twice"], ["late"]))

    assert jobs_of(planned(production, "late", lost=["twice"])) == [6, 7]


@pytest.mark.parametrize("keeper", [5, 6])
def test_what_one_of_two_makers_kept_is_not_made_again(production: Production, keeper: int) -> None:
    makers = [job(5, ["raw1"], ["twice"]), job(6, ["raw2"], ["twice"])]
    makers[1 if keeper == 5 else 0]["outputs"][0]["status"] = "copy_failed"
    production.record(*makers, job(7, ["twice"], ["late"]))

    plan = planned(production, "late")

    assert (jobs_of(plan), names(plan["needs"])) == ([7], ["twice"])
    assert len(jobs_of(planned(production, "late", lost=["twice"]))) == 2


def test_cycle_in_what_clients_sent_ends(production: Production) -> None:
    production.record(job(9, ["b"], ["a"]), job(10, ["a"], ["b"]))

    assert sorted(jobs_of(planned(production, "a", from_scratch=True))) == [9, 10]


def test_what_an_earlier_step_of_the_job_writes_is_not_needed(production: Production) -> None:
    steps = {"steps": [{"name": "one", "argv": ["a"]}, {"name": "two", "argv": ["b"]}]}
    record = job(11, ["raw1", "between"], ["between", "final"], command=steps)
    for file, step in zip(
        [*record["inputs"], *record["outputs"]], ("one", "two", "one", "two"), strict=True
    ):
        file["step"] = step
    production.record(record)

    plan = planned(production, "final", from_scratch=True)

    assert (plan["is_possible"], jobs_of(plan), names(plan["needs"])) == (True, [11], ["raw1"])


def test_unknown_file_has_no_plan(production: Production) -> None:
    with pytest.raises(NotFoundError):
        planned(production, "nothing")


def test_what_a_job_reads_under_the_name_of_its_output_was_made_before_it(
    production: Production,
) -> None:
    """A job's output never satisfies its own input."""
    production.record(job(12, ["raw1", "list"], ["list", "other"]))

    plan = planned(production, "other", from_scratch=True)
    itself = planned(production, "list")

    assert (plan["is_possible"], jobs_of(plan), names(plan["needs"])) == (
        True,
        [12],
        ["list", "raw1"],
    )
    assert plan["jobs"][0]["reads"] == ["raw1", "list"]
    assert (itself["is_possible"], names(itself["beyond"])) == (False, ["list"])


@pytest.mark.parametrize(
    ("more", "is_inside"),
    [
        ({"role": "shared"}, False),
        ({"role": "calibration", "step": "two"}, True),
        ({"role": "shared", "step": "one"}, False),
        ({}, False),
    ],
)
def test_what_a_job_shares_with_others_is_needed_unless_an_earlier_step_wrote_it(
    production: Production, more: dict[str, str], *, is_inside: bool
) -> None:
    """What was made of an input does not tell if it is shared or outputs declare parents."""
    record = job(12, ["raw1", "list"], ["list", "other"])
    record["inputs"][1] |= more
    if "step" in more:
        record["command"] = {"steps": [{"name": name, "argv": [name]} for name in ("one", "two")]}
        record["outputs"][0]["step"] = "one"
        record["outputs"][1]["step"] = "two"
    record["outputs"] = [{**output, "parents": ["raw1"]} for output in record["outputs"]]
    production.record(record)

    plan = planned(production, "other", from_scratch=True)

    assert (plan["is_possible"], jobs_of(plan)) == (True, [12])
    assert names(plan["needs"]) == (["raw1"] if is_inside else ["list", "raw1"])


def test_jobs_that_wait_for_each_other_cannot_make_a_file(production: Production) -> None:
    production.record(job(9, ["b"], ["a"]), job(10, ["a"], ["b"]), job(11, ["a"], ["c"]))

    plan = planned(production, "c", from_scratch=True)

    assert (plan["is_possible"], plan["circle"], plan["beyond"]) == (
        False,
        sorted([job_id(9), job_id(10)]),
        [],
    )
    assert plan["why"].startswith("These jobs read each other's outputs")
    assert (planned(production, "c")["is_possible"], planned(production, "c")["why"]) == (
        True,
        None,
    )


def test_lost_file_is_one_that_somebody_named(production: Production) -> None:
    named = job(14, ["raw2"], ["later"])
    named["inputs"].append({"name": "raw1", "namespace": "user"})
    production.record(named)

    with pytest.raises(BadInputError, match="lost: no record mentions a file named nosuch"):
        planned(production, "plot", lost=["merged", "nosuch"])
    with pytest.raises(BadInputError, match="no record mentions a file named user:reco1"):
        planned(production, "plot", lost=["user:reco1"])
    assert names(planned(production, "later", lost=["user:raw1"])["beyond"]) == ["raw1"]
    assert planned(production, "reco1", lost=["user:raw1"])["is_possible"]


def test_lost_file_may_be_one_of_an_experiment_and_have_commas_in_its_name(
    production: Production,
) -> None:
    production.record(
        job(15, ["raw1", "a,b"], ["later"]),
        {**job(16, ["raw1"], ["theirs"]), "experiment": "dune", "task": None, "job_id": job_id(16)},
    )

    def beyond(name: str, words: str, **where: str) -> list[str]:
        with production.database.reading.connect() as connection:
            lost = listed_files(connection, words)
        return names(planned(production, name, lost=lost, **where)["beyond"])

    for words in ("raw1", "dune/raw1", "dune/:raw1"):
        assert beyond("theirs", words) == ["raw1"]
    for words in ("nova/raw1", "nova/:raw1"):
        assert beyond("theirs", words) == []
        assert beyond("later", words) == ["raw1"]
    assert beyond("later", "a,b") == ["a,b"]
    assert beyond("later", "raw1,nova/:raw2") == ["raw1"]
    with pytest.raises(BadInputError, match="no record mentions a file named dune/a,b"):
        planned(production, "later", lost=["dune/a,b"])
