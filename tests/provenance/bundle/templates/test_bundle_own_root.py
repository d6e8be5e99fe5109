"""Reruns in a root of their own: everything lies at its recorded path, and nothing else changes."""

import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.library.productions.toy_job import CHECKOUT, WORK, Run, Toy

APART = "unshare --map-current-user --net --pid --fork --kill-child --mount-proc"
NO_OVERLAY = "out, one"
"""An OUT by whose name the kernel gets no overlay: a comma ends an option."""


def _has_root() -> bool:
    trial = ["unshare", "-rm", "mount", "--bind", "/usr", "/usr"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    not _has_root(), reason="NO NAMESPACES HERE: that jobs run in a root of their own is not tested"
)


def _record(
    toy: Toy,
    *argv: str,
    scripts: dict[str, bytes] | None = None,
    inputs: dict[str, bytes] | None = None,
    outputs: dict[str, bytes] | None = None,
) -> None:
    """Let the toy be a job with these arguments and files, without steps and checkouts."""
    toy.files, toy.resolutions = [], []
    toy.record |= {"software": [], "configurations": [], "seeds": []}
    toy.record["command"] = {"working_directory": WORK, "argv": list(argv)}
    toy.record["environment"]["variables"] = {"PATH": "/usr/bin:/bin", "HOME": "/home/someone"}
    for field, files in (("scripts", scripts), ("inputs", inputs), ("outputs", outputs)):
        entries = []
        for path, content in (files or {}).items():
            name = path.rsplit("/", 1)[-1]
            entry = {"name": name, "path": path, "size_bytes": len(content)}
            entry["sha256"] = hashlib.sha256(content).hexdigest()
            if field != "outputs":
                toy.blobs.write(content)
            entries.append(entry | {"status": "written"} if field == "outputs" else entry)
        toy.record[field] = entries


def _shell(toy: Toy, text: str, **files: dict[str, bytes]) -> None:
    """Let the toy be a job that runs this text."""
    _record(toy, "sh", "-c", text, **files)


def _way(out: Path) -> str:
    return (out / "way.txt").read_text()


def _names(out: Path) -> list[str]:
    return sorted(path.name for path in out.iterdir())


@pytest.mark.slow
def test_job_sees_the_recorded_words(toy: Toy, tmp_path: Path, shell: Run) -> None:
    toy.record["environment"]["variables"] |= {"TMPDIR": "/var/tmp/j 1", "LIBS": f"-L{CHECKOUT}/l"}  # noqa: S108
    step = toy.record["command"]["steps"][1]
    step["argv"] = ["sh", "-c", 'env >env.txt; pwd >"$1"; printf "%s\\n" "$@" >>"$1"', "sh"]
    words = ["seen.txt", f"{CHECKOUT}/bin/join.sh", f"-I{WORK}/in", "/opt/release/fcl/top.fcl"]
    step["argv"] += words
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", "--own-root", out)

    assert outcome.returncode == 0, outcome.stderr
    assert (out / "work/seen.txt").read_text().splitlines() == [WORK, *words]
    seen = (out / "work/env.txt").read_text()
    for line in (
        "PATH=/usr/bin:/bin",
        "HOME=/home/someone",
        "TMPDIR=/var/tmp/j 1",
        f"PWD={WORK}",
        f"TOY_TABLE={CHECKOUT}/data/link",
        f"FHICL_FILE_PATH={WORK}/job:/opt/release/fcl",
        f"LIBS=-L{CHECKOUT}/l",
    ):
        assert f"\n{line}\n" in f"\n{seen}", line
    assert _way(out) == "own root\n"


@pytest.mark.slow
def test_paths_in_scripts_and_in_data_resolve(toy: Toy, tmp_path: Path, shell: Run) -> None:
    _record(
        toy,
        "/opt/nowhere/tools/sum.sh",
        scripts={"/opt/nowhere/tools/sum.sh": b'#!/bin/sh\n. "/opt/nowhere/lib/add.sh"\nadd\n'},
        inputs={
            "/opt/nowhere/lib/add.sh": b'add() { cat $(cat "/data/n o/list.txt") >/out/here/sum.txt; }\n',
            "/data/n o/list.txt": b"/data/one.txt\n/scratch/two.txt\n",
            "/data/one.txt": b"1\n",
            "/scratch/two.txt": b"2\n",
        },
        outputs={"/out/here/sum.txt": b"1\n2\n"},
    )
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", out)
    verdict = shell(bag / "data/verify.sh", out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    assert (verdict.returncode, verdict.stdout) == (0, "IDENTICAL sum.txt\n"), verdict.stderr
    assert (out / "elsewhere/out/here/sum.txt").read_text() == "1\n2\n"
    assert shell(bag / "data/run.sh", "--no-own-root", tmp_path / "rewritten").returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out", NO_OVERLAY])
def test_rest_of_the_host_is_there_and_only_out_is_written(
    toy: Toy, tmp_path: Path, dash: Run, name: str
) -> None:
    """The recorded files lie below folders that the host has too."""
    victim = tmp_path / "victim.txt"
    victim.write_text("mine\n")
    text = (
        'cat /usr/share/nowhere/a.txt; ls /usr/share/common-licenses >/dev/null && echo "$(id -u)"; '
        f"echo changed >{shlex.quote(str(victim))}; echo new >/usr/share/new.txt; rm -rf /usr/bin/env; "
        "echo kept >/tmp/kept.txt; echo made >/usr/share/nowhere/made.txt"
    )
    _shell(toy, text, inputs={"/usr/share/nowhere/a.txt": b"a\n"})
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / name

    outcome = dash(bag / "data/run.sh", "--own-root", out)

    assert outcome.returncode == 0, outcome.stderr
    log = (out / "run.log").read_text().splitlines()
    assert log[1:3] == ["a", str(os.geteuid())]
    assert victim.read_text() == "mine\n"
    assert Path("/usr/bin/env").exists()
    assert not Path("/usr/share/new.txt").exists()
    assert (out / "elsewhere/tmp/kept.txt").read_text() == "kept\n"
    assert (out / "elsewhere/usr/share/nowhere/made.txt").read_text() == "made\n"
    made = set(_names(out)) - {"elsewhere", "exit-codes.txt", "home", "laid-out.txt", "run.log"}
    assert made == {"outputs-before.txt", "rerun-of.txt", "src", "tmp", "way.txt", "work"}
    strangers = [path for path in out.rglob("*") if path.lstat().st_uid != os.geteuid()]
    assert strangers == []
    # Nothing is left of what was made to mount on
    of_victim = victim.parts[1]
    assert {"home", "scratch", "tmp", "usr", "var", of_victim} >= set(_names(out / "elsewhere"))
    assert str(out) not in Path("/proc/self/mounts").read_text()


def test_what_the_host_has_in_the_job_s_folders_is_not_seen(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    work = tmp_path / "recorded"
    work.mkdir()
    (work / "left.txt").write_text("of the first run\n")
    (work / "bin").mkdir()
    (work / "bin/tool").write_text("#!/bin/sh\necho tool\n")
    (work / "bin/tool").chmod(0o755)
    _shell(toy, "ls; tool")
    toy.record["command"]["working_directory"] = str(work)
    toy.record["environment"]["variables"]["PATH"] = f"{work}/bin:/usr/bin:/bin"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", "--own-root", out)

    assert outcome.returncode == 0, outcome.stderr
    # But software that the bundle does not have
    assert (out / "run.log").read_text().splitlines()[1:3] == ["bin", "tool"]
    assert [path.name for path in (out / "work").iterdir()] == []


def test_input_that_is_not_in_the_bundle_is_shown_and_stays_as_it_is(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    _shell(
        toy,
        'cat "/data/it\'s here.txt"; echo changed >"/data/it\'s here.txt"; cat <in.txt',
        inputs={"/data/it's here.txt": b"large\n", "in.txt": b"also\n"},
    )
    toy.blobs.stored = {}
    bag, out, store = toy.unpack(tmp_path / "bag"), tmp_path / "out", tmp_path / "store"
    store.mkdir()
    (store / "one").write_text("large\n")
    (store / "two").write_text("also\n")

    outcome = dash(bag / "data/run.sh", "--own-root", "--input-dir", store, out)

    assert outcome.returncode == 0, outcome.stderr
    log = (out / "run.log").read_text()
    assert "\nlarge\n" in log
    assert "\nalso\n" in log
    assert (store / "one").read_text() == "large\n"
    assert (out / "elsewhere/data/it's here.txt").readlink() == store / "one"


@pytest.mark.parametrize("way", ["--own-root", "--no-own-root"])
def test_job_copies_its_input_from_where_it_lay_again(
    toy: Toy, tmp_path: Path, shell: Run, way: str
) -> None:
    _shell(
        toy,
        "cp /data/raw.root . && cat raw.root",
        inputs={"/data/raw.root": b"large\n", "raw.root": b"large\n"},
    )
    toy.blobs.stored = {}
    bag, out, store = toy.unpack(tmp_path / "bag"), tmp_path / "out", tmp_path / "store"
    store.mkdir()
    (store / "raw.root").write_text("large\n")

    outcome = shell(bag / "data/run.sh", way, "--input-dir", store, out)

    assert outcome.returncode == 0, outcome.stderr
    assert "large" in (out / "run.log").read_text().splitlines()
    assert (store / "raw.root").read_text() == "large\n"


@pytest.mark.parametrize("is_kept", [True, False])
def test_job_copies_its_input_from_the_place_that_only_its_location_names(
    toy: Toy, tmp_path: Path, shell: Run, *, is_kept: bool
) -> None:
    """Once nothing is left of that place: the copy was seen, and only the copy is an input."""
    _shell(toy, "set -e; cp /pnfs/raw.root . && cat raw.root", inputs={"raw.root": b"raw\n"})
    toy.record["inputs"][0]["location"] = "/pnfs/raw.root"
    if not is_kept:
        toy.blobs.stored = {}
    bag, out, store = toy.unpack(tmp_path / "bag"), tmp_path / "out", tmp_path / "store"
    store.mkdir()

    without = shell(bag / "data/run.sh", "--check")
    (store / "raw.root").write_text("raw\n")
    outcome = shell(bag / "data/run.sh", "--own-root", "--input-dir", store, out)

    assert without.stderr.count("missing: input") == (0 if is_kept else 1)
    assert outcome.returncode == 0, outcome.stderr
    assert "raw" in (out / "run.log").read_text().splitlines()


def _put_busybox(capsule: Path) -> None:
    """Make a capsule that has busybox alone."""
    (capsule / "bin").mkdir(parents=True)
    busybox = shutil.which("busybox") or pytest.fail("busybox is not here")
    shutil.copy(busybox, capsule / "bin/busybox")
    answer = subprocess.run(["ldd", busybox], capture_output=True, text=True, check=False).stdout
    for word in answer.split():
        if word.startswith("/"):
            (capsule / word[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(word, capsule / word[1:])
    for name in ("sh", "cat", "env", "ls", "touch"):
        (capsule / "bin" / name).symlink_to("busybox")


def test_job_that_ends_its_process_group_ends_nothing_else_from_inside_a_capsule(
    toy: Toy, tmp_path: Path
) -> None:
    """The capsule has no setsid, so the signal ended run.sh, and whoever had started that."""
    _put_busybox(tmp_path / "capsule")
    _shell(toy, "trap 'echo told' TERM; kill -TERM 0; echo done")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = subprocess.run(
        ["dash", bag / "data/run.sh", "--own-root", "--capsule", tmp_path / "capsule", out],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # else a failure would end the tests
    )

    assert outcome.returncode == 0, outcome.stderr
    assert "told\ndone\n" in (out / "run.log").read_text()


def test_capsule_is_the_base_of_the_root(toy: Toy, tmp_path: Path, dash: Run) -> None:
    capsule = tmp_path / "a capsule"
    _put_busybox(capsule)
    (capsule / "data").mkdir()
    (capsule / "data/base.txt").write_text("base\n")
    _shell(
        toy,
        "cat /data/base.txt /data/a.txt; ls / >/data/list.txt; touch /bin/new || :",
        inputs={"/data/a.txt": b"laid out\n"},
        outputs={"/data/list.txt": b"bin\ndata\n"},
    )
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    before = sorted(os.walk(capsule))

    outcome = dash(bag / "data/run.sh", "--own-root", "--capsule", capsule, out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    assert "\nbase\nlaid out\n" in (out / "run.log").read_text()
    assert "etc" not in (out / "elsewhere/data/list.txt").read_text().split()
    assert sorted(os.walk(capsule)) == before


@pytest.mark.parametrize("way", [["--own-root"], ["--no-own-root"], []])
def test_capsule_in_which_nothing_starts_is_told(
    toy: Toy, tmp_path: Path, dash: Run, way: list[str]
) -> None:
    capsule = tmp_path / "capsule"
    (capsule / "bin").mkdir(parents=True)
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", *way, "--capsule", capsule, out)
    verdict = dash(bag / "data/verify.sh", out)

    assert outcome.returncode == 125
    assert not {"root", "overlay", "alive"} & set(_names(out))
    assert "no program starts in it" in outcome.stderr
    assert (verdict.returncode, verdict.stdout) == (2, "")


@pytest.mark.parametrize("way", ["--own-root", "--no-own-root"])
@pytest.mark.parametrize("folder", [CHECKOUT, f"{WORK}/code", WORK])
def test_input_behind_a_link_of_a_checkout_leaves_the_link_as_it_is(
    toy: Toy, tmp_path: Path, dash: Run, way: str, folder: str
) -> None:
    toy.files += [
        ("now", 0o120000, b"v/2"),
        ("v/2/a", 0o100644, b"2\n"),
        ("v/2/b", 0o100644, b"b\n"),
    ]
    toy.files.append(("v/1", 0o120000, b"2"))
    toy.record["software"][0]["checkout"] = folder
    toy.record["environment"]["variables"] = {"PATH": "/usr/bin:/bin"}
    step = toy.record["command"]["steps"][1]
    step["argv"] = ["sh", "-c", 'cat "$1"/*; readlink "$1" "$1"/../1', "sh", f"{folder}/now"]
    for path in (f"{folder}/now/a", f"{folder}/v/1/b", f"{folder}/data/link"):
        content = {"a": b"2\n", "b": b"b\n", "link": b"forty-two"}[path.rsplit("/", 1)[-1]]
        toy.record["inputs"].append(
            {"name": "x", "path": path, "sha256": toy.blobs.write(content), "size_bytes": 2}
        )
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", way, out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    assert (out / "run.log").read_text().splitlines()[1:-1] == ["2", "b", "v/2", "2"]


@pytest.mark.parametrize("way", ["--own-root", "--no-own-root"])
def test_output_that_the_job_moved_is_found(toy: Toy, tmp_path: Path, dash: Run, way: str) -> None:
    """Its folder was there when the job ran."""
    _record(
        toy,
        *("sh", "-c", 'echo 1 >made.txt; mv made.txt "$1"', "sh", "/opt/nowhere/store/kept.txt"),
        outputs={"made.txt": b"1\n"},
    )
    toy.record["outputs"][0]["location"] = "/opt/nowhere/store/kept.txt"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", way, out)
    verdict = dash(bag / "data/verify.sh", out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert (verdict.returncode, verdict.stdout) == (0, "IDENTICAL made.txt\n"), verdict.stderr
    assert (out / "elsewhere/opt/nowhere/store/kept.txt").is_file()


@pytest.mark.parametrize("name", ["out", NO_OVERLAY])
@pytest.mark.parametrize("text", ["echo 1 >>$FILE", "set -C; echo 1 >$FILE"])
def test_output_that_the_host_still_has_is_not_there_before_the_job(
    toy: Toy, tmp_path: Path, dash: Run, text: str, name: str
) -> None:
    """It was appended to, or in the way, where a job is rerun on the machine on which it ran."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        kept = Path(folder) / "times.txt"
        kept.write_text("1\n")
        _record(toy, "sh", "-c", text.replace("$FILE", str(kept)), outputs={str(kept): b"1\n"})
        bag, out = toy.unpack(tmp_path / "bag"), tmp_path / name

        outcome = dash(bag / "data/run.sh", "--own-root", out)
        verdict = dash(bag / "data/verify.sh", out)

        assert outcome.returncode == 0, (out / "run.log").read_text()
        assert verdict.stdout == "IDENTICAL times.txt\n", verdict.stderr
        assert kept.read_text() == "1\n"


def test_steps_share_what_they_wrote(toy: Toy, tmp_path: Path, dash: Run) -> None:
    _record(toy)
    toy.record["command"]["steps"] = [
        {"name": "a", "role": "payload", "argv": ["sh", "-c", "echo 1 >/tmp/a; echo 2 >/opt/b"]},
        {"name": "b", "role": "payload", "argv": ["sh", "-c", "cat /tmp/a /opt/b; exit 4"]},
    ]
    toy.record["command"]["steps"][1]["exit_code"] = 4
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", "--own-root", out)

    assert "\n1\n2\n" in (out / "run.log").read_text(), outcome.stderr
    assert outcome.returncode == 4
    assert (out / "exit-codes.txt").read_text() == "0\n4\n"


@pytest.mark.parametrize(("text", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("nothing", 127)])
def test_exit_code_is_the_job_s_own(
    toy: Toy, tmp_path: Path, dash: Run, text: str, code: int
) -> None:
    _shell(toy, text)
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    assert dash(bag / "data/run.sh", "--own-root", out).returncode == code


@pytest.mark.slow
def test_job_that_ran_in_the_root_folder_runs_there(toy: Toy, tmp_path: Path, dash: Run) -> None:
    _shell(toy, "pwd; cat a.txt >b.txt", inputs={"a.txt": b"a\n"}, outputs={"b.txt": b"a\n"})
    toy.record["command"]["working_directory"] = "/"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", "--own-root", out)
    verdict = dash(bag / "data/verify.sh", out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    assert "\n/\n" in (out / "run.log").read_text()
    assert verdict.stdout == "IDENTICAL b.txt\n"


def test_odd_names_are_laid_out_as_they_were(toy: Toy, tmp_path: Path, shell: Run) -> None:
    folder = "/data/it's $HOME `x`\n*?[a]"
    _shell(toy, 'cd "$D" && cat "two words" b*', inputs={f"{folder}/two words": b"1\n"})
    toy.record["inputs"].append(
        {"name": "b", "path": f"{folder}/b\\", "sha256": toy.blobs.write(b"2\n"), "size_bytes": 2}
    )
    toy.record["environment"]["variables"]["D"] = folder
    toy.record["command"]["working_directory"] = '/scratch/it\'s "here" $x'
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", "--own-root", out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    assert "\n1\n2\n" in (out / "run.log").read_text()


def test_checkout_has_both_names_by_which_the_job_knew_it(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    toy.record["folder_links"] = [{"path": "/home/someone/toy", "target": CHECKOUT}]
    toy.record["command"]["steps"][1]["argv"] = [
        "sh",
        "-c",
        'cat "$1" "$2"; printf "%s\\n" "$@"; cd -P /home/someone/toy && pwd',
        "sh",
        "/home/someone/toy/data/link",
        f"{CHECKOUT}/data/link",
    ]
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", "--own-root", out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    assert (out / "run.log").read_text().splitlines()[1:-1] == [
        "forty-twoforty-two/home/someone/toy/data/link",
        f"{CHECKOUT}/data/link",
        CHECKOUT,
    ]


def test_interpreter_in_the_bundle_is_found_where_the_script_names_it(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    interpreter = Path("/bin/sh").resolve().read_bytes()
    _record(
        toy,
        "./run",
        scripts={"run": b"#!/opt/nowhere/mysh\necho ran\n", "/opt/nowhere/mysh": interpreter},
    )
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", out)

    assert outcome.returncode == 0, outcome.stderr
    assert "\nran\n" in (out / "run.log").read_text()
    check = dash(bag / "data/run.sh", "--no-own-root", "--check")
    assert "missing: program /opt/nowhere/mysh" in check.stderr


@pytest.mark.slow
def test_name_that_is_not_utf_8_and_in_no_argument_is_laid_out(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    _shell(
        toy,
        'cat "$(printf "in\\377")" >"$(printf "out\\376")"; cat "c\\xc3\\xa9"',
        inputs={"in\\xff": b"1\n", "c\\xc3\\xa9": b"backslashes\n"},
        outputs={"out\\xfe": b"1\n"},
    )
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", out)
    verdict = dash(bag / "data/verify.sh", out)

    assert outcome.returncode == 0, (out / "run.log").read_text()
    assert verdict.returncode == 0, verdict.stdout
    assert "backslashes" in (out / "run.log").read_text()


@pytest.mark.parametrize(
    "folder", ["/proc/1", "/sys/kernel", "/dev", "/a\nb", "/dev/../etc/nowhere/../../proc/x"]
)
def test_folder_that_no_root_can_have_leaves_the_paths_rewritten(
    toy: Toy, tmp_path: Path, dash: Run, folder: str
) -> None:
    _shell(toy, "echo ran")
    toy.record["command"]["working_directory"] = folder
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = dash(bag / "data/run.sh", out)
    refused = dash(bag / "data/run.sh", "--own-root", tmp_path / "refused")

    assert outcome.returncode == 0, outcome.stderr
    assert "no root can have the job's working directory" in outcome.stderr
    assert _way(out) == "rewritten paths\n"
    assert refused.returncode == 125
    assert not (tmp_path / "refused/exit-codes.txt").exists()


def test_kernel_without_namespaces_leaves_the_paths_rewritten(toy: Toy, tmp_path: Path) -> None:
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    # No namespaces in there, nor the rights to do without
    none = "echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all"
    none += ' --inh-caps=-all sh "$@"'

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = ["unshare", "-r", "sh", "-c", none, "sh", str(bag / "data/run.sh")]
        command += [str(word) for word in words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    outcome, refused = run(out), run("--own-root", tmp_path / "refused")

    assert outcome.returncode == 0, outcome.stderr
    assert "allows no root of its own here" in outcome.stderr
    assert _way(out) == "rewritten paths\n"
    assert (out / "work/out/result.txt").read_bytes() == toy.expected
    assert refused.returncode == 125


@pytest.mark.slow
def test_root_that_cannot_be_made_is_told_and_the_job_runs_without(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    """The probe succeeds, but a mount fails later."""
    bag, out, programs = toy.unpack(tmp_path / "bag"), tmp_path / "out", tmp_path / "programs"
    programs.mkdir()
    mount = shutil.which("mount")
    (programs / "mount").write_text(
        f'#!/bin/sh\ncase $* in --make-rprivate*) exit 1 ;; esac\nexec {mount} "$@"\n'
    )
    (programs / "mount").chmod(0o755)

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        command = ["sh", str(bag / "data/run.sh"), *map(str, words)]
        path = {"PATH": f"{programs}:/usr/bin:/bin"}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60, env=path
        )

    outcome, refused = run(out), run("--own-root", tmp_path / "refused")

    assert outcome.returncode == 0, outcome.stderr
    assert "the root of the rerun cannot be made: mounts would be seen by others" in outcome.stderr
    assert _way(out) == "rewritten paths\n"
    assert (out / "work/out/result.txt").read_bytes() == toy.expected
    assert dash(bag / "data/verify.sh", out).returncode == 0
    assert refused.returncode == 125
    assert dash(bag / "data/verify.sh", tmp_path / "refused").returncode == 2


@pytest.mark.slow
def test_link_of_a_checkout_leads_nobody_out_of_the_rerun(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    """A record names folders behind a link that its own checkout has."""
    victim = tmp_path / "victim"
    victim.mkdir()
    toy.files.append(("way", 0o120000, str(victim).encode()))
    toy.record["folder_links"] = [{"path": f"{CHECKOUT}/way/a/b", "target": WORK}]
    toy.record["environment"]["variables"]["HOME"] = f"{CHECKOUT}/way/home"
    toy.record["inputs"].append(
        {"name": "x", "path": f"{CHECKOUT}/way/x", "sha256": toy.blobs.write(b"x"), "size_bytes": 1}
    )
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    dash(bag / "data/run.sh", out)

    assert list(victim.iterdir()) == []


@pytest.mark.slow
def test_job_that_turns_its_folders_into_links_changes_nothing_outside(
    toy: Toy, tmp_path: Path, dash: Run
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "empty.txt").write_text("")
    (victim / "empty").mkdir()
    link = shlex.quote(str(victim))
    _record(toy, inputs={"/usr/share/nowhere/a.txt": b"a"})
    toy.record["command"]["steps"] = [
        {
            "name": "turn",
            "role": "payload",
            "argv": [
                "sh",
                "-c",
                f'cd / && rm -rf {shlex.quote(WORK)} /tmp/* && ln -s {link} "{WORK}"',
            ],
            "exit_code": 0,
        },
        {"name": "write", "role": "payload", "argv": ["sh", "-c", "echo x >x.txt"], "exit_code": 0},
    ]
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / NO_OVERLAY

    dash(bag / "data/run.sh", out)

    assert sorted(path.name for path in victim.iterdir()) == ["empty", "empty.txt"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_end_of_run_sh_is_the_end_of_everything_inside(
    toy: Toy, tmp_path: Path, number: signal.Signals
) -> None:
    mark = f"{time.time_ns()}"
    _shell(toy, f"sleep {mark} & setsid sleep {mark} & echo began; wait")
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    def sleepers() -> int:
        found = 0
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                found += process.read_bytes() == f"sleep\0{mark}\0".encode()
            except OSError:
                continue
        return found

    with subprocess.Popen(["dash", bag / "data/run.sh", "--own-root", out]) as process:
        _wait_for(lambda: sleepers() == 2)
        process.send_signal(number)
        process.wait(timeout=10)
        _wait_for(lambda: sleepers() == 0)


def _wait_for(is_so: Callable[[], bool]) -> None:
    for _ in range(100):
        if is_so():
            return
        time.sleep(0.1)
    pytest.fail("it never came to that")


@pytest.mark.slow
@pytest.mark.parametrize(
    "apart",
    [
        "",
        APART,
        APART.replace("current", "root"),
        "unshare --map-current-user --net",
        "unshare --map-root-user --net",
        "unshare --user",
    ],
)
@pytest.mark.parametrize("user", ["", "setpriv --reuid=65534 --regid=65534 --clear-groups"])
def test_drill_s_own_namespaces_do_not_stand_in_the_way(
    toy: Toy, tmp_path: Path, apart: str, user: str
) -> None:
    if user and os.geteuid() != 0:
        pytest.skip("NOT ROOT: another user cannot be tried")
    bag, home = toy.unpack(tmp_path / "bag"), tmp_path / "home"
    for folder in (home, *tmp_path.parents, tmp_path):
        if folder == home:
            home.mkdir(mode=0o777)
            home.chmod(0o777)
        elif folder.stat().st_uid == os.geteuid() and folder.name.startswith(
            ("pytest-", "popen-", "test_")
        ):
            folder.chmod(0o755)
    out = home / "out"
    command = [*user.split(), *apart.split(), "sh", str(bag / "data/run.sh"), str(out)]

    outcome = subprocess.run(
        command,
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert outcome.returncode == 0, outcome.stderr
    assert (out / "work/out/result.txt").read_bytes() == toy.expected
    assert _way(out) == ("rewritten paths\n" if apart == "unshare --user" else "own root\n")
    assert {path.lstat().st_uid for path in out.rglob("*")} == {out.stat().st_uid}


@pytest.fixture
def chosen() -> Iterator[Path]:
    """Yield a program with an awkward name: a link, as the Python of a virtual environment is one."""
    with tempfile.TemporaryDirectory(prefix="it's here ") as folder:
        program = Path(folder) / "sh"
        program.symlink_to("/bin/sh")
        yield program


@pytest.mark.parametrize("way", ["--own-root", "--no-own-root"])
@pytest.mark.parametrize("name", ["toy-python", "/opt/gone/bin/toy-python"])
def test_program_that_lies_elsewhere_here_is_chosen_by_hand(
    toy: Toy, tmp_path: Path, shell: Run, chosen: Path, way: str, name: str
) -> None:
    """The interpreter of a job is in a folder that this machine does not have."""
    _record(toy, name, "-c", 'printf "%s\\n" "$1" >seen.txt', "x", "a b")
    toy.record["environment"]["variables"]["PATH"] = "/opt/gone/bin:/usr/bin:/bin"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"
    words = ("--program", f"{name}={chosen}", way)

    without = shell(bag / "data/run.sh", way, tmp_path / "none")
    checked = shell(bag / "data/run.sh", *words, "--check")
    outcome = shell(bag / "data/run.sh", *words, out)

    assert without.returncode == 125
    assert f"missing: program {name}" in without.stderr
    assert checked.returncode == 0, checked.stderr
    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    assert (out / "work/seen.txt").read_text() == "a b\n"
    assert f"with --program {name}={chosen}" in (out / "run.log").read_text()


@pytest.mark.parametrize("name", ["toy-python", "/opt/gone/bin/toy-python"])
def test_program_chosen_by_hand_is_what_scripts_of_the_job_name(
    toy: Toy, tmp_path: Path, shell: Run, name: str
) -> None:
    line = f"#!{name}" if name.startswith("/") else f"#!/usr/bin/env {name}"
    _record(toy, "./job.sh", scripts={"job.sh": f"{line}\necho made >seen.txt\n".encode()})
    toy.record["scripts"][0]["mode"] = "0755"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", "--program", f"{name}=/bin/sh", "--own-root", out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    assert (out / "work/seen.txt").read_text() == "made\n"


@pytest.mark.parametrize(
    "word",
    [
        "python3",
        "=/bin/sh",
        "python3=",
        "python3=/nowhere",
        "python3=/etc/passwd",
        "bin/python3=/bin/sh",
        "/opt/../python3=/bin/sh",
        "..=/bin/sh",
        "python3=/bin/sh\n",
    ],
)
def test_choice_of_a_program_that_is_none_is_refused(
    toy: Toy, tmp_path: Path, shell: Run, word: str
) -> None:
    bag = toy.unpack(tmp_path / "bag")

    outcome = shell(bag / "data/run.sh", "--program", word, tmp_path / "out")

    assert outcome.returncode == 125
    assert "--program" in outcome.stderr or "no program" in outcome.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_path_that_leads_out_of_the_working_directory_leads_to_what_is_laid_out(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    """A script names a file beside the folder, and one two folders above: no word to rewrite."""
    script = b"cat ../beside.txt ../../above/a.txt >seen.txt; echo back >../made.txt\n"
    files = {"../beside.txt": b"beside\n", "../../above/a.txt": b"above\n"}
    outputs = {"seen.txt": b"beside\nabove\n", "../made.txt": b"back\n"}
    _record(toy, "sh", "job.sh", scripts={"job.sh": script}, inputs=files, outputs=outputs)
    toy.record["command"]["working_directory"] = "/scratch/task/job 17"
    bag, out = toy.unpack(tmp_path / "bag"), tmp_path / "out"

    outcome = shell(bag / "data/run.sh", "--own-root", out)
    verdict = shell(bag / "data/verify.sh", out)

    assert outcome.returncode == 0, outcome.stderr + (out / "run.log").read_text()
    assert (out / "work/seen.txt").read_text() == "beside\nabove\n"
    assert "level R7" in verdict.stderr, verdict.stdout + verdict.stderr
