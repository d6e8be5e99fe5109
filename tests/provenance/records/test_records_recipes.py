"""Recipe and result: what they depend on, what they leave out, and where there is none."""

import json
from typing import Any

import pytest

from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.records.recipes import (
    is_comparable,
    parse_recipe,
    recipe_of,
    recipe_text,
    result_of,
    result_text,
)

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
WORK = "/scratch/dir_1"


def a_job(**fields: Any) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "job_id": "0f8b0000-0000-4000-8000-000000000001",
        "experiment": "nova",
        "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z",
        "command": {
            "working_directory": WORK,
            "argv": ["./wrapper.sh"],
            "steps": [
                {"name": "setup", "role": "setup", "argv": ["setup", "something"]},
                {
                    "name": "art",
                    "role": "payload",
                    "argv": ["art", "-c", "reco.fcl", "-s", f"{WORK}/in.root", "-o", "out1.root"],
                },
            ],
        },
        "configurations": [{"main": "reco.fcl", "files": [{"name": "reco.fcl", "sha256": A}]}],
        "scripts": [{"name": "wrapper.sh", "sha256": B}],
        "software": [{"name": "novasoft", "revision": "1" * 40, "checkout": "/cvmfs/nova"}],
        "seeds": [{"module": "evgen", "seed": 1}],
        "conditions": [{"database": "prod", "tag": "v1", "payload_sha256": C}],
        "inputs": [{"name": "in.root", "sha256": C, "size_bytes": 3}],
        "outputs": [{"name": "out1.root", "content_digest": f"root-content-2:{D}", "sha256": A}],
        **fields,
    }


def read(fields: dict[str, Any]) -> JobRecord:
    decoded = decode_record(json.dumps(fields).encode())
    assert decoded.record is not None
    return decoded.record


def recipe(**fields: Any) -> str | None:
    found = recipe_of(read(a_job(**fields)))
    return None if found is None else recipe_text(found)


def result(**fields: Any) -> str | None:
    found = result_of(read(a_job(**fields)))
    return None if found is None else result_text(found)


def argv(*words: str, folder: str = WORK) -> dict[str, Any]:
    return {"working_directory": folder, "argv": list(words)}


def test_recipe_leaves_out_names_places_and_times() -> None:
    """The same work on another node, with other names of files, is the same recipe."""
    command = {
        "working_directory": "/other",
        "steps": [
            {
                "name": "payload",
                "role": "payload",
                "argv": ["art", "-c", "x.fcl", "-s", "root://door//b.root", "-o", "b_out.root"],
            }
        ],
    }
    elsewhere = recipe(
        job_id="0f8b0000-0000-4000-8000-000000000002",
        started_at="2030-01-01T00:00:00Z",
        host={"hostname": "wn7", "site": "FNAL"},
        task={"task_id": "t", "unit": "7"},
        environment={"variables": {"A": "b"}},
        command=command,
        configurations=[{"main": "x.fcl", "files": [{"name": "x.fcl", "sha256": A}]}],
        inputs=[
            {"name": "b.root", "sha256": C, "size_bytes": 3, "location": "root://door//b.root"}
        ],
        outputs=[{"name": "b_out.root"}],
    )

    assert elsewhere == recipe()


@pytest.mark.parametrize(
    "changed",
    [
        {"configurations": [{"main": "reco.fcl", "files": [{"name": "reco.fcl", "sha256": B}]}]},
        {
            "configurations": [
                {
                    "main": "reco.fcl",
                    "files": [{"name": "reco.fcl", "sha256": A}],
                    "overrides": ["-n", "1"],
                }
            ]
        },
        {"scripts": [{"name": "wrapper.sh", "sha256": C}]},
        {"software": [{"name": "novasoft", "revision": "2" * 40}]},
        {
            "software": [
                {
                    "name": "novasoft",
                    "revision": "1" * 40,
                    "is_dirty": True,
                    "worktree_tree": "3" * 40,
                }
            ]
        },
        {"seeds": [{"module": "evgen", "seed": 2}]},
        {"threads": 4},
        {"conditions": [{"database": "prod", "tag": "v1", "payload_sha256": D}]},
        {"environment": {"container": {"image": "el9", "digest": f"sha256:{A}"}}},
        {"inputs": [{"name": "in.root", "sha256": D, "size_bytes": 3}]},
        {
            "inputs": [
                {"name": "in.root", "sha256": C},
                {"name": "flux.root", "sha256": D, "role": "shared"},
            ]
        },
        {"command": argv("art", "-c", "reco.fcl", "-s", "in.root", "-o", "out1.root", "-n", "5")},
        {"command": {**a_job()["command"], "stdin_sha256": D}},
    ],
)
def test_whatever_decides_what_comes_out_changes_the_recipe(changed: dict[str, Any]) -> None:
    assert recipe(**changed) not in (None, recipe())


def test_standard_input_is_told_apart_by_its_bytes_and_from_arguments() -> None:
    recipes = [recipe(command={**argv("cat", *words), **more}) for words, more in (
        ((), {"stdin_sha256": A}), ((), {"stdin_sha256": B}), ((), {}), (("stdin", A), {}),
    )]  # fmt: skip

    assert None not in recipes
    assert len(set(recipes)) == 4


def test_recipes_are_what_they_were() -> None:
    """Recipes are quoted in notes and addresses.

    Whatever is added to a recipe leaves those of jobs without it alone.
    """
    weak = recipe(
        inputs=[
            {"name": "in.root", "size_bytes": 3, "checksums": ["enstore:9", "ADLER32:00000001"]}
        ]
    )

    assert recipe() == "r1:9b4ec59c6044698a07c428a519940663"
    assert recipe(command=argv("a")) == "r1:fd6fe298bf9ce5e147ae151808f19ab0"
    assert weak == "r1w:9794d5ee9225918289050f5d9925c1c2"


@pytest.mark.parametrize(
    "changed",
    [
        {"software": [], "scripts": []},
        {"software": [{"name": "novasoft", "requested_ref": "S24"}]},  # tags move
        {"software": [{"name": "novasoft", "revision": "1" * 40, "is_dirty": True}]},
        {"scripts": [{"name": "wrapper.sh"}]},
        {"configurations": [{"main": "reco.fcl", "files": [{"name": "reco.fcl"}]}]},
        {"conditions": [{"database": "prod"}]},
        {"environment": {"container": {"image": "el9:latest"}}},
        {"inputs": [], "seeds": []},  # a generator of unknown seed
        {"inputs": [{"name": "in.root", "size_bytes": 3}]},
        {"inputs": [{"name": "in.root", "checksums": ["adler32:00000001"]}]},  # without a size
        {"command": None},
    ],
)
def test_incomplete_record_has_no_recipe(changed: dict[str, Any]) -> None:
    assert recipe(**changed) is None


def test_job_that_failed_for_want_of_an_input_has_a_recipe() -> None:
    absent = recipe(inputs=[{"name": "in.root", "status": "absent"}])

    assert absent is not None
    assert absent != recipe(inputs=[{"name": "in.root", "sha256": A}])


def test_input_known_by_short_checksum_makes_a_weak_recipe() -> None:
    weak = recipe(
        inputs=[
            {"name": "in.root", "size_bytes": 3, "checksums": ["enstore:9", "ADLER32:00000001"]}
        ]
    )
    strong = recipe(inputs=[{"name": "in.root", "size_bytes": 3, "checksums": [f"sha512:{A}{A}"]}])

    assert str(weak).startswith("r1w:")
    assert str(strong).startswith("r1:")


@pytest.mark.parametrize("evidence", ["seen", "traced"])
def test_what_nobody_told_of_is_no_part_of_the_recipe(evidence: str) -> None:
    """One job of each kind is traced, and the others have the same recipe all the same."""
    inputs = a_job()["inputs"]
    scripts = a_job()["scripts"]
    untold = {"name": "own.py", "path": "/home/u/own.py", "sha256": D, "evidence": evidence}

    assert recipe(inputs=[*inputs, untold], scripts=[*scripts, untold]) == recipe()


def test_order_of_shared_inputs_and_lists_does_not_matter_and_that_of_data_does() -> None:
    one, two = {"name": "one", "sha256": A}, {"name": "two", "sha256": B}
    shared = [{**file, "role": "shared"} for file in (one, two)]

    assert recipe(inputs=shared) == recipe(inputs=shared[::-1])
    assert recipe(inputs=[one, two]) != recipe(inputs=[two, one])


def test_paths_in_options_and_below_a_checkout_are_taken_out() -> None:
    one = recipe(command=argv("/cvmfs/nova/bin/x", "--output=out1.root", f"--log={WORK}/log"))
    moved = [{"name": "novasoft", "revision": "1" * 40, "checkout": "/opt/nova"}]
    two = recipe(
        software=moved,
        command=argv("/opt/nova/bin/x", "--output=./out1.root", "--log=/w/log", folder="/w"),
    )

    assert one == two


def test_recipe_id_reads_back() -> None:
    for text in (recipe(), recipe(inputs=[{"name": "i", "size_bytes": 1, "checksums": ["md5:1"]}])):
        packed = parse_recipe(str(text))

        assert packed is not None
        assert recipe_text(packed) == text
    assert [
        parse_recipe(text)
        for text in ("", "r1:", "r2:" + "0" * 32, "r1:" + "G" * 32, "r1:" + "0" * 33)
    ] == [None] * 5


def test_result_is_named_by_its_algorithm_and_knows_no_names() -> None:
    renamed = result(
        outputs=[{"name": "other.root", "content_digest": f"root-content-2:{D}", "sha256": B}]
    )

    assert str(result()).startswith("root-content-2:")
    masked = str(result(outputs=[{"name": "out1.root", "content_digest": f"root-masked-1:{D}"}]))
    assert masked.startswith("root-masked-1:")
    assert renamed == result()
    assert (
        result(outputs=[{"name": "out1.root", "content_digest": f"root-content-2:{A}"}]) != result()
    )


def test_bytes_stand_in_where_content_is_not_known_but_for_root() -> None:
    text = {"name": "table.txt", "sha256": A}

    assert str(result(outputs=[text])).startswith("sha256:")
    assert str(
        result(outputs=[{"name": "t", "size_bytes": 1, "checksums": ["adler32:00000001"]}])
    ).startswith("adler32:")
    assert str(
        result(outputs=[text, {"name": "t.root", "content_digest": f"root-content-2:{D}"}])
    ).startswith("mixed-")
    assert result(outputs=[{"name": "hist.root", "sha256": A}]) is None
    assert result(outputs=[text, {"name": "hist", "file_format": "artroot", "sha256": A}]) is None


def test_job_that_failed_or_kept_nothing_has_no_result() -> None:
    assert result(state="failed", exit={"code": 1}) is None
    assert result(outputs=[]) is None
    assert result(outputs=[{"name": "t", "sha256": A, "status": "dropped"}]) is None
    assert result(outputs=[{"name": "t", "status": "written"}]) is None


def test_results_of_two_algorithms_are_not_compared() -> None:
    content, text = (
        result_of(read(a_job(outputs=[each])))
        for each in (a_job()["outputs"][0], {"name": "t", "sha256": A})
    )
    other = result_of(read(a_job(outputs=[{"name": "t", "sha256": B}])))

    assert content
    assert text
    assert other
    assert not is_comparable(content, text)
    assert is_comparable(other, text)


def test_which_step_reads_from_standard_input_changes_the_recipe() -> None:
    def read(*digests: str | None) -> bytes | None:
        steps = [
            {"name": "s", "role": "payload", "argv": ["x"], "stdin_sha256": digest}
            for digest in digests
        ]
        return recipe(command={"steps": steps})

    assert None not in (read(A, None), read(None, None))
    assert len({read(A, None), read(None, A), read(A, A), read(None, None), read(B, None)}) == 5
    assert read(A) == recipe(
        command={"steps": [{"name": "s", "role": "payload", "argv": ["x"]}], "stdin_sha256": A}
    )
