"""What every scene on the grid begins with: a pool, a service, and the hook for the pool's jobs."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.library.commands import JOBPROV
from tests.library.grid.pool import PATH, Pool, need_condor
from tests.library.hook import put_hook
from tests.library.servers.live_service import LiveService

HOOK = "job-end-hook.pyz"


class Scene:
    """A pool and a service.

    Args:
        more: further lines of the pool's configuration, by the pool's folder.

    Attributes:
        experiment: whose jobs and tasks are asked for.
        hook: where the pool's jobs find the hook.
        state: the database of the witness.
    """

    def __init__(
        self, folder: Path, experiment: str, more: Callable[[Path], str] = lambda _folder: ""
    ) -> None:
        self.folder = folder
        self.experiment = experiment
        self.state = folder / "witness.db"
        self.service = LiveService(folder / "var")
        try:
            self.pool = Pool(more)
        except BaseException:
            self.service.stop()
            raise
        self.hook = self.pool.put(HOOK, put_hook(folder / HOOK).read_bytes(), 0o755)

    @property
    def condor(self) -> dict[str, str]:
        """Return the variables with which jobprov's commands find the pool and themselves."""
        path = f"{Path(JOBPROV[0]).parent}:{os.environ['PATH']}:{PATH}"
        return {"CONDOR_CONFIG": str(self.pool.config), "PATH": path}

    def ask(self, path: str, **query: Any) -> Any:
        """Return the service's answer about the experiment."""
        query.setdefault("experiment", self.experiment)
        answer = requests.get(f"{self.service.url}/api/v1{path}", params=query, timeout=60)
        assert answer.ok, f"{answer.text}\n{self.pool.diagnosis()}"
        return answer.json()

    def page(self, path: str) -> str:
        """Return a page of the service."""
        return requests.get(f"{self.service.url}{path}", timeout=60).text

    def witness(self, *words: str) -> dict[str, Any]:
        """Have the witness look at once at what ended; return its report."""
        state = () if "--state" in words else ("--state", str(self.state))
        done = self.service.run(
            "witness", "--json", "--settle-seconds", "0", *state, *words, **self.condor
        )
        assert done.returncode == 0, done.stderr + self.pool.diagnosis()
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def retry(self, *words: str) -> str:
        """Run `jobprov retry`; return what it prints."""
        done = self.service.run("retry", "--experiment", self.experiment, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def submit_retries(self, name: str, *words: str) -> Path:
        """Have `jobprov retry` write a submission and submit it as the jobs' owner.

        Return its folder.
        """
        folder = self.pool.make_folder(name)
        self.retry("--format", "condor", "-o", str(folder), *words)
        self.pool.give(folder)
        self.pool.run("condor_submit", "retry.sub", cwd=folder)
        return folder

    def wait_for_empty_queue(self, seconds: float = 120) -> None:
        """Wait until no job runs, waits or is held."""

        def is_empty() -> bool:
            return not self.pool.run("condor_q", "-af", "ClusterId").stdout.strip()

        self.pool.wait_for("the queue is empty", is_empty, seconds)

    def as_owner(self) -> list[str]:
        """Return what starts a program as the jobs' owner, who may read where root's Python lies."""
        if os.getuid() != 0:
            return []
        account, read = self.pool.account, "+dac_read_search"
        ids = ["--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--clear-groups"]
        return ["setpriv", *ids, f"--inh-caps={read}", f"--ambient-caps={read}"]

    def agent_environment(self) -> dict[str, str]:
        """Return the environment of an agent that runs as the jobs' owner."""
        return {
            **self.pool.environment,
            "PATH": f"{Path(JOBPROV[0]).parent}:{PATH}",
            "JOBPROV_URL": self.service.url,
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }

    def close(self) -> None:
        """Stop everything."""
        self.pool.stop()
        self.service.stop()


AnyScene = TypeVar("AnyScene", bound=Scene)


@contextmanager
def opened_scene(make: Callable[[], AnyScene]) -> Iterator[AnyScene]:
    """Yield a scene on a machine with HTCondor; stop it in the end."""
    need_condor()
    scene = make()
    try:
        yield scene
    finally:
        scene.close()
