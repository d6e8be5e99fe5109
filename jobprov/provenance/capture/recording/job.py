"""One job on its way to a record: what is gathered before, while and after its commands run."""
# ruff: noqa: PLC0415 - what is not needed before the command is loaded while it runs, or after it

import os
import re
import sys
from typing import (
    TYPE_CHECKING,
    Callable,
    Collection,
    Dict,
    Iterable,
    List,
    Optional,
    Sequence,
    Tuple,
)

from jobprov.provenance.capture import VERSION
from jobprov.provenance.capture.checkouts.repositories import Repositories
from jobprov.provenance.capture.command import code
from jobprov.provenance.capture.command.glance import Glance
from jobprov.provenance.capture.command.step import Step
from jobprov.provenance.capture.files import entries
from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.files.input_kinds import name_kind
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record import limits
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import moment, without_empty
from jobprov.provenance.capture.record.json_objects import (
    ClassAd,
    Entry,
    JsonObject,
    Record,
)
from jobprov.provenance.capture.running import execution
from jobprov.provenance.capture.running.background import hash_seconds
from jobprov.provenance.capture.secrets.arguments import redact_arguments
from jobprov.provenance.capture.secrets.variables import withhold_values
from jobprov.provenance.capture.sending import spool as spools
from jobprov.provenance.capture.surroundings import batch, condor_ads

if TYPE_CHECKING:  # where the job is waiting, they are not loaded yet
    from jobprov.provenance.capture.recording.judging import Decision
    from jobprov.provenance.capture.recording.seen import Seen
    from jobprov.provenance.capture.running.watching import Watch
    from jobprov.provenance.capture.sight.sight import Sight

_MEGABYTE = 1024 * 1024


class Job:
    """Gathers one record.

    Attributes:
        draft: the record so far.
        options, environment: what was asked for and what is set.
        spool: the folder of the spool, or None.
        later: what is done while the command runs.
        watch: what was seen of the last command while it ran, or None.
        decision: what says that the last command failed although its exit code is 0, or None.
        is_hashing: whether a large file is being hashed just now.
    """

    def __init__(
        self,
        options: Options,
        environment: Dict[str, str],
        spool: Optional[str],
        draft: Optional[Draft] = None,
    ) -> None:
        self.options, self.environment, self.spool = options, environment, spool
        withhold_values(environment)
        self.draft = draft or Draft()
        for warning in options.warnings:
            self.draft.note(warning)
        self.job_ad, self.machine_ad = condor_ads.ads(environment, self.draft.note)
        self.repositories = Repositories(self.draft)
        self.is_hashing = False
        self.later: List[Callable[[], None]] = []
        self.watch: Optional[Watch] = None
        self.decision: Optional[Decision] = None

    def begin(self, glance: Glance) -> None:
        """Open the record: who it is and when it began, after the glance at its command."""
        options, record = self.options, self.draft.record
        described = self._describe_batch()
        experiment = batch.name_experiment(options, self.environment, self.job_ad)
        if experiment is None:
            self.draft.note(
                "no experiment was named: set --experiment, JOBPROV_EXPERIMENT or EXPERIMENT"
            )
        command = {
            "argv": redact_arguments(glance.argv),
            "working_directory": glance.working_directory,
            "stdin": name_kind(),
        }
        fields = {
            "schema_version": 1,
            "job_id": options.job_id or batch.name_job(described),
            "witness": "wrapper",
            "state": "running",
            "experiment": str(experiment or "unknown"),
            "started_at": moment(glance.began),
            "command": without_empty(command),
            "hook": describe_hook(),
            "rerun_of": options.rerun_of,
            "retry_of": options.retry_of,
            "batch": described or None,
        }
        record.update(without_empty(fields))
        task = batch.describe_task(options, self.environment, self.job_ad)
        if task:
            record["task"] = task
            limits.mend_task_id(self.draft)
        self.later.append(self._look_around)
        self.add_repositories()

    def add_repositories(self) -> None:
        """Take in the checkouts that the options name."""
        for folder in self.options.repository:
            self.draft.need("repository " + folder, self.repositories.add, folder)

    def _describe_batch(self) -> JsonObject:
        """Return the record's `batch`, with this record's number among those of the batch job."""
        described = batch.describe_batch(self.environment, self.job_ad)
        if described.get("global_job_id"):
            identity = "{}|{}".format(described["global_job_id"], described.get("attempt", 1))
            if self.options.values["part"] is not None:
                described["part"] = int(self.options.number("part", 0))
            else:
                described["part"] = spools.take_part(self.spool, identity)
            described.setdefault("attempt", 1)
        return described

    def take(self, glance: Glance, name: Optional[str] = None, role: Optional[str] = None) -> Step:
        """Take in a glance at what a command is about to use.

        Return the step that `after` takes.
        """
        step, draft = Step.of_command(glance, name, role), self.draft
        for note in glance.notes:
            draft.note(note)
        for what, error in glance.failures:
            draft.miss(what, error)
        if step.role == "payload":
            _weaken_by_words(draft, glance.argv)
        code.keep_scripts(draft, glance.scripts, self.repositories)
        code.keep_configurations(draft, step, glance.closures, self.repositories)
        sam_process_id = step.line.sam_process_id or ""
        if sam_process_id.isdigit():
            draft.record.setdefault("task", {})["sam_process_id"] = int(sam_process_id)
        if step.has_large_standard_input(draft):
            self.later.append(lambda: self._hash(step.hash_standard_input))
        step.inputs = entries.describe_inputs(step.name, glance.named)
        rest = entries.add_digests(draft, step.inputs, glance.hashed)
        if rest:
            self.later.append(
                lambda: self._hash(lambda clock: entries.hash_inputs(draft, rest, clock))
            )
        self.later.append(self.repositories.finish)
        if step.role == "payload":
            self.later.append(lambda: self._add_packages(glance.argv))
        return step

    def compare_surroundings(self) -> JsonObject:
        """Return what is other for a step than for those before it; products may have come."""
        from jobprov.provenance.capture.recording import between
        from jobprov.provenance.capture.surroundings import products

        draft = self.draft
        found = between.describe(draft, self.environment, self.options.keep_variable)
        if "variables" in found:
            listed = draft.attempt("products", products.list_products, draft, found["variables"])
            known = draft.record.get("software", ())
            draft.extend("software", [entry for entry in listed or () if entry not in known])
        return found

    def meanwhile(self) -> None:
        """Do what need not be done before the command runs."""
        while self.later:
            self.draft.need("what is around the job", self.later.pop(0))

    def after(
        self,
        step: Step,
        outcome: execution.Outcome,
        prefix: str = "",
        sight: "Optional[Sight]" = None,
    ) -> None:
        """Gather what a command left: logs, outputs, sidecars, and what was seen by itself."""
        from jobprov.provenance.capture.logs import findings
        from jobprov.provenance.capture.recording import changes, judging

        draft = self.draft
        clock = Clock(hash_seconds(self.options))
        draft.need("standard input", step.settle_standard_input, draft)
        command = draft.record.setdefault("command", {})
        command.setdefault("steps", []).append(step.describe(outcome))
        seen = self._look_back(step, outcome, sight, clock)
        steps = [step]
        if seen is not None:
            steps += [program.step for program in seen.programs]
        databases = self._keep_logs_of(steps, seen, outcome, prefix)
        changed = self._settle_inputs(step, seen, outcome, clock)
        draft.attempt("event counts", findings.add_events, draft, step, outcome)
        if seen is not None:
            for paths in databases.values():
                seen.leave_out(paths)
        missing = self._add_outputs(step, seen, outcome, clock)
        draft.need("what changed", changes.weaken, draft, step, changed)
        if not outcome.code:
            self._weaken_by_problems(steps)
        draft.attempt("seeds", findings.add_seeds, draft, step, outcome)
        self.decision = draft.attempt("judging", judging.judge, step, seen, outcome, missing)
        own_databases = [path for paths in databases.values() for path in paths]
        self._tell_failure(steps, own_databases, outcome, judging.logs_of_last(seen))
        for each in steps:
            findings.add_modules(draft, each, databases[each.name], outcome)

    def _look_back(
        self,
        step: Step,
        outcome: execution.Outcome,
        sight: "Optional[Sight]",
        clock: Clock,
    ) -> "Optional[Seen]":
        """Return what was seen of a command; None, which the record says, where nobody could look."""
        seen: "Optional[Seen]" = None
        if sight is not None:
            seen = self.draft.attempt(
                "what was seen", self._take_sight, step, outcome, sight, clock
            )
        if seen is None and not self.options.told_only:
            why = "the hook could not look by itself; its notes say why"
            unseen = {"count": 0, "is_complete": False, "why_incomplete": why}
            self.draft.record["command"].setdefault("processes", unseen)
        return seen

    def _keep_logs_of(
        self,
        steps: Sequence[Step],
        seen: "Optional[Seen]",
        outcome: execution.Outcome,
        prefix: str,
    ) -> Dict[str, List[str]]:
        """Keep the logs of a command, the first of the steps, and what art wrote of its configuration.

        Return the databases that each step's configuration names, by the step's name.
        """
        from jobprov.provenance.capture.logs import findings

        draft = self.draft
        places: Dict[str, str] = {}
        earlier: Dict[str, bytes] = {}
        if seen is not None:
            places, earlier = seen.outputs.logs, seen.outputs.earlier()
        log_files: List[str] = list(places)
        databases: Dict[str, List[str]] = {}
        for step in steps:
            draft.attempt("configuration as run", code.keep_final_configuration, draft, step)
            databases[step.name], named_logs = findings.named_in_configuration(draft, step)
            log_files += named_logs
        unkept = [path for path in dict.fromkeys(log_files) if path not in self.options.log]
        findings.add_logs(outcome, draft, unkept, places, earlier)
        for name, content, is_cut in outcome.logs:
            draft.add_log(prefix + name, steps[0].name, content, is_cut=is_cut)
        return databases

    def _settle_inputs(
        self, step: Step, seen: "Optional[Seen]", outcome: execution.Outcome, clock: Clock
    ) -> List[Entry]:
        """Add the inputs of a command to the record, and return those that changed meanwhile."""
        from jobprov.provenance.capture.logs import times
        from jobprov.provenance.capture.recording import changes

        draft = self.draft
        programs = [] if seen is None else seen.folders_and_inputs()
        name_running = None if seen is None else seen.name_running
        words = (draft, step, outcome, programs, clock, name_running)
        draft.attempt("times of inputs", times.add, *words)
        if self.watch is not None:
            others = [] if seen is None else seen.inputs
            looks = (step, others, self.watch.files, outcome.ended)
            draft.attempt("reports of inputs", times.add_seen, *looks)
        changed: List[Entry] = (
            draft.need("inputs that changed", changes.settle_inputs, draft, step) or []
        )
        if outcome.code:
            entries.mark_absent(step.inputs)
        entries.name_spaces(step.inputs, self.options.namespace_of)
        draft.extend("inputs", step.inputs)
        if seen is not None:
            fetched = draft.need("inputs that were fetched", seen.find_staged_in) or []
            entries.name_spaces(fetched, self.options.namespace_of)
            draft.extend("inputs", fetched)
        return changed

    def _weaken_by_problems(self, steps: Sequence[Step]) -> None:
        """Name the fcl files that steps lacked although their command succeeded."""
        for step in steps:
            for main, problem in step.problems:
                self.draft.weaken("fcl-missing", main, problem)

    def _tell_failure(
        self,
        steps: Sequence[Step],
        databases: Sequence[str],
        outcome: execution.Outcome,
        own_logs: Collection[str],
    ) -> None:
        """Keep what the logs tell of a failure, or of trouble.

        The first of the steps is the command.
        """
        from jobprov.provenance.capture.logs import findings

        draft, clues = self.draft, None
        is_failed = bool(outcome.code or self.decision)
        if is_failed:
            words = (draft, steps, databases, self.environment, own_logs)
            clues = draft.attempt("clues", findings.find_clues, *words)
        draft.attempt(
            "what the logs tell of failures",
            lambda: findings.add_failure(draft, steps[0], outcome, clues, is_failed=is_failed),
        )

    def _take_sight(
        self, step: Step, outcome: execution.Outcome, sight: "Sight", clock: Clock
    ) -> "Seen":
        """Take in what was seen of a command: programs, their code and configurations, inputs."""
        from jobprov.provenance.capture.recording.seen import Seen

        sight.settle(clock.left(), is_hurried=outcome.was_told)
        seen = Seen(self.draft, step, sight, self.watch)
        seen.add_programs(self.repositories, outcome.wall_seconds)
        seen.add_inputs()
        entries.name_spaces(seen.inputs, self.options.namespace_of)
        return seen

    def _add_outputs(
        self, step: Step, seen: "Optional[Seen]", outcome: execution.Outcome, clock: Clock
    ) -> List[Entry]:
        """Describe the outputs of a command: those that were named, and those that were seen.

        Return those that were named and are not there.
        """
        from jobprov.provenance.capture.files.names import from_here
        from jobprov.provenance.capture.recording import judging
        from jobprov.provenance.capture.recording.output_entries import Named
        from jobprov.provenance.capture.recording.outputs import Outputs

        named = [Named(path, step.name, "told") for path in self.options.paths("output")]
        for pattern in step.line.outputs + step.found_outputs():
            named.append(Named(pattern, step.name, "argument"))
        inputs = list(step.inputs)
        if seen is not None:
            inputs += seen.inputs
            for program in seen.programs:
                for path in program.program.outputs():
                    named.append(Named(from_here(path), program.step.name, "argument"))
        outputs = Outputs(self.draft, self.options)
        return outputs.add(
            named,
            inputs,
            clock,
            step=step.name,
            seen=seen,
            failed=judging.failed_programs(seen, outcome),
            is_success=outcome.code == 0,
        )

    def add_inputs(self, named: Iterable[Tuple[str, str]]) -> None:
        """Record inputs of the whole job, of no particular step."""
        inputs = entries.describe_inputs(None, named)
        entries.name_spaces(inputs, self.options.namespace_of)
        entries.hash_inputs(self.draft, inputs, Clock(hash_seconds(self.options)))
        self.draft.extend("inputs", [without_empty(entry) for entry in inputs])

    def _look_around(self) -> None:
        from jobprov.provenance.capture.surroundings import container, host, products

        draft, record = self.draft, self.draft.record
        words = record["command"].get("argv", ())
        environment = host.describe_environment(draft, self.environment, self.options.keep_variable)
        image = draft.attempt(
            "container", container.describe_container, self.environment, self.job_ad, words
        )
        environment.update(without_empty({"container": image}))
        record["environment"] = dict(record.get("environment", {}), **environment)
        record["host"] = host.describe_host(draft, self.environment, self.machine_ad)
        listed = draft.attempt("products", products.list_products, draft, self.environment, words)
        draft.extend("software", listed)

    def _add_packages(self, argv: Sequence[str]) -> None:
        from jobprov.provenance.capture.recording import installed

        installed.add_packages(self.draft, argv, self.environment)

    def take_watch(self, watch: "Watch") -> None:
        """Add what was seen of a command while it ran.

        Memory of its processes together, and mapped libraries.
        """
        self.watch = watch
        resources = self.draft.record.setdefault("resources", {})
        if watch.peak_rss_bytes:
            resources["max_rss_bytes"] = max(
                watch.peak_rss_bytes, resources.get("max_rss_bytes") or 0
            )
        if watch.libraries:
            self.draft.add_listing("libraries_sha256", watch.list_libraries(), "mapped libraries")

    def _hash(self, function: Callable[[Clock], None]) -> None:
        """Hash something large, and show meanwhile that it is worth waiting for."""
        self.is_hashing = True
        try:
            function(Clock(hash_seconds(self.options)))
        finally:
            self.is_hashing = False


def _weaken_by_words(draft: Draft, argv: Sequence[str]) -> None:
    """Name in the record what a command line lacks or leaves to chance."""
    redacted = redact_arguments(argv)
    if redacted != list(argv):
        rules = set(re.findall("<redacted:([^<>]+)>", " ".join(redacted)))
        draft.weaken("secret-removed", "the command line", ", ".join(sorted(rules)))
    code.weaken_by_text(draft, "the command line", os.fsencode("\n".join(argv)))


def describe_hook() -> Dict[str, str]:
    """Return the record's `hook`."""
    return {"version": VERSION, "python": "{}.{}.{}".format(*sys.version_info[:3])}


def add_usage(record: Record, outcome: execution.Outcome, ad: ClassAd) -> None:
    """Add what a command used, after os.wait4, to `resources`.

    Never the ad's figures, which may be zeros.
    """
    totals = record.setdefault("resources", {"wall_seconds": 0.0})
    totals["wall_seconds"] = round(totals["wall_seconds"] + outcome.wall_seconds, 6)
    usage = outcome.usage
    if usage is not None:
        totals["cpu_user_seconds"] = round(totals.get("cpu_user_seconds", 0.0) + usage.ru_utime, 6)
        totals["cpu_system_seconds"] = round(
            totals.get("cpu_system_seconds", 0.0) + usage.ru_stime, 6
        )
        unit_bytes = 1 if sys.platform == "darwin" else 1024
        totals["max_rss_bytes"] = max(totals.get("max_rss_bytes", 0), usage.ru_maxrss * unit_bytes)
    if isinstance(ad.get("RequestMemory"), int):
        totals["requested_memory_bytes"] = ad["RequestMemory"] * _MEGABYTE
