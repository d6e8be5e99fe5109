"""The ways in which a batch job ends, and the ways in which the hook is let in.

What is submitted for each pair.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.library.grid.pool import Pool

DOCUMENT = "".join(
    (Path(__file__).resolve().parents[3] / "docs" / page).read_text(encoding="utf-8")
    for page in ("how-to/record-jobs.md", "reference/hook.md")
)

PAYLOAD = """#!/usr/bin/python3
import os, signal, sys, time
way, marks, name = sys.argv[1:4]
print("begins", name, flush=True)
with open(os.path.join(marks, name + ".part"), "w") as mark:
    mark.write(str(os.getpid()))
os.rename(os.path.join(marks, name + ".part"), os.path.join(marks, name))
def parent(process):
    with open("/proc/%d/stat" % process) as stat:
        return int(stat.read().rpartition(")")[2].split()[1])
def name_of(process):
    with open("/proc/%d/comm" % process) as comm:
        return comm.read().strip()
if way == "late":
    second = 0
    while not os.path.exists(os.path.join(marks, name + ".sent")):
        print("works on", second, flush=True)
        second += 1
        time.sleep(1)
    way = "killall"
if way == "code":
    sys.exit(65)
elif way == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
elif way == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
elif way == "killall":
    above = os.getpid()
    while name_of(parent(above)) != "condor_starter":
        above = parent(above)
    os.kill(above, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
elif way not in ("ok", "output"):
    time.sleep(600)
"""


@dataclass(frozen=True)
class Death:
    """One way of dying.

    Attributes:
        words: how the table of the document calls it.
        lines: what its submit file has more.
        waits: whether the job runs until somebody ends it.
    """

    words: str
    lines: dict[str, str] = field(default_factory=dict)
    waits: bool = False


ONCE = {"requirements": "(NumShadowStarts ?: 0) < 1"}
DEATHS = {
    "ok": Death("exit code 0"),
    "code": Death("exit code 65"),
    "crash": Death("crash (SIGSEGV)"),
    "kill": Death("`kill -9` of the program"),
    "killall": Death("`kill -9` of all processes of the job, as for memory"),
    "rm": Death("`condor_rm`", waits=True),
    "hold": Death("`condor_hold`", waits=True),
    "wall": Death(
        "wall limit by `periodic_remove`",
        {"periodic_remove": "(time() - JobCurrentStartExecutingDate) > 30"},
        waits=True,
    ),
    "allowed": Death(
        "wall limit by `allowed_job_duration`", {"allowed_job_duration": "30"}, waits=True
    ),
    "vacate": Death("`condor_vacate_job`, eviction", ONCE, waits=True),
    "starter": Death("`kill -9` of the starter", ONCE, waits=True),
    "node": Death(
        "node lost", {"requirements": "IsDoomed =?= True", "job_lease_duration": "20"}, waits=True
    ),
    "input": Death(
        "input file that cannot be brought", {"transfer_input_files": "/nonexistent/input.root"}
    ),
    "output": Death(
        "output file that cannot be brought home", {"transfer_output_files": "nothing.root"}
    ),
}
WAYS = {
    "wrapper": "around the program",
    "postcmd": "PostCmd",
    "startd": "exit hook",
    "none": "none",
}


def recipe(name: str, language: str = "condor") -> str:
    """Return a recipe of the document."""
    [found] = re.findall(rf"```{language} {name}\n(.*?)```", DOCUMENT, re.DOTALL)
    return str(found)


def submit(pool: Pool, url: str, death: str, way: str) -> str:
    """Submit one job as the document says; return its `cluster.0`."""
    written = recipe("submit-wrapper" if way in {"wrapper", "unsent", "tail"} else "submit-postcmd")
    name = f"{death}-{way}"
    arguments = f"{death} {pool.folder}/marks {name}"
    text = written.replace("https://jobprov.example.org", url).replace("runreco.sh", "runreco.py")
    lines = dict(re.findall(r"^(\S+)\s*= *(.*)$", text.replace("-n 100", arguments), re.MULTILINE))
    if way in {"startd", "none"}:
        del lines["transfer_input_files"], lines["MY.PostCmd"], lines["MY.PostArguments"]
    if way == "tail":
        lines["environment"] = lines["environment"].replace(
            '"JOBPROV', '"JOBPROV_TAIL_SECONDS=1 JOBPROV'
        )
    if way == "startd":
        lines["MY.HookKeyword"] = '"JOBPROV"'
    lines |= dict(re.findall(r"^(\S+)\s*= *(.*)$", recipe("submit-log"), re.MULTILINE))
    lines |= {"log": f"{name}.log", "output": f"{name}.out", "error": f"{name}.err"}
    lines |= {"request_memory": "32M", "request_disk": "10M", "should_transfer_files": "YES"}
    lines.setdefault("requirements", "IsDoomed =!= True")
    more = dict(DEATHS[death].lines) if death in DEATHS else {}
    if "requirements" in more and "IsDoomed" not in more["requirements"]:
        more["requirements"] += " && IsDoomed =!= True"
    if "transfer_input_files" in more and "transfer_input_files" in lines:
        more["transfer_input_files"] = (
            f"{lines['transfer_input_files']}, {more['transfer_input_files']}"
        )
    return pool.submit(name, lines | more)


def kill(pool: Pool, death: str, jobs: list[str]) -> None:
    """Let jobs that wait for it die in their way."""
    commands = {"rm": "condor_rm", "hold": "condor_hold", "vacate": "condor_vacate_job"}
    if death in commands:
        pool.run(commands[death], *jobs)
    elif death == "node":
        pool.lose_node()


def job_process(pool: Pool, name: str) -> int:
    """Return the process of a job that waits, waiting for it to begin."""
    mark = pool.folder / "marks" / name
    pool.wait_for(f"job {name} begins", mark.exists, 180)
    return int(mark.read_text())
