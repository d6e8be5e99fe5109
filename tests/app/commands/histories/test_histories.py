"""Questions to histories as an operator types them."""

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from jobprov.app.cli import jobprov, sentence
from jobprov.app.commands.histories.relations import common_text
from jobprov.app.factory import create_app
from jobprov.provenance.answers.histories.relations import CommonAncestors
from jobprov.provenance.answers.names import FileVersion
from jobprov.provenance.errors import AmbiguousError, NotFoundError
from tests.library.records import a_record, file_entry


@pytest.fixture(scope="module")
def address(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield where a service listens in which two files are made from one.

    That one was made from a file that nobody made.
    """
    data = tmp_path_factory.mktemp("histories")
    shutil.copy(sqlite_template, data / "jobprov.db")
    app = create_app({"JOBPROV_DATA": str(data), "JOBPROV_ARCHIVE_URL": "memory:"})
    took = {"wall_seconds": 3600, "cpu_user_seconds": 1800}

    def entry(name: str) -> list[dict[str, Any]]:
        return [{"name": name}]

    for record in (
        a_record(
            1,
            inputs=entry("raw"),
            outputs=entry("reco"),
            resources=took,
            task={"task_id": "t", "stage": "reco"},
        ),
        a_record(2, inputs=entry("reco"), outputs=entry("left"), resources=took),
        a_record(3, inputs=[*entry("reco"), *entry("extern")], outputs=entry("right")),
        *(
            a_record(
                number,
                experiment="mu2e",
                inputs=[file_entry("calib", number)],
                outputs=entry(f"out{number}"),
            )
            for number in (4, 5)
        ),
    ):
        assert (
            app.test_client().put(f"/api/v1/jobs/{record['job_id']}", json=record).status_code
            == 201
        )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()
    app.extensions["jobprov"].close()


def typed(address: str, *words: str) -> Result:
    return CliRunner().invoke(jobprov, [*words, "--url", address])


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (("roots", "left"), ("left goes back to 1 file; no recorded job made 1", "raw"), 0),
        (("leaves", "raw"), ("2 final products came from raw.", "right"), 0),
        (("orphans",), ("raw", "files were made from it"), 0),
        (("orphans", "--isolated"), ("No such file is known.",), 0),
        (("orphans", "--unread"), ("No such file is known.",), 0),
        (("paths", "left", "raw"), ("left was made from raw in 1 way", "-> reco"), 0),
        (("paths", "left", "right"), ("Neither of left and right",), 1),
        (("common-ancestors", "left", "right"), ("both made from 2 files", "nearest"), 0),
        (
            ("common-ancestors", "left", "right", "--hub", "1"),
            ("1 file that many jobs read", "raw"),
            0,
        ),
        (
            ("common-ancestors", "out4", "out5"),
            ("Jobs read different contents as calib: what came", "nearest"),
            0,
        ),
        (("roots", "out4"), ("Jobs read different contents as calib: what came",), 0),
        (("paths", "calib", "out4"), ("calib (jobs read different contents)", "out4"), 0),
        (("cost", "left"), ("2 jobs took 1 h of CPU, 2 h of wall time", "reco"), 0),
        (("lineage", "left", "--kind", "file", "--format", "csv"), ("raw", "reco"), 0),
        (("impact", "--file", "raw"), ("1 job made 1 file", "left"), 0),
        (("impact", "--reads", "raw"), ("other file", "made from it", "left"), 0),
        (
            ("impact", "--file", ":raw", "--file-experiment", "nova"),
            ("1 job made 1 file", "left"),
            0,
        ),
        (
            ("lookup", "left", "--namespace", ""),
            ("left was made", "/files/left?experiment=nova&namespace="),
            0,
        ),
        (
            ("paths", ":left", "raw", "--experiment-a", "nova", "--experiment-b", "nova"),
            ("left was made from raw",),
            0,
        ),
    ],
)
def test_question_is_answered_in_words(
    address: str, words: tuple[str, ...], told: tuple[str, ...], code: int
) -> None:
    result = typed(address, *words)

    assert result.exit_code == code, result.output
    for word in told:
        assert word in result.output


def test_costs_say_nothing_of_attempts_that_there_were_not(address: str) -> None:
    assert "failed and took" not in typed(address, "cost", "left").output


def test_cost_of_a_file_that_nobody_made_is_unknown(address: str) -> None:
    output = typed(address, "cost", "raw").output

    assert output == "No recorded job made this file, so its cost is unknown.\n"


def test_list_that_is_cut_says_so(address: str) -> None:
    cut, whole = (
        json.loads(typed(address, "orphans", "--json", *how).output)
        for how in (("--limit", "1"), ())
    )

    assert (len(cut["files"]), cut["is_truncated"]) == (1, True)
    assert (len(whole["files"]), whole["is_truncated"]) == (3, False)
    assert "There are more: raise --limit." in typed(address, "orphans", "--limit", "1").output


@pytest.mark.parametrize(
    "words",
    [
        ("orphans", "--experiment", "nosuch"),
        ("recipes", "--experiment", "nosuch"),
        ("impact", "--site", "nosuch"),
    ],
)
def test_nothing_of_a_name_that_nobody_knows_is_no_good_news(
    address: str, words: tuple[str, ...]
) -> None:
    ended = typed(address, *words)

    assert ended.output == ""
    assert isinstance(ended.exception, NotFoundError)
    assert "nosuch" in str(ended.exception)


def test_choices_are_told_as_what_to_type() -> None:
    file = AmbiguousError(
        "Two.",
        [],
        [{"experiment": "nova", "namespace": ""}, {"experiment": "nova", "namespace": "a b"}],
    )
    pair = AmbiguousError("Two.", [], [{"b": ":x", "experiment_b": "dune"}])
    job = AmbiguousError("Two.", [("nova", "")])

    assert sentence(file) == (
        "jobprov: Two.\n  --experiment nova --namespace ''\n  --experiment nova --namespace 'a b'"
    )
    assert sentence(pair) == "jobprov: Two.\n  :x --experiment-b dune"
    assert sentence(job) == "jobprov: Two.\n  --experiment nova"


def test_files_without_a_common_origin_are_told_in_a_sentence() -> None:
    """They were both made from no file, the nearest first."""
    names = []
    for name in ("a", "b"):
        names.append(
            FileVersion(name=name, namespace="", experiment="nova", url="", version=1, versions=1)
        )
    answer = CommonAncestors(
        *names, count=0, ancestors=[], hub_count=0, hubs=[], is_truncated=False, next=None
    )

    assert common_text(answer) == "No file is known from which both a and b were made."
