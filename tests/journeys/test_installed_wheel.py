"""The wheel in an empty environment: it has one name in site-packages.

The client comes without the server's packages, the service with them. Neither the checkout nor its
`.venv` is reachable from where the commands run.
"""

import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("installed_wheel")]
_REACH = ("PATH", "LANG", "SSL_CERT_FILE")
_SERVER_ONLY = ("flask", "sqlalchemy", "alembic", "git", "gunicorn", "marshmallow", "zstandard")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that git tracks."""
    folder = tmp_path_factory.mktemp("source") / "jobprov"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from the files that git tracks."""
    return built_wheel(source, tmp_path_factory.mktemp("wheel"))


def built_wheel(source: Path, folder: Path) -> Path:
    """Return the wheel, built into a folder from sources or their archive."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--wheel-dir", str(folder), str(source)],
        check=True,
    )  # fmt: skip
    return next(folder.glob("jobprov-*.whl"))


def checked_files(wheel: Path) -> dict[str, int]:
    """Return the files of a wheel, each with its checksum."""
    with zipfile.ZipFile(wheel) as archive:
        return {file.filename: file.CRC for file in archive.infolist()}


def test_wheel_of_the_source_distribution_is_that_of_the_sources(
    source: Path, wheel: Path, tmp_path: Path
) -> None:
    build = f"from hatchling.build import build_sdist; build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    distribution = next(tmp_path.glob("jobprov-*.tar.gz"))

    of_distribution = built_wheel(distribution, tmp_path)

    assert "jobprov/app/cli.py" in checked_files(wheel)
    assert checked_files(of_distribution) == checked_files(wheel)


class Installation:
    """A virtual environment with the wheel in it, used from an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "venv" / "bin"
        reach = {
            name: value
            for name, value in os.environ.items()
            if name in _REACH or name.startswith("PIP_") or name.endswith("_CA_BUNDLE")
        }
        self.environment = {**reach, "HOME": str(folder)}
        # a pip of its own would take five seconds: that of the tests installs into it
        venv = [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")]
        subprocess.run(venv, check=True)

    def install(self, what: str) -> None:
        """Install the wheel, or the wheel with an extra, at the versions that are pinned."""
        pins = self.folder / "pins.txt"
        locked = (ROOT / "requirements" / "base.txt").read_text(encoding="utf-8")
        pins.write_text("\n".join(re.findall(r"^[\w.-]+==[\w.]+", locked, re.MULTILINE)))
        self.pip("install", "--quiet", "--no-compile", "-c", str(pins), what)

    def pip(self, *words: str) -> str:
        """Return what pip prints of the environment."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python")]
        return self._ended([*pip, *words])

    def run(self, program: str, *words: str, code: int = 0) -> str:
        """Return what a program of the environment prints, which ends with this exit code."""
        return self._ended([str(self.bin / program), *words], code)

    def _ended(self, command: list[str], code: int = 0) -> str:
        ended = subprocess.run(
            command,
            cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
            timeout=600,
        )  # fmt: skip
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def client_only(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Return an environment in which the wheel was installed as it is."""
    installation = Installation(tmp_path_factory.mktemp("client"))
    installation.install(str(wheel))
    return installation


@pytest.fixture(scope="module")
def served(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Installation, str]]:
    """Yield an environment with the extra `server`, and the address of a service that it serves."""
    installation = Installation(tmp_path_factory.mktemp("server"))
    installation.install(f"{wheel}[server]")
    log = installation.folder / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(installation.bin / "jobprov"), "serve", "--port", "0", "--data", "data"],
            cwd=installation.folder,
            env=installation.environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield installation, _address(process, log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text(errors="replace")):
            return found.group(0)
        time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace")[-3000:])


def test_wheel_puts_one_name_into_site_packages(client_only: Installation) -> None:
    listed = client_only.pip("show", "--files", "jobprov")

    files = listed.partition("Files:\n")[2].split()
    tops = {file.split("/")[0] for file in files if not file.startswith("..")}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"jobprov"}


def test_client_needs_none_of_the_servers_packages(client_only: Installation) -> None:
    program = (
        "import sys; from jobprov.provenance.client import Client; Client('http://127.0.0.1:1')\n"
        f"print([name for name in {_SERVER_ONLY!r} if name in sys.modules])"
    )

    installed = client_only.pip("list").lower()

    assert client_only.run("python", "-c", program).strip() == "[]"
    assert "requests" in installed
    assert not {"flask", "sqlalchemy", "gitpython"} & set(installed.split())


def test_help_lists_every_command_without_the_servers_packages(client_only: Installation) -> None:
    text = client_only.run("jobprov", "--help")

    assert re.search(r"lookup\s+\S", text)
    assert re.search(r"serve\s+Needs the server's packages: pip install 'jobprov\[server\]'", text)


def test_question_without_the_servers_packages_reaches_for_the_service(
    client_only: Installation,
) -> None:
    text = client_only.run("jobprov", "lookup", "x.root", "--url", "http://127.0.0.1:1", code=3)

    assert "No jobprov answers at http://127.0.0.1:1" in text


def test_serving_without_the_servers_packages_says_what_to_install(
    client_only: Installation,
) -> None:
    text = client_only.run("jobprov", "serve", "--port", "0", code=3)

    assert "pip install 'jobprov[server]'" in text
    assert "Traceback" not in text


def test_hook_of_the_wheel_records_a_job_that_its_client_finds(
    served: tuple[Installation, str], client_only: Installation
) -> None:
    installation, address = served
    fetch = (
        f"import urllib.request as r; r.urlretrieve('{address}/api/v1/hook/job-end-hook.pyz', "
        "'job-end-hook.pyz')"
    )
    installation.run("python", "-c", fetch)
    installation.run(
        "python", "job-end-hook.pyz", "run", "--url", address, "--experiment", "toyexp",
        "--output", "made.txt", "--", "sh", "-c", "echo made > made.txt",
    )  # fmt: skip

    found = client_only.run("jobprov", "lookup", "made.txt", "--url", address)

    assert "made.txt" in found
    assert "toyexp" in found


def test_service_of_the_wheel_shows_the_documentation(served: tuple[Installation, str]) -> None:
    installation, address = served
    ask = (
        f"import urllib.request as r; print(r.urlopen('{address}/docs/reference/glossary').read())"
    )

    assert 'id="term-witness"' in installation.run("python", "-c", ask)
