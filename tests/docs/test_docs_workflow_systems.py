"""The workflow systems of the how-to, run with what it says, unmodified, beside a service."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.library.environments import programs_of
from tests.library.hook import put_hook
from tests.library.servers.live_service import LiveService

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workflow_systems")]

DOCUMENT = (Path(__file__).parents[2] / "docs/how-to/use-workflow-systems.md").read_text()


def recipe(language: str, name: str) -> str:
    """Return a recipe of the document."""
    [found] = re.findall(rf"```{language} {re.escape(name)}\n(.*?)```", DOCUMENT, re.DOTALL)
    return str(found)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveService]:
    service = LiveService(tmp_path / "var")
    yield service
    service.stop()


def run(script: str, folder: Path, live: LiveService, programs: Path) -> None:
    """Run the commands of a recipe, but for those of jobprov."""
    lines = [line for line in script.splitlines() if not line.startswith("jobprov ")]
    path = f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin"
    environment = {**live.environment, "JOBPROV_URL": live.url, "PATH": path, "HOME": str(folder)}
    done = subprocess.run(
        ["sh", "-ec", "\n".join(lines)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_runs_rules_through_the_hook(live: LiveService, tmp_path: Path) -> None:
    put_hook(tmp_path / "job-end-hook.pyz")
    (tmp_path / "Snakefile").write_text(recipe("python", "Snakefile"))
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/a.dat").write_text("3\n1\n")
    (tmp_path / "raw/b.dat").write_text("9\n7\n")

    programs = programs_of("snakemake", ("snakemake==9.27.1",))
    run(recipe("sh", "run-snakemake"), tmp_path, live, programs)

    assert (tmp_path / "merged.dat").read_text() == "1\n3\n7\n9\n"
    jobs = requests.get(f"{live.url}/api/v1/jobs?stage=reco", timeout=30).json()["jobs"]
    assert {job["task"]["unit"] for job in jobs} == {"reco/a.reco.dat", "reco/b.reco.dat"}
    check_lineage(live)


def check_lineage(live: LiveService) -> None:
    """See to it that each file was made from its own, although jobs ran beside each other."""
    parents = {"merged.dat": {"a.reco.dat", "b.reco.dat"}}
    parents.update({f"{sample}.reco.dat": {f"{sample}.dat"} for sample in "ab"})
    for name, expected in parents.items():
        made = requests.get(f"{live.url}/api/v1/files/{name}", timeout=30).json()
        assert {parent["name"] for parent in made["parents"]} == expected
        assert len(made["versions"]) == 1


def put_samples(folder: Path) -> None:
    (folder / "a.dat").write_text("3\n1\n")
    (folder / "b.dat").write_text("9\n7\n")


def test_parsl_runs_apps_through_the_hook(live: LiveService, tmp_path: Path) -> None:
    put_hook(tmp_path / "job-end-hook.pyz")
    (tmp_path / "production.py").write_text(recipe("python", "production.py"))
    put_samples(tmp_path)

    run(recipe("sh", "run-parsl"), tmp_path, live, programs_of("parsl", ("parsl==2026.10.26",)))

    assert (tmp_path / "merged.dat").read_text() == "1\n3\n7\n9\n"
    jobs = requests.get(f"{live.url}/api/v1/jobs?stage=reco", timeout=30).json()["jobs"]
    assert {job["task"]["unit"] for job in jobs} == {"a.reco.dat", "b.reco.dat"}
    check_lineage(live)


def test_cwltool_runs_tools_through_the_hook(live: LiveService, tmp_path: Path) -> None:
    put_hook(tmp_path / "job-end-hook.pyz")
    for name in ("reco.cwl", "merge.cwl", "production.cwl"):
        (tmp_path / name).write_text(recipe("yaml", name))
    put_samples(tmp_path)

    programs = programs_of("cwltool", ("cwltool==3.3.20260925135507",))
    run(recipe("sh", "run-cwl"), tmp_path, live, programs)

    assert (tmp_path / "merged.dat").read_text() == "1\n3\n7\n9\n"
    jobs = requests.get(f"{live.url}/api/v1/jobs?stage=reco", timeout=30).json()["jobs"]
    assert {job["task"]["unit"] for job in jobs} == {"a.dat", "b.dat"}
    check_lineage(live)


def test_parallel_runs_commands_through_the_hook(live: LiveService, tmp_path: Path) -> None:
    if shutil.which("parallel") is None:
        pytest.skip("NO GNU PARALLEL HERE: its recipe is not tested")
    put_hook(tmp_path / "job-end-hook.pyz")
    put_samples(tmp_path)

    run(recipe("sh", "run-parallel"), tmp_path, live, tmp_path)

    assert (tmp_path / "merged.dat").read_text() == "1\n3\n7\n9\n"
    jobs = requests.get(f"{live.url}/api/v1/jobs?stage=reco", timeout=30).json()["jobs"]
    assert {job["task"]["unit"] for job in jobs} == {"a.dat", "b.dat"}
    check_lineage(live)


# As pilot3 3.11.5 set them in a job of HTCondor
PILOT = """
export PANDAID={number} PanDA_TaskID=424242 PILOT_SITENAME=TOY PILOT_USER=generic HOME=$PWD/home-{number}
export JOBPROV_EXPERIMENT=toy _CONDOR_JOB_AD=$PWD/pilot.ad
mkdir $HOME
"""


def test_payloads_of_one_pilot_of_panda_are_jobs_of_their_own(
    live: LiveService, tmp_path: Path
) -> None:
    put_hook(tmp_path / "job-end-hook.pyz")
    (tmp_path / "pilot.ad").write_text('GlobalJobId = "ce01#7.0#1700000000"\nOwner = "pilot"\n')
    put_samples(tmp_path)

    for number, name in ((6001, "a.dat"), (6002, "b.dat")):
        payload = recipe("sh", "panda-payload").replace("%IN", name)
        run(PILOT.format(number=number) + payload, tmp_path, live, tmp_path)

    jobs = requests.get(f"{live.url}/api/v1/jobs?task_id=424242", timeout=30).json()["jobs"]
    assert sorted(job["task"]["unit"] for job in jobs) == ["a.dat", "b.dat"]
    assert len({job["job_id"] for job in jobs}) == 2


def test_law_runs_tasks_through_the_hook(live: LiveService, tmp_path: Path) -> None:
    put_hook(tmp_path / "job-end-hook.pyz")
    (tmp_path / "tasks.py").write_text(recipe("python", "tasks.py"))
    put_samples(tmp_path)

    packages = ("law==0.1.21", "luigi==3.8.1")
    run(recipe("sh", "run-law"), tmp_path, live, programs_of("law", packages))

    assert (tmp_path / "merged.dat").read_text() == "1\n3\n7\n9\n"
    jobs = requests.get(f"{live.url}/api/v1/jobs?stage=Reco", timeout=30).json()["jobs"]
    assert {job["task"]["unit"] for job in jobs} == {"a.reco.dat", "b.reco.dat"}
    check_lineage(live)


def test_datalad_runs_a_command_through_the_hook(live: LiveService, tmp_path: Path) -> None:
    put_hook(tmp_path / "job-end-hook.pyz")
    (tmp_path / ".gitconfig").write_text("[user]\nname = me\nemail = me@example.org\n")

    packages = ("datalad==1.7.1", "git-annex==10.20261026")
    run(recipe("sh", "run-datalad"), tmp_path, live, programs_of("datalad", packages))

    assert (tmp_path / "analysis/sorted.dat").read_text() == "1\n2\n3\n"
    made = requests.get(f"{live.url}/api/v1/files/sorted.dat", timeout=30).json()
    assert [parent["name"] for parent in made["parents"]] == ["numbers.dat"]
    assert made["producer"]["task"]["stage"] == "sort"
    job = requests.get(f"{live.url}/api/v1/jobs/{made['producer']['job_id']}", timeout=30).json()
    assert [entry["name"] for entry in job["software"]] == ["analysis"]


def test_airflow_runs_tasks_through_the_hook_and_sends_its_own_events(
    live: LiveService, tmp_path: Path
) -> None:
    put_hook(tmp_path / "job-end-hook.pyz")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags/production.py").write_text(recipe("python", "dags/production.py"))
    (tmp_path / "raw.dat").write_text("3\n1\n")

    packages = ("apache-airflow==3.3.2", "apache-airflow-providers-openlineage==2.20.3")
    run(recipe("sh", "run-airflow"), tmp_path, live, programs_of("airflow", packages))

    assert (tmp_path / "count.dat").read_text().strip() == "2"
    history = requests.get(f"{live.url}/api/v1/files/count.dat/ancestors", timeout=30).json()
    assert {file["name"] for file in history["files"]} == {"sorted.dat", "raw.dat"}
    jobs = requests.get(f"{live.url}/api/v1/jobs?campaign=spring", timeout=30).json()["jobs"]
    stages = {(job["task"]["stage"], job["state"]) for job in jobs}
    by_hook = {("sort", "succeeded"), ("count", "succeeded")}
    by_airflow = {("production.sort", "succeeded"), ("production.count", "succeeded")}
    assert stages >= by_hook | by_airflow | {("production", "succeeded")}


DBT_PROJECT = {
    "dbt_project.yml": """
name: quality
version: "1.0"
profile: quality
models: {+materialized: table}
""",
    "profiles.yml": """
quality:
  target: here
  outputs: {here: {type: duckdb, path: quality.duckdb}}
""",
    "runs.csv": "run,is_good\n1,true\n2,false\n",
}


def test_dbt_sends_its_models_and_runs_through_the_hook(live: LiveService, tmp_path: Path) -> None:
    put_hook(tmp_path / "job-end-hook.pyz")
    (tmp_path / "models").mkdir()
    for name, content in DBT_PROJECT.items():
        (tmp_path / name).write_text(content)
    for name in ("models/runs.sql", "models/good_runs.sql"):
        (tmp_path / name).write_text(recipe("sql", name))
    settings = recipe("yaml", "openlineage.yml").replace("http://127.0.0.1:8095", live.url)
    (tmp_path / "openlineage.yml").write_text(settings)

    packages = ("dbt-core==1.10.23", "dbt-duckdb==1.11.1", "openlineage-dbt==1.54.0")
    run(recipe("sh", "run-dbt"), tmp_path, live, programs_of("dbt", packages))

    table = requests.get(f"{live.url}/api/v1/files/quality.main.good_runs", timeout=30).json()
    assert [parent["name"] for parent in table["parents"]] == ["quality.main.runs"]
    assert table["producer"]["task"]["campaign"] == "spring"
    database = requests.get(f"{live.url}/api/v1/files/quality.duckdb", timeout=30).json()
    assert [parent["name"] for parent in database["parents"]] == ["runs.csv"]
    assert database["producer"]["task"]["stage"] == "quality"


def test_command_of_the_nextflow_process_runs_in_a_shell(live: LiveService, tmp_path: Path) -> None:
    """Nextflow itself is not tried: its variables have values here."""
    put_hook(tmp_path / "job-end-hook.pyz")
    (tmp_path / "a.dat").write_text("3\n1\n")
    [script] = re.findall(r'"""\n(.*?)"""', recipe("groovy", "main.nf"), re.DOTALL)
    values = {
        "$projectDir": str(tmp_path),
        "${task.process}": "RECO",
        "${raw.baseName}": "a",
        "$raw": "a.dat",
        "\\\\": "\\",
    }
    for variable, value in values.items():
        script = script.replace(variable, value)
    lines = recipe("groovy", "nextflow.config").splitlines()[1:-1]
    exports = [f"export {line.strip().replace(' = ', '=')}" for line in lines if "_URL" not in line]

    run("\n".join([*exports, script]), tmp_path, live, tmp_path)

    made = requests.get(f"{live.url}/api/v1/files/a.reco.dat", timeout=30).json()
    assert [parent["name"] for parent in made["parents"]] == ["a.dat"]
    assert made["producer"]["task"] == {
        "task_id": "nextflow-1",
        "campaign": "spring",
        "stage": "RECO",
        "unit": "a.dat",
    }
