"""The `jobprov` command as people and scripts use it: words, JSON, exit codes."""

import json
import re
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from jobprov.app import commands
from jobprov.app.cli import COMMANDS, exit_code, jobprov
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.sending import spool
from jobprov.provenance.capture.sending.leftovers import encode_block
from jobprov.provenance.client import Client
from jobprov.provenance.errors import (
    AmbiguousError,
    BadInputError,
    ConflictError,
    NotFoundError,
    UnreachableError,
)
from jobprov.provenance.times import minute_text
from tests.library.commands import clean_environment, run_alone
from tests.library.records import JOB, a_record
from tests.library.servers.live_service import LiveService


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    service = LiveService(tmp_path_factory.mktemp("commands") / "var")
    client = Client(service.url)
    client.record(a_record(2, outputs=[{"name": "a.root", "checksums": ["adler32:00000001"]}]))
    client.record(
        a_record(
            state="failed",
            exit={
                "code": 65,
                "failed_step": "art",
                "error_class": "cet::exception",
                "message": "no such product",
            },
            inputs=[{"name": "a.root", "checksums": ["adler32:00000001"]}],
            outputs=[{"name": "b.root", "checksums": ["adler32:00000002"], "status": "written"}],
        )
    )
    yield service
    service.stop()


@pytest.mark.slow
def test_lookup_says_what_made_a_file_in_its_first_line(live: LiveService) -> None:
    ended = live.run("lookup", "a.root")

    assert ended.returncode == 0
    assert ended.stdout.startswith(f"a.root was made by job {a_record(2)['job_id']}")
    assert "jobprov rerun" in ended.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", ["./a.root", "/pnfs/nova/reco/a.root", "root://door.example.org:1094//pnfs/a.root?x=/y"]
)
def test_file_is_asked_for_by_its_path(live: LiveService, path: str) -> None:
    looked, drawn = live.run("lookup", path), live.run("lineage", path)
    folder = live.run("lookup", "/pnfs/nova/")

    assert looked.stdout.startswith("a.root was made by job"), looked.stderr
    assert "a.root" in drawn.stdout
    assert (folder.returncode, "names a folder; name a file" in folder.stderr) == (2, True)


def test_lookup_of_an_unknown_file_is_a_wrong_question_and_names_the_nearest(
    live: LiveService,
) -> None:
    ended = live.run("lookup", "a.roo")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Did you mean: a.root" in ended.stderr


def test_job_says_how_it_failed_in_its_first_line(live: LiveService) -> None:
    first = live.run("job", JOB).stdout.splitlines()[0]

    assert first == "Failed in step art with exit code 65 after 1 s: cet::exception."


@pytest.mark.slow
def test_file_that_a_job_copied_in_is_named_once_as_the_catalog_names_it(
    live: LiveService,
) -> None:
    raw = {"name": "raw.root", "namespace": "dune-raw"}
    made = {"name": "reco.root", "namespace": "dune-reco", "status": "written"}
    paths = ("/pnfs/raw.root", "raw.root")
    record = a_record(80, inputs=[{**raw, "path": path} for path in paths], outputs=[made])
    Client(live.url).record(record)

    lines = live.run("job", record["job_id"]).stdout.splitlines()

    assert [line.split() for line in lines if line.startswith(("read", "wrote"))] == [
        ["read", "dune-raw:raw.root"],
        ["wrote", "dune-reco:reco.root", "(written)"],
    ]


@pytest.mark.slow
def test_job_is_asked_for_by_what_pages_show_of_its_id(live: LiveService) -> None:
    resources = {"wall_seconds": 3688.0}
    short = {
        "job_id": "8493dace-f8fd-542a-83e0-fde74635d711",
        "batch": {"id": "77120.85@sched1"},
        "resources": resources,
    }
    Client(live.url).record(a_record(**short))
    for number, batch_id in (
        (90, "77121.1@sched1"),
        (91, "77121.1@sched2"),
        (92, "77121.10@sched1"),
    ):
        Client(live.url).record(a_record(number, batch={"id": batch_id}))

    for word in ("8493dace", "8493DACE-f8fd", "77120.85"):
        assert "8493dace-f8fd-542a-83e0-fde74635d711" in live.run("job", word).stdout
    assert live.run("job", "8493dace").stdout.startswith(
        "Succeeded after 1 h 1 min without output.\n"
    )
    retried = live.run("retry", "77120.85", "--experiment", "nova")
    assert (retried.returncode, "not 8493dace-f8fd-542a-83e0-fde74635d711" in retried.stdout) == (
        1,
        True,
    ), retried.stderr

    for word, all_of_them in (("0f8b0000", a_record(90)["job_id"]), ("77121.1", "77121.1@sched2")):
        several = live.run("job", word)
        assert (several.returncode, several.stdout) == (2, "")
        assert f"Several jobs begin with {word}" in several.stderr
        assert word == "0f8b0000" or all_of_them in several.stderr
    assert "No job 8493dac is recorded" in live.run("job", "8493dac").stderr, (
        "seven digits are too few"
    )


@pytest.mark.parametrize(
    "words",
    [
        ("job", ""),
        ("task", ""),
        ("diff", "", JOB),
        ("missing", ""),
        ("bundle", ""),
        ("bundle", "--task", ""),
        ("rerun", "", "--into", "again"),
        ("retry-policy", "."),
    ],
)
def test_empty_name_is_told_in_words_and_nothing_is_written(
    live: LiveService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)

    ended = live.run(*words)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "name" in ended.stderr
    assert "address" not in ended.stderr
    assert list(tmp_path.rglob("*.tar")) == []


@pytest.mark.slow
def test_port_that_somebody_has_is_told_in_words(live: LiveService, tmp_path: Path) -> None:
    ended = run_alone(
        "serve", "--port", live.url.rsplit(":", 1)[1], "--data", str(tmp_path / "other")
    )

    assert ended.returncode == 3
    assert ended.stderr.partition("\n")[2] == (
        f"jobprov: Nothing can listen at {live.url.removeprefix('http://')}: another program does, "
        "perhaps another `jobprov serve`; stop that, or choose another --port.\n"
    )


def test_report_of_a_campaign_that_is_not_there_names_that(live: LiveService) -> None:
    told = live.run("report", "nowhere", "--experiment", "nova").stderr

    assert told.startswith("jobprov: No job or task of experiment nova names a campaign nowhere.")


def test_no_failure_of_an_unknown_name_is_not_told_as_none(live: LiveService) -> None:
    ended = live.run("errors", "--experiment", "nvoa")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "jobprov: Nothing is recorded of experiment nvoa.\nDid you mean: nova\n"
    )


@pytest.mark.parametrize("json", [(), ("--json",)])
@pytest.mark.parametrize(
    "words",
    [
        ("orphans", "--experiment", "nosuch"),
        ("orphans", "--namespace", "nosuch"),
        ("impact", "--host", "h", "--experiment", "nosuch"),
        ("impact", "--campaign", "nosuch"),
        ("impact", "--stage", "nosuch"),
        ("impact", "--task", "nosuch"),
        ("impact", "--site", "nosuch"),
        ("recipes", "--experiment", "nosuch"),
        ("jobs", "--campaign", "nosuch"),
        ("queue", "nosuch"),
        ("queue", "--experiment", "nosuch"),
        ("queue", "--campaign", "nosuch"),
        ("errors", "--campaign", "nosuch", "--experiment", "nova"),
        ("errors", "--site", "nosuch"),
        ("rules", "show", "nosuch"),
        ("modules", "--task", "nosuch"),
        ("samples", "nosuch"),
        ("arrivals", "--experiment", "nosuch"),
        ("gaps", "--stage", "nosuch"),
        ("gaps", "--task-id", "nosuch"),
        ("proofs", "--experiment", "nosuch"),
        ("archive", "expire", "--experiment", "nosuch"),
    ],
)
def test_name_that_nothing_has_is_a_wrong_question(
    live: LiveService, words: tuple[str, ...], json: tuple[str, ...]
) -> None:
    ended = live.run(*words, *json)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "nosuch" in ended.stderr


@pytest.mark.parametrize("words", [("impact", "--host", "nosuch"), ("errors", "--host", "nosuch")])
def test_no_matching_job_is_no_good_answer(live: LiveService, words: tuple[str, ...]) -> None:
    assert live.run(*words).returncode == 1


def test_names_are_listed_for_notebooks(live: LiveService) -> None:
    for number, campaign, site in ((60, "spring", "FNAL"), (61, "autumn", "RAL")):
        task = {"task_id": f"{campaign}-1", "campaign": campaign, "stage": f"{campaign} reco"}
        host = {"hostname": "wn1", "site": site}
        Client(live.url).record(a_record(number, experiment="icarus", task=task, host=host))
    client = Client(live.url)

    assert "icarus" in client.experiments()
    assert client.campaigns(experiment="icarus") == ["autumn", "spring"]
    assert client.stages(experiment="icarus", campaign="spring") == ["spring reco"]
    assert list(client.tasks(campaign="autumn")) == ["autumn-1"]
    assert list(client.names("tasks", experiment="icarus", limit=1)) == ["autumn-1", "spring-1"]
    assert client.sites(experiment="icarus", campaign="autumn") == ["RAL"]
    assert list(client.names("experiments", campaign="spring")) == ["icarus"]
    with pytest.raises(BadInputError, match="kind: one of experiments, campaigns"):
        list(client.names("people"))


def test_task_and_errors_say_what_failures_were(live: LiveService) -> None:
    full = {"code": 1, "failed_step": "art", "message": "No space left on device"}
    task = {"task_id": "night", "stage": "reco", "unit": "u1"}
    Client(live.url).record(a_record(70, state="failed", exit=full, task=task))

    shown, errors = live.run("task", "night").stdout, live.run("errors", "--task", "night").stdout

    assert "storage: The disk was full; trying again may help\n" in shown
    assert (
        "storage: The disk was full; trying again may help. Ask for more disk; try again.\n"
        in errors
    )
    assert errors.startswith("1 failure in 1 finished job, 1 cause.\n")
    assert "0 hosts" not in errors, "no record says where"


def test_jobs_are_listed_by_filters(live: LiveService) -> None:
    ended = live.run("jobs", "--state", "failed", "--file", "a.root")
    assert (ended.returncode, JOB in ended.stdout) == (0, True)

    newest = live.run("jobs", "--limit", "1").stdout.splitlines()
    assert newest[0].split() == [
        "JOB",
        "STATE",
        "STAGE",
        "TASK",
        "UNIT",
        "FILES",
        "CODE",
        "STARTED",
    ]
    assert newest[1].endswith(" 2026-01-01 00:00 UTC")
    assert newest[2:] == ["There are more: raise --limit."]

    none = live.run("jobs", "--parameter", "physics.*.threshold", "--value", "<5")
    assert (none.returncode, none.stdout, none.stderr) == (
        1,
        "",
        "No job matches these filters.\n",
    )

    wrong = live.run("jobs", "--parameter", "a", "--value", "=>5")
    assert wrong.returncode == 2
    assert "'=>' is not an operator; known are = != < <= > >=" in wrong.stderr


@pytest.mark.slow
def test_jobs_are_sorted_and_counted(live: LiveService) -> None:
    """Each option is that of the call; what is none is refused before anything is asked."""
    both = ("jobs", "--job", f"{JOB},{a_record(2)['job_id']}")
    heads, *rows = live.run(*both, "--sort", "-exit_code").stdout.splitlines()
    assert heads.split()[-1] == "EXIT"
    assert [row.split()[:2] for row in rows] == [
        [JOB, "failed"],
        [a_record(2)["job_id"], "succeeded"],
    ]
    assert rows[0].endswith(" 65")

    counts = live.run(*both, "--state", "failed,killed", "--count-by", "state,exit_code")
    assert (counts.returncode, counts.stderr) == (0, "")
    first, *lines = counts.stdout.splitlines()
    assert first == "1 job."
    assert [line.split() for line in lines if line] == [
        ["STATE", "JOBS"],
        ["failed", "1"],
        ["succeeded", "1"],
        ["EXIT_CODE", "JOBS"],
        ["65", "1"],
    ]
    for words, problem in (
        (("--state", "failed,odd"), "'odd' is not one of running, succeeded"),
        (("--sort", "colour"), "'colour' is not one of received_at, started_at"),
        (("--count-by", "colour"), "'colour' is not one of state, experiment"),
        (("--count-by", "site", "--sort", "site"), "--sort is for lists"),
        (("--started-after", "yesterday"), "not a time; write 2026-11-24"),
        (("--task", "nosuch"), "Nothing is recorded of task nosuch"),
    ):
        ended = live.run("jobs", *words)
        assert (ended.returncode, ended.stdout) == (2, ""), words
        assert problem in ended.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    "words",
    [("lookup", "a.root"), ("job", JOB), ("jobs",), ("lineage", "a.root"), ("token", "list")],
)
def test_json_is_json(live: LiveService, words: tuple[str, ...]) -> None:
    assert json.loads(live.run(*words, "--json").stdout) is not None


@pytest.mark.parametrize("form", ["text", "dot", "svg", "prov-json"])
def test_lineage_is_printed_in_each_form(live: LiveService, form: str) -> None:
    ended = live.run("lineage", "a.root", "--format", form)

    assert ended.returncode == 0
    assert "a.root" in ended.stdout


def test_bundle_is_written_whole_and_its_rerun_can_be_pasted(
    live: LiveService, tmp_path: Path
) -> None:
    ended = live.run("bundle", JOB, "-o", str(tmp_path / "my b.tar"))

    assert ended.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["my b.tar"]
    assert ended.stdout.endswith(f"or: jobprov rerun '{tmp_path}/my b.tar'\n")


def test_bundle_that_is_not_there_is_not_taken_for_a_job(live: LiveService, tmp_path: Path) -> None:
    ended = live.run("rerun", "no.tar", TMPDIR=str(tmp_path))

    assert ended.returncode == 2
    assert [*tmp_path.iterdir()] == []  # no empty folder is left
    assert ended.stderr == (
        "jobprov: There is no bundle no.tar here. Name a file, or the id of a job.\n"
    )


def test_task_without_missing_units_is_told_in_words(live: LiveService) -> None:
    Client(live.url).declare_task("whole", {"experiment": "nova", "units": 0})

    ended = live.run("missing", "whole", "--experiment", "nova")

    assert (ended.returncode, ended.stdout) == (0, "No unit of task whole is missing.\n")


def test_units_without_a_name_are_missing_too(live: LiveService) -> None:
    Client(live.url).declare_task("counted", {"experiment": "nova", "units": 3})

    ended = live.run("missing", "counted", "--experiment", "nova")
    plain = live.run("missing", "counted", "--experiment", "nova", "--format", "plain")

    told = "3 units are expected, and not known by name: "
    assert ended.returncode == plain.returncode == 1
    assert ended.stdout.startswith(told)
    assert plain.stdout == ""
    assert plain.stderr.startswith(told)


def test_bundle_of_a_level_and_of_many_jobs(live: LiveService, tmp_path: Path) -> None:
    low = live.run(
        "bundle", JOB, "--holey", "--level", "L0", "-o", str(tmp_path / "low.tar"), "--json"
    )
    many = live.run("bundle", "--task", "nobody's", "-o", str(tmp_path / "many.tar"))
    both = live.run("bundle", JOB, "--task", "x")

    assert "-L0-" in json.loads(low.stdout)["etag"]
    assert many.returncode != 0
    assert "No job of nobody's is recorded" in many.stderr
    assert both.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["low.tar"]


def test_rerun_refuses_a_folder_that_is_not_empty(live: LiveService, tmp_path: Path) -> None:
    (tmp_path / "x").touch()

    assert live.run("rerun", JOB, "--into", str(tmp_path)).returncode == 2


@pytest.mark.slow
def test_record_that_nobody_takes_is_not_refused(live: LiveService, tmp_path: Path) -> None:
    """Exit code 3 says that the service is not there; 1 that it, or the file, said no."""
    good, others = (
        tmp_path / "good.json",
        [tmp_path / "list.json", tmp_path / "bytes.json", tmp_path / "empty.json"],
    )
    good.write_text(json.dumps(a_record(task={"task_id": "nobody"})))
    for path, content in zip(others, (b"[1, 2]", b"\xff\xfe", b""), strict=True):
        path.write_bytes(content)

    unreachable = run_alone("record", str(good), "--url", "http://127.0.0.1:9")
    refused = live.run("record", *map(str, others))

    assert (unreachable.returncode, "not sent: No jobprov answers" in unreachable.stdout) == (
        3,
        True,
    )
    assert refused.returncode == 1
    assert [line.partition(": ")[2][:24] for line in refused.stdout.splitlines()] == [
        "refused: A record is one",
        "refused: it holds no JSO",
        "refused: it holds no JSO",
    ]


def _spooled(folder: Path, record: dict[str, Any]) -> Path:
    """Return a spool of the hook that holds a record."""
    spool.open_at(str(folder))
    spool.keep(str(folder), Draft(record), {"url": None})
    return folder


@pytest.mark.slow
def test_spool_that_nobody_takes_is_not_refused(live: LiveService, tmp_path: Path) -> None:
    """What the hook says of its own is told apart by what it found out, not by its words."""
    good = _spooled(tmp_path / "refused 0, left", a_record(81))
    bad = _spooled(tmp_path / "bad", a_record(82))
    next((bad / "ready").iterdir()).write_bytes(b"damaged")

    unreachable = run_alone(
        "record", str(good), "--url", "http://127.0.0.1:9", JOBPROV_BUDGET_SECONDS="1"
    )
    refused = live.run("record", str(bad))
    without_token = live.run("record", str(good), JOBPROV_TOKEN_FILE=str(tmp_path / "nowhere"))
    taken = live.run("record", str(good))

    assert [ended.returncode for ended in (unreachable, refused, without_token, taken)] == [
        3,
        1,
        1,
        0,
    ]
    assert "refused 1, left 0" in refused.stdout
    assert "sent 1, refused 0, left 0" in taken.stdout


@pytest.mark.slow
def test_folder_that_is_no_spool_is_not_said_to_be_sent(live: LiveService, tmp_path: Path) -> None:
    """A shifter who names the wrong folder must not believe that its records were sent."""
    wrong, empty, home = tmp_path / "wrong", tmp_path / "empty", tmp_path / "home"
    wrong.mkdir()
    (wrong / "notes.txt").write_text("nothing of a job")
    spool.open_at(str(empty))
    home.mkdir()
    entry = next((_spooled(tmp_path / "spool", a_record(84)) / "ready").iterdir())
    entry.rename(home / "jobprov-84.jobprov")

    ended = [live.run("record", str(path)) for path in (wrong, empty, home)]

    assert [each.returncode for each in ended] == [3, 0, 0]
    assert ended[0].stdout == (
        f"{wrong}: nothing sent: it is no spool of the hook (a spool has a folder `ready`), "
        "and no jobprov-*.jobprov file lies in it\n"
    )
    assert [path.name for path in wrong.iterdir()] == ["notes.txt"], "it stays as it was"
    assert "sent 0" in ended[1].stdout
    assert "sent 1" in ended[2].stdout


@pytest.mark.slow
def test_record_that_was_cut_out_of_a_log_is_not_said_to_be_taken(
    live: LiveService, tmp_path: Path
) -> None:
    entry = next((_spooled(tmp_path / "spool", a_record(83)) / "ready").iterdir()).read_bytes()
    block = encode_block(entry, "job.jobprov")
    whole, cut = tmp_path / "whole.err", tmp_path / "cut.err"
    whole.write_bytes(b"said\n" + block)
    cut.write_bytes(block[: len(block) // 2])

    ended = [live.run("record", str(path)) for path in (cut, whole)]

    assert [each.returncode for each in ended] == [1, 0]
    assert "holds no whole record" in ended[0].stdout


def test_name_that_is_no_utf_8_is_asked_for_as_the_hook_records_it(live: LiveService) -> None:
    Client(live.url).record(a_record(77, outputs=[{"name": "odd\\xff.root"}]))

    ended = live.run("lookup", "odd\udcff.root")

    assert ended.returncode == 0
    assert a_record(77)["job_id"] in ended.stdout


def test_record_without_its_id_is_told_so(live: LiveService, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text("{}")

    ended = live.run("record", str(tmp_path / "one.json"))

    assert (ended.returncode, ended.stdout.strip()) == (
        1,
        f"{tmp_path / 'one.json'}: refused: A record has a job_id, a UUID.",
    )


@pytest.mark.slow
def test_records_are_sent_from_files(live: LiveService, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(a_record(5)))
    bad.write_text(json.dumps(a_record(6, state="gone")))

    assert live.run("record", str(good)).returncode == 0
    ended = live.run("record", str(bad))
    assert ended.returncode == 1
    assert "state" in ended.stdout
    assert "refused" in ended.stdout
    letters = json.loads(live.run("dead-letter", "list", "--json").stdout)
    assert [letter["job_id"] for letter in letters] == [a_record(6)["job_id"]]
    number = str(letters[0]["number"])
    shown = json.loads(live.run("dead-letter", "show", number, "--json").stdout)
    assert b64decode(shown["base64"]).decode() == live.run("dead-letter", "show", number).stdout
    assert json.loads(b64decode(shown["base64"]))["job_id"] == a_record(6)["job_id"]
    replayed = live.run("dead-letter", "replay", "--json")
    assert replayed.returncode == 1
    assert [letter["number"] for letter in json.loads(replayed.stdout)["refused"]] == [
        letters[0]["number"]
    ]


@pytest.mark.slow
def test_token_is_printed_alone_so_that_scripts_can_take_it(tmp_path: Path) -> None:
    data = str(tmp_path / "var")
    assert run_alone("migrate", JOBPROV_DATA=data).returncode == 0

    made = run_alone("token", "create", "--experiment", "nova", "--name", "hook", JOBPROV_DATA=data)

    assert made.stdout.startswith("prov_1_")
    assert len(made.stdout.strip().splitlines()) == 1
    assert "hook" in run_alone("token", "list", JOBPROV_DATA=data).stdout
    revoked = run_alone("token", "revoke", "1", "--json", JOBPROV_DATA=data)
    assert json.loads(revoked.stdout) == {"number": 1, "is_revoked": True}
    assert run_alone("token", "revoke", "1", JOBPROV_DATA=data).returncode == 2


@pytest.mark.slow
def test_first_commands_of_a_production_service_work_in_the_order_of_the_docs(
    tmp_path: Path,
) -> None:
    steps = (
        (Path(__file__).parents[2] / "docs/how-to/run-a-service.md")
        .read_text()
        .split("For a production service:")[1]
    )
    told = re.findall(r"^\d\. `jobprov (.*?)`", steps.split("## ")[0], re.MULTILINE)
    values = {"NAME": "nova", "URL": "https://git.example.org/novasoft.git"}
    assert [line.split()[0] for line in told] == ["migrate", "token", "repository", "serve"]

    for line in told[:-1]:
        ended = run_alone(
            *(values.get(word, word) for word in line.split()), JOBPROV_DATA=str(tmp_path)
        )
        assert ended.returncode == 0, (line, ended.stderr)


def test_keys_of_sqlite_are_not_widened_and_the_command_says_so(tmp_path: Path) -> None:
    ended = run_alone("migrate", "--wide-keys", JOBPROV_DATA=str(tmp_path))

    assert ended.returncode == 0
    assert "On SQLite each key is as wide as it has to be." in ended.stdout


def test_operators_commands_ask_for_the_schema_first(tmp_path: Path) -> None:
    ended = run_alone("token", "list", JOBPROV_DATA=str(tmp_path))

    assert ended.returncode == 3
    assert "jobprov migrate" in ended.stderr
    assert str(tmp_path) in ended.stderr, "which database"


@pytest.mark.slow
def test_service_that_is_not_there_is_exit_code_3() -> None:
    ended = run_alone("lookup", "x", "--url", "http://127.0.0.1:9")

    assert ended.returncode == 3
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words", [("lookup",), ("nonsense",), ("job", JOB, "--nonsense"), ("serve", "--port", "x")]
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...]) -> None:
    assert run_alone(*words).returncode == 2


def test_fhicl_is_expanded_even_where_the_result_is_in_error(tmp_path: Path) -> None:
    """The result is expanded as fhicl-expand does it.

    The search path may be one text with colons, like FHICL_FILE_PATH.
    """
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "broken.fcl").write_text("a: [1\n")
    (tmp_path / "main.fcl").write_text('#include "broken.fcl"\n')
    words = (
        "fhicl",
        "expand",
        str(tmp_path / "main.fcl"),
        "--search-path",
        f"{tmp_path / 'a'}:{tmp_path / 'b'}",
    )

    assert run_alone(*words).stdout == "a: [1\n"
    told = json.loads(run_alone(*words, "--json").stdout)
    assert (told["expanded"], [each["name"] for each in told["files"][1:]]) == (
        "a: [1\n",
        ["broken.fcl"],
    )


def test_fhicl_conformance_is_scored_where_the_cases_are(tmp_path: Path) -> None:
    (tmp_path / "fhicl").mkdir()
    case = {"file": "x.fcl", "source_latin1": "a: 1\n", "ok": False, "class": "syntax"}
    (tmp_path / "fhicl" / "probes.jsonl").write_text(json.dumps(case) + "\n")

    by_folder = run_alone("fhicl", "conformance", str(tmp_path / "fhicl"), "--json")
    by_variable = run_alone("fhicl", "conformance", JOBPROV_SHARED=str(tmp_path))
    nowhere = run_alone("fhicl", "conformance", str(tmp_path / "none"))

    assert (by_folder.returncode, by_variable.returncode, nowhere.returncode) == (1, 1, 2)
    assert [(each["total"], each["good"]) for each in json.loads(by_folder.stdout)] == [(1, 0)]
    assert by_variable.stdout.startswith("probes: 0 of 1 agree")
    assert "name a folder" in nowhere.stderr


def test_fhicl_is_read_without_a_service(tmp_path: Path) -> None:
    one, two = tmp_path / "one.fcl", tmp_path / "two.fcl"
    one.write_text("a: 1 b: { c: @nil }\n")
    two.write_text("a: 2 b: { c: @nil }\n")

    assert "a: 1" in run_alone("fhicl", "dump", str(one)).stdout
    assert len(run_alone("fhicl", "id", str(one)).stdout.split()[0]) == 40
    assert run_alone("fhicl", "diff", str(one), str(one)).returncode == 0
    assert run_alone("fhicl", "diff", str(one), str(two)).returncode == 1


def test_every_command_has_words_for_its_help() -> None:
    import click  # noqa: PLC0415

    context = click.Context(jobprov)
    for name in jobprov.list_commands(context):
        command = jobprov.get_command(context, name)
        assert command is not None
        assert command.help, name
    assert {"serve", "lookup", "lineage", "job", "bundle", "rerun", "verify"} <= set(COMMANDS)


def test_commands_write_all_times_in_one_form() -> None:
    """`minute_text` and `second_text` write them, no command by itself."""
    folder = Path(commands.__file__).parent
    by_themselves = []
    for module in folder.rglob("*.py"):
        if re.search(r"%[YbHM]|_at\[:", module.read_text(encoding="utf-8")):
            by_themselves.append(module.name)

    assert by_themselves == []
    assert minute_text("2026-11-09T15:02:31+01:00") == "2026-11-09 14:02 UTC"


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (NotFoundError("x"), 2),
        (AmbiguousError("x", []), 2),
        (ConflictError("x"), 1),
        (BadInputError("x"), 2),
        (UnreachableError("x"), 3),
        (OSError("x"), 3),
        (ZeroDivisionError("x"), None),
    ],
)
def test_exit_codes_follow_the_kind_of_error(problem: Exception, code: int | None) -> None:
    assert exit_code(problem) == code


@pytest.mark.slow
def test_help_lists_every_command_once_by_what_it_is_for() -> None:
    text = CliRunner().invoke(jobprov, ["--help"], terminal_width=80).output
    listed = [
        line.split()[0]
        for line in text.splitlines()
        if line.startswith("  ") and line[2:3].islower()
    ]

    assert listed == list(COMMANDS)
    assert max(map(len, text.splitlines())) <= 80
    assert (
        text.index("Ask about files")
        < text.index("  lookup ")
        < text.index("Run jobs again:")
        < text.index("  rerun ")
    )


@pytest.mark.slow
def test_gaps_of_a_name_that_nobody_knows_are_no_good_news(live: LiveService) -> None:
    nobodys, all_of_them = live.run("gaps", "--campaign", "nosuch"), live.run("gaps")

    assert (nobodys.returncode, nobodys.stdout) == (2, "")
    assert (all_of_them.returncode, " jobs\n" in all_of_them.stdout) == (1, True)


@pytest.mark.slow
def test_one_look_of_an_agent_that_finds_no_service_ends_with_3(tmp_path: Path) -> None:
    """From cron there is no next look of the same process, and nobody would notice."""
    where = ("--url", "http://127.0.0.1:9", "--folder", str(tmp_path))

    ended = run_alone("agent", "--experiment", "nova", "--once", "--launcher", "local", *where)

    assert (ended.returncode, ended.stderr) == (
        3,
        "jobprov: No jobprov answers at http://127.0.0.1:9: it refuses connections.\n",
    )


def _start_with_click(tmp_path: Path, click: str) -> "subprocess.CompletedProcess[str]":
    """Start the command line where the first module that it imports is this text."""
    (tmp_path / "click.py").write_text(click)
    environment = clean_environment()
    environment["PYTHONPATH"] = f"{tmp_path}:{environment.get('PYTHONPATH', '')}"
    return subprocess.run(
        [sys.executable, "-m", "jobprov"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_ctrl_c_while_modules_are_imported_prints_no_traceback(tmp_path: Path) -> None:
    ended = _start_with_click(tmp_path, "raise KeyboardInterrupt\n")

    assert ended.returncode == -signal.SIGINT
    assert ended.stderr == ""


def test_other_errors_while_modules_are_imported_are_printed(tmp_path: Path) -> None:
    ended = _start_with_click(tmp_path, "raise RuntimeError('broken')\n")

    assert "RuntimeError: broken" in ended.stderr


def test_import_of_the_command_line_leaves_the_excepthook_as_it_was() -> None:
    """Programs of others import it too, such as for the text of its help."""
    program = "import sys, jobprov.app.cli; assert sys.excepthook is sys.__excepthook__"

    ended = subprocess.run([sys.executable, "-c", program], env=clean_environment(), check=False)

    assert ended.returncode == 0
