"""One job on its way to a record: what is gathered before, while and after its commands run."""

import os
import sys

from jobprov.provenance.capture import (
    VERSION,
    accepting,
    batch,
    code,
    execution,
    files,
    logs,
    redaction,
    repositories,
)
from jobprov.provenance.capture import spool as spools
from jobprov.provenance.capture import standard_input as stdin
from jobprov.provenance.capture.background import budget
from jobprov.provenance.capture.draft import Draft, moment, now, without_empty
from jobprov.provenance.capture.hashing import Clock
from jobprov.provenance.capture.step import Step


class Job:
    """Gathers one record.

    Attributes:
        draft: the record so far.
        options, environment: what was asked for and what is set.
    """

    def __init__(self, options, environment, spool, draft=None):
        self.options, self.environment, self.spool = options, environment, spool
        self.draft = draft or Draft()
        for warning in options.warnings:
            self.draft.note(warning)
        self.job_ad, self.machine_ad = batch.ads(environment, self.draft)
        self.repositories = repositories.Repositories(self.draft)
        self.is_hashing = False
        self.later = []  # what is done while the command runs
        self.open_files = None  # what the watch saw of the last command

    def begin(self, seen):
        """Open the record: who it is and when it began, after the glance at its command."""
        found = batch.describe_batch(self.environment, self.job_ad)
        if found.get("global_job_id"):
            identity = "{}|{}".format(found["global_job_id"], found.get("attempt", 1))
            asked = self.options.number("part", None)
            found["part"] = (
                int(asked) if asked is not None else spools.take_part(self.spool, identity)
            )
            found.setdefault("attempt", 1)
        experiment = batch.name_experiment(self.options, self.environment, self.job_ad)
        if experiment is None:
            self.draft.note(
                "no experiment was named: set --experiment, JOBPROV_EXPERIMENT or EXPERIMENT"
            )
        record = self.draft.record
        record.update(
            {
                "schema_version": 1,
                "job_id": self.options.job_id or batch.name_job(found),
                "witness": "wrapper",
                "state": "running",
                "experiment": str(experiment or "unknown"),
                "started_at": moment(seen.began),
                "command": without_empty(
                    {
                        "argv": redaction.redact_arguments(seen.argv),
                        "working_directory": seen.working_directory,
                    }
                ),
                "hook": {"version": VERSION, "python": "{}.{}.{}".format(*sys.version_info[:3])},
            }
        )
        record.update(
            without_empty(
                {
                    "rerun_of": self.options.rerun_of,
                    "retry_of": self.options.retry_of,
                    "batch": found or None,
                }
            )
        )
        task = batch.describe_task(self.options, self.environment, self.job_ad)
        if task:
            record["task"] = task
            accepting.mend_task_id(self.draft)
        self.later.append(self._look_around)
        for folder in self.options.repository:
            self.draft.attempt("repository " + folder, self.repositories.add, folder)

    def take(self, seen, name=None, role=None):
        """Take in a glance at what a command is about to use.

        Return the step that `after` takes.
        """
        step, draft = Step(seen, name, role), self.draft
        for note in seen.notes:
            draft.note(note)
        code.keep_scripts(draft, seen.scripts, self.repositories)
        code.keep_configurations(draft, step, seen.closures, self.repositories)
        if str(step.line.sam_process_id or "").isdigit():
            draft.record.setdefault("task", {})["sam_process_id"] = int(step.line.sam_process_id)
        stdin.take(self, step)
        step.inputs = files.describe_inputs(step.name, seen.named)
        rest = files.hash_inputs(draft, step.inputs, None, seen.hashed)
        if rest:
            self.later.append(lambda: self._hash_large(rest))
        self.later.append(self.repositories.finish)
        if step.role == "payload":
            self.later.append(lambda: self._list_packages(seen.argv))
        return step

    def meanwhile(self):
        """Do what need not be done before the command runs."""
        while self.later:
            self.draft.attempt("looking around", self.later.pop(0))

    def after(self, step, outcome, prefix=""):
        """Gather what a command left: logs, outputs, sidecars."""
        # When the command has ended
        from jobprov.provenance.capture import findings, times  # noqa: PLC0415

        draft, record = self.draft, self.draft.record
        draft.attempt("standard input", stdin.settle, draft, step)
        record.setdefault("command", {}).setdefault("steps", []).append(step.describe(outcome))
        draft.attempt("configuration as run", code.capture_final_configuration, draft, step)
        databases, log_files = findings.named_in_configuration(draft, step)
        findings.add_logs(
            outcome, draft, [path for path in log_files if path not in self.options.log]
        )
        for name, content, is_cut in outcome.logs:
            self._keep_log(prefix + name, step.name, content, is_cut)
        seconds = self.options.number("hash_seconds", 120)
        draft.attempt("times of inputs", times.add, draft, step, outcome, self.open_files, seconds)
        step.drop_outputs_from_inputs()
        draft.extend("inputs", step.inputs)
        draft.attempt("event counts", findings.add_events, draft, step, outcome)
        patterns = self.options.output + step.line.outputs + step.found_outputs()
        self.add_outputs(step.name, patterns, outcome.code == 0, step.inputs)
        draft.attempt("seeds", findings.add_seeds, draft, step, outcome)
        draft.attempt("what the logs tell of failures", findings.add_failure, draft, step, outcome)
        findings.add_modules(draft, step, databases, outcome)

    def add_outputs(self, step, patterns, is_success, inputs):
        """Describe outputs that are there, and write their sidecars where their step succeeded."""
        from jobprov.provenance.capture import sidecar  # noqa: PLC0415

        draft, options = self.draft, self.options
        clock = Clock(options.number("hash_seconds", 120))
        done = {entry["path"] for entry in draft.record.get("outputs", ())}
        entries = [
            entry
            for entry in files.describe_outputs(draft, step, patterns, clock)
            if entry["path"] not in done
        ]
        metadata = files.pairs(draft, options.metadata)
        self._take_settings(metadata, step)
        declared, late = (
            files.name_parents(options.parent),
            Clock(max(clock.left(), budget(options) / 2)),
        )
        for entry in entries:
            files.apply_metadata(entry, metadata)
            found = draft.attempt("sidecar of " + entry["path"], sidecar.read, entry["path"])
            if found:
                sidecar.complete_output(entry, found)
            if declared:
                entry["parents"] = declared
            if found is not None and is_success and not options.no_sidecar:
                usual = [
                    item["name"] for item in inputs if item.get("role") in ("primary", "secondary")
                ]
                words = (entry, found, self._identity(), declared or usual, late)
                draft.attempt("sidecar of " + entry["path"], sidecar.write, *words)
        draft.extend("outputs", [without_empty(entry) for entry in entries])

    def finish(self, outcome, state):
        """Complete the record of a job that is one command."""
        from jobprov.provenance.capture import failure  # noqa: PLC0415

        stdin.of_whole_job(self.draft.record["command"])
        failed = None
        if state != "succeeded":
            names = [
                step["name"]
                for step in self.draft.record["command"].get("steps", ())
                if step.get("exit_code")
            ]
            failed = (names[0] if names else None, *failure.explain(outcome))
        self._close(outcome, state, failed)

    def close(self, outcome, failed, was_told):
        """Complete the record of a job of several steps.

        `failed` tells the first that failed, as `step` kept it.
        """
        from jobprov.provenance.capture import failure  # noqa: PLC0415

        state = "succeeded"
        if outcome.code or (failed and failed[1] == "payload"):
            last = execution.Outcome()
            last.code, last.signal = (failed[2], failed[3]) if failed else (outcome.code, None)
            state = failure.name_state(last, was_told)
            outcome.signal = last.signal
        self._close(outcome, state, (failed[0], failed[4], failed[5]) if failed else None)

    def _close(self, outcome, state, failed):
        from jobprov.provenance.capture import failure  # noqa: PLC0415

        record, options = self.draft.record, self.options
        for path in options.log:
            found = self.draft.attempt("log " + path, logs.read_log, path)
            if found:
                self._keep_log(os.path.basename(path), None, *found)
        record["state"], record["ended_at"] = state, moment(outcome.ended)
        record["exit"] = without_empty({"code": outcome.code, "signal": outcome.signal})
        if state == "succeeded" and not failed:
            entries = [
                entry
                for step in record.get("extra", {}).get("warnings", {}).values()
                for entry in step
            ]
            record["exit"].update(without_empty({"message": failure.say_suppressed(entries)}))
        if failed:
            record["exit"].update(
                without_empty(
                    {"failed_step": failed[0], "error_class": failed[1], "message": failed[2]}
                )
            )
        unit = batch.name_unit(options, self.environment, self.job_ad, record.get("inputs", ()))
        if unit is not None and record.get("task", {}).get("task_id"):
            record["task"]["unit"] = unit
        record["sent_at"] = now()
        self.draft.record = redaction.redact_strings(record)

    def add_inputs(self, named):
        """Record inputs of the whole job, of no particular step."""
        entries = files.describe_inputs(None, named)
        files.hash_inputs(self.draft, entries, Clock(self.options.number("hash_seconds", 120)))
        self.draft.extend("inputs", [without_empty(entry) for entry in entries])

    def _look_around(self):
        # While the job runs
        from jobprov.provenance.capture import container, products, surroundings  # noqa: PLC0415

        record, words = self.draft.record, self.draft.record["command"].get("argv", ())
        found = surroundings.describe_environment(
            self.draft, self.environment, self.options.keep_variable
        )
        image = self.draft.attempt(
            "container", container.describe_container, self.environment, self.job_ad, words
        )
        found = dict(found, **without_empty({"container": image}))
        record["environment"] = dict(record.get("environment", {}), **found)
        record["host"] = surroundings.describe_host(self.draft, self.environment, self.machine_ad)
        listed = self.draft.attempt(
            "products", products.list_products, self.draft, self.environment, words
        )
        self.draft.extend("software", listed)

    def _list_packages(self, argv):
        """Add what the command's Python has installed to the listing; steps share one."""
        from jobprov.provenance.capture import distributions  # noqa: PLC0415 - while the job runs

        lines = self.draft.attempt(
            "installed packages", distributions.list_packages, argv, self.environment
        )
        if lines:
            self.add_listing("packages_sha256", lines, "installed packages")

    def take_watch(self, watch):
        """Add what was seen of a command while it ran.

        Memory of its processes together, and mapped libraries.
        """
        resources, self.open_files = self.draft.record.setdefault("resources", {}), watch.files
        if watch.peak_rss_bytes:
            resources["max_rss_bytes"] = max(
                watch.peak_rss_bytes, resources.get("max_rss_bytes") or 0
            )
        if watch.libraries:
            self.add_listing("libraries_sha256", watch.list_libraries(), "mapped libraries")

    def take_look(self, look):
        """Add what a look at the system found in time."""
        environment = self.draft.record.setdefault("environment", {})
        if look.packages:
            self.add_listing(
                "system_packages_sha256", look.packages, "packages of the operating system"
            )
        if look.image_digest is not None:
            environment["container"]["digest"] = look.image_digest

    def add_listing(self, field, lines, what):
        """Keep lines in a listing of the environment, joined with those of earlier steps."""
        environment = self.draft.record.setdefault("environment", {})
        have = (
            self.draft.take(environment.get(field)).decode("utf-8", "surrogateescape").splitlines()
        )
        content = "".join(line + "\n" for line in sorted(set(lines).union(have)))
        environment[field] = self.draft.add_text(content.encode("utf-8", "surrogateescape"), what)

    def _hash_large(self, entries):
        self.is_hashing = True
        try:
            files.hash_inputs(self.draft, entries, Clock(self.options.number("hash_seconds", 120)))
        finally:
            self.is_hashing = False

    def _keep_log(self, name, step, content, is_cut):
        name = name.replace("/", "_")
        taken = [log["name"] for log in self.draft.record.get("logs", ())]
        if name in taken:
            name = "{}-{}".format(name, 1 + sum(1 for other in taken if other.startswith(name)))
        digest = self.draft.add_text(content, "log " + name)
        size = len(self.draft.blobs[digest])
        self.draft.extend(
            "logs",
            [
                without_empty(
                    {
                        "name": name,
                        "step": step,
                        "sha256": digest,
                        "size_bytes": size,
                        "is_truncated": is_cut,
                    }
                )
            ],
        )

    def _identity(self):
        record = self.draft.record
        return without_empty(
            {"prov.job_id": record["job_id"], "prov.task_id": record.get("task", {}).get("task_id")}
        )

    def _take_settings(self, metadata, step):
        """Move `seed` and `threads` out of the metadata into their own fields.

        Options --seed and --threads likewise.
        """
        keys = [key for key in metadata if key == "seed" or key.startswith("seed.")]
        words = self.options.seed + ["{}={}".format(key[5:], metadata.pop(key)) for key in keys]
        seeds = []
        for word in words:
            module, _, value = word.rpartition("=")
            if value.isdigit():
                seeds.append(
                    without_empty(
                        {
                            "step": step,
                            "module": module or None,
                            "seed": int(value),
                            "source": "declared",
                        }
                    )
                )
        have = self.draft.record.get("seeds", [])
        self.draft.extend("seeds", [seed for seed in seeds if seed not in have])
        threads = metadata.pop("threads", None) or self.options.threads
        if threads and str(threads).isdigit():
            self.draft.record["threads"] = int(threads)


def add_usage(record, outcome, ad):
    """Add what a command used, after os.wait4, to the record's `resources`.

    Never the ad's figures, which may be zeros.
    """
    totals = record.setdefault("resources", {"wall_seconds": 0.0})
    totals["wall_seconds"] = round(totals["wall_seconds"] + outcome.wall_seconds, 6)
    if outcome.usage is not None:
        totals["cpu_user_seconds"] = round(
            totals.get("cpu_user_seconds", 0.0) + outcome.usage.ru_utime, 6
        )
        totals["cpu_system_seconds"] = round(
            totals.get("cpu_system_seconds", 0.0) + outcome.usage.ru_stime, 6
        )
        scale = 1 if sys.platform == "darwin" else 1024
        totals["max_rss_bytes"] = max(
            totals.get("max_rss_bytes", 0), outcome.usage.ru_maxrss * scale
        )
    if isinstance(ad.get("RequestMemory"), int):
        totals["requested_memory_bytes"] = ad["RequestMemory"] * 1024 * 1024
