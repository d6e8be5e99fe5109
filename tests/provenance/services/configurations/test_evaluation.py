"""Configurations evaluated in the background.

What becomes of their jobs, their gaps and the search by parameter, on both databases.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from jobprov.provenance.answers.configurations import RunAnswer
from jobprov.provenance.db.queries.configurations import newest_jobs
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.tables import (
    Evaluation,
    GapSet,
    Job,
    ParameterSet,
    ParameterTable,
    WorkItem,
)
from jobprov.provenance.fhicl import loads
from jobprov.provenance.fhicl.running.as_run import as_run
from jobprov.provenance.fhicl.running.command_line import read_command_line
from jobprov.provenance.fhicl.running.contradictions import contradictions
from jobprov.provenance.fhicl.running.facts import Facts
from jobprov.provenance.services.configurations.configuration import (
    ConfigurationTooLargeError,
    evaluated_answer,
    printed,
    read_configurations,
    run_answer,
)
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.work.evaluations import EVALUATE
from tests.library.production import Production, shown_job
from tests.library.productions.configured_jobs import configured, found, paged
from tests.library.records import FIRST, job_id, record_of, sha256
from tests.library.statements import statements_sent

BASE = (
    b"physics: { producers: { slicer: { threshold: 5 mode: fast } fit: { steps: [ 1, 2, 3 ] } } }\n"
)


def gaps_of(production: Production, number: int) -> list[str]:
    with production.database.reading.connect() as connection:
        query = (
            select(GapSet.document)
            .join(Job, Job.gap_set_id == GapSet.id)
            .where(Job.uuid == job_id(number))
        )
        codes: list[str] = json.loads(connection.execute(query).scalar_one())
    return [code for code in codes if code.startswith("configuration")]


def evaluations(production: Production) -> list[Any]:
    with production.database.reading.connect() as connection:
        return list(connection.execute(select(Evaluation)))


@pytest.mark.slow
def test_jobs_are_found_by_the_values_that_they_ran_with(production: Production) -> None:
    production.record(
        configured(production, 1, BASE),
        configured(production, 2, BASE),
        configured(production, 3, BASE + b"physics.producers.slicer.threshold: 3\n"),
        configured(production, 4, BASE + b"physics.producers.slicer.mode: slow\n"),
        configured(production, 5, BASE + b"physics.producers.slicer.threshold: '5'\n"),
        record_of(6),
    )
    production.work()
    key = "physics.producers.slicer.threshold"

    assert found(production, parameter=key, value="<5") == [3]
    assert found(production, parameter=key, value="<=5") == [1, 2, 3, 4]
    assert found(production, parameter=key, value=">5") == []
    assert found(production, parameter=key, value="5.0") == [1, 2, 4]
    assert found(production, parameter=key, value="!=5") == [3, 5]
    assert found(production, parameter=key, value='="5"') == [5]
    assert found(production, parameter=key) == [1, 2, 3, 4, 5]
    assert found(production, parameter="*.mode", value="slow") == [4]
    assert found(production, parameter="physics.producers.fit.steps[*]", value="3") == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert found(production, parameter="physics.*.threshold", value="<5", task_id="t1") == [3]
    assert found(production, parameter="physics.*.threshold", value="<5", state="failed") == []
    assert found(production, parameter="Physics.*") == []


def test_configuration_that_the_archive_cannot_deliver_keeps_no_other_from_being_evaluated(
    production: Production,
) -> None:
    texts = [BASE + b"x: %d\n" % number for number in range(1, 5)]
    jobs = [configured(production, number, text) for number, text in enumerate(texts, start=1)]
    production.record(*jobs)
    production.store.blobs.pop(sha256(texts[1]))

    production.work()
    # Those that were done together with it are tried again alone, some seconds later
    with production.database.writing.begin() as connection:
        connection.execute(update(WorkItem).values(due_at=FIRST))
    production.work()

    assert found(production, parameter="x") == [1, 3, 4]
    with production.database.reading.connect() as connection:
        waiting = select(func.count()).select_from(WorkItem).where(WorkItem.kind == EVALUATE)
        assert connection.execute(waiting).scalar_one() == 1


def test_values_that_lead_to_jobs_and_tell_why_these_are_listed_are_read_once(
    production: Production,
) -> None:
    production.record(configured(production, 1, BASE))
    production.work()

    with (
        production.database.reading.connect() as connection,
        statements_sent(connection) as statements,
    ):
        listed = list_jobs(connection, JobFilters(parameter="*.threshold", value="5"))

    assert [value.key for value in listed.matched[job_id(1)]] == [
        "physics.producers.slicer.threshold"
    ]
    of_values = [sql for sql, _ in statements if "FROM parameter_values" in sql]
    assert len([sql for sql in of_values if "JOIN parameter_keys" not in sql]) == 1


@pytest.mark.slow
def test_whole_sequences_their_elements_and_globs_of_text_are_found(production: Production) -> None:
    production.record(
        configured(production, 1, BASE),
        configured(production, 2, BASE + b"physics.producers.fit.steps: [1, 2]\n"),
        configured(production, 3, BASE + b"physics.producers.fit.steps: [[1, 2], {a: 1}]\n"),
        configured(production, 4, BASE + b"physics.producers.slicer.mode: 'fast%_[1]'\n"),
        configured(
            production, 5, BASE + b"physics.producers.fit.steps: [%s]\n" % b",".join([b"7"] * 999)
        ),
        configured(
            production, 6, BASE + b"physics.producers.fit.steps: [%s]\n" % b",".join([b"7"] * 998)
        ),
    )
    production.work()
    key, mode = "physics.producers.fit.steps", "physics.producers.slicer.mode"

    assert found(production, parameter=key, value="[1,2,3]") == [1, 4]
    assert found(production, parameter=key, value="!= [1, 2, 3]") == [2, 3, 5, 6]
    assert found(production, parameter="*.steps", value="[1,2]") == [2]
    assert found(production, parameter=f"{key}[0]", value="[1,2]") == [3]
    assert found(production, parameter=f"{key}[2]", value="3") == [1, 4]
    assert found(production, parameter=f"{key}[1].a", value="1") == [3]
    assert found(production, parameter=key, value=f"[{','.join(['7'] * 999)}]") == [5]
    assert found(production, parameter=key) == [1, 2, 3, 4, 5, 6]
    assert found(production, parameter=mode, value="~fa*") == [1, 2, 3, 4, 5, 6]
    assert found(production, parameter=mode, value="~*%_[?]") == [4]
    assert found(production, parameter=mode, value="~Fa*") == []
    with production.database.reading.connect() as connection:
        counts = sorted(connection.execute(select(ParameterSet.parameter_count)).scalars())
    assert counts == [4, 5, 5, 5, 1000, 1001]


@pytest.mark.slow
def test_more_sets_than_a_block_holds_are_told_apart(production: Production) -> None:
    """Common values end the search once every set is met; rare ones lead to their sets.

    There are several blocks of sets.
    """
    texts = [
        BASE + b"physics.producers.slicer.threshold: %d\n" % number for number in range(1, 131)
    ]
    production.record(
        *[configured(production, number, text) for number, text in enumerate(texts, 1)]
    )
    production.work()

    assert found(production, parameter="*.threshold", value="<=64") == list(range(1, 65))
    assert len(paged(production, parameter="*.mode", value="fast")) == 130
    assert paged(production, parameter="*") == list(range(130, 0, -1))
    assert found(production, parameter="*", value="126") == [126]


@pytest.mark.parametrize(("few", "near"), [(0, 20), (0, 1), (10_000, 20)])
def test_pages_of_jobs_come_whole_and_in_order(
    production: Production, few: int, near: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways to the newest jobs: gathered from the configurations, and met by going through all.

    And the one after the other.
    """
    monkeypatch.setattr(newest_jobs, "_FEW_JOBS", few)
    monkeypatch.setattr(newest_jobs, "_FEW_LISTS", few)
    monkeypatch.setattr(newest_jobs, "_NEAR", near)
    texts = [BASE, BASE + b"physics.producers.slicer.threshold: 3\n"]
    closures = [configured(production, 1, text)["configurations"][0] for text in texts]
    production.record(
        *[
            record_of(
                number,
                configurations=[closures[number % 3 == 0]]
                + [{**closures[1], "step": "again"}] * (number % 4 == 0),
                state="failed" if number % 5 == 0 else "succeeded",
            )
            for number in range(1, 41)
        ]
    )
    production.work()
    expected = [number for number in range(40, 0, -1) if (number % 3 == 0 or number % 4 == 0)]

    assert paged(production, parameter="*.threshold", value="3") == expected
    assert paged(production, parameter="*.threshold", value="3", state="failed") == [
        n for n in expected if n % 5 == 0
    ]


def test_equal_tables_are_kept_once(production: Production) -> None:
    production.record(
        *[
            configured(production, n, BASE + b"physics.producers.slicer.threshold: %d\n" % n)
            for n in range(1, 9)
        ]
    )
    production.record(
        configured(
            production,
            9,
            BASE + b"physics.producers.slicer.threshold: 8\n# the same in other bytes\n",
        )
    )
    production.work()

    with production.database.reading.connect() as connection:
        assert connection.execute(select(func.count()).select_from(ParameterSet)).scalar_one() == 8
        assert (
            connection.execute(select(func.count()).select_from(ParameterTable)).scalar_one()
            == 8 + 1
        )


def test_a_configuration_that_is_none_leaves_its_job_standing_with_a_gap(
    production: Production,
) -> None:
    production.record(
        configured(production, 1, b"a: 1\n"), configured(production, 2, b"a: @local::nowhere\n")
    )
    assert gaps_of(production, 2) == []

    production.work()
    again = production.record(configured(production, 3, b"a: @local::nowhere\n"))

    assert (gaps_of(production, 1), gaps_of(production, 2)) == ([], ["configuration-unevaluated"])
    [gap] = [gap for gap in again[0].gaps if gap.code == "configuration-unevaluated"]
    assert "job.fcl:1:4" in gap.message
    with production.database.reading.connect() as connection:
        shown = shown_job(connection, production.store, job_id(2))
    assert "configuration-unevaluated" in [gap["code"] for gap in shown["gaps"]]


def test_a_configuration_that_grows_without_end_leaves_a_gap_of_its_own(
    production: Production,
) -> None:
    bomb = b"a: [1,1]\n" + b"a: [@local::a, @local::a]\n" * 22
    production.record(configured(production, 1, bomb))

    production.work()

    assert gaps_of(production, 1) == ["configuration-too-large"]
    with production.database.reading.connect() as connection:
        [recorded] = read_configurations(connection, production.store, job_id(1))
        with pytest.raises(ConfigurationTooLargeError, match="written_bytes"):
            recorded.evaluate()


def test_large_configuration_has_its_id_and_is_not_searched(production: Production) -> None:
    """900,000 values took 15 s and 1.3 GB, and 139 MB of the database."""
    text = b"BEGIN_PROLOG\na: [" + b",".join([b"1"] * 1000) + b"]\nEND_PROLOG\n"
    text += b"".join(b"q%d: @local::a\n" % number for number in range(301))
    production.record(configured(production, 1, text))

    production.work()

    assert gaps_of(production, 1) == ["configuration-too-large"]
    assert evaluations(production)[0].parsed_as == loads(text).parameter_set_id
    assert found(production, parameter="q7[0]", value="1") == []


def test_a_configuration_is_evaluated_when_its_last_file_comes(production: Production) -> None:
    late = b"a: 7\n"
    sha256 = production.store.put(late).sha256
    main = production.upload(b'#include "late.fcl"\n')
    files = [
        {"name": "job.fcl", "sha256": main},
        {"name": "late.fcl", "sha256": sha256, "found_in": 0},
    ]
    production.record(record_of(1, configurations=[{"main": "job.fcl", "files": files}]))
    production.work()
    assert evaluations(production) == []

    production.upload(late)
    production.work()

    assert found(production, parameter="a", value="7") == [1]


def test_what_the_program_wrote_is_searched_and_held_against_what_was_sent(
    production: Production,
) -> None:
    art = b'process_name: "P" services: { scheduler: { num_threads: 1 } } '
    ran = BASE.replace(b"mode: fast", b"mode: fast module_label: slicer").replace(b"5", b"4")
    agreeing, differing = production.upload(art + BASE), production.upload(art + ran)
    production.record(
        configured(production, 1, BASE, final_sha256=agreeing),
        configured(production, 2, BASE, final_sha256=differing),
        configured(production, 3, BASE, final_sha256=agreeing, parameter_set_id="0" * 40),
        configured(production, 4, BASE, final_sha256=production.upload(b"a: [")),
    )
    production.work()

    assert [gaps_of(production, n) for n in (1, 2, 3, 4)] == [[], *[["configuration-differs"]] * 3]
    assert found(production, parameter="physics.producers.slicer.threshold", value="4") == [2]
    rows = {row.ran_as: row for row in evaluations(production)}
    assert all(row.parsed_as == loads(BASE).parameter_set_id for row in rows.values())
    assert loads(art + BASE).parameter_set_id in rows
    assert "threshold is 5, the program ran with 4" in str(
        rows[loads(art + ran).parameter_set_id].difference
    )


def test_what_the_program_wrote_is_looked_at_when_it_comes_late(production: Production) -> None:
    ran = BASE.replace(b"5", b"4")
    production.record(
        configured(production, 1, BASE, final_sha256=production.store.put(ran).sha256)
    )
    production.work()
    assert found(production, parameter="*.threshold", value="5") == [1]

    production.upload(ran)
    production.work()

    assert found(production, parameter="*.threshold", value="4") == [1]
    assert gaps_of(production, 1) == ["configuration-differs"]


def test_naming_the_files_of_another_experiment_tells_nothing_of_them(
    production: Production,
) -> None:
    production.record(configured(production, 1, BASE))
    thief = record_of(2, experiment="dune")
    thief["configurations"] = configured(production, 1, BASE)["configurations"]
    production.record(thief)
    production.work()

    assert found(production, parameter="*.threshold", value="5") == [1]


def test_each_configuration_is_asked_for_once_and_the_work_ends(production: Production) -> None:
    for number in range(1, 5):
        production.record(configured(production, number, BASE))
    with production.database.reading.connect() as connection:
        assert connection.execute(select(func.count()).select_from(WorkItem)).scalar_one() == 1
    production.work()
    production.record(configured(production, 6, BASE))

    with production.database.reading.connect() as connection:
        assert connection.execute(select(func.count()).select_from(WorkItem)).scalar_one() == 0


def test_real_runs_of_art_contradict_nothing_that_was_sent_to_them(shared_data: Path) -> None:
    """Of 33 real jobs, art wrote what it ran with.

    Beyond its own changes it is what the fcl files say.
    """
    folder = shared_data / "art-jobs"
    compared = 0
    for written in sorted(folder.glob("*/config-out.fcl")):
        command = json.loads((written.parent / "job.json").read_text())["command"]
        main = written.parent / Path(command[command.index("-c") + 1]).name
        search_path = [
            str(written.parent),
            str(folder / "00-release/toyexp"),
            str(folder / "00-release/toycore"),
        ]
        if not main.exists():
            continue
        parsed, ran = loads(main.read_bytes(), search_path), loads(written.read_bytes())
        assert list(contradictions(parsed, ran)) == []
        changed = written.read_bytes().replace(b"nTracks: 8", b"nTracks: 9")
        if changed != written.read_bytes():
            assert [path for path, _, _ in contradictions(parsed, loads(changed))] == [
                "physics.producers.gen.nTracks"
            ]
        compared += 1
    assert compared > 30


ART = {
    "command": {"argv": ["lar", "-c", "job.fcl", "-n", "7"]},
    "software": [{"name": "art", "product": {"manager": "ups", "version": "v3_14_04"}}],
}
PATHS = BASE + (
    b"physics: { producers: { slicer: { threshold: 5 } spare: { threshold: 9 } } reco: [ slicer ] "
    b"trigger_paths: [ reco ] }\n"
)


def run_of(production: Production, number: int) -> RunAnswer:
    with production.database.reading.connect() as connection:
        [found_configuration] = read_configurations(connection, production.store, job_id(number))
    return run_answer(found_configuration)


def test_jobs_are_found_by_what_ran_not_by_modules_in_no_path(production: Production) -> None:
    production.record(
        {**configured(production, 1, PATHS), **ART},
        {**configured(production, 2, PATHS), "command": {"argv": ["loon", "-c", "job.fcl"]}},
    )
    production.work()

    # what job 2 ran is not known, so it is found by what its files say
    assert found(production, parameter="*.spare.threshold", value="9") == [2]
    assert found(production, parameter="*.slicer.threshold", value="5") == [1, 2]
    assert found(production, parameter="source.maxEvents", value="7") == [1]
    assert found(production, parameter="physics.producers.slicer.module_label") == [1]
    assert run_of(production, 1).evidence == "computed"
    assert run_of(production, 2).parameter_set_id is None
    assert "What loon makes" in str(run_of(production, 2).not_known)


def test_jobs_that_differ_in_names_of_files_share_what_is_searched(production: Production) -> None:
    jobs = []
    for number in (1, 2):
        argv = ["lar", "-c", "job.fcl", "-s", f"in{number}.root", "-T", f"hist{number}.root"]
        jobs.append({**configured(production, number, PATHS), **ART, "command": {"argv": argv}})
    production.record(*jobs)
    production.work()

    assert len(evaluations(production)) == 1
    assert evaluations(production)[0].computed_as is None
    assert found(production, parameter="source.module_type", value="RootInput") == [1, 2]
    assert found(production, parameter="services.TFileService.fileName") == []
    identities = {run_of(production, number).parameter_set_id for number in (1, 2)}
    assert len(identities) == 2


def test_what_art_wrote_is_held_against_what_is_computed(production: Production) -> None:
    options = read_command_line(["lar", "-c", "job.fcl", "-n", "7"])
    written = as_run(loads(PATHS), options, Facts(release="3.14.04")).to_indented_string()
    for number, text in ((1, written), (2, written.replace("maxEvents: 7", "maxEvents: 8"))):
        final = production.upload(text.encode(), "nova")
        job = configured(production, number, PATHS, final_sha256=final)
        production.record({**job, **ART})
    production.work()

    assert gaps_of(production, 1) == []
    assert gaps_of(production, 2) == ["configuration-differs"]
    rows = sorted(evaluations(production), key=lambda row: row.difference is not None)
    assert rows[0].computed_as == rows[0].ran_as
    assert rows[1].computed_as == rows[0].ran_as != rows[1].ran_as
    assert rows[1].difference == (
        "files and command line make source.maxEvents 7, the program ran with 8."
    )
    assert found(production, parameter="source.maxEvents", value="8") == [2]


def test_a_number_that_art_set_and_wrote_in_its_own_way_contradicts_nothing(
    production: Production,
) -> None:
    argv = ["lar", "-c", "job.fcl", "-n", "12345678"]
    ran = as_run(loads(PATHS), read_command_line(argv), Facts(release="3.14.04"))
    final = production.upload(ran.to_indented_string().encode(), "nova")
    job = configured(production, 1, PATHS, final_sha256=final)
    production.record({**job, **ART, "command": {"argv": argv}})
    production.work()

    assert gaps_of(production, 1) == []
    assert evaluations(production)[0].computed_as == ran.parameter_set_id


@pytest.mark.slow
def test_answer_that_long_paths_blow_up_is_refused(production: Production) -> None:
    """17 kB of FHiCL below a long path made 862 MB of JSON."""
    name = "/" + "d" * 900 + ".fcl"
    numbers = b",".join([b"1"] * 1000)
    text = b"BEGIN_PROLOG\ns: [" + numbers + b"]\nEND_PROLOG\n"
    text += b"".join(b"q%d: @local::s\n" % number for number in range(100))
    files = [{"name": name, "path": name, "sha256": production.upload(text)}]
    production.record(record_of(1, configurations=[{"main": name, "files": files}]))

    with production.database.reading.connect() as connection:
        [recorded] = read_configurations(connection, production.store, job_id(1))
        with pytest.raises(ConfigurationTooLargeError, match="printed_bytes"):
            evaluated_answer(recorded)
        with pytest.raises(ConfigurationTooLargeError, match="printed_bytes"):
            printed(recorded, "prefix-annotated")
        assert printed(recorded, "indented")
