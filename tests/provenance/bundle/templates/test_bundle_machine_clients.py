"""Reruns on a machine that has storage clients of its own, where a rerun must call none of them."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobprov.provenance.bundle import templates
from jobprov.provenance.bundle.ingredients import Ingredients
from jobprov.provenance.bundle.payload.storage import CLIENTS
from jobprov.provenance.bundle.plan import make_plan
from tests.library.hook import Runner, only_entry, put_hook
from tests.library.productions.storing_job import DOOR, RAW, let_job_run
from tests.library.productions.toy_job import Run, Toy

FETCH_BY = "{client} -f " + DOOR + "/raw.dat raw.dat && cat raw.dat raw.dat >made.dat"
STORE_BY = "{client} made.dat " + DOOR + "/out/made.dat"


class Machine:
    """Software of the machine, which no record names, with clients that note their calls."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.calls = top / "calls"

    def install(self, *paths: str) -> None:
        for path in paths:
            client = self.top / path
            client.parent.mkdir(parents=True, exist_ok=True)
            client.write_text(f'#!/bin/sh\necho "$0 $*" >>{self.calls}\n')
            client.chmod(0o755)

    def write(self, path: str, text: str) -> None:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("{top}", str(self.top)))

    def was_called(self, out: Path) -> bool:
        """Whether a client was called; in a root of its own, it may have noted that below OUT."""
        below_out = out / "elsewhere" / str(self.calls).lstrip("/")
        return self.calls.exists() or below_out.exists()


@pytest.fixture
def machine() -> Iterator[Machine]:
    # not in tmp_path: a rerun's own root has a /dev/shm of its own
    machine = Machine(Path(tempfile.mkdtemp(dir="/var/tmp")))
    machine.install("tools/bin/xrdcp", "tools/bin/gfal-copy", "tools/bin/samweb")
    machine.install("prd/ifdhc/v2_7_0/Linux64bit-3-10/bin/ifdh")
    machine.write("setup.sh", 'export TOOLS={top}/tools\n. "$TOOLS"/more.sh\n')
    machine.write("tools/more.sh", "PATH=$TOOLS/bin:$PATH\n")
    machine.write("etc/setups", "PRODUCTS={top}/db\n")
    machine.top.chmod(0o755)
    yield machine
    shutil.rmtree(machine.top)


def script_by(before: str, client: str) -> str:
    return f"{before}\n{FETCH_BY}\n{STORE_BY}\n".replace("{client}", client)


SCRIPTS = {
    "folder in front": script_by("export PATH={top}/tools/bin:$PATH", "xrdcp"),
    "folder in a variable": script_by(
        'base={top}\nTOOLS="${base}/tools"\nPATH="$TOOLS"/bin:$PATH', "xrdcp"
    ),
    "set-up script": script_by(". {top}/setup.sh", "xrdcp"),
    "set-up script in a recorded variable": script_by('. "${SETUP:?not set}"', "xrdcp"),
    "path": script_by("", "{top}/tools/bin/xrdcp"),
    "path in a variable": script_by("copy={top}/tools/bin/xrdcp", "$copy"),
    "env": script_by("", "/usr/bin/env PATH={top}/tools/bin:/usr/bin:/bin xrdcp"),
    "timeout": script_by("", "timeout 60 nice {top}/tools/bin/xrdcp"),
    "copy of the client": script_by("cp {top}/tools/bin/xrdcp .", "./xrdcp") + "rm xrdcp\n",
    "Python": (
        FETCH_BY.replace("{client}", "xrdcp")
        + f"\n{sys.executable} -c 'import subprocess\n"
        + f'subprocess.run(["{{top}}/tools/bin/xrdcp", "made.dat", "{DOOR}/out/"], check=True)\'\n'
    ),
}
"""Scripts that lead past what is first on PATH to the client of the machine."""


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_stand_in_is_called_wherever_a_script_finds_its_client(
    toy: Toy, tmp_path: Path, shell: Run, machine: Machine, script: str
) -> None:
    let_job_run(toy, SCRIPTS[script].replace("{top}", str(machine.top)))
    toy.record["environment"]["variables"]["SETUP"] = f"{machine.top}/setup.sh"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", "--own-root", out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert not machine.was_called(out)
    assert shell(bag / "data/verify.sh", out).stdout == "IDENTICAL made.dat\n"


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_without_a_root_of_its_own_such_a_job_is_not_begun(
    toy: Toy, tmp_path: Path, shell: Run, machine: Machine, script: str
) -> None:
    let_job_run(toy, SCRIPTS[script].replace("{top}", str(machine.top)))
    toy.record["environment"]["variables"]["SETUP"] = f"{machine.top}/setup.sh"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", "--no-own-root", out)
    check = shell(bag / "data/run.sh", "--no-own-root", "--check")

    client = f"--program xrdcp={machine.top}/tools/bin/xrdcp"
    assert outcome.returncode == 125
    assert f"This lets the job call it:\n  {client}\n" in outcome.stderr
    assert outcome.stderr.endswith("run.sh: nothing was run.\n")
    assert not (out / "run.log").exists()
    assert (check.returncode, client in check.stderr) == (1, True)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--own-root", "--no-own-root"])
def test_client_that_is_allowed_is_called(
    toy: Toy, tmp_path: Path, dash: Run, machine: Machine, way: str
) -> None:
    client = machine.top / "tools/bin/xrdcp"
    let_job_run(toy, f"{client} a b; PATH={client.parent}:$PATH; xrdcp c d\n")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    machine.write("tools/bin/xrdcp", '#!/bin/sh\necho "called $*"\n')

    outcome = dash(bag / "data/run.sh", way, "--program", f"xrdcp={client}", out)

    assert outcome.returncode == 0, outcome.stderr
    assert "called a b\ncalled c d\n" in (out / "run.log").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--own-root", "--no-own-root"])
def test_client_first_on_the_recorded_path_is_not_called(
    toy: Toy, tmp_path: Path, dash: Run, machine: Machine, way: str
) -> None:
    """Also where no text names it, as here, where its name is put together."""
    let_job_run(toy, script_by("copy=xrd", '"${copy}cp"'))
    toy.record["environment"]["variables"]["PATH"] = f"{machine.top}/tools/bin:/usr/bin:/bin"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", way, out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert (out / "work/made.dat").read_bytes() == RAW * 2
    assert not machine.was_called(out)


@pytest.mark.slow
def test_client_of_an_installed_product_is_not_called(
    toy: Toy, tmp_path: Path, dash: Run, machine: Machine
) -> None:
    """Its folder is put on PATH by a program that no text of the job describes, as by `setup`."""
    script = f". {machine.top}/etc/setups\nPATH=$(echo {machine.top}/prd/ifdhc/*/*/bin):$PATH\n"
    script += "ifdh cp /pnfs/raw.dat raw.dat; cat raw.dat raw.dat >made.dat\n"
    let_job_run(toy, script, location="/pnfs/raw.dat")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", "--own-root", out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert not machine.was_called(out)
    assert (out / "work/made.dat").read_bytes() == RAW * 2


@pytest.mark.slow
@pytest.mark.parametrize("target", ["xrdcp-5.6", "python3"])
def test_client_that_is_a_link_is_not_called(
    toy: Toy, tmp_path: Path, dash: Run, machine: Machine, target: str
) -> None:
    """What it leads to may be a program that others need."""
    machine.install(f"versions/{target}")
    client = machine.top / "tools/bin/xrdcp"
    client.unlink()
    client.symlink_to(f"../../versions/{target}")
    script = script_by(f"PATH={client.parent}:$PATH", "xrdcp")
    let_job_run(toy, script + f"head -n 1 {machine.top}/versions/python3 || true\n")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", "--own-root", out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert not machine.was_called(out)
    assert (out / "elsewhere/door.example.org:1094/pnfs/out/made.dat").read_bytes() == RAW * 2


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--own-root", "--no-own-root"])
def test_clients_of_catalogs_are_not_called(
    toy: Toy, tmp_path: Path, dash: Run, machine: Machine, way: str
) -> None:
    let_job_run(toy, "samweb declare-file made.json\n")
    toy.record["environment"]["variables"]["PATH"] = f"{machine.top}/tools/bin:/usr/bin:/bin"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", way, out)

    assert outcome.returncode == 1
    assert "samweb: it needs a storage or catalog" in (out / "run.log").read_text()
    assert not machine.was_called(out)


@pytest.mark.slow
def test_clients_in_folders_with_odd_names_are_not_called(
    toy: Toy, tmp_path: Path, dash: Run, machine: Machine
) -> None:
    machine.install("my 'tools' */bin/xrdcp")
    let_job_run(toy, script_by("PATH=$ODD:$PATH", "xrdcp"))
    odd = f"{machine.top}/my 'tools' */bin"
    toy.record["environment"]["variables"] |= {"ODD": odd, "PATH": f"/usr/bin:/bin:{odd}"}
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", "--own-root", out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert not machine.was_called(out)


@pytest.mark.slow
def test_job_reaches_no_network_if_so_asked_for(toy: Toy, tmp_path: Path, dash: Run) -> None:
    probe = "import socket; socket.create_connection(('192.0.2.1', 9), 1)"
    let_job_run(toy, f'{sys.executable} -c "{probe}"\n')
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    dash(bag / "data/run.sh", "--own-root", "--no-network", out)
    refused = dash(bag / "data/run.sh", "--no-own-root", "--no-network", tmp_path / "other")

    assert "Network is unreachable" in (out / "run.log").read_text()
    assert refused.returncode == 125
    assert "--no-network needs a root of its own: as asked for." in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("way", ["--own-root", "--no-own-root"])
def test_recorded_job_writes_into_no_storage_when_it_is_rerun(
    tmp_path: Path, toy: Toy, dash: Run, machine: Machine, way: str
) -> None:
    """From the hook to the rerun: the set-up script that leads to the client is in no record."""
    work = tmp_path / "work"
    work.mkdir()
    script = work / "job.sh"
    script.write_text(
        f"#!/bin/sh\n. {machine.top}/setup.sh\necho 1 >made.dat\nxrdcp made.dat {DOOR}/\n"
    )
    script.chmod(0o755)
    runner = Runner(str(put_hook(tmp_path / "hook")), work)
    ran = runner("run", "--", "./job.sh", environment={"PATH": "/usr/bin:/bin"})
    assert ran.returncode == 0, ran.stderr
    assert machine.calls.read_text().count("\n") == 1
    machine.calls.unlink()
    shutil.rmtree(work)
    record, blobs = only_entry(runner)
    for content in blobs.values():
        toy.blobs.write(content)
    ingredients = Ingredients(
        record_bytes=json.dumps(record).encode(),
        record=record,
        received_at=datetime(2026, 3, 2, tzinfo=UTC),
        resolutions=[],
    )
    plan = make_plan(ingredients, toy.blobs, toy.blobs.write)
    bag, out = toy.unpack(tmp_path / "bag", plan), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", way, out)

    assert outcome.returncode == (0 if way == "--own-root" else 125), outcome.stderr
    assert not machine.was_called(out)


OLD_MOUNT = """\
#!/bin/sh
# mount before util-linux 2.39
case "$*" in *ro=recursive*) exit 1 ;; esac
PATH=/usr/sbin:/usr/bin:/sbin:/bin exec mount "$@"
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_old", [False, True])
def test_storage_that_is_mounted_below_a_folder_of_the_machine_cannot_be_written(
    toy: Toy, tmp_path: Path, *, is_old: bool
) -> None:
    """As /pnfs/dune is, in a folder /pnfs that is none itself."""
    # below /usr there is no overlay, whose lower layer nobody writes
    storage = Path("/usr/local/share")
    let_job_run(toy, f"echo 1 >{storage}/stored && echo was stored\ntrue\n")
    bag, out, programs = toy.unpack(tmp_path / "bag"), tmp_path / "out", tmp_path / "programs"
    programs.mkdir()
    if is_old:
        (programs / "mount").write_text(OLD_MOUNT)
        (programs / "mount").chmod(0o755)
    mounting = 'mount -t tmpfs -o nosuid,nodev tmpfs "$1" && shift && exec "$@"'
    rerun = ["sh", str(bag / "data/run.sh"), "--own-root", str(out)]

    outcome = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mounting, "sh", str(storage), *rerun],
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    log = (out / "run.log").read_text()
    assert outcome.returncode == 0, outcome.stderr
    assert f"{storage}/stored: Read-only file system" in log
    assert "was stored" not in log


@pytest.mark.slow
def test_search_for_clients_in_a_long_script_comes_to_an_end(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    lines = "".join(f"V{number}=/opt/{number}\nPATH=$V{number}/bin\n" for number in range(15_000))
    let_job_run(toy, "exit 0\nxrdcp\n" + lines + "A=$A$A/x\nA=$A/$A\n" * 100)
    bag = toy.unpack(tmp_path / "bag")

    assert dash(bag / "data/run.sh", "--check").returncode == 0  # within the time of a test


def test_clients_are_the_same_in_the_program_and_in_the_list() -> None:
    text = templates.template(2, "clients.sh").decode()
    found = re.search(r"storage_clients='([^']*)'", text)
    assert found
    assert tuple(found[1].split()) == CLIENTS


@pytest.mark.slow
def test_list_of_clients_is_clean_for_shellcheck() -> None:
    shellcheck = shutil.which("shellcheck") or pytest.fail("shellcheck is not installed")
    script = Path(str(templates.FOLDER)) / "2" / "clients.sh"

    outcome = subprocess.run(
        [shellcheck, "-s", "sh", str(script)], capture_output=True, text=True, check=False
    )

    assert outcome.stdout == ""
