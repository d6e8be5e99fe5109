"""What every launcher does: the same tests for each.

A module of tests gives the fixture `launcher` and a way to make another one.

A launcher is made anew where a test says so, as after a kill -9: what it knew is gone, and it must
find its jobs again.
"""

import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.job import BatchJob, LaunchEnd, Launcher

NewLauncher = Callable[[], Launcher]
SECONDS = 90.0


def a_job(script: str, **more: object) -> BatchJob:
    """Return a job of a new name that runs a script of the shell."""
    return BatchJob(name=str(uuid.uuid4()), argv=("/bin/sh", "-c", script), environment={}, **more)  # type: ignore[arg-type]


def wait_for(launcher: Launcher, *names: str) -> dict[str, LaunchEnd]:
    """Return how jobs ended, by name, when all are over."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        ended = {each.name: each for each in launcher.ended(names)}
        if len(ended) == len(names):
            return ended
        time.sleep(0.1)
    raise AssertionError(f"not over after {SECONDS} s: {set(names) - ended.keys()}")


class LauncherBehaviour:
    """Tests of one launcher; `new_launcher` makes another one in the same place."""

    def test_ends_of_jobs_are_told_with_exit_code_or_signal(
        self, new_launcher: NewLauncher
    ) -> None:
        launcher = new_launcher()
        good, bad, killed = a_job("true"), a_job("exit 65"), a_job("kill -SEGV $$")

        ids = launcher.submit([good, bad, killed])
        ends = wait_for(launcher, *ids)

        assert set(ids) == {good.name, bad.name, killed.name}
        assert (ends[good.name].exit_code, ends[good.name].signal, ends[good.name].is_success) == (
            0,
            None,
            True,
        )
        assert (ends[bad.name].exit_code, ends[bad.name].signal) == (65, None)
        assert (ends[killed.name].exit_code, ends[killed.name].signal) == (None, 11)

    def test_a_job_gets_its_files_and_environment_and_its_own_come_home(
        self, new_launcher: NewLauncher, readable: Path
    ) -> None:
        launcher = new_launcher()
        source = readable / "input file.txt"
        source.write_text("read me")
        source.chmod(0o644)
        job = a_job('cat "input file.txt" note.txt > made.txt; printf %s "$ODD" >> made.txt')
        odd = "two  words, 'quotes' \"of both\" $(kinds)\nand a line"
        whole = BatchJob(
            job.name, job.argv, {"ODD": odd}, inputs=(source,), contents={"note.txt": "!"}
        )

        launcher.submit([whole])
        end = wait_for(launcher, job.name)[job.name]

        assert end.is_success
        assert (end.folder / "made.txt").read_text() == f"read me!{odd}"

    def test_what_was_submitted_is_found_by_another_launcher(
        self, new_launcher: NewLauncher
    ) -> None:
        job, never = a_job("sleep 0.5"), a_job("true")
        ids = new_launcher().submit([job])

        found = new_launcher().find([job.name, never.name])

        assert found == ids
        wait_for(new_launcher(), job.name)
        assert new_launcher().find([job.name, never.name]) == ids, (
            "it is found when it is over, too"
        )

    def test_a_job_outlives_its_launcher_and_the_next_one_tells_its_end(
        self, new_launcher: NewLauncher
    ) -> None:
        job = a_job("sleep 1; echo done > made.txt; exit 3")
        new_launcher().submit([job])

        end = wait_for(new_launcher(), job.name)[job.name]

        assert end.exit_code == 3
        assert (end.folder / "made.txt").read_text() == "done\n"

    def test_asking_for_ends_again_gives_the_same(self, new_launcher: NewLauncher) -> None:
        launcher = new_launcher()
        job = a_job("exit 4")
        launcher.submit([job])
        first = wait_for(launcher, job.name)

        assert wait_for(launcher, job.name) == first

    def test_a_removed_job_is_over_and_no_success(self, new_launcher: NewLauncher) -> None:
        launcher = new_launcher()
        job = a_job("sleep 300")
        launcher.submit([job])

        launcher.remove([job.name])

        end = wait_for(launcher, job.name)[job.name]
        assert not end.is_success
        assert end.signal == 9 or (end.problem or "").startswith("removed")

    def test_a_job_that_lacks_its_input_is_refused_and_none_is_submitted(
        self, new_launcher: NewLauncher, readable: Path
    ) -> None:
        launcher = new_launcher()
        good, bad = a_job("true"), a_job("true", inputs=(readable / "nothing.root",))

        with pytest.raises(BadInputError, match=r"nothing\.root is not there"):
            launcher.submit([good, bad])

        assert launcher.find([bad.name]) == {}

    @pytest.mark.parametrize("name", ["", "../x", "a b", "-x"])
    def test_a_name_that_is_no_plain_one_is_refused(
        self, new_launcher: NewLauncher, name: str
    ) -> None:
        with pytest.raises(BadInputError, match="plain name"):
            new_launcher().submit([BatchJob(name, ("true",), {})])
