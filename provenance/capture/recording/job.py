"""One job on its way to a record: what is gathered before, while and after its commands run."""
# ruff: noqa: PLC0415 - what is not needed before the command is loaded while it runs, or after it

import os
import re
import sys
from typing import TYPE_CHECKING, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

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
from jobprov.provenance.capture.record.fields import moment, now, without_empty
from jobprov.provenance.capture.record.json_objects import (
    ClassAd,
    Entry,
    Finding,
    JsonObject,
    Record,
)
from jobprov.provenance.capture.running import execution, streams
from jobprov.provenance.capture.running.background import budget, hash_seconds
from jobprov.provenance.capture.secrets.arguments import redact_arguments
from jobprov.provenance.capture.secrets.values import redact_strings
from jobprov.provenance.capture.sending import spool as spools
from jobprov.provenance.capture.surroundings import batch, condor_ads

if TYPE_CHECKING:  # where the job is waiting, they are not loaded yet
    from jobprov.provenance.capture.files.sidecar import MadeFrom
    from jobprov.provenance.capture.recording.judging import Decision
    from jobprov.provenance.capture.recording.outputs import Named
    from jobprov.provenance.capture.recording.seen import Seen
    from jobprov.provenance.capture.running.watching import Watch
    from jobprov.provenance.capture.sight.sight import Sight
    from jobprov.provenance.capture.surroundings.system_packages import Look

_MEGABYTE = 1024 * 1024


class FailedStep:
    """The step that made a job fail, and why.

    Attributes:
        name, role: of the step; None where no step is to blame.
        code, signal: how it ended.
        error_class, message: why, where anything shows it.
        decided_by: the record's `exit.decided_by`; None where exit code or signal tell the failure.
    """

    def __init__(  # noqa: PLR0917 - as a session keeps it
        self,
        name: Optional[str],
        role: Optional[str],
        code: int,
        signal: Optional[int],
        error_class: Optional[str],
        message: Optional[str],
    ) -> None:
        self.name, self.role, self.code, self.signal = name, role, code, signal
        self.error_class, self.message = error_class, message
        self.decided_by: Optional[Dict[str, str]] = None


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
            self.later.append(lambda: self._list_packages(glance.argv))
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
        changed = self._settle_inputs(step, outcome, clock)
        draft.attempt("event counts", findings.add_events, draft, step, outcome)
        if seen is not None:
            for paths in databases.values():
                seen.leave_out(paths)
        missing = self._add_outputs_of(step, seen, clock, is_success=outcome.code == 0)
        draft.need("what changed", changes.weaken, draft, step, changed)
        if not outcome.code:
            self._weaken_by_problems(steps)
        draft.attempt("seeds", findings.add_seeds, draft, step, outcome)
        self.decision = draft.attempt("judging", judging.judge, step, seen, outcome, missing)
        own_databases = [path for paths in databases.values() for path in paths]
        self._tell_failure(steps, own_databases, outcome)
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
        log_files: List[str] = []
        if seen is not None:
            log_files += seen.outputs.logs
        databases: Dict[str, List[str]] = {}
        for step in steps:
            draft.attempt("configuration as run", code.keep_final_configuration, draft, step)
            databases[step.name], named_logs = findings.named_in_configuration(draft, step)
            log_files += named_logs
        unkept = [path for path in dict.fromkeys(log_files) if path not in self.options.log]
        findings.add_logs(outcome, draft, unkept)
        for name, content, is_cut in outcome.logs:
            self._keep_log(prefix + name, steps[0].name, content, is_cut=is_cut)
        return databases

    def _settle_inputs(self, step: Step, outcome: execution.Outcome, clock: Clock) -> List[Entry]:
        """Add the inputs of a command to the record, and return those that changed meanwhile."""
        from jobprov.provenance.capture.logs import times
        from jobprov.provenance.capture.recording import changes

        draft = self.draft
        opened = None
        if self.watch is not None:
            opened = self.watch.files
        draft.attempt("times of inputs", times.add, draft, step, outcome, opened, clock)
        changed: List[Entry] = (
            draft.need("inputs that changed", changes.settle_inputs, draft, step) or []
        )
        if outcome.code:
            entries.mark_absent(step.inputs)
        self._name_spaces(step.inputs)
        draft.extend("inputs", step.inputs)
        return changed

    def _weaken_by_problems(self, steps: Sequence[Step]) -> None:
        """Name the fcl files that steps lacked although their command succeeded."""
        for step in steps:
            for main, problem in step.problems:
                self.draft.weaken("fcl-missing", main, problem)

    def _tell_failure(
        self, steps: Sequence[Step], databases: Sequence[str], outcome: execution.Outcome
    ) -> None:
        """Keep what the logs tell of a failure, or of trouble.

        The first of the steps is the command.
        """
        from jobprov.provenance.capture.logs import findings

        draft, clues = self.draft, None
        is_failed = bool(outcome.code or self.decision)
        if is_failed:
            words = (draft, steps, databases, self.environment)
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
        self._name_spaces(seen.inputs)
        return seen

    def _add_outputs_of(
        self, step: Step, seen: "Optional[Seen]", clock: Clock, *, is_success: bool
    ) -> List[Entry]:
        """Describe the outputs of a command: those that were named, and those that were seen.

        Return those that were named and are not there.
        """
        from jobprov.provenance.capture.files.names import from_here
        from jobprov.provenance.capture.recording.outputs import Named

        named = [Named(path, step.name, "told") for path in self.options.paths("output")]
        for pattern in step.line.outputs + step.found_outputs():
            named.append(Named(pattern, step.name, "argument"))
        inputs = list(step.inputs)
        if seen is not None:
            inputs += seen.inputs
            for program in seen.programs:
                for path in program.program.outputs():
                    named.append(Named(from_here(path), program.step.name, "argument"))
        return self.add_outputs(
            named, inputs, clock, step=step.name, seen=seen, is_success=is_success
        )

    def add_outputs(
        self,
        named: "Sequence[Named]",
        inputs: Iterable[Entry],
        clock: Clock,
        *,
        step: Optional[str] = None,
        seen: "Optional[Seen]" = None,
        is_success: bool,
    ) -> List[Entry]:
        """Describe outputs, and write the sidecars of named ones where their step succeeded.

        Return entries of those that were named and are not there.
        """
        from jobprov.provenance.capture.files import sidecar
        from jobprov.provenance.capture.recording import outputs

        draft, options = self.draft, self.options
        recorded = {os.path.abspath(entry["path"]): entry for entry in self._outputs()}
        seen_outputs = None if seen is None else seen.outputs
        found, missing = outputs.describe_named(draft, named, clock, seen_outputs)
        found = [entry for entry in found if self._takes_over(entry, recorded)]
        sidecars = [entry for entry in found if os.path.isfile(entry["path"])]
        if seen is not None:
            outputs.take_moves(recorded, seen.outputs)
            known = {os.path.abspath(entry["path"]) for entry in [*self._outputs(), *found]}
            found += seen.describe_made(known, clock)
            found = outputs.join_copies(found, seen.outputs, clock)
        draft.extend("outputs_not_there", [without_empty(entry) for entry in missing])
        metadata = entries.pairs(draft, options.metadata, options.metadata_type)
        self._take_settings(metadata, step)
        declared = options.declared_parents()
        made_from = sidecar.MadeFrom(draft.record, inputs, found, declared)
        late = Clock(max(clock.left(), budget(options) / 2))
        for entry in found:
            entries.apply_metadata(entry, metadata)
            content = self._read_sidecar(entry) if entry in sidecars else None
            self._name_spaces([entry])
            if declared:
                entry["parents"] = _names_of_others(declared, entry)
            if content is not None and is_success and not options.no_sidecar:
                what = "sidecar of " + entry["path"]
                draft.attempt(what, self._write_sidecar, entry, content, made_from, late)
            self._outputs().append(without_empty(entry))
        if not self._outputs():
            del draft.record["outputs"]
        return missing

    def _outputs(self) -> List[Entry]:
        outputs: List[Entry] = self.draft.record.setdefault("outputs", [])
        return outputs

    def _takes_over(self, entry: Entry, recorded: Dict[str, Entry]) -> bool:
        """Tell whether a named output is to be recorded: what was only seen gives way to it.

        A step beside this one may have seen it come.
        """
        earlier = recorded.get(os.path.abspath(entry["path"]))
        if earlier is not None and earlier.get("evidence") != "seen":
            return False
        if earlier is not None:
            self._outputs().remove(earlier)
            if "location" in earlier:  # who tells of the file may not know where it was copied
                entry.update(name=earlier["name"], location=earlier["location"])
        return True

    def add_late_outputs(self, clock: Clock) -> bool:
        """At the end, describe outputs that were not there after their step and are there now.

        Tell whether there are any.
        """
        from jobprov.provenance.capture.recording.outputs import Named

        late: List[Named] = []
        missing: List[Named] = []
        for entry in self.draft.record.pop("outputs_not_there", ()):
            named = Named(entry["path"], entry.get("step"), entry["evidence"])
            (late if entries.expand([named.pattern])[0][1] else missing).append(named)
        self.add_outputs(late, self.draft.record.get("inputs", ()), clock, is_success=True)
        self.add_outputs(missing, (), clock, is_success=True)
        return bool(late)

    def _name_spaces(self, files: Iterable[Entry]) -> None:
        """Give files their namespaces, as options name them; what is there already stays."""
        for entry in files:
            namespace = self.options.namespace_of(entry["name"])
            if namespace:
                entry.setdefault("namespace", namespace)

    def _read_sidecar(self, entry: Entry) -> Optional[Entry]:
        """Return what the job wrote into the sidecar of an output, which completes the output.

        None where there is one that cannot be read: it is not ours to replace.
        """
        from jobprov.provenance.capture.files import sidecar

        what = "sidecar of " + entry["path"]
        content: Optional[JsonObject] = self.draft.attempt(what, sidecar.read, entry["path"])
        if content is not None:
            sidecar.complete_output(entry, content)
        return content

    def _write_sidecar(
        self,
        entry: Entry,
        content: JsonObject,
        made_from: "MadeFrom",
        clock: Clock,
    ) -> None:
        """Write the sidecar of an output; `content` is what the job wrote there itself."""
        from jobprov.provenance.capture.files import sidecar

        record, options = self.draft.record, self.options
        parents = made_from.parents(entry)
        marks = {
            "prov.job_id": record["job_id"],
            "prov.task_id": record.get("task", {}).get("task_id"),
            "prov.output": entry["name"],
        }
        marks = without_empty(marks)
        if options.sidecar == "sam" and not content:
            sidecar.write_for_sam(entry, marks, parents, clock)
            return
        for problem in sidecar.write(entry, content, marks, parents, clock):
            self.draft.note(problem)

    def finish(self, outcome: execution.Outcome, state: str) -> None:
        """Complete the record of a job that is one command."""
        command = self.draft.record["command"]
        steps = command.get("steps", ())
        # Every service looks for it at the command
        if len(steps) == 1 and "stdin_sha256" in steps[0]:
            command["stdin_sha256"] = steps[0].pop("stdin_sha256")
        failed = None
        if self.decision is not None:
            state = "failed"
            failed = self.blame(outcome)
        elif state != "succeeded":
            from jobprov.provenance.capture.logs import failure

            names = [step["name"] for step in steps if step.get("exit_code")]
            name = names[0] if names else None
            failed = FailedStep(name, None, outcome.code, outcome.signal, *failure.explain(outcome))
        self._close(outcome, state, failed)

    def blame(self, outcome: execution.Outcome) -> Optional[FailedStep]:
        """Return the step that failed although the exit code of its command is 0, or None."""
        if self.decision is None:
            return None
        from jobprov.provenance.capture.logs import failure

        error_class, message = failure.explain(outcome)
        if self.decision.evidence == "output-not-there":
            error_class = error_class or "output not there"
        step = self.decision.step
        failed = FailedStep(step, "payload", 0, None, error_class, message or self.decision.text)
        failed.decided_by = {"evidence": self.decision.evidence, "text": self.decision.text}
        return failed

    def close(
        self, outcome: execution.Outcome, failed: Optional[FailedStep], *, was_told: bool
    ) -> None:
        """Complete the record of a job of several steps.

        `failed` is the first that failed, as `step` kept it.
        """
        from jobprov.provenance.capture.running import ending

        state = "succeeded"
        if failed and failed.decided_by:
            state = "failed"
        elif outcome.code or (failed and failed.role == "payload"):
            last = execution.Outcome()
            last.code, last.signal = outcome.code, None
            if failed:
                last.code, last.signal = failed.code, failed.signal
            state = ending.name_state(last, was_told=was_told)
            outcome.signal = last.signal
        self._close(outcome, state, failed)

    def _close(self, outcome: execution.Outcome, state: str, failed: Optional[FailedStep]) -> None:
        record, options = self.draft.record, self.options
        for path in options.log:
            log = self.draft.attempt("log " + path, streams.read_log, path)
            if log:
                content, is_cut = log
                self._keep_log(os.path.basename(path), None, content, is_cut=is_cut)
        self.draft.attempt("withheld variables", self._note_withheld)
        record["state"], record["ended_at"] = state, moment(outcome.ended)
        record["exit"] = self._describe_exit(outcome, state, failed)
        unit = batch.name_unit(options, self.environment, self.job_ad, record.get("inputs", ()))
        if unit is not None and record.get("task", {}).get("task_id"):
            record["task"]["unit"] = unit
        record["sent_at"] = now()
        self.draft.record = redact_strings(record)

    def _note_withheld(self) -> None:
        """Name the withheld variables that what ran names."""
        environment = self.draft.record.get("environment", {})
        found = code.named_in_code(self.draft, environment.get("withheld") or ())
        if found:
            environment["withheld_read"] = found

    def _describe_exit(
        self, outcome: execution.Outcome, state: str, failed: Optional[FailedStep]
    ) -> Entry:
        """Return the record's `exit`: with why it failed, or what went wrong though it did not."""
        fields: JsonObject = {"code": outcome.code, "signal": outcome.signal}
        if failed:
            fields.update(
                failed_step=failed.name,
                error_class=failed.error_class,
                message=failed.message,
                decided_by=failed.decided_by,
            )
        elif state == "succeeded":
            warnings: List[Finding] = []
            for of_step in self.draft.record.get("extra", {}).get("warnings", {}).values():
                warnings += of_step
            if warnings:
                from jobprov.provenance.capture.logs import failure

                fields["message"] = failure.say_suppressed(warnings)
        return without_empty(fields)

    def add_inputs(self, named: Iterable[Tuple[str, str]]) -> None:
        """Record inputs of the whole job, of no particular step."""
        inputs = entries.describe_inputs(None, named)
        self._name_spaces(inputs)
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

    def _list_packages(self, argv: Sequence[str]) -> None:
        """Add what the command's Python has installed to the listing; steps share one."""
        from jobprov.provenance.capture.surroundings import distributions

        lines = self.draft.attempt(
            "installed packages", distributions.list_packages, argv, self.environment
        )
        if lines:
            self.draft.add_listing("packages_sha256", lines, "installed packages")

    def list_packages_of_children(self) -> None:
        """Add what the Pythons have installed that the command's scripts started."""
        from jobprov.provenance.capture.surroundings import distributions

        draft, environment = self.draft, self.draft.record.setdefault("environment", {})
        children = self.watch.children if self.watch is not None else None
        lines = distributions.list_packages_of_children(
            children.seen if children is not None else (),
            draft.read(environment.get("touched_sha256")),
            os.fsdecode(draft.read(environment.get("packages_sha256"))).splitlines(),
            self.environment,
        )
        if lines:
            draft.add_listing("packages_sha256", lines, "installed packages")

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

    def take_look(self, look: "Optional[Look]", *, is_hurried: bool = False) -> None:
        """Add what a look at the system found.

        Where there was no time for it, the packages at least.

        They are listed once a record.
        """
        from jobprov.provenance.capture.surroundings import system_packages

        environment = self.draft.record.setdefault("environment", {})
        if "system_packages_sha256" not in environment:
            lines = look.packages if look is not None else []
            if not lines and not is_hurried:
                lines = system_packages.list_late()
            if lines:
                what = "packages of the operating system"
                self.draft.add_listing("system_packages_sha256", lines, what)
        if look is not None and look.image_digest is not None:
            environment["container"]["digest"] = look.image_digest

    def add_compilers(self, argv: Sequence[str]) -> None:
        """Add the compilers that a command used to the listing of packages."""
        from jobprov.provenance.capture.surroundings import compilers

        record, blobs = self.draft.record, self.draft.blobs
        digests = [script.get("sha256") for script in record.get("scripts", ())]
        digests.append(record["command"].get("processes", {}).get("sha256"))
        digests.append(record.get("environment", {}).get("touched_sha256"))
        texts = [blobs.get(digest, b"") for digest in digests]
        *scripts, processes, touched = [text if isinstance(text, bytes) else b"" for text in texts]
        lines = compilers.list_compilers(argv, scripts, processes, touched)
        if lines:
            self.draft.add_listing("packages_sha256", lines, "compilers")

    def _hash(self, function: Callable[[Clock], None]) -> None:
        """Hash something large, and show meanwhile that it is worth waiting for."""
        self.is_hashing = True
        try:
            function(Clock(hash_seconds(self.options)))
        finally:
            self.is_hashing = False

    def _keep_log(self, name: str, step: Optional[str], content: bytes, *, is_cut: bool) -> None:
        name = name.replace("/", "_")
        taken = [log["name"] for log in self.draft.record.get("logs", ())]
        if name in taken:
            same = [other for other in taken if other.startswith(name)]
            name = "{}-{}".format(name, 1 + len(same))
        digest = self.draft.add_text(content, "log " + name)
        entry = {
            "name": name,
            "step": step,
            "sha256": digest,
            "size_bytes": len(self.draft.blobs[digest]),
            "is_truncated": is_cut,
        }
        self.draft.extend("logs", [without_empty(entry)])

    def _take_settings(self, metadata: JsonObject, step: Optional[str]) -> None:
        """Move `seed` and `threads` out of the metadata into fields of their own.

        --seed and --threads go there too.
        """
        keys = [key for key in metadata if key == "seed" or key.startswith("seed.")]
        seeds = ["{}={}".format(key[len("seed.") :], metadata.pop(key)) for key in keys]
        self._add_seeds(self.options.seed + seeds, step)
        threads = metadata.pop("threads", None) or self.options.threads
        if threads and str(threads).isdigit():
            self.draft.record["threads"] = int(threads)

    def _add_seeds(self, seeds: Sequence[str], step: Optional[str]) -> None:
        """Add seeds as `MODULE=NUMBER` or a number alone, but for those that are there already."""
        recorded = list(self.draft.record.get("seeds", ()))
        for declared in seeds:
            module, _, seed = declared.rpartition("=")
            if seed.isdigit():
                fields = {
                    "step": step,
                    "module": module or None,
                    "seed": int(seed),
                    "source": "declared",
                }
                entry = without_empty(fields)
                if entry not in recorded:
                    self.draft.extend("seeds", [entry])


def _names_of_others(files: Iterable[Entry], entry: Entry) -> List[str]:
    """Return the full names of files, without that of an entry itself."""
    own_name = entries.full_name(entry)
    names = [entries.full_name(file) for file in files]
    return [name for name in names if name != own_name]


def _weaken_by_words(draft: Draft, argv: Sequence[str]) -> None:
    """Name in the record what a command line lacks or leaves to chance."""
    redacted = redact_arguments(argv)
    if redacted != list(argv):
        rules = set(re.findall("<redacted:([^>]+)>", " ".join(redacted)))
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
