"""Reruns inside a capsule: a folder by namespaces, a container image by podman where it runs here.

How apptainer is called.
"""

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.library.productions.toy_job import Run, Toy

SIF = b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC"
PRINTS_RELEASE = b"#!/bin/sh\nmkdir -p out\ncat /release.txt > out/result.txt\nls / >&2 || :\n"


@pytest.fixture
def capsule(tmp_path: Path) -> Path:
    """Return the root of a small file system: busybox and the libraries that it is linked with."""
    root = tmp_path / "a capsule"
    (root / "bin").mkdir(parents=True)
    busybox = shutil.which("busybox") or pytest.fail("busybox is not here")
    shutil.copy(busybox, root / "bin/busybox")
    linked = subprocess.run(["ldd", busybox], capture_output=True, text=True, check=False).stdout
    for library in re.findall(r"(/\S+) \(0x", linked):
        (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library[1:])
    for name in ("sh", "cat", "env", "mkdir", "printf", "uname"):
        (root / "bin" / name).symlink_to("busybox")
    (root / "tmp").mkdir()
    (root / "release.txt").write_text("the capsule\n")
    return root


def _has_namespaces() -> bool:
    return (
        subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0
    )


def test_job_runs_inside_a_capsule(toy: Toy, tmp_path: Path, shell: Run, capsule: Path) -> None:
    if not _has_namespaces():
        pytest.skip("NO USER NAMESPACES HERE: that a job runs inside a capsule is not tested")
    toy.files[1] = (
        "bin/join.sh",
        0o100755,
        b"#!/bin/sh\nmkdir -p out\ncat /release.txt > out/result.txt\nls / >&2 || :\n",
    )
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    before = sorted(os.walk(capsule))

    ran = shell(bag / "data/run.sh", "--capsule", capsule, out)

    assert ran.returncode == 0, ran.stderr + (out / "run.log").read_text()
    assert (out / "work/out/result.txt").read_text() == "the capsule\n"
    assert sorted(os.walk(capsule)) == before


def test_capsule_that_is_not_there_is_refused(toy: Toy, tmp_path: Path, dash: Run) -> None:
    bag = toy.unpack(tmp_path / "bag")

    ran = dash(bag / "data/run.sh", "--capsule", tmp_path / "none", tmp_path / "out")

    assert ran.returncode == 125
    assert "there is no capsule" in ran.stderr


def _image(capsule: Path, file: Path, podman: list[str], environment: dict[str, str]) -> Path:
    """Return an image of the capsule as podman saves it.

    Its own entry point only fails, and must not matter.
    """
    with tarfile.open(file.with_suffix(".root.tar"), "w") as tar:
        tar.add(capsule, arcname=".")
    change = ["--change", 'ENTRYPOINT ["/bin/nothing"]']
    for words in (
        ["import", "--quiet", *change, str(file.with_suffix(".root.tar")), "localhost/release:1"],
        ["save", "--quiet", "--output", str(file), "localhost/release:1"],
        ["rmi", "--force", "localhost/release:1"],
    ):
        subprocess.run([*podman, *words], check=True, capture_output=True, env=environment)
    return file


@pytest.fixture
def containers(tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """Return words to put before a command that uses podman, and its environment.

    Storage and settings of the test's own.
    """
    if shutil.which("podman") is None:
        pytest.skip("NO PODMAN HERE: that a job runs inside a container image is not tested")
    storage, settings = tmp_path / "storage.conf", tmp_path / "containers.conf"
    storage.write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{tmp_path}/images"\n'
        f'runroot = "{tmp_path}/running"\n',
        encoding="utf-8",
    )
    settings.write_text(
        '[containers]\ncgroups = "disabled"\n[engine]\ncgroup_manager = "cgroupfs"\n'
        'events_logger = "file"\n',
        encoding="utf-8",
    )
    environment = {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "CONTAINERS_STORAGE_CONF": str(storage),
        "CONTAINERS_CONF": str(settings),
        "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
    }
    # crun wants control groups of one version
    apart = [
        "unshare",
        "-m",
        "sh",
        "-c",
        'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"',
        "sh",
    ]
    return apart if os.geteuid() == 0 else [], environment


@pytest.mark.slow
def test_job_runs_inside_a_container_image(
    toy: Toy, tmp_path: Path, capsule: Path, containers: tuple[list[str], dict[str, str]]
) -> None:
    apart, environment = containers
    toy.files[1] = ("bin/join.sh", 0o100755, PRINTS_RELEASE)
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = [*apart, *map(str, words)]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    probe = run(
        "podman", "run", "--rm", "--network=host", "--rootfs", capsule, "/bin/cat", "/release.txt"
    )
    if probe.returncode != 0:
        pytest.skip(
            f"PODMAN STARTS NO CONTAINER HERE ({probe.stderr.strip()[:200]}): "
            "jobs inside images are not tested"
        )
    image = _image(capsule, tmp_path / "release.tar", [*apart, "podman"], environment)
    ran = run("dash", bag / "data/run.sh", "--capsule", image, out)

    assert ran.returncode == 0, ran.stderr + (out / "run.log").read_text()
    assert (out / "work/out/result.txt").read_text() == "the capsule\n"


STAND_IN = """#!/bin/sh
printf '%s\\n' "$@" >"$0.called"
while [ "$1" != /bin/sh ] && [ $# -gt 1 ]; do shift; done
exec "$@"
"""
FAILS_ITSELF = "#!/bin/sh\necho FATAL: no namespaces here >&2\nexit {code}\n"


@pytest.mark.parametrize(
    ("content", "named"),
    [(SIF, ""), (b"hsqs squashfs", ""), (b"manifest.json\0\0", "docker-archive:")],
)
def test_apptainer_is_called_with_the_image_the_folder_and_nothing_of_the_host(
    toy: Toy, tmp_path: Path, bare: Path, content: bytes, named: str
) -> None:
    """A stand-in for the program: what is tested is how it is called."""
    bag, out, image = toy.unpack(tmp_path / "bag"), tmp_path / "out", tmp_path / "an image"
    image.write_bytes(content)
    (bare / "apptainer").write_text(STAND_IN)
    (bare / "apptainer").chmod(0o755)

    words = [str(bare / "sh"), str(bag / "data/run.sh"), "--capsule", str(image), str(out)]
    ran = subprocess.run(
        words, env={"PATH": str(bare)}, capture_output=True, text=True, check=False, timeout=60
    )

    assert ran.returncode == 0, ran.stderr + (out / "run.log").read_text()
    called = (bare / "apptainer.called").read_text().splitlines()
    wanted = [
        "exec",
        "--cleanenv",
        "--no-home",
        "--bind",
        f"{out}:{out}",
        "--pwd",
        f"{out}/work",
        f"{named}{image}",
    ]
    assert called[: len(wanted) + 2] == [*wanted, "/bin/sh", "-c"]
    assert (out / "work/out/result.txt").read_bytes() == toy.expected


def _run_by(
    stand_in: str, bag: Path, bare: Path, image: Path, out: Path
) -> tuple[subprocess.CompletedProcess[str], subprocess.CompletedProcess[str]]:
    """Run a job by a stand-in for apptainer, then compare it."""
    image.write_bytes(SIF)
    (bare / "apptainer").write_text(stand_in)
    (bare / "apptainer").chmod(0o755)
    ended = []
    for words in (["run.sh", "--capsule", str(image), str(out)], ["verify.sh", str(out)]):
        command = [str(bare / "sh"), str(bag / "data" / words[0]), *words[1:]]
        ended.append(
            subprocess.run(
                command,
                env={"PATH": str(bare)},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
        )
    return ended[0], ended[1]


@pytest.mark.parametrize("code", [125, 126, 127, 255])
def test_failure_of_the_container_tool_is_not_the_job_s(
    toy: Toy, tmp_path: Path, bare: Path, code: int
) -> None:
    """A job that is recorded with the same code did not fail in the same way."""
    toy.record["state"], toy.record["exit"] = "failed", {"code": code}
    toy.record["command"]["steps"][-1]["exit_code"] = code
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    ran, compared = _run_by(FAILS_ITSELF.format(code=code), bag, bare, tmp_path / "image", out)

    assert ran.returncode == 125
    assert "apptainer could not start step" in ran.stderr
    assert "no namespaces here" in (out / "run.log").read_text()
    assert compared.returncode == 2
    assert "no job ran" in compared.stderr


@pytest.mark.slow
def test_job_s_own_code_is_not_taken_for_the_container_tool_s(
    toy: Toy, tmp_path: Path, bare: Path
) -> None:
    toy.files[1] = ("bin/join.sh", 0o100755, b"#!/bin/sh\nexit 125\n")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    ran, compared = _run_by(STAND_IN, bag, bare, tmp_path / "image", out)

    assert ran.returncode == 125
    assert (out / "exit-codes.txt").read_text() == "125\n"
    assert "exit code: 125, recorded was" in compared.stderr


def test_image_without_a_program_that_runs_it_is_a_need(
    toy: Toy, tmp_path: Path, bare: Path
) -> None:
    bag, image = toy.unpack(tmp_path / "bag"), tmp_path / "image.sif"

    def check(content: bytes) -> subprocess.CompletedProcess[str]:
        image.write_bytes(content)
        words = [str(bare / "sh"), str(bag / "data/run.sh"), "--capsule", str(image), "--check"]
        return subprocess.run(
            words, env={"PATH": str(bare)}, capture_output=True, text=True, check=False, timeout=60
        )

    assert "missing: one of apptainer singularity, to run inside" in check(SIF).stderr
    assert "missing: one of podman apptainer singularity, to run inside" in check(b"a tar").stderr
    assert check(SIF).returncode == 1
