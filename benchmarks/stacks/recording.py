"""Records a case as its user would: prepares its folder, runs it under the hook, keeps digests."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes
from uuid import uuid4

from benchmarks.stacks.cases import STDOUT, VENV, Case

EXPERIMENT = "stacks"
_SECONDS = 120
_BEFORE_MEANWHILE = 0.5
_PATH = "/usr/local/bin:/usr/bin:/bin"
_GIT = {
    "GIT_AUTHOR_NAME": "A. User",
    "GIT_AUTHOR_EMAIL": "user@example.org",
    "GIT_COMMITTER_NAME": "A. User",
    "GIT_COMMITTER_EMAIL": "user@example.org",
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "init.defaultBranch",
    "GIT_CONFIG_VALUE_0": "main",
    "GIT_CONFIG_KEY_1": "protocol.file.allow",
    "GIT_CONFIG_VALUE_1": "always",
}


@dataclass(frozen=True)
class Site:
    """Where the cases are recorded.

    Attributes:
        jobs: folder with one root for each case.
        venv: the virtual environment with the packages from PyPI.
        hook: the built hook.
        url: address of the service.
        options: options of the hook for all cases.
    """

    jobs: Path
    venv: Path
    hook: Path
    url: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recorded:
    """A case that ran under the hook.

    Attributes:
        case: with all its places filled in.
        root: the folder with all that it brought, but for `var_tmp`.
        digests: SHA-256 by output; None for one that is not there.
        exit_code: as the hook gave it.
        printed: what the job printed on standard output and error.
        names: names of all files below the root when the job had ended.
        broken: why the case says nothing: it did not do what it is meant to do.
    """

    case: Case
    root: Path
    var_tmp: Path
    job_id: str
    digests: dict[str, str | None]
    exit_code: int
    printed: str
    broken: str = ""
    names: frozenset[str] = frozenset()


def missing_needs(case: Case, venv: Path) -> list[str]:
    """Return what the case needs and this machine lacks."""
    missing = []
    for need in case.needs:
        is_there = (venv / "bin/python").exists() if need == VENV else shutil.which(need)
        if not is_there:
            missing.append(need)
    return missing


def record(case: Case, site: Site) -> Recorded:
    """Prepare the case's folder and run its job under the hook."""
    root, port = site.jobs / case.name, _free_port()
    var_tmp = Path("/var/tmp") / f"jobprov-stacks-{os.getpid()}-{case.name}"  # noqa: S108
    places = {
        "ROOT": root,
        "WORK": root / "work",
        "VARTMP": var_tmp,
        "VENV": site.venv,
        "PORT": port,
    }
    filled = _fill(case, {name: str(place) for name, place in places.items()})
    job_id = str(uuid4())
    environment = _environment(filled, root, site, job_id)
    problem = _prepare(filled, root, var_tmp)
    if problem:
        return Recorded(filled, root, var_tmp, job_id, {}, -1, problem, problem)
    with _serving(filled, root, port), _meanwhile(filled, root), _stdin(filled, root) as stdin:
        try:
            ended = subprocess.run(
                _command(filled, site),
                cwd=root / case.folder,
                env=environment,
                stdin=stdin,
                capture_output=True,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return Recorded(filled, root, var_tmp, job_id, {}, -1, "", "did not end")
    code = ended.returncode if ended.returncode >= 0 else 128 - ended.returncode
    digests = _digests_of_outputs(filled, root, ended.stdout)
    _flush(site, environment)
    printed = (ended.stdout + ended.stderr).decode("utf-8", "replace")
    return Recorded(
        case=filled,
        root=root,
        var_tmp=var_tmp,
        job_id=job_id,
        digests=digests,
        exit_code=code,
        printed=printed,
        broken=_broken(case, code, digests, printed),
        names=frozenset(path.name for path in root.rglob("*")),
    )


def _command(case: Case, site: Site) -> list[str]:
    """Return the command line of a case, under the hook unless the case calls the hook itself."""
    if case.is_hooked:
        return list(case.command)
    hook = [sys.executable, str(site.hook), "run", *site.options, *case.options, "--"]
    return [*hook, *case.command]


def _digests_of_outputs(case: Case, root: Path, printed: bytes) -> dict[str, str | None]:
    """Return the SHA-256 of each output; None for one that is not there."""
    digests: dict[str, str | None] = {}
    for output in case.outputs:
        if output == STDOUT:
            digests[output] = hashlib.sha256(printed).hexdigest()
        else:
            digests[output] = digest_of(root / case.folder / decoded(output))
    return digests


def _broken(case: Case, code: int, digests: dict[str, str | None], printed: str) -> str:
    """Return why the job did not do what the case is meant to do; '' if it did."""
    if code != case.exit_code:
        return f"ended with {code}, not {case.exit_code}: {printed[-400:]}"
    if case.exit_code:
        return ""
    missing = [name for name, digest in digests.items() if digest is None]
    if missing:
        return f"made no {missing}: {printed[-400:]}"
    if not digests:
        return "names no output"
    return ""


def _flush(site: Site, environment: dict[str, str]) -> None:
    """Send what the hook had no time for, as the next job on the node would: this one may be busy."""
    if any(path.is_file() for path in Path(environment["JOBPROV_SPOOL"]).rglob("*")):
        words = [sys.executable, str(site.hook), "flush"]
        subprocess.run(words, env=environment, capture_output=True, check=False, timeout=_SECONDS)


def decoded(name: str) -> str:
    """Return a path in which %XX stood for bytes."""
    return os.fsdecode(unquote_to_bytes(name))


def digest_of(path: Path) -> str | None:
    """Return the SHA-256 of a file; None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _fill(case: Case, words: dict[str, str]) -> Case:
    """Return the case with its places filled in."""

    def filled(text: str) -> str:
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        return text

    texts = {}
    for name in ("setup", "meanwhile", "server", "stdin"):
        texts[name] = filled(getattr(case, name))
    lists = {}
    for name in ("command", "outputs", "options", "repositories"):
        lists[name] = tuple(filled(word) for word in getattr(case, name))
    tables = {}
    for name in ("files", "env"):
        tables[name] = {key: filled(value) for key, value in getattr(case, name).items()}
    return Case(**{**vars(case), **texts, **lists, **tables})


def _environment(case: Case, root: Path, site: Site, job_id: str) -> dict[str, str]:
    return {
        "PATH": _PATH,
        "HOME": str(root / "home"),
        "USER": "user",
        "LANG": "C.UTF-8",
        "JOBPROV_URL": site.url,
        "JOBPROV_EXPERIMENT": EXPERIMENT,
        "JOBPROV_TASK_ID": f"trial-{case.name}",
        "JOBPROV_JOB_ID": job_id,
        "JOBPROV_SPOOL": str(site.jobs.parent / "spool" / case.name),
        "JOBPROV_HOOK": str(site.hook),
        **case.env,
    }


def _prepare(case: Case, root: Path, var_tmp: Path) -> str:
    """Make the case's folder; return why that failed."""
    for folder in (root / "home", root / case.folder):
        folder.mkdir(parents=True, exist_ok=True)
    if "/var/tmp/jobprov-stacks-" in str(case):  # noqa: S108
        var_tmp.mkdir(parents=True)
    for name, text in case.files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if text.startswith("#!") else 0o644)
    environment = {"PATH": _PATH, "HOME": str(root / "home"), "LANG": "C.UTF-8", **_GIT}
    made = subprocess.run(
        ["sh", "-ec", case.setup],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    return f"set-up failed: {made.stdout}{made.stderr}" if made.returncode else ""


@contextmanager
def _serving(case: Case, root: Path, port: int) -> Iterator[None]:
    """Let the case's server listen meanwhile."""
    if not case.server:
        yield
        return
    server = subprocess.Popen(
        ["sh", "-c", f"exec {case.server}"],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(100):
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait(10)


@contextmanager
def _meanwhile(case: Case, root: Path) -> Iterator[None]:
    """Let the case's other script run beside the job."""
    if not case.meanwhile:
        yield
        return
    script = f"sleep {_BEFORE_MEANWHILE}; {case.meanwhile}"
    other = subprocess.Popen(["sh", "-c", script], cwd=root)
    yield
    other.wait(_SECONDS)


@contextmanager
def _stdin(case: Case, root: Path) -> Iterator[int]:
    file = os.open(root / case.stdin if case.stdin else os.devnull, os.O_RDONLY)
    try:
        yield file
    finally:
        os.close(file)
