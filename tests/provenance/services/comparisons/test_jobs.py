"""Two jobs over every facet: only what is not the same, at the right place, and bounded."""

import hashlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.recording.configurations.physics_variables import PhysicsVariables
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.comparisons.jobs import compare_jobs, find_companions
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from tests.library.production import Production
from tests.library.records import a_record, file_entry, job_id

MAIN = (
    b'#include "tool.fcl"\nphysics.producers.slicer: {\n  @table::tool\n  threshold: 3\n  path: '
    b"[a, b, c]\n}\n"
)
OTHER = (
    b'#include "tool.fcl"\nphysics.producers.slicer: {\n  @table::tool\n  threshold: 5\n  path: '
    b"[a, new, b, c]\n}\n"
)
ON_PATH = (
    b'#include "tool.fcl"\nphysics: { producers: { slicer: @local::tool } reco: [ slicer ] '
    b"trigger_paths: [ reco ] }\n"
)
TOOL = b"BEGIN_PROLOG\ntool: { kind: Plain }\nEND_PROLOG\n"
COMMENTED = b"# nothing new\n" + MAIN
SCRIPT, NEW_SCRIPT = b"#!/bin/sh\nset -e\nrun it\n", b"#!/bin/sh\nset -eu\nrun it\n"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def configuration(main: bytes, **more: Any) -> dict[str, Any]:
    files = [
        {"name": "reco.fcl", "path": "job/reco.fcl", "sha256": sha(main)},
        {"name": "tool.fcl", "path": "fcl/tool.fcl", "sha256": sha(TOOL), "found_in": 0},
    ]
    return {"step": "art", "main": "reco.fcl", "search_path": ["fcl"], "files": files, **more}


def a_job(number: int, main: bytes = MAIN, **more: Any) -> dict[str, Any]:
    return a_record(
        number,
        **{
            "configurations": [configuration(main)],
            "scripts": [{"name": "run.sh", "sha256": sha(SCRIPT)}],
            "software": [{"name": "nova", "revision": "a" * 40, "requested_ref": "v1"}],
            "command": {
                "argv": ["run.sh", "-n", "100", "in.root"],
                "working_directory": f"/scratch/{number}",
            },
            "environment": {
                "variables": {"TZ": "UTC", "PROCESS": str(number)},
                "container": {"digest": "sha256:1"},
            },
            "inputs": [file_entry("in.root", 7, 70, role="primary")],
            "outputs": [
                file_entry(
                    f"out{number}.root", data_tier="reco", content_digest="root-content-2:ab"
                )
            ],
            "host": {"hostname": f"wn{number}"},
            "exit": {"code": 0},
            "task": {"task_id": "reco-1", "stage": "reco", "unit": f"u{number % 3}"},
            **more,
        },
    )


def with_blobs(production: Production) -> Production:
    blobs = (MAIN, OTHER, TOOL, COMMENTED, SCRIPT, NEW_SCRIPT)
    uploads = [Upload("nova", production.store.put(data).sha256) for data in blobs]
    production.write(lambda writing: grant_possession(writing, uploads))
    return production


@pytest.fixture(scope="module")
def filled(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Yield one service for all tests that only compare: how is the same on both databases."""
    file = tmp_path_factory.mktemp("compared") / "jobprov.db"
    shutil.copy(sqlite_template, file)
    database = open_database(f"sqlite:///{file}")
    production = with_blobs(Production(database))
    yield production
    production.close_all()


NUMBERS = itertools.count(1)


@pytest.fixture
def one() -> int:
    """Return the number of a job that no test has recorded, a multiple of three.

    The next two are of other units.
    """
    return 3 * next(NUMBERS)


def compared(filled: Production, *records: dict[str, Any], **more: Any) -> dict[str, Any]:
    filled.record(*records)
    with filled.database.reading.connect() as connection:
        jobs = [record["job_id"] for record in records]
        comparison = compare_jobs(
            connection, filled.store, *jobs, **{"deciding": filled.physics_variables, **more}
        )
    found: dict[str, Any] = msgspec.to_builtins(comparison)
    return found


def facets(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {facet["name"]: facet for facet in found["facets"]}


def differing(found: dict[str, Any]) -> set[str]:
    return {name for name, facet in facets(found).items() if facet["count"]}


@pytest.mark.slow
def test_the_parameter_that_differs_comes_with_its_lines_and_their_pages(
    filled: Production, one: int
) -> None:
    found = compared(filled, a_job(one), a_job(one + 1, OTHER))

    added, changed = sorted(
        facets(found)["configuration"]["differences"], key=lambda row: str(row["kind"])
    )
    assert (changed["kind"], changed["key"]) == ("changed", "physics.producers.slicer.threshold")
    assert (changed["before"], changed["after"]) == ("3", "5")
    assert changed["origin_before"] == {
        "file": "job/reco.fcl",
        "line": 4,
        "url": f"/jobs/{job_id(one)}/configurations/art?file=reco.fcl&line=4#L4",
    }
    assert changed["origin_after"]["line"] == 4
    assert (added["kind"], added["key"], added["after"]) == (
        "added",
        "physics.producers.slicer.path[1]",
        '"new"',
    )
    assert facets(found)["configuration"]["count"] == 2
    assert (
        found["first_line"]
        == "Same code and inputs; 2 parameters differ; both succeeded; same results."
    )
    assert not found["is_same"]
    assert facets(found)["fcl"]["differences"][0]["lines"][:2] == [
        "@@ -1,6 +1,6 @@",
        ' #include "tool.fcl"',
    ]


def test_number_past_64_bits_in_a_configuration_is_compared_as_it_was_read(
    filled: Production, one: int
) -> None:
    odd = configuration(OTHER)
    odd["files"][1]["found_in"] = 10**30

    found = compared(filled, a_job(one), a_job(one + 1, configurations=[odd]))

    facet = facets(found)["configuration"]
    assert (facet["count"], facet["problems"]) == (2, [])


def test_two_runs_of_one_recipe_differ_in_circumstances_only(filled: Production, one: int) -> None:
    found = compared(filled, a_job(one), a_job(one + 3000))

    assert differing(found) == {"environment", "host", "task"}
    assert found["is_same"]
    assert [row["key"] for row in facets(found)["environment"]["differences"]] == ["PROCESS"]


def test_files_written_otherwise_that_evaluate_to_the_same_are_no_other_configuration(
    filled: Production, one: int
) -> None:
    found = compared(filled, a_job(one), a_job(one + 1, COMMENTED))

    assert facets(found)["configuration"]["count"] == 0
    assert facets(found)["fcl"]["matters"] == "circumstance"
    assert facets(found)["fcl"]["differences"][0]["lines"] == [
        "@@ -1,3 +1,4 @@",
        "+# nothing new",
        ' #include "tool.fcl"',
        " physics.producers.slicer: {",
        "   @table::tool",
    ]
    assert found["is_same"]


def test_a_configuration_that_cannot_be_evaluated_is_a_problem_and_its_files_count(
    filled: Production, one: int
) -> None:
    found = compared(filled, a_job(one), a_job(one + 1, b"never: uploaded"))

    assert "never uploaded" in facets(found)["configuration"]["problems"][0]
    assert facets(found)["fcl"]["matters"] == "recipe"
    assert not found["is_same"]
    assert "configuration cannot be compared" in found["first_line"]


@pytest.mark.parametrize(
    ("facet", "key", "more"),
    [
        ("code", "nova.commit", {"software": [{"name": "nova", "revision": "b" * 40, "requested_ref": "v1"}]}),
        ("code", "nova.is_dirty", {"software": [{"name": "nova", "revision": "a" * 40, "is_dirty": True}]}),
        ("products", "container.digest", {"environment": {"container": {"digest": "sha256:2"}}}),
        ("scripts", "run.sh", {"scripts": [{"name": "run.sh", "sha256": sha(NEW_SCRIPT)}]}),
        ("command", "the job, argument 2", {"command": {"argv": ["run.sh", "-n", "50", "in.root"]}}),
        ("inputs", "in.root", {"inputs": [file_entry("in.root", 8, 70, role="primary")]}),
        ("inputs", "primary", {"inputs": [file_entry("b.root", 9, 70, role="primary")]}),
        ("inputs", "in.root, role", {"inputs": [file_entry("in.root", 7, 70, role="shared")]}),
        ("seeds", "threads", {"threads": 4}),
        ("exit", "code", {"exit": {"code": 65}, "state": "failed"}),
        ("outputs", "content", {"outputs": [file_entry("o.root", data_tier="reco", content_digest="root-content-2:cd")]}),
        ("resources", "max_rss_bytes", {"resources": {"max_rss_bytes": 1}}),
        ("modules", "art slicer.seconds_total", {"modules": [{"step": "art", "label": "slicer", "seconds_total": 2.5}]}),
        ("logs", "a.log.sha256", {"logs": [{"name": "a.log", "sha256": sha(b"log")}]}),
        ("host", "cpu_model", {"host": {"cpu_model": "x"}}),
        ("task", "batch.id", {"batch": {"id": "1.0@s"}}),
        ("others", "extra.colour", {"extra": {"colour": "blue"}}),
        ("others", "unheard.of", {"unheard": {"of": 1}}),
        ("others", "software.nova.requested_ref", {"software": [{"name": "nova", "revision": "a" * 40, "requested_ref": "v2"}]}),
    ],
)  # fmt: skip
def test_each_facet_tells_its_difference(
    filled: Production, one: int, facet: str, key: str, more: dict[str, Any]
) -> None:
    found = compared(filled, a_job(one), a_job(one + 1, **more))

    assert key in [row["key"] for row in facets(found)[facet]["differences"]]
    assert found["is_same"] == (facets(found)[facet]["matters"] == "circumstance")


def test_seeds_are_compared_where_both_records_have_some(filled: Production, one: int) -> None:
    seeds = [{"module": "gen", "seed": 5}], [{"module": "gen", "seed": 6}]

    of_both = compared(filled, a_job(one, seeds=seeds[0]), a_job(one + 1, seeds=seeds[1]))
    of_one = compared(filled, a_job(one, seeds=seeds[0]), a_job(one + 2))

    [row] = facets(of_both)["seeds"]["differences"]
    assert (row["key"], row["before"], row["after"]) == ("seed of gen.seed", 5, 6)
    assert facets(of_one)["seeds"]["count"] == 0
    assert "Only the first record has seeds" in facets(of_one)["seeds"]["problems"][0]
    assert not of_one["is_same"]


def tuned(number: int, tune: str | None, *of_steps: str) -> dict[str, Any]:
    """Return a job with a GENIE tune, and steps with tunes of their own."""
    variables = {"TZ": "UTC"} if tune is None else {"TZ": "UTC", "GENIE_XSEC_TUNE": tune}
    steps = [
        {"name": f"gen{at}", "argv": ["gevgen"], "variables": {"GENIE_XSEC_TUNE": of_step}}
        for at, of_step in enumerate(of_steps)
    ]
    command = {"argv": ["run.sh"], "steps": steps}
    return a_job(number, command=command, environment={"variables": variables})


def test_a_variable_that_decides_physics_counts_as_a_difference(
    filled: Production, one: int
) -> None:
    found = compared(filled, tuned(one, "G18_10a"), tuned(one + 1, "AR23_20i"))

    [row] = facets(found)["variables"]["differences"]
    assert (row["key"], row["before"], row["after"]) == ("GENIE_XSEC_TUNE", "G18_10a", "AR23_20i")
    assert found["a"]["recipe_id"] == found["b"]["recipe_id"] is not None
    assert not found["is_same"]
    assert found["first_line"].startswith("Same recipe; variables that decide physics differ;")
    assert "environment" not in differing(found)


def test_one_value_is_the_same_wherever_it_was_set(filled: Production, one: int) -> None:
    found = compared(filled, tuned(one, "new"), tuned(one + 1, "old", "new", "new"))

    assert facets(found)["variables"]["count"] == 0


def test_a_variable_is_compared_as_each_step_had_it(filled: Production, one: int) -> None:
    found = compared(filled, tuned(one, "new", "a", "b"), tuned(one + 1, "new", "a", "c"))

    [row] = facets(found)["variables"]["differences"]
    assert (row["key"], row["before"]) == ("GENIE_XSEC_TUNE in step gen1", "b")


def test_which_variables_decide_physics_is_a_setting(filled: Production, one: int) -> None:
    flux = [
        a_job(one + at, environment={"variables": {"FLUX": f"v{at}", "GENIE_XSEC_TUNE": f"t{at}"}})
        for at in (0, 1)
    ]

    found = compared(filled, *flux, deciding=PhysicsVariables("nova:FLUX"))

    assert [row["key"] for row in facets(found)["variables"]["differences"]] == ["FLUX"]
    environment = facets(found)["environment"]["differences"]
    assert [row["key"] for row in environment] == ["GENIE_XSEC_TUNE"]


SUMS = ["adler32:00000007", "md5:" + "a" * 32]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"checksums": SUMS[::-1]}, []),
        ({"checksums": SUMS[1:], "size_bytes": None}, []),
        ({"checksums": SUMS[:1], "sha256": sha(b"x")}, []),
        ({"checksums": [SUMS[0], "md5:" + "b" * 32]}, [(SUMS[1], "md5:" + "b" * 32)]),
        ({"checksums": ["ADLER32:0X7", "MD5:" + "A" * 32]}, []),
        ({"checksums": ["adler32:7"]}, []),
        ({"checksums": ["adler32:8"]}, [(f"{SUMS[0]}, 70 bytes", "adler32:00000008, 70 bytes")]),
        ({"checksums": SUMS, "size_bytes": 71}, [(f"{SUMS[0]}, 70 bytes", f"{SUMS[0]}, 71 bytes")]),
    ],
)
def test_inputs_are_the_same_by_whatever_checksum_both_records_name(
    filled: Production, one: int, more: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    read = file_entry("in.root", size=70, role="primary", checksums=SUMS)

    found = compared(filled, a_job(one, inputs=[read]), a_job(one + 1, inputs=[{**read, **more}]))

    assert [(row["before"], row["after"]) for row in facets(found)["inputs"]["differences"]] == told


def test_inputs_of_other_names_are_paired_by_whatever_checksum_both_records_name(
    filled: Production, one: int
) -> None:
    old = [
        {"name": name, "checksums": sums}
        for name, sums in (("a", SUMS), ("b", ["adler32:8", "md5:" + "b" * 32]))
    ]
    new = [
        {"name": "c", "checksums": ["MD5:" + "B" * 32]},
        {"name": "d", "checksums": ["adler32:0x7"]},
    ]

    found = compared(filled, a_job(one, inputs=old), a_job(one + 1, inputs=new))

    assert facets(found)["inputs"]["differences"] == []


def test_which_step_is_the_payload_and_what_was_on_standard_input_are_told(
    filled: Production, one: int
) -> None:
    """Jobs of two recipes were said to be the same.

    What made them two was nowhere compared.
    """

    def commanded(number: int, role: str, **more: str) -> dict[str, Any]:
        steps = [{"name": name, "role": "payload", "argv": [name]} for name in ("make", "copy")]
        return a_job(
            number,
            command={"argv": ["run.sh"], "steps": [steps[0], {**steps[1], "role": role}], **more},
        )

    found = compared(
        filled, commanded(one, "payload"), commanded(one + 1, "stage_out", stdin_sha256=sha(b"a"))
    )

    told = {
        row["key"]: (row.get("before"), row.get("after"))
        for row in facets(found)["command"]["differences"]
    }
    assert found["a"]["recipe_id"] != found["b"]["recipe_id"]
    assert told == {
        "step copy, role": ("payload", "stage_out"),
        "standard input": (None, sha(b"a")),
    }
    assert not found["is_same"]


def test_contents_by_two_algorithms_are_not_said_to_differ(filled: Production, one: int) -> None:
    def job(number: int, algorithm: str, data: bytes) -> dict[str, Any]:
        entry = file_entry("o.root", content_digest=f"{algorithm}:{sha(data)}")
        return a_job(number, outputs=[{**entry, "sha256": sha(b"bytes")}])

    same = compared(filled, job(one, "root-masked-1", b"a"), job(one + 1, "root-content-2", b"b"))
    other = compared(
        filled, job(one + 2, "root-content-2", b"a"), job(one + 3001, "root-content-2", b"b")
    )

    assert facets(same)["outputs"]["differences"] == []
    assert [row["key"] for row in facets(other)["outputs"]["differences"]] == ["content"]


def test_what_a_step_read_from_standard_input_is_told(filled: Production, one: int) -> None:
    jobs = [
        a_job(
            one + place,
            command={
                "steps": [
                    {"name": "s", "role": "payload", "argv": ["cat"], "stdin_sha256": sha(read)}
                ]
            },
        )
        for place, read in enumerate((b"a", b"b"))
    ]

    found = compared(filled, *jobs)

    told = {
        row["key"]: (row.get("before"), row.get("after"))
        for row in facets(found)["command"]["differences"]
    }
    assert told == {"step s, standard input": (sha(b"a"), sha(b"b"))}


def test_lines_of_a_changed_script_are_shown(filled: Production, one: int) -> None:
    found = compared(
        filled, a_job(one), a_job(one + 1, scripts=[{"name": "run.sh", "sha256": sha(NEW_SCRIPT)}])
    )

    assert facets(found)["scripts"]["differences"][0]["lines"] == [
        "@@ -1,3 +1,3 @@", " #!/bin/sh", "-set -e", "+set -eu", " run it",
    ]  # fmt: skip


def test_lines_are_shown_after_many_files_that_only_one_job_has(
    filled: Production, one: int
) -> None:
    alone = [{"name": f"a{number:02}.sh", "sha256": sha(b"%d" % number)} for number in range(60)]
    old, new = ({"name": "run.sh", "sha256": sha(data)} for data in (SCRIPT, NEW_SCRIPT))

    found = compared(filled, a_job(one, scripts=[*alone, old]), a_job(one + 1, scripts=[new]))

    [*_, last] = facets(found)["scripts"]["differences"]
    assert (last["key"], last["lines"][2:4]) == ("run.sh", ["-set -e", "+set -eu"])


def test_steps_are_compared_with_their_like(filled: Production, one: int) -> None:
    first = a_job(
        one, configurations=[configuration(MAIN, step="a"), configuration(MAIN, step="b")]
    )
    second = a_job(
        one + 1, configurations=[configuration(OTHER, step="b"), configuration(MAIN, step="c")]
    )

    rows = facets(compared(filled, first, second))["configuration"]["differences"]

    assert {(row["kind"], row["key"], row.get("part")) for row in rows} == {
        ("removed", "configuration of step a", None),
        ("added", "configuration of step c", None),
        ("changed", "physics.producers.slicer.threshold", "b"),
        ("added", "physics.producers.slicer.path[1]", "b"),
    }


def test_overrides_of_the_command_line_are_a_difference_of_the_configuration(
    filled: Production, one: int
) -> None:
    found = compared(
        filled,
        a_job(one),
        a_job(one + 1, configurations=[configuration(MAIN, overrides=["-n", "5"])]),
    )

    [row] = facets(found)["configuration"]["differences"]
    assert (row["kind"], row["key"], row["after"]) == ("added", "overrides", "-n 5")


PRODUCTS = [{"name": "art", "product": {"manager": "ups", "version": "v3_14_04"}}]
RAN = {"software": PRODUCTS, "outputs": [], "inputs": []}


def ran_by(main: bytes, *words: str) -> dict[str, Any]:
    """Return what a record says of a run of lar on this configuration."""
    step = {"name": "art", "argv": ["lar", "-c", "reco.fcl", *words]}
    overrides = [word for word in words if not word.endswith(".root")]
    return {
        **RAN,
        "command": {"argv": ["run.sh"], "steps": [step]},
        "configurations": [configuration(main, overrides=overrides)],
    }


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (ON_PATH + b"physics.producers.spare: { kind: Unused }\n", ("-n", "5")),
        (ON_PATH + b"source.maxEvents: 5\n", ()),
        (ON_PATH, ("--nevts=5",)),
    ],
)
def test_what_ran_is_the_same_however_it_was_written(
    filled: Production, one: int, main: bytes, words: tuple[str, ...]
) -> None:
    filled.write(
        lambda writing: grant_possession(
            writing, [Upload("nova", filled.store.put(data).sha256) for data in (main, ON_PATH)]
        )
    )

    found = compared(
        filled, a_job(one, **ran_by(ON_PATH, "-n", "5")), a_job(one + 1, **ran_by(main, *words))
    )

    facet = facets(found)["configuration"]
    assert facet["differences"] == []
    assert facet["notes"] == ["Step art: same as run, written differently."]


def test_options_that_change_what_ran_are_compared_as_parameters(
    filled: Production, one: int
) -> None:
    filled.write(
        lambda writing: grant_possession(
            writing, [Upload("nova", filled.store.put(ON_PATH).sha256)]
        )
    )

    found = compared(
        filled,
        a_job(one, **ran_by(ON_PATH, "-n", "5", "in1.root")),
        a_job(one + 1, **ran_by(ON_PATH, "-n", "6", "in2.root")),
    )

    [row] = facets(found)["configuration"]["differences"]
    assert (row["key"], row["before"], row["after"]) == ("source.maxEvents", "5", "6")


def test_many_differences_and_long_values_are_cut_and_counted(filled: Production, one: int) -> None:
    variables = {f"V{number}": "x" * 9000 for number in range(300)}

    found = facets(
        compared(
            filled, a_job(one), a_job(one + 1, environment={"variables": variables}), limit=100
        )
    )["environment"]

    assert (found["count"], len(found["differences"]), found["omitted"]) == (302, 100, 202)
    assert found["differences"][50]["after"].endswith("... (9,000 characters)")


def test_a_job_compared_with_itself_differs_in_nothing(filled: Production, one: int) -> None:
    filled.record(a_job(one))
    with filled.database.reading.connect() as connection:
        comparison = compare_jobs(
            connection,
            filled.store,
            job_id(one),
            job_id(one),
            deciding=filled.physics_variables,
        )

    assert [facet.name for facet in comparison.facets if facet.count] == []
    assert comparison.is_same


def test_a_job_that_is_not_recorded_is_named(filled: Production, one: int) -> None:
    filled.record(a_job(one))

    with (
        filled.database.reading.connect() as connection,
        pytest.raises(NotFoundError, match=job_id(99_999)),
    ):
        compare_jobs(
            connection,
            filled.store,
            job_id(one),
            job_id(99_999),
            deciding=filled.physics_variables,
        )


def test_companions_are_attempts_siblings_runs_of_the_recipe_and_the_task_before(
    production: Production,
) -> None:
    filled = with_blobs(production)
    filled.record(
        a_job(1, state="failed"),
        a_job(4),
        a_job(2),
        a_job(5, task={"task_id": "reco-0", "stage": "reco", "unit": "x"}),
        a_job(
            6, task={"task_id": "gen-0", "stage": "gen", "unit": "x"}, command={"argv": ["other"]}
        ),
    )
    with filled.database.reading.connect() as connection:
        found = find_companions(connection, job_id(1))

    assert found.job.job_id == job_id(1)
    assert {group.why: [job.job_id for job in group.jobs] for group in found.companions} == {
        "attempt": [job_id(4)],
        "sibling": [job_id(2)],
        "recipe": [job_id(5)],
    }


def patched(*changes: tuple[str, str]) -> bytes:
    """Return a patch of git that gives each file one other line."""
    parts = [
        f"diff --git a/{name} b/{name}\nindex 1..2 100644\n--- a/{name}\n+++ b/{name}\n"
        f"@@ -1 +1 @@\n-old\n+{line}\n"
        for name, line in changes
    ]
    return "".join(parts).encode()


def dirty(tree: str, patch: bytes | None = None, **more: Any) -> list[dict[str, Any]]:
    entry = {"name": "nova", "revision": "a" * 40, "is_dirty": True, "worktree_tree": tree * 40}
    digest = {} if patch is None else {"dirty_patch_sha256": sha(patch)}
    return [{**entry, **digest, **more}]


CLEAN = [{"name": "nova", "revision": "a" * 40, "is_dirty": False}]
FIRST, SECOND = (
    patched(("src/a.cc", "one"), ("b.h", "same")),
    patched(("src/a.cc", "two"), ("b.h", "same")),
)


@pytest.mark.parametrize(
    ("before", "after", "said", "files"),
    [
        (CLEAN, dirty("1", FIRST), "uncommitted changes only in the second job: b.h, src/a.cc", (None, "b.h, src/a.cc")),
        (dirty("1", FIRST), CLEAN, "uncommitted changes only in the first job: b.h, src/a.cc", ("b.h, src/a.cc", None)),
        (dirty("1", FIRST), dirty("2", SECOND), "other uncommitted changes: src/a.cc", ("src/a.cc", "src/a.cc")),
        (CLEAN, dirty("1"), "uncommitted changes only in the second job (which files is not recorded)", None),
    ],
)  # fmt: skip
def test_code_of_one_commit_names_the_changed_files(
    filled: Production,
    one: int,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
    said: str,
    files: tuple[str | None, str | None] | None,
) -> None:
    """A retry of the same commit was said to have other code, and nothing more."""
    uploads = [Upload("nova", filled.store.put(data).sha256) for data in (FIRST, SECOND)]
    filled.write(lambda writing: grant_possession(writing, uploads))

    found = compared(filled, a_job(one, software=before), a_job(one + 1, software=after))

    assert f"code differs: nova has the same commit with {said}" in found["first_line"]
    rows = {row["key"]: row for row in facets(found)["code"]["differences"]}
    changed = rows.get("nova.uncommitted changes in")
    shown = None if changed is None else (changed.get("before"), changed.get("after"))
    assert shown == files
    assert not found["is_same"]


@pytest.mark.parametrize(
    "after",
    [
        [{"name": "nova", "revision": "a" * 40, "objects_sha256": sha(b"pack"), "is_dirty": False}],
        [{"name": "nova", "revision": "a" * 40, "requested_ref": "main", "ref_kind": "branch"}],
        [{"name": "nova", "revision": "a" * 40, "repository": "git@git.example.org:x/nova.git"}],
        [{"name": "novasoft-mirror", "revision": "a" * 40}],
    ],
)
def test_one_commit_is_one_version_however_it_is_called_and_came_here(
    filled: Production, one: int, after: list[dict[str, Any]]
) -> None:
    before = [
        {
            "name": "nova",
            "revision": "a" * 40,
            "requested_ref": "v1",
            "ref_kind": "tag",
            "repository": "https://git.example.org/x/nova",
        }
    ]

    found = compared(filled, a_job(one, software=before), a_job(one + 1, software=after))

    assert facets(found)["code"]["differences"] == []
    assert found["is_same"]
    assert "code differs" not in found["first_line"]
    assert facets(found)["others"]["count"], "how it is called is told among the circumstances"


def test_another_commit_of_a_repository_under_another_url_is_paired(
    filled: Production, one: int
) -> None:
    url, other_url = "https://git.example.org/x/nova.git", "ssh://git@git.example.org/x/nova"
    before = [{"name": "nova", "revision": "a" * 40, "repository": url}]
    after = [{"name": "novasoft", "revision": "b" * 40, "repository": other_url}]

    found = compared(filled, a_job(one, software=before), a_job(one + 1, software=after))

    assert "code differs: nova is at another commit" in found["first_line"]
