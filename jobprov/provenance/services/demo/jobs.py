"""The jobs of the demo production: which stage runs what on which unit, in which surroundings.

There are four stages: event generation (no inputs), reconstruction (two steps; two streams), a
merge of ten files a stream, and a histogram. One unit of the generation asks for collisions heavier
than the beams allow and is stopped by its limit of CPU time; one of the reconstruction is started
with a misspelt parameter, and again with the right one.
"""

import os
import shutil
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobprov.provenance.launchers.job import BatchJob
from jobprov.provenance.services.demo.release import NAME as EXPERIMENT
from jobprov.provenance.services.demo.release import Release

CAMPAIGN = "demo-2026"
STREAMS = ("dimuon", "sideband")
UNITS = 10
EVENTS = 400

_HOPELESS_CPU_SECONDS = 3
_WALL_LIMIT_SECONDS = 600  # a hundred times what a job takes; nothing here may hang for ever


@dataclass(frozen=True)
class PlannedJob:
    """One job to start.

    Attributes:
        job: for the launcher.
        job_id: of its record.
        unit: what it is about within its task; a second try has the same.
        outputs: names of the files that are kept.
        correction: what an operator would start instead, should it fail.
        is_doomed: whether it cannot succeed, and nothing waits for it.
    """

    job: BatchJob
    job_id: str
    unit: str
    outputs: tuple[str, ...]
    correction: "PlannedJob | None" = None
    is_doomed: bool = False


@dataclass(frozen=True)
class Stage:
    """One task of one stage.

    Attributes:
        name: of the stage.
        task_id: what was submitted.
        jobs: one a unit.
        after: task ids that this one waited for.
    """

    name: str
    task_id: str
    jobs: tuple[PlannedJob, ...]
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Production:
    """Plans the stages of one run of the demo.

    Attributes:
        number: counts the runs, from 1; part of task ids and file names, so that each run makes
            files of its own.
        release: the code.
        storage: where finished files lie.
        hook: the built hook file.
        settings: the hook's settings, as environment variables.
        events: events a generation job.
        units: files that a merge joins.
    """

    number: int
    release: Release
    storage: Path
    hook: Path
    settings: Mapping[str, str]
    events: int = EVENTS
    units: int = UNITS

    def generation(self) -> Stage:
        """Return the first stage: a job a run number, without inputs.

        There is one more job, which the merge does not wait for.
        """
        jobs = [self._generation(unit) for unit in range(self.units)]
        return Stage("gen", self.task_id("gen"), (*jobs, self._hopeless_generation()))

    def reconstruction(self) -> Stage:
        """Return the second stage: a job a generated file."""
        jobs = tuple(self._reconstruction(unit) for unit in range(self.units))
        return Stage("reco", self.task_id("reco"), jobs, after=(self.task_id("gen"),))

    def merge(self) -> Stage:
        """Return the third stage: a job a stream, ten files into one."""
        jobs = tuple(self._merge(index, stream) for index, stream in enumerate(STREAMS))
        return Stage("merge", self.task_id("merge"), jobs, after=(self.task_id("reco"),))

    def histograms(self) -> Stage:
        """Return the last stage: a job a merged file."""
        jobs = tuple(self._histogram(index, stream) for index, stream in enumerate(STREAMS))
        return Stage("histogram", self.task_id("histogram"), jobs, after=(self.task_id("merge"),))

    def task_id(self, stage: str) -> str:
        """Return the task id of a stage."""
        return f"{EXPERIMENT}-demo-{stage}-{self.number:04d}"

    def merged_name(self, stream: str) -> str:
        """Return the name of a stream's merged file."""
        return f"{self._stem('merge')}_{stream}.root"

    def _stem(self, stage: str, unit: int | None = None) -> str:
        stem = f"{EXPERIMENT}_{CAMPAIGN}_{self.number:04d}_{stage}"
        return stem if unit is None else f"{stem}_{unit:04d}"

    def _generation(self, unit: int, extra: str = "") -> PlannedJob:
        output = f"{self._stem('gen', unit)}.root"
        seed = 2026000 + 100 * self.number + unit
        toy = ("-c", f"gen_{unit:04d}.fcl", "-n", str(self.events), "-o", output)
        fcl = (
            f'#include "gen.fcl"\n'
            f"# {CAMPAIGN}, run {1000 + unit}\n"
            f"source.firstRun: {1000 + unit}\n"
            f"physics.producers.generator.seed: {seed}\n{extra}"
        )
        return self._planned(
            stage="gen",
            index=unit,
            unit=f"{unit:04d}",
            argv=self._run_toy(*toy, hook_options=("--seed", f"generator={seed}")),
            contents={toy[1]: fcl},
            outputs=(output,),
        )

    def _hopeless_generation(self) -> PlannedJob:
        """Return a job that fails at a limit of its fcl.

        The limit is not the batch system's, so that a rerun of this job ends as it ended.
        """
        extra = (
            "# the high-mass sample, TeV taken for GeV\n"
            "physics.producers.generator.requireMassAbove: 14000.\n"
            f"services.limits.cpuSeconds: {_HOPELESS_CPU_SECONDS}\n"
        )
        return replace(self._generation(self.units, extra), is_doomed=True)

    def _reconstruction(self, unit: int) -> PlannedJob:
        seed = f"physics.producers.smear.seed: {4052000 + 100 * self.number + unit}\n"
        is_in_the_middle = unit == (self.units - 1) // 2
        if not is_in_the_middle:
            return self._smear_and_select(unit, seed)
        # One job fails by a misspelt parameter, and is tried again with the right one
        why = f"# run {1000 + unit}: one layer of the tracker was off\n"
        right = f"{seed}{why}physics.producers.smear.efficiency: 0.90\n"
        misspelt = f"{seed}{why}physics.producers.smear.eficiency: 0.90\n"
        correction = self._smear_and_select(unit, right, attempt=2)
        return self._smear_and_select(unit, misspelt, correction=correction)

    def _smear_and_select(
        self, unit: int, overrides: str, attempt: int = 1, correction: PlannedJob | None = None
    ) -> PlannedJob:
        source = f"{self._stem('gen', unit)}.root"
        stem = self._stem("reco", unit)
        fcl = f"smear_{unit:04d}.fcl"
        script = str(self.release.checkout / "bin" / "run_reco.sh")
        return self._planned(
            stage="reco",
            index=unit,
            unit=source,
            attempt=attempt,
            argv=(script, fcl, "select.fcl", source, stem),
            contents={fcl: f'#include "smear.fcl"\n{overrides}'},
            inputs=(source,),
            outputs=tuple(f"{stem}_{stream}.root" for stream in STREAMS),
            correction=correction,
        )

    def _merge(self, index: int, stream: str) -> PlannedJob:
        inputs = tuple(f"{self._stem('reco', unit)}_{stream}.root" for unit in range(self.units))
        sources: list[str] = []
        for name in inputs:
            sources += ["-s", name]
        output = self.merged_name(stream)
        argv = self._run_toy("-c", "merge.fcl", *sources, "-o", output)
        return self._planned(
            stage="merge", index=index, unit=stream, argv=argv, inputs=inputs, outputs=(output,)
        )

    def _histogram(self, index: int, stream: str) -> PlannedJob:
        source, stem = self.merged_name(stream), f"{self._stem('histogram')}_{stream}_mass"
        options = ["--metadata", "data_tier=histogram", "--metadata", "file_type=mc"]
        options += ["--output", f"{stem}.json", "--output", f"{stem}.svg"]
        toy = ("-c", "histogram.fcl", "-s", source, "-T", f"{stem}.json")
        return self._planned(
            stage="histogram",
            index=index,
            unit=source,
            argv=self._run_toy(*toy, hook_options=options),
            inputs=(source,),
            outputs=(f"{stem}.json", f"{stem}.svg"),
        )

    def _run_toy(self, *arguments: str, hook_options: Sequence[str] = ()) -> tuple[str, ...]:
        toy = str(self.release.checkout / "bin" / "toy")
        return ("python3", str(self.hook), "run", *hook_options, "--", toy, *arguments)

    def _planned(
        self,
        *,
        stage: str,
        index: int,
        unit: str,
        argv: tuple[str, ...],
        outputs: tuple[str, ...],
        inputs: Sequence[str] = (),
        contents: Mapping[str, str] | None = None,
        attempt: int = 1,
        correction: PlannedJob | None = None,
    ) -> PlannedJob:
        job_id = str(uuid.uuid4())
        name = f"{stage}-{index:04d}"
        if attempt > 1:
            name += f"-try{attempt}"
        job = BatchJob(
            name=name,
            argv=argv,
            environment={
                **self._environment(stage, index),
                "JOBPROV_JOB_ID": job_id,
                "JOBPROV_UNIT": unit,
            },
            inputs=tuple(self.storage / name for name in inputs),
            contents=contents or {},
            wall_limit_seconds=_WALL_LIMIT_SECONDS,
        )
        return PlannedJob(job, job_id, unit, outputs, correction)

    def _environment(self, stage: str, index: int) -> dict[str, str]:
        """Return a worker node's variables: the experiment's set-up, and the submission's."""
        return {
            "PATH": _search_path(),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "EXPERIMENT": EXPERIMENT,
            "TOYEXP_DIR": str(self.release.checkout),
            "TOYEXP_VERSION": self.release.version,
            "FHICL_FILE_PATH": str(self.release.checkout / "fcl"),
            "POMS_TASK_ID": self.task_id(stage),
            "POMS4_CAMPAIGN_NAME": CAMPAIGN,
            "POMS4_CAMPAIGN_STAGE_NAME": stage,
            "PROCESS": str(index),
            "GRID_USER": f"{EXPERIMENT}pro",
            "GLIDEIN_Site": "Local",
            "JOBPROV_HOOK": str(self.hook),
            **self.settings,
        }


def _search_path() -> str:
    """Return the folders of this Python, of git and of the system's programs."""
    folders = [str(Path(sys.executable).parent)]
    git = shutil.which("git")
    if git is not None:
        folders.append(str(Path(git).parent))
    folders += ["/usr/local/bin", "/usr/bin", "/bin"]
    return os.pathsep.join(dict.fromkeys(folders))
