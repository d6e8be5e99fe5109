"""What a traced job used and nobody else keeps goes with its record, or is told by name."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.bundle.payload.storage import SERVED
from jobprov.provenance.capture.trace import calls as kinds
from jobprov.provenance.capture.trace.calls import STORAGE_CLIENT, Calls
from jobprov.provenance.capture.trace.hosts import elsewhere
from jobprov.provenance.capture.trace.installed import Installed
from tests.library.git import git
from tests.library.hook import Runner, entry_of, with_strace

UNTOLD = ("seen", "traced")
PYTHON = os.path.realpath(sys.executable)


class Traced:
    """A traced job, and what its record says."""

    def __init__(self, runner: Runner, *command: str, **more: Any) -> None:
        words = more.pop("words", [])
        self.done = runner("run", "--trace", *words, "--", *command, **more)
        self.record, self.blobs = entry_of(runner)
        self.trace = self.record.get("trace", {})
        self.trace.pop("keys", None)  # of its kind

    def kept(self, field: str) -> dict[str, bytes]:
        """Return the bytes of scripts or inputs that nobody named, by path.

        Those of the Python that runs these tests are left out: it may have files of its own.
        """
        # A look may have come just in time to see one of them
        entries = [
            entry
            for entry in self.record.get(field, ())
            if entry.get("evidence") in UNTOLD and not entry["path"].startswith(sys.base_prefix)
        ]
        return {entry["path"]: self.blobs[entry["sha256"]] for entry in entries}

    def not_kept(self) -> dict[str, str]:
        """Return why files are not kept, by path."""
        return {entry["path"]: entry["reason"] for entry in self.trace.get("not_kept", ())}


def entry(record: dict[str, Any], field: str) -> list[dict[str, Any]]:
    return [each for each in record.get(field, ()) if each.get("evidence") in UNTOLD]


@pytest.fixture
def odd(runner: Runner) -> Path:
    """Return a folder that is nobody's."""
    folder = runner.folder.parent / "odd"
    folder.mkdir()
    return folder


def shell(runner: Runner, script: str, **more: Any) -> Traced:
    return Traced(runner, "sh", "-c", script, **more)


@with_strace
@pytest.mark.slow
def test_files_of_working_folder_home_and_odd_places_are_inputs(runner: Runner, odd: Path) -> None:
    (odd / "table.txt").write_text("odd\n")
    (runner.folder / "in.txt").write_text("here\n")
    home = odd / "home"
    (home / ".config").mkdir(parents=True)
    (home / ".config/tool.rc").write_text("dot\n")

    job = shell(
        runner,
        f"cat in.txt {odd}/table.txt $HOME/.config/tool.rc > out.txt; cat out.txt",
        environment={"HOME": str(home)},
    )

    assert job.kept("inputs") == {
        "in.txt": b"here\n",
        str(odd / "table.txt"): b"odd\n",
        str(home / ".config/tool.rc"): b"dot\n",
    }
    roles = {each["path"]: each["role"] for each in job.record["inputs"]}
    assert (roles["in.txt"], roles[str(home / ".config/tool.rc")]) == ("primary", "configuration")
    assert job.trace == {}


@with_strace
@pytest.mark.skipif(
    subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode != 0,
    reason="NO MOUNT NAMESPACE CAN BE MADE HERE (unshare -rm)",
)
def test_job_in_the_usual_folder_of_htcondor_keeps_its_inputs(runner: Runner, odd: Path) -> None:
    """/var/lib is the machine's, but for /var/lib/condor/execute/dir_PID."""
    scratch = odd / "condor/execute/dir_7"
    scratch.mkdir(parents=True)
    (scratch / "in.txt").write_text("here\n")
    (scratch / "job.sh").write_text("cat in.* > out.txt\n")
    mount = f'mount --bind {odd} /var/lib; cd /var/lib/condor/execute/dir_7; exec "$@"'
    words = ["unshare", "-rm", "sh", "-ec", mount, "sh", runner.python, runner.hook, "run"]

    subprocess.run(
        [*words, "--trace", "--", "sh", "job.sh"],
        env=runner.environment,
        check=True,
        capture_output=True,
        timeout=60,
    )

    record, blobs = entry_of(runner)
    (entry,) = record["inputs"]
    assert (entry["path"], blobs[entry["sha256"]]) == ("in.txt", b"here\n")


@with_strace
@pytest.mark.slow
def test_ad_of_the_job_is_kept_where_its_script_reads_it(runner: Runner) -> None:
    """A wrapper of CRAB reads its number there: without, the rerun ended at once."""
    for name in (".job.ad", ".machine.ad"):
        (runner.folder / name).write_text('CRAB_Id = "7"\n')

    job = shell(
        runner,
        'grep CRAB_Id "$_CONDOR_JOB_AD" > out.txt; ls -la > list.txt',
        environment={"_CONDOR_JOB_AD": str(runner.folder / ".job.ad")},
    )

    assert job.kept("inputs") == {".job.ad": b'CRAB_Id = "7"\n'}


@with_strace
@pytest.mark.slow
def test_table_of_software_in_a_venv_is_kept_and_is_no_parent(runner: Runner, odd: Path) -> None:
    """Which job of a kind is traced is chance; the lineage of its outputs must not be."""
    venv = odd / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python3").symlink_to("/usr/bin/python3")
    (venv / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (venv / "share").mkdir()
    (venv / "share/widths.dat").write_text("1 2\n")

    job = shell(runner, f"cat {venv}/share/widths.dat > out.txt")

    assert job.kept("inputs") == {str(venv / "share/widths.dat"): b"1 2\n"}
    assert [entry["role"] for entry in job.record["inputs"]] == ["configuration"]


@pytest.mark.slow
@with_strace
def test_database_that_was_changed_is_an_input_as_it_was(runner: Runner, odd: Path) -> None:
    for name in ("read.db", "changed.db"):
        with sqlite3.connect(runner.folder / name) as database:
            database.execute("create table t (a)")
    before = (runner.folder / "changed.db").read_bytes()
    program = (
        "import sqlite3\n"
        "sqlite3.connect('read.db').execute('select * from t')\n"
        "changed = sqlite3.connect('changed.db')\n"
        "changed.execute('insert into t values (1)')\n"
        "changed.commit()\n"
        "new = sqlite3.connect('new.db')\n"
        "new.execute('create table t (a)')\n"
        "new.commit()\n"
    )
    (odd / "job.py").write_text(program)

    job = Traced(runner, PYTHON, str(odd / "job.py"))

    assert job.done.returncode == 0
    assert sorted(job.kept("inputs")) == ["changed.db", "read.db"]
    assert job.kept("inputs")["changed.db"] == before
    assert "changed" not in job.trace


@pytest.mark.slow
@with_strace
def test_file_that_was_read_and_written_anew_is_an_input_as_it_was(runner: Runner) -> None:
    """As a counter is: the hook had its bytes from before the command, and called them lost."""
    (runner.folder / "counter.txt").write_text("5\n")

    job = shell(runner, "cat counter.txt > seen.txt; echo 6 > counter.txt")

    assert job.kept("inputs") == {"counter.txt": b"5\n"}
    assert [entry["role"] for entry in job.record["inputs"]] == ["configuration"]
    assert "changed" not in job.trace


@pytest.mark.slow
@with_strace
def test_modules_of_odd_folders_are_scripts_also_where_python_reads_compiled_ones(
    runner: Runner, odd: Path
) -> None:
    site = odd / "home/.local/lib/python3/site-packages"
    site.mkdir(parents=True)
    (site / "stray.py").write_text("X = 1\n")
    (site / "listed.py").write_text("Y = 2\n")
    (site / "listed-1.0.dist-info").mkdir()
    (site / "listed-1.0.dist-info/RECORD").write_text("listed.py,,\n")
    (odd / "compiled.py").write_text("Z = 3\n")
    path = {"PYTHONPATH": f"{odd}:{site}"}
    compiling = {**os.environ, **path}
    compiling.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([PYTHON, "-c", "import compiled"], env=compiling, check=True)
    assert list((odd / "__pycache__").glob("compiled.*.pyc"))

    program = "import stray, listed, compiled; print(stray.X + listed.Y + compiled.Z)"
    job = Traced(runner, PYTHON, "-c", program, environment=path)

    assert job.done.stdout == b"6\n"
    assert job.kept("scripts") == {
        str(site / "stray.py"): b"X = 1\n",
        str(odd / "compiled.py"): b"Z = 3\n",
    }
    assert job.trace == {}


@pytest.mark.slow
@with_strace
@pytest.mark.skipif(shutil.which("perl") is None, reason="NO PERL HERE")
def test_module_of_perl_in_an_odd_folder_is_a_script(runner: Runner, odd: Path) -> None:
    (odd / "Own.pm").write_text("package Own; sub f { 42 } 1;\n")

    job = Traced(runner, "perl", f"-I{odd}", "-MOwn", "-e", "print Own::f()")

    assert job.done.stdout == b"42"
    assert list(job.kept("scripts")) == [str(odd / "Own.pm")]


@with_strace
@pytest.mark.skipif(shutil.which("gcc") is None, reason="NO GCC HERE")
@pytest.mark.slow
def test_headers_are_inputs_and_a_program_that_the_job_builds_is_none(
    runner: Runner, odd: Path
) -> None:
    (odd / "own.h").write_text("#define CODE 7\n")
    (runner.folder / "own.c").write_text("#include <own.h>\nint main() { return CODE; }\n")

    job = shell(runner, f"gcc -I{odd} own.c -o own && ./own", words=["--trace-bytes", "1000"])

    assert job.done.returncode == 7
    assert str(odd / "own.h") in job.kept("inputs")
    assert job.kept("scripts") == {}
    assert job.not_kept() == {}


@pytest.mark.slow
@with_strace
def test_program_that_was_there_is_a_script_with_its_mode_and_no_unknown_one(
    runner: Runner, odd: Path
) -> None:
    shutil.copy(shutil.which("sleep") or "", odd / "tool")

    job = shell(runner, f"{odd}/tool 0.3")

    [script] = entry(job.record, "scripts")
    assert (script["path"], script["mode"]) == (str(odd / "tool"), "0755")
    processes = job.record["command"]["processes"]
    assert str(odd / "tool") not in processes.get("unknown_programs", [])


@pytest.mark.slow
@with_strace
def test_folder_that_was_listed_is_kept_with_its_files(runner: Runner, odd: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (odd / name).write_text(name)

    job = shell(runner, f"ls {odd} | wc -l; mkdir own; touch own/x; ls own")

    assert set(job.kept("inputs")) == {str(odd / "a.txt"), str(odd / "b.txt")}


@pytest.mark.slow
@with_strace
def test_folders_that_only_pythons_importer_lists_are_left_out(runner: Runner, odd: Path) -> None:
    site, further = odd / "site-packages", odd / "further"
    for folder in (site, further):
        folder.mkdir()
    (site / "own.pth").write_text(f"{further}\n")
    (further / "table.txt").write_text("x")
    program = f"import site; site.addsitedir({str(site)!r})\ntry: import nothing\nexcept ImportError: pass"

    job = Traced(runner, PYTHON, "-c", program, words=["--trace-bytes", "1000"])

    assert job.done.returncode == 0
    assert list(job.kept("inputs")) == [str(site / "own.pth")]  # no distribution's
    assert job.not_kept() == {}


@pytest.mark.slow
@with_strace
def test_neighbours_of_a_python_program_are_left_out_whatever_it_is_called(
    runner: Runner, odd: Path
) -> None:
    """As in a folder `bin` of clients: its scripts that never ran were the job's, and a gap."""
    (odd / "client").write_text(f"#!{PYTHON}\nimport json\n")
    (odd / "client").chmod(0o755)
    (odd / "other").write_text("#!/bin/sh\nhostname > out.txt\n")

    job = shell(runner, f"{odd}/client; true")

    assert list(job.kept("scripts")) == [str(odd / "client")]
    assert job.kept("inputs") == {}


@pytest.mark.slow
@with_strace
def test_folder_that_is_too_large_is_told_by_name(runner: Runner, odd: Path) -> None:
    for number in range(150):
        (odd / f"{number}.txt").write_text("")

    job = shell(runner, f"ls {odd} | wc -l; cat {odd}/7.txt")

    assert job.not_kept() == {f"{odd}/": "listed"}
    assert list(job.kept("inputs")) == [str(odd / "7.txt")]


@pytest.mark.slow
@with_strace
def test_what_may_not_leave_and_what_has_no_room_is_told_by_name(runner: Runner, odd: Path) -> None:
    (odd / "private.txt").write_text("mine\n")
    (odd / "private.txt").chmod(0o600)
    (odd / "my_token").write_text("x\n")
    (odd / "large.txt").write_text("x" * 2000)
    (odd / "link").symlink_to("/usr/bin/env")

    script = f"cat {odd}/private.txt {odd}/my_token {odd}/large.txt; {odd}/link true"
    job = shell(runner, script, words=["--trace-bytes", "1000"])

    not_kept = job.not_kept()
    # A look that came in time saw `cat` and kept what it names, which is no matter of the trace
    kept = {each["path"] for each in job.record.get("inputs", ()) if each["sha256"] in job.blobs}
    if str(odd / "large.txt") not in kept:
        assert not_kept.pop(str(odd / "large.txt")) == "limit"
    assert not_kept == {
        str(odd / "private.txt"): "private",
        str(odd / "my_token"): "private",
    }
    [link] = [entry for entry in job.record["layout"] if entry["kind"] == "link"]
    assert (link["path"], link["target"]) == (str(odd / "link"), "/usr/bin/env")


@pytest.mark.slow
@with_strace
@pytest.mark.parametrize(
    "variable", ["BEARER_TOKEN_FILE", "X509_USER_PROXY", "KRB5CCNAME", "_CONDOR_CREDS"]
)
def test_file_by_which_a_job_proves_who_it_is_is_not_missed(
    runner: Runner, odd: Path, variable: str
) -> None:
    """Each copy reads one: no job that fetches or stores anything had a grade above L1."""
    (odd / "creds").mkdir()
    proxy = odd / "creds/nova.use"
    proxy.write_text("who I am\n")
    proxy.chmod(0o600)
    values = {"KRB5CCNAME": f"FILE:{proxy}", "_CONDOR_CREDS": str(proxy.parent)}
    value = values.get(variable, str(proxy))

    # So long that looks see it, too
    script = f"timeout 0.6 tail -f {proxy} > /dev/null; true"
    job = shell(runner, script, environment={variable: value})

    assert job.trace == {}
    assert job.kept("inputs") == {}
    assert not any(b"who I am" in content for content in job.blobs.values())


@pytest.mark.slow
@with_strace
def test_what_jobsub_puts_into_the_folder_of_a_job_is_no_input_where_it_is_listed(
    runner: Runner,
) -> None:
    """As by `mv reco_*.root $CONDOR_DIR_OUT`; the name of the ticket's file counted as a secret."""
    for folder in (".condor_creds", "jsb_tmp", "no_xfer"):
        (runner.folder / folder).mkdir()
    for name in (".empty_file", "jobprov.ticket", "job-start.sh", "simple.sh"):
        (runner.folder / name).write_text("")
    (runner.folder / "note.sh").write_text("# jobsub_submit -e JOBPROV_TOKEN_FILE=jobprov.ticket")

    job = shell(
        runner,
        "touch reco_1.root; mkdir out; mv reco_*.root out/",
        environment={"JOBPROV_TOKEN_FILE": "jobprov.ticket"},
    )

    assert job.trace == {}
    assert job.kept("inputs") == {}
    assert list(job.kept("scripts")) == ["note.sh"]


@pytest.mark.slow
@with_strace
def test_private_file_that_a_look_saw_is_told_like_one_that_none_saw(
    runner: Runner, odd: Path
) -> None:
    (odd / "private.txt").write_text("mine\n")
    (odd / "private.txt").chmod(0o600)
    (odd / "open.txt").write_text("anybody's\n")

    job = shell(runner, f"timeout 8 tail -f {odd}/private.txt {odd}/open.txt")

    seen = {each["path"] for each in entry(job.record, "inputs") if each["evidence"] == "seen"}
    assert seen == {str(odd / "private.txt"), str(odd / "open.txt")}
    assert job.not_kept() == {str(odd / "private.txt"): "private"}
    assert job.trace["not_kept_count"] == 1


@pytest.mark.slow
@with_strace
def test_without_any_bytes_the_gap_names_what_was_used(runner: Runner, odd: Path) -> None:
    table = str(odd / "table.txt")
    (odd / "table.txt").write_text("odd\n")

    job = shell(runner, f"cat {table}", words=["--trace-bytes", "0"])

    # A look may have come just in time to keep it
    assert job.not_kept() == {table: "limit"} or job.kept("inputs") == {table: b"odd\n"}


@pytest.mark.slow
@with_strace
def test_file_that_was_read_and_changed_or_removed_is_told(runner: Runner, odd: Path) -> None:
    for name in ("changed", "removed", "moved", "replaced", "made"):
        (odd / name).write_text(name)
    (odd / "made").unlink()
    script = (
        f"cd {odd}; cat changed removed moved; echo x >> changed; rm removed; mv moved elsewhere;"
        " echo y > replaced; cat replaced; echo z > made; cat made elsewhere; rm made"
    )

    job = shell(runner, script)

    # on a slow machine the hook may see one in time, and keep its bytes
    told = {*job.trace.get("changed", ()), *job.kept("inputs")}
    assert told == {str(odd / name) for name in ("changed", "moved", "removed")}


@pytest.mark.slow
@with_strace
def test_pipe_and_socket_that_the_job_makes_and_removes_are_its_own(runner: Runner) -> None:
    (runner.folder / "serve.py").write_text(
        "import os, socket\nserver = socket.socket(socket.AF_UNIX)\nserver.bind('socket')\n"
        "server.listen()\nsocket.socket(socket.AF_UNIX).connect('socket')\nos.remove('socket')\n"
    )
    script = f"mkfifo pipe; echo 1 > pipe & cat pipe; wait; rm pipe; {PYTHON} serve.py"

    job = shell(runner, script)

    assert job.done.stdout == b"1\n"
    assert "changed" not in job.trace


@pytest.mark.slow
@with_strace
def test_files_of_a_checkout_are_left_to_git_but_for_those_that_it_ignores(
    runner: Runner, odd: Path
) -> None:
    git(odd, "init", "-q", "-b", "main", ".")
    (odd / ".gitignore").write_text("ignored.txt\n")
    for name in ("tracked.txt", "ignored.txt"):
        (odd / name).write_text(name)
    (odd / "run.sh").write_text(
        'cd "$(dirname "$0")" && cat tracked.txt ignored.txt && git log -1\n'
    )
    git(odd, "add", ".")
    git(odd, "commit", "-qm", "x")

    job = Traced(runner, "sh", str(odd / "run.sh"))

    assert list(job.kept("inputs")) == [str(odd / "ignored.txt")]
    assert job.not_kept() == {}


@pytest.mark.slow
@with_strace
def test_what_an_earlier_step_made_is_no_input_of_a_later_one(runner: Runner, odd: Path) -> None:
    (odd / "in.txt").write_text("1\n")
    first, second = f"cat {odd}/in.txt > {odd}/between.txt", f"sort {odd}/between.txt"
    hook = f"{runner.python} {runner.hook}"
    script = (
        f"{hook} start && {hook} step --name a --trace -- sh -c '{first}' && "
        f"{hook} step --name b --trace -- sh -c '{second}'; {hook} end"
    )

    subprocess.run(
        ["sh", "-c", script], cwd=runner.folder, env=runner.environment, check=True,
        capture_output=True,
    )  # fmt: skip

    record, _ = entry_of(runner)
    assert [(each["path"], each["step"]) for each in entry(record, "inputs")] == [
        (str(odd / "in.txt"), "a")
    ]
    assert record["trace"].keys() == {"keys"}


@pytest.mark.slow
@with_strace
def test_path_with_two_slashes_in_front_is_the_one_with_one(runner: Runner, odd: Path) -> None:
    (odd / "in.txt").write_text("1\n")

    # So long that looks see it, too
    script = f"timeout 0.6 tail -f /{odd}/in.txt; test -d //"
    job = Traced(runner, "sh", "-c", script)

    assert list(job.kept("inputs")) == [str(odd / "in.txt")]


@pytest.mark.slow
@with_strace
def test_job_with_little_address_space_is_traced(runner: Runner) -> None:
    (runner.folder / "in.txt").write_text("1\n")
    words = [runner.python, runner.hook, "run", "--trace", "--", "cat", "in.txt"]
    limited = ["sh", "-c", 'ulimit -v 400000; exec "$@"', "sh", *words]

    subprocess.run(
        limited, cwd=runner.folder, env=runner.environment, check=True, capture_output=True
    )

    record, _ = entry_of(runner)
    assert "touched_sha256" in record["environment"]


@pytest.mark.slow
@with_strace
def test_hosts_elsewhere_are_told_also_where_nobody_answers(runner: Runner) -> None:
    program = (
        "import socket\n"
        "for host in ('192.0.2.1', '127.0.0.1'):\n"
        "    one = socket.socket()\n"
        "    one.settimeout(0.05)\n"
        "    one.connect_ex((host, 81))\n"
    )

    job = Traced(runner, PYTHON, "-c", program)

    assert job.trace["network"] == ["192.0.2.1:81"]


@pytest.mark.slow
@with_strace
@pytest.mark.parametrize("client", ["xrdcp", "ifdh"])
def test_hosts_of_a_storage_client_are_not_told(runner: Runner, client: str) -> None:
    """A door sends it to a node that no address names; in a rerun it has a stand-in."""
    program = runner.folder / client
    program.write_text(
        f"#!{PYTHON}\n"
        "import socket, subprocess, sys, threading\n"
        "def connect(host):\n"
        "    one = socket.socket()\n"
        "    one.settimeout(0.05)\n"
        "    one.connect_ex((host, 81))\n"
        "if sys.argv[1:]:\n"
        "    connect(sys.argv[1])\n"
        "else:\n"
        "    thread = threading.Thread(target=connect, args=['192.0.2.1'])\n"
        "    thread.start()\n"
        "    subprocess.check_call([sys.executable, __file__, '192.0.2.2'])\n"
        "    thread.join()\n"
    )
    program.chmod(0o755)
    (runner.folder / "other").write_bytes(program.read_bytes())
    (runner.folder / "job").write_text(f"./{client}\n{PYTHON} other 192.0.2.3\n")

    job = Traced(runner, "sh", "job")

    assert job.trace["network"] == ["192.0.2.3:81"]


def test_storage_clients_of_the_hook_are_those_for_which_a_rerun_has_a_stand_in() -> None:
    assert all(STORAGE_CLIENT.match(name.encode()) for name in SERVED)
    assert not STORAGE_CLIENT.match(b"xrdcp.py")
    assert not STORAGE_CLIENT.match(b"samweb")


def test_service_of_this_machine_is_told_while_it_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = f"127.0.0.1:{listening.getsockname()[1]}"

        assert elsewhere([near, "127.0.0.1:1"], {}, "http://127.0.0.1:8095") == [near]
        assert elsewhere([near], {}, f"http://{near}/jobprov") == []
    assert elsewhere([near], {}, None) == []


def test_own_machine_name_lookups_and_known_hosts_are_not_elsewhere() -> None:
    hosts = ["127.0.0.1:80", "[::1]:80", "10.9.8.7:53", "192.0.2.7:1094", "192.0.2.8:443"]
    record = {"inputs": [{"location": "root://192.0.2.7//a.root"}]}

    assert elsewhere(hosts, record, "http://127.0.0.1:8095") == ["192.0.2.8:443"]
    assert elsewhere(hosts, {}, "http://192.0.2.8") == ["192.0.2.7:1094"]


def calls_of(*lines: str) -> Calls:
    calls = Calls("/job")
    for line in lines:
        calls.take(line.encode())
    calls.finish()
    return calls


def test_order_tells_what_was_there_from_what_the_job_made() -> None:
    calls = calls_of(
        '7 openat(AT_FDCWD</x>, "out", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</x/out>',
        '7 openat(AT_FDCWD</x>, "out", O_RDONLY) = 3</x/out>',
        '7 openat(AT_FDCWD</x>, "in", O_RDONLY) = 3</x/in>',
        '7 openat(AT_FDCWD</x>, "in", O_WRONLY|O_APPEND) = 3</x/in>',
        '7 openat(AT_FDCWD</x>, "none", O_RDONLY) = -1 ENOENT (No such file or directory)',
        '7 rename("/x/a", "/x/b") = 0',
        '7 newfstatat(3</x/c>, "", {st_mode=S_IFREG|0644}, AT_EMPTY_PATH) = 0',
        "rubbish",
    )

    assert calls.uses == {
        "/x/out": kinds.MADE,
        "/x/in": kinds.READ,
        "/x/a": kinds.READ,
        "/x/b": kinds.MADE,
    }
    assert {"/x/out", "/x/in", "/x/b"} == calls.written


def test_what_was_looked_for_in_vain_is_counted_where_there_is_no_room_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kinds, "MOST_PATHS", 2)
    failed = "O_RDONLY) = -1 ENOENT (No such file or directory)"
    names = ["/usr/lib/a", "/x/a", "/x/a", "/etc/b", "/x/b", "/x/c", "/x/a"]

    calls = calls_of(*(f'7 openat(AT_FDCWD</x>, "{name}", {failed}' for name in names))

    assert calls.absent == {"/x/a", "/x/b"}
    assert calls.absent_left_out == 1
    assert not calls.is_full


def test_names_are_those_of_the_folder_that_the_process_was_in() -> None:
    calls = calls_of(
        '7 execve("./tool", ["t"...], 0x1 /* 3 vars */) = 0',
        '7 openat(AT_FDCWD</x>, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3',
        '7 chdir("sub") = 0',
        '7 access("file", R_OK) = 0',
        '8 access("other", R_OK) = 0',
        "8 +++ exited with 0 +++",
        '9 openat(AT_FDCWD</y>, "cut", O_RDONLY <unfinished ...>',
        '7 access("again", R_OK) = 0',
        "9 <... openat resumed>) = 3</y/cut>",
        "9 getdents64(3</y\\40z>, 0x1 /* 2 entries */, 32768) = 48",
    )

    assert list(calls.uses) == [
        "/x/tool",
        "/etc/ld.so.cache",
        "/x/sub",
        "/x/sub/file",
        "/job/other",
        "/x/sub/again",
        "/y/cut",
    ]
    assert calls.listed == {"/y z"}


def test_only_python_searches_folders_for_modules() -> None:
    lines = [
        '7 newfstatat(AT_FDCWD</x>, "/m", {st_mode=S_IFDIR|0755}, 0) = 0',
        '7 openat(AT_FDCWD</x>, "/m", O_RDONLY|O_DIRECTORY) = 3</m>',
        "7 getdents64(3</m>, 0x1 /* 2 entries */, 32768) = 48",
    ]

    python = calls_of('7 execve("/usr/bin/python3", ["p"...], 0x1 /* 1 var */) = 0', *lines)
    other = calls_of('7 execve("/usr/bin/ls", ["l"...], 0x1 /* 1 var */) = 0', *lines)

    assert (python.listed, python.searched) == (set(), {"/m"})
    assert (other.listed, other.searched) == ({"/m"}, set())


def test_files_of_distributions_environments_and_pythons_are_installed(tmp_path: Path) -> None:
    site = tmp_path / "home/.local/lib/python3.9/site-packages"
    (site / "own-1.dist-info").mkdir(parents=True)
    (site / "own-1.dist-info/RECORD").write_text("own/__init__.py,,\n../../../bin/owntool,,\n")
    (tmp_path / "venv/lib").mkdir(parents=True)
    (tmp_path / "venv/pyvenv.cfg").write_text("")
    installed = Installed()

    assert installed.has(str(site / "own/x.py"))
    assert installed.has(str(site / "own-1.dist-info/METADATA"))
    assert installed.has(str(tmp_path / "home/.local/bin/owntool"))
    assert installed.has(str(tmp_path / "venv/lib/a.py"))
    assert installed.has(sys.base_prefix + "/lib/x.so")
    assert not installed.has(str(site / "stray.py"))
    assert not installed.has(str(tmp_path / "home/.local/bin/mytool"))


@pytest.mark.slow
@with_strace
def test_failure_that_a_tracer_may_cause_is_said(runner: Runner) -> None:
    script = "echo 'ptrace: Operation not permitted.' >&2; exit 1"

    job = shell(runner, script, words=["--trace-bytes", "0"])

    assert any("--no-trace" in note for note in job.record["extra"]["hook_notes"])


@pytest.mark.slow
def test_withheld_variable_that_a_script_names_is_told(runner: Runner) -> None:
    (runner.folder / "run.sh").write_text(
        "OTHER_TOKEN=x\necho $DB_PASSWORD_ADDRESS ${DB_PASSWORD}\n"
    )
    secrets = {"DB_PASSWORD": "abc123", "OTHER_TOKEN": "def456", "THIRD_TOKEN": "ghi789"}

    runner("run", "--", "sh", "run.sh", environment=secrets)

    environment = entry_of(runner)[0]["environment"]
    assert set(environment["withheld"]) == set(secrets)
    assert environment["withheld_read"] == ["DB_PASSWORD"]
