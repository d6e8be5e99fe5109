"""Where files went that a job moved away before anybody could look at them.

The folder is computed while the job runs, and the file bears another name there.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.running import followed
from jobprov.provenance.capture.running.file_events import FileEvents
from jobprov.provenance.capture.running.followed import Followed
from jobprov.provenance.capture.running.made_files import Made
from jobprov.provenance.capture.running.written_files import WrittenFiles, key_of
from jobprov.provenance.capture.sight import named_folders, places
from tests.library.hook import Runner, entry_of, only_entry, said, with_strace


@pytest.fixture
def storage(runner: Runner) -> Path:
    """Return the storage that the job's variable STORE names, with a folder of its campaign."""
    folder = runner.folder.parent / "storage"
    (folder / "prod5" / "00").mkdir(parents=True)
    runner.environment.update(STORE=str(folder), CAMPAIGN="prod5", UNIT="7")
    return folder


def record_of(runner: Runner, script: str) -> dict[str, Any]:
    runner("run", "--", "sh", "-c", script)
    return only_entry(runner)[0]


def places_of(record: dict[str, Any], storage: Path) -> dict[str, str]:
    """Return {path in the job: place in the storage} of the outputs, "" where they are not there."""
    found = {}
    for output in record.get("outputs", ()):
        place = output.get("location") or output["path"]
        is_there = place.startswith(str(storage))
        found[output["path"]] = os.path.relpath(place, storage) if is_there else ""
    return found


RENAME = "import os; os.rename('out.root', os.path.expandvars('$STORE/$CAMPAIGN/00/u$UNIT.root'))"
PLACE = '"$STORE/$CAMPAIGN"/0$((UNIT - 7))/u$UNIT.root'


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        f"mv out.root {PLACE}",
        f'{sys.executable} -S -c "{RENAME}"',
        f"perl -e 'rename($ARGV[0], $ARGV[1])' out.root {PLACE}",
        f'mv out.root "$STORE"/.u7.tmp; mv "$STORE"/.u7.tmp {PLACE}',
    ],
    ids=["mv", "python", "perl", "two-moves"],
)
def test_file_that_lives_for_milliseconds_has_a_producer(
    runner: Runner, storage: Path, words: str
) -> None:
    if words.startswith("perl") and shutil.which("perl") is None:
        pytest.skip("no perl here")
    record = record_of(runner, f"echo data > out.root; {words}")

    (output,) = record["outputs"]
    assert (output["path"], output["name"]) == ("out.root", "u7.root")
    assert output["location"] == str(storage / "prod5" / "00" / "u7.root")
    assert (output["size_bytes"], len(output["sha256"])) == (5, 64)


@pytest.mark.slow
def test_loop_that_stores_one_file_after_the_other_has_made_all(
    runner: Runner, storage: Path
) -> None:
    """From one path, under a name that would be no output's."""
    store = "echo $n > part.tmp; mv part.tmp $STORE/$CAMPAIGN/00/p$n.root"
    record = record_of(runner, f"for n in 1 2 3; do {store}; done")

    found = sorted(places_of(record, storage).values())
    assert found == ["prod5/00/p1.root", "prod5/00/p2.root", "prod5/00/p3.root"]
    assert {output["name"] for output in record["outputs"]} == {"p1.root", "p2.root", "p3.root"}
    assert len({output["sha256"] for output in record["outputs"]}) == 3


FAST = """
import os
for number in range(3):
    with open("out.root", "w") as file:
        file.write(str(number))
    os.rename("out.root", os.path.join(os.path.dirname(os.getcwd()), "el" + "se", str(number)))
"""


@pytest.mark.slow
def test_files_that_went_from_one_path_to_nobody_knows_where_are_a_gap(runner: Runner) -> None:
    """The last one is an output without a place; of the others, no name is left."""
    (runner.folder.parent / "else").mkdir()
    (runner.folder / "store.py").write_text(FAST)
    record = record_of(runner, f"{sys.executable} -S store.py")

    (output,) = record["outputs"]
    assert (output["path"], output.get("location")) == ("out.root", None)
    (sentence,) = [each for each in said(record) if each.startswith("children-unseen")]
    assert f"2 moved away from {runner.folder}/out.root" in sentence


@pytest.mark.slow
def test_folder_that_is_moved_as_a_whole_takes_its_files_along(
    runner: Runner, storage: Path
) -> None:
    (runner.folder / "out" / "deep").mkdir(parents=True)
    record = record_of(
        runner,
        "echo 1 > out/a.root; echo 2 > out/deep/b.root; echo 3 > .c; mv .c out/c.root;"
        'mv out "$STORE/$CAMPAIGN/u$UNIT"; mv "$STORE/$CAMPAIGN/u$UNIT" "$STORE/u$UNIT"',
    )

    assert places_of(record, storage) == {
        "out/a.root": "u7/a.root",
        "out/deep/b.root": "u7/deep/b.root",
        "out/c.root": "u7/c.root",
    }


@pytest.mark.slow
def test_copy_that_a_shell_makes_of_its_own_words_is_the_same_file(runner: Runner) -> None:
    """The folder stands in no word of its own, and `cp` is over before anybody looks."""
    (runner.folder.parent / "else").mkdir()
    record = record_of(
        runner, f"echo data > out.root; cp out.root {runner.folder.parent}/else/7.root"
    )

    (output,) = record["outputs"]
    assert output["location"] == f"{runner.folder.parent}/else/7.root"


@pytest.mark.skipif(shutil.which("rsync") is None, reason="no rsync here")
def test_rsync_that_removes_its_source_is_a_copy(runner: Runner, storage: Path) -> None:
    record = record_of(
        runner, 'echo data > out.root; rsync --remove-source-files out.root "$STORE/prod5/00/"'
    )

    assert places_of(record, storage) == {"out.root": "prod5/00/out.root"}


@pytest.mark.slow
def test_installed_copy_is_the_same_file(runner: Runner, storage: Path) -> None:
    record = record_of(runner, 'echo data > out.root; install -m 644 out.root "$STORE/u7.root"')

    assert places_of(record, storage) == {"out.root": "u7.root"}


WRITER = """
import os, time
for number in range(4):
    with open(os.environ["STORE"] + "/prod5/00/" + "abcd"[number] + ".root", "w") as file:
        file.write(str(number))
        time.sleep(0.2)
    time.sleep(0.1)
"""


@pytest.mark.slow
def test_files_that_are_open_in_the_storage_for_a_moment_are_outputs(
    runner: Runner, storage: Path
) -> None:
    """No word names them, and looks at open files are a second apart."""
    (runner.folder / "write.py").write_text(WRITER)
    record = record_of(runner, f"{sys.executable} -S write.py")

    found = {os.path.relpath(output["path"], storage) for output in record["outputs"]}
    assert found == {f"prod5/00/{name}.root" for name in "abcd"}


@pytest.mark.slow
@pytest.mark.usefixtures("storage")
@pytest.mark.parametrize("removal", ['rm "$STORE"/x*', 'rm -r "$STORE/run"'])
def test_file_that_is_removed_from_the_storage_is_no_output(runner: Runner, removal: str) -> None:
    """However long its copy and the removal take."""
    for name in ("cp", "rm"):
        program = runner.folder.parent / name
        program.write_text(f'#!/bin/sh\nsleep 0.3; exec /bin/{name} "$@"\n')
        program.chmod(0o755)
    runner.environment["PATH"] = f"{runner.folder.parent}:{os.environ['PATH']}"
    place = '"$STORE/x.root"' if "x*" in removal else '"$STORE/run/x.root"'

    script = (
        f'mkdir "$STORE/run"; echo data > out.root; cp out.root {place}; rm out.root; {removal}'
    )
    record = record_of(runner, script)

    assert "outputs" not in record


@pytest.mark.slow
def test_what_a_program_read_elsewhere_is_no_copy_of_its_output(runner: Runner) -> None:
    """Though both hold the same, and the folder is known since the program was seen."""
    program = runner.folder.parent / "reader"
    program.write_text('#!/bin/sh\nsleep 0.4; cat "$1"\n')
    program.chmod(0o755)
    runner.environment["TMPDIR"] = str(runner.folder.parent)

    record = record_of(runner, f"list=$(mktemp); echo 1 > $list; {program} $list > out.dat")

    (output,) = record["outputs"]
    assert (output["name"], "location" in output) == ("out.dat", False)


@pytest.mark.slow
def test_input_that_is_moved_away_when_it_is_done_is_no_output(
    runner: Runner, storage: Path
) -> None:
    (runner.folder / "in.root").write_text("raw data")
    record = record_of(runner, 'mv in.root "$STORE/$CAMPAIGN/"; echo data > out.root')

    assert places_of(record, storage) == {"out.root": ""}


@pytest.mark.slow
def test_step_that_stores_what_an_earlier_one_made_tells_the_place(
    runner: Runner, storage: Path
) -> None:
    for words in (
        ["start"],
        ["step", "--", "sh", "-c", "echo data > out.root"],
        ["step", "--", "sh", "-c", f"mv out.root {PLACE}"],
        ["end"],
    ):
        runner(*words)

    (output,) = only_entry(runner)[0]["outputs"]
    assert (output["name"], output["step"]) == ("u7.root", "sh")
    assert output["location"] == str(storage / "prod5" / "00" / "u7.root")


def reports_handles() -> bool:
    """Return whether this kernel reports handles of files to everybody: Linux 5.13, no container."""
    try:
        WrittenFiles().close()
    except OSError:
        return False
    return True


NEW_FOLDERS = """
import os
for unit in "789":
    with open("out.root", "w") as file:
        file.write(unit)
    os.makedirs(os.path.join(os.environ["STORE"], "new", unit))
    os.rename("out.root", os.path.join(os.environ["STORE"], "new", unit, "u.root"))
"""


@pytest.mark.slow
@pytest.mark.skipif(not reports_handles(), reason="this kernel reports no handles of files")
def test_files_that_go_to_folders_made_in_the_same_instant_are_found(
    runner: Runner, storage: Path
) -> None:
    """From one path, while another job has its own files of that name there."""
    (storage / "new").mkdir()
    (storage / "new" / "other").mkdir()
    (runner.folder / "store.py").write_text(
        NEW_FOLDERS + "open(os.environ['STORE'] + '/new/other/out.root', 'w').close()"
    )
    record = record_of(runner, f"{sys.executable} -S store.py")

    found = {output.get("location") or output["path"] for output in record["outputs"]}
    assert found == {str(storage / "new" / unit / "u.root") for unit in "789"}
    assert len({output["sha256"] for output in record["outputs"]}) == 3


def test_long_reading_of_programs_takes_no_time_from_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a busy node, where all that comes before the search takes seconds."""
    monkeypatch.setattr(places, "_SECONDS", 0.1)
    (tmp_path / "deep").mkdir()
    began = time.time() - 1
    stored = tmp_path / "deep" / "u7.root"
    stored.write_text("data")
    made = Made()
    made.take(str(stored), stored.stat())
    made.move(None)
    search = places.Places(
        [], [], {"/job/out.root": made}, ["/job"], [str(tmp_path)], began=began, written={}
    )
    time.sleep(0.2)

    assert search.find("/job/out.root").place == str(stored)


class Following:
    """A job's folder and a storage that are followed; the reports are read when a test says so."""

    def __init__(self, folder: Path) -> None:
        self.job, self.storage, self.other = folder / "job", folder / "storage", folder / "other"
        for each in (self.job, self.storage, self.other):
            each.mkdir()
        self.events = FileEvents(Followed([str(self.job)], [], [str(self.storage)]))

    def store(self, name: str, place: str, content: str = "data") -> None:
        """Make a file in the job's folder and move it at once."""
        (self.job / name).write_text(content)
        (self.job / name).rename(self.storage / place)

    def end(self) -> dict[str, Made]:
        """Return what was seen, by the path in the job's folder."""
        self.events.close()
        return {
            os.path.relpath(path, self.job): made
            for path, made in self.events.made.items()
            if path.startswith(str(self.job))
        }


@pytest.fixture
def following(tmp_path: Path) -> Following:
    return Following(tmp_path)


def test_only_a_move_from_the_job_itself_counts(following: Following) -> None:
    """Of many files that come at one moment, under names of all kinds."""
    for number in range(50):
        (following.other / "out.root").write_text("theirs")
        (following.other / "out.root").rename(following.storage / f"{number}.root")
        following.store(f"out{number}.root", f"ours{number}.root")
        (following.storage / f"made{number}.root").write_text("theirs")

    made = following.end()

    assert {name: made[name].place for name in made} == {
        f"out{number}.root": str(following.storage / f"ours{number}.root") for number in range(50)
    }


def test_file_whose_place_another_job_takes_is_ours_no_more(following: Following) -> None:
    following.store("out.root", "out.root")
    following.events.read()
    (following.other / "out.root").write_text("theirs")
    (following.other / "out.root").rename(following.storage / "out.root")

    out = following.end()["out.root"]

    assert (out.place, out.is_deleted, out.is_moved) == (None, True, False)


def test_file_that_was_seen_before_is_told_from_one_that_takes_its_place_at_once(
    following: Following,
) -> None:
    """Two reports of one name are one for the kernel."""
    (following.job / "out.root").write_text("ours")
    following.events.read()
    (following.job / "out.root").rename(following.storage / "out.root")
    (following.other / "out.root").write_text("theirs")
    (following.other / "out.root").rename(following.storage / "out.root")

    out = following.end()["out.root"]

    assert (out.place, out.is_deleted, out.is_moved) == (None, True, False)


def test_files_stored_one_after_the_other_from_one_path_keep_their_places(
    following: Following,
) -> None:
    """Whether the reports are read at the end, or while the next file lies there."""
    for number in range(20):
        following.store("out.root", f"{number}.root")
        (following.job / "out.root").write_text("of the next one")
        if number % 5 == 0:
            following.events.read()
    (following.job / "out.root").unlink()

    following.events.close()

    made = following.events.made.values()
    placed = {file.place: file.identity for file in made if file.place is not None}
    assert placed == {
        str(place): (place.stat().st_dev, place.stat().st_ino)
        for place in following.storage.iterdir()
    }
    assert len(placed) == 20


def test_look_that_shows_the_next_file_does_not_count(following: Following) -> None:
    """The job stores a file and makes the next one just before the look at the first."""
    look = following.events._looks.look
    steps: list[Callable[[], object]] = [
        lambda: (following.job / "out.root").rename(following.storage / "1.root"),
        lambda: (following.job / "out.root").write_text("second"),
    ]

    def look_late() -> None:
        while steps:
            steps.pop(0)()
        look()

    (following.job / "out.root").write_text("first")
    following.events._looks.look = look_late  # type: ignore[method-assign]
    following.events.read()

    first = following.events.made[str(following.storage / "1.root")]
    status = (following.storage / "1.root").stat()
    assert (first.place, first.identity) == (
        str(following.storage / "1.root"),
        (status.st_dev, status.st_ino),
    )
    assert following.end()["out.root"].size_bytes == len("second")


def test_folder_that_went_before_anybody_looked_into_it_is_told(following: Following) -> None:
    """What lies at its place may be another job's by now; the next folder of its name is another."""
    for number in range(2):
        (following.job / "out").mkdir()
        (following.job / "out" / f"{number}.root").write_text("data")
        (following.job / "out").rename(following.storage / f"out{number}")
    (following.job / "out").mkdir()
    (following.job / "out" / "last.root").write_text("data")

    made = following.end()

    assert following.events.overtaken == {str(following.job / "out"): 2}
    assert set(made) == {"out/last.root"}
    assert not made["out/last.root"].is_moved


def test_files_that_went_with_a_folder_nobody_saw_are_told_and_are_no_outputs(
    following: Following,
) -> None:
    """`mkdir log; mv *.json log/; rm -r log`: 24 of them counted as the unit's files."""
    for number in range(2):
        (following.job / f"{number}.json").write_text("{}")
    following.events.read()
    (following.job / "log").mkdir()
    for number in range(2):
        (following.job / f"{number}.json").rename(following.job / "log" / f"{number}.json")
    shutil.rmtree(following.job / "log")
    following.store("out.root", "out.root")

    made = following.end()

    lost = [str(following.job / f"{number}.json") for number in range(2)]
    assert following.events.overtaken == dict.fromkeys(lost, 1)
    assert {name for name, file in made.items() if not file.is_deleted} == {"out.root"}


def test_file_that_went_elsewhere_while_a_folder_came_is_an_output(following: Following) -> None:
    (following.job / "out.root").write_text("data")
    following.events.read()
    (following.job / "log").mkdir()
    (following.job / "out.root").rename(following.other / "out.root")

    out = following.end()["out.root"]

    assert (out.place, out.is_deleted, out.is_moved) == (None, False, True)
    assert not following.events.overtaken


def test_new_folder_of_the_storage_is_followed_at_once(following: Following) -> None:
    (following.storage / "a" / "b").mkdir(parents=True)
    following.events.read()
    following.store("out.root", "a/b/u7.root")

    assert following.end()["out.root"].place == str(following.storage / "a" / "b" / "u7.root")


def test_file_that_went_to_a_new_folder_unseen_is_at_no_place(following: Following) -> None:
    """Another job may have put what lies there; inode and handle prove which files are ours."""
    (following.job / "seen.root").write_text("data")
    following.events.read()
    (following.storage / "new").mkdir()
    (following.other / "out.root").write_text("theirs")
    (following.other / "out.root").rename(following.storage / "new" / "out.root")
    following.store("out.root", "new/u7.root")
    (following.job / "seen.root").rename(following.storage / "new" / "u8.root")
    inode = (following.storage / "new" / "u8.root").stat().st_ino

    made = following.end()
    key = key_of(str(following.storage / "new" / "u7.root"))

    if reports_handles():
        assert key is not None
        assert following.events.written[key] == str(following.job / "out.root")
        assert key_of(str(following.storage / "new" / "out.root")) not in following.events.written
    assert (made["out.root"].place, made["out.root"].identity) == (None, None)
    assert made["out.root"].is_moved
    assert made["seen.root"].identity is not None
    assert made["seen.root"].identity[1] == inode


def test_file_that_comes_back_is_the_job_s_again(following: Following) -> None:
    following.store("out.root", "u7.root")
    (following.storage / "u7.root").rename(following.job / "again.root")

    made = following.end()

    assert set(made) == {"again.root"}
    assert (made["again.root"].place, made["again.root"].is_moved) == (None, False)


def test_folder_renamed_in_the_job_leaves_no_file_behind(following: Following) -> None:
    (following.job / "work").mkdir()
    following.events.read()
    (following.job / "work" / "a.root").write_text("data")
    (following.job / "work").rename(following.job / "done")

    assert set(following.end()) == {"done/a.root"}


def test_other_jobs_that_make_many_folders_do_not_hide_a_new_one(following: Following) -> None:
    """The oldest make way, and what went there is said to be unknown."""
    most = followed._MOST_NEW
    for number in range(2 * most):
        (following.storage / str(number)).mkdir()
    following.events.read()
    following.store("new.root", f"{2 * most - 1}/u7.root")
    following.store("old.root", "0/u7.root")

    made = following.end()

    assert made["new.root"].place == str(following.storage / str(2 * most - 1) / "u7.root")
    assert made["old.root"].place is None
    assert following.events.why_unplaced is not None


def test_storage_in_which_too_much_happens_is_followed_no_more(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed, "_MOST_REPORTS", 10)
    for number in range(20):
        (following.storage / str(number)).touch()
        (following.storage / str(number)).rename(following.storage / f"{number}.dat")
    following.events.read()
    following.store("out.root", "u7.root")

    assert following.end()["out.root"].place is None
    assert following.events.why_unplaced is not None


def test_storage_of_many_folders_is_followed_where_something_came_last(tmp_path: Path) -> None:
    for number in range(3 * followed._MOST_AT_FIRST):
        folder = tmp_path / "storage" / str(number)
        folder.mkdir(parents=True)
        os.utime(folder, (number, number))
    (tmp_path / "job").mkdir()
    events = FileEvents(Followed([str(tmp_path / "job")], [], [str(tmp_path / "storage")]))
    newest = folder / "u7.root"

    (tmp_path / "job" / "out.root").write_text("data")
    (tmp_path / "job" / "out.root").rename(newest)
    events.close()

    assert events.made[str(tmp_path / "job" / "out.root")].place == str(newest)
    assert events.why_unplaced is not None


@pytest.mark.slow
def test_place_that_may_be_unknown_is_a_gap(runner: Runner, storage: Path) -> None:
    """Only for a file that went there, and that nobody saw before."""
    for number in range(3 * followed._MOST_AT_FIRST):
        folder = storage / "old" / str(number)
        folder.mkdir(parents=True)
        os.utime(folder, (number, number))
    move = f"{sys.executable} -S -c \"import os; open('{{0}}', 'w').close(); os.rename('{{0}}', '{{1}}')\""

    record = record_of(
        runner,
        move.format("a.root", f"{storage}/old/0/u7.root")
        + ";"
        + move.format("b.root", f"{storage}/u8.root"),
    )

    found = places_of(record, storage)
    assert found["b.root"] == "u8.root"
    unseen = [sentence for sentence in said(record) if sentence.startswith("children-unseen")]
    # by its handle, where the kernel reports it
    assert len(unseen) == (0 if found["a.root"] else 1)


@pytest.mark.slow
def test_link_to_the_job_s_own_folder_does_not_spoil_what_is_seen_there(
    runner: Runner, storage: Path
) -> None:
    """As in a retry, whose variables name its folder by another path."""
    link = runner.folder.parent / "link"
    link.symlink_to(runner.folder)
    runner.environment["_CONDOR_SCRATCH_DIR"] = str(link)
    record = record_of(
        runner,
        "echo 1 > a.root; cp a.root $STORE/; rm a.root; echo 2 > b.root; mv b.root $STORE/c.root",
    )

    assert places_of(record, storage) == {"a.root": "a.root", "b.root": "c.root"}
    found = named_folders.storage_folders([str(link)], [str(runner.folder)], [])
    assert found == []
    events = FileEvents(Followed([str(runner.folder)], [], [str(link)]))
    (runner.folder / "d.root").write_text("data")
    (runner.folder / "d.root").rename(storage / "d.root")
    events.close()
    assert events.made[str(runner.folder / "d.root")].is_moved


def test_folders_where_no_job_stores_anything_are_not_followed(tmp_path: Path) -> None:
    own, storage, spool = tmp_path / "job", tmp_path / "storage", tmp_path / "spool"
    for folder in (own / "below", storage, spool):
        folder.mkdir(parents=True)
    (tmp_path / "file").touch()
    words = [
        "/", "/usr/lib", "/home", "relative", f"{storage}:{storage}", "/nowhere",
        str(own), str(own / "below"), str(spool), str(tmp_path / "file"), f"{storage}/",
    ]  # fmt: skip

    found = named_folders.storage_folders(words, [str(own)], [str(spool)])

    assert found == [str(storage)]


@pytest.mark.slow
def test_copy_to_a_folder_that_a_script_names_by_an_address_of_files_is_found(
    runner: Runner,
) -> None:
    """As `pegasus-transfer` reads it from a script of Pegasus, which then removes its folder."""
    far = runner.folder.parent / "far"
    far.mkdir()
    (runner.folder / "job.sh").write_text(
        f"""#!/bin/sh
        mkdir work; cd work; seq 1 9 > f.c1; sleep 0.2
        {sys.executable} -S - << 'eof'
import shutil; shutil.copyfile("f.c1", "file://{far}/f.c1"[7:])
eof
        cd ..; rm -r work
        """
    )

    runner("run", "--", "sh", "./job.sh")

    assert places_of(only_entry(runner)[0], far) == {"work/f.c1": "f.c1"}


@pytest.mark.slow
@with_strace
def test_file_that_a_trace_alone_shows_is_an_output(runner: Runner) -> None:
    """As law stores it: by a copy of some bytes, to a folder that no word of the job names."""
    far = runner.folder.parent / "far"
    far.mkdir()
    write = "import os; open(os.path.join('..', 'f' + 'ar', 'hits.json'), 'w').write('[1]')"

    runner("run", "--trace", "--", sys.executable, "-S", "-c", write)

    record = entry_of(runner)[0]
    assert [output["path"] for output in record["outputs"]] == [str(far / "hits.json")]
    assert record["outputs"][0]["size_bytes"] == 3
