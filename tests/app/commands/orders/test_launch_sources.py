"""A workflow that follows a SAM definition, run whole on this machine.

Files go through as they appear, until it is frozen.
"""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.library.commands import JOBPROV
from tests.library.servers.catalogs import SamServer, Shelf
from tests.library.servers.live_service import LiveService

WORKFLOW = """
name = "follow"
experiment = "toyexp"
storage = "{storage}"
[[stage]]
name = "reco"
from = {{ definition = "raw" }}
follow = true
command = ["sh", "-c", "sort -r $1 > $2", "sh", "{{input}}", "{{output}}"]
outputs = ["{{stem}}.reco.txt"]
[[stage]]
name = "merge"
after = "reco"
merge = 2
command = ["sh", "-c", 'out=$1; shift; cat "$@" > "$out"', "sh", "{{output}}", "{{inputs}}"]
outputs = ["{{unit}}.txt"]
"""


class Followed:
    """A service, a catalog, and a workflow whose first stage follows a definition of it."""

    def __init__(self, folder: Path) -> None:
        self.shelf, self.storage = Shelf(), folder / "store"
        self.shelf.lists["raw"] = []
        self.sam = SamServer(self.shelf)
        self.storage.mkdir()
        (folder / "catalogs.toml").write_text(f'[toyexp]\nkind = "sam"\nurl = "{self.sam.url}"\n')
        self.service = LiveService(folder / "var", JOBPROV_CATALOGS=str(folder / "catalogs.toml"))
        self.file = folder / "follow.toml"
        self.file.write_text(WORKFLOW.format(storage=self.storage))
        common = [
            "--launcher",
            "local",
            "--folder",
            str(folder / "agent"),
            "--interval",
            "0.2",
            "--follow-interval",
            "0.2",
        ]
        self.words = ["launch", str(self.file), *common]

    def appear(self, name: str) -> None:
        """Put a file where jobs take it from, and into the definition."""
        (self.storage / name).write_text(f"1 {name}\n2 {name}\n")
        self.shelf.add(name)
        self.shelf.lists["raw"].append(name)

    def wait_for(self, what: str, is_so: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until the stages, by name, are so."""
        end = time.monotonic() + 120
        while True:
            address = f"{self.service.url}/api/v1/workflows/follow?experiment=toyexp"
            answer = requests.get(address, timeout=30).json()
            if is_so({stage["stage"]: stage for stage in answer.get("stages", ())}):
                return
            assert time.monotonic() < end, f"not {what}: {answer}"
            time.sleep(0.1)

    def close(self) -> None:
        self.service.stop()
        self.sam.close()


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    made = Followed(tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.slow
def test_files_go_through_as_they_appear_until_it_is_frozen(followed: Followed) -> None:
    followed.appear("a1.txt")
    environment = {**followed.service.environment, "JOBPROV_URL": followed.service.url}
    launcher = subprocess.Popen(
        [*JOBPROV, *followed.words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        followed.wait_for(
            "a1 reconstructed", lambda stages: bool(stages) and stages["reco"]["done"] == 1
        )
        for name in ("a2.txt", "a3.txt"):
            followed.appear(name)
        followed.wait_for(
            "two merged",
            lambda stages: stages["reco"]["done"] == 3 and stages["merge"]["done"] == 1,
        )
        frozen = followed.service.run("launch", str(followed.file), "--freeze", "--why", "all came")
        said, _ = launcher.communicate(timeout=120)
    finally:
        launcher.kill()
        launcher.wait()

    assert frozen.returncode == 0, frozen.stderr
    assert launcher.returncode == 0, said
    assert "complete: every unit of every stage is done" in said
    merged = sorted(path.read_text() for path in followed.storage.glob("merge-*.txt"))
    assert sorted("".join(merged).splitlines()) == sorted(
        f"{n} a{m}.txt" for n in (1, 2) for m in (1, 2, 3)
    )
    assert len(merged) == 2, "the last, smaller group came when nothing more could"


@pytest.mark.slow
def test_the_check_says_where_the_files_come_from(followed: Followed) -> None:
    checked = followed.service.run("launch", "--check", str(followed.file))

    assert "reco: files of definition raw, followed;" in checked.stdout


@pytest.mark.slow
def test_stopping_and_going_on_at_once_is_refused(followed: Followed) -> None:
    ended = followed.service.run("launch", str(followed.file), "--stop", "--freeze")

    assert ended.returncode == 2
    assert "--stop goes alone" in ended.stderr
