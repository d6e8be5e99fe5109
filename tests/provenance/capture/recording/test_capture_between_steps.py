"""What a job script changes between its steps: variables, the folder, and files."""

import subprocess
from typing import Any

import pytest

from tests.library.hook import Runner, only_entry, said

pytestmark = pytest.mark.slow


def test_step_has_the_variables_and_the_folder_that_the_script_changed(runner: Runner) -> None:
    record = record_of(
        runner,
        """
        export COLOUR=red SIZE=3
        $HOOK start
        $HOOK step --name one -- true
        export COLOUR=blue; unset SIZE; export MY_TOKEN=abcdefgh12345; mkdir sub; cd sub
        $HOOK step --name two --output two.txt -- sh -c 'echo 2 > two.txt'
        $HOOK step --name three -- true
        cd ..
        $HOOK step --name four -- cat sub/two.txt
        $HOOK end
        """,
    )

    one, two, three, four = record["command"]["steps"]
    assert two["variables"] == {"COLOUR": "blue"}
    assert two["variables_unset"] == ["SIZE"]
    assert two["working_directory"] == three["working_directory"] == str(runner.folder / "sub")
    other = {"variables", "variables_unset", "working_directory"}
    assert not other & one.keys()
    assert not other & four.keys()
    assert "variables" not in three
    assert "MY_TOKEN" in record["environment"]["withheld"]
    assert [file["path"] for file in record["outputs"]] == [str(runner.folder / "sub/two.txt")]
    assert not record.get("weaknesses")


def test_file_that_the_script_changes_between_steps_is_told(runner: Runner) -> None:
    (runner.folder / "settings").write_text("1\n")
    record = record_of(
        runner,
        """
        $HOOK start
        $HOOK step --name one --input settings --output a --output b -- sh -c 'echo 1 > a; echo 1 > b'
        sleep 0.05; echo 2 > settings; echo 2 > a; touch b
        $HOOK step --name two -- cat settings a b
        $HOOK end
        """,
    )

    changed = "the job script changed it between two steps"
    weak = [one for one in said(record) if changed in one]
    assert weak == [
        f"changed-while-running file settings: {changed}",
        f"changed-while-running file a: {changed}",
    ]


def test_file_that_a_step_changes_is_not_told(runner: Runner) -> None:
    record = record_of(
        runner,
        """
        $HOOK start
        $HOOK step --name one --output a -- sh -c 'echo 1 > a'
        $HOOK step --name two --output a -- sh -c 'echo 2 >> a'
        $HOOK step --name three -- cat a
        $HOOK end
        """,
    )

    assert not [one for one in said(record) if "between two steps" in one]


def record_of(runner: Runner, script: str) -> dict[str, Any]:
    environment = {**runner.environment, "HOOK": f"{runner.python} {runner.hook}"}
    subprocess.run(
        ["sh", "-ec", script],
        cwd=runner.folder,
        env=environment,
        check=True,
        capture_output=True,
        timeout=120,
    )
    record, _ = only_entry(runner)
    return record
