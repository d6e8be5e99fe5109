"""What each field of the job record reaches: the one table to add to with a new field.

Each row says what changes when the field alone changes in a record that says everything, as
`tests/app/test_app_field_uses.py` measures it; the test fails where a field has no row, and where a
row and the code disagree. A consumer that forgets a new field is seen here: its column is empty.

What every field reaches, and so has no column: the record's exact bytes in the ledger and in
`JOB.json` of the bundle, erasure by its path, and docs/reference/record.md, which another test
holds to the structs.
"""

from typing import NamedTuple


class FieldUse(NamedTuple):
    """What a field reaches.

    Attributes:
        recipe: it is part of what went into the job (`recipes.py`).
        result: it is part of what came out (`recipes.py`).
        comparison: facets in which two jobs differ by it (`services/comparisons/facets.py`).
        gap: codes of the gaps that a record has without it (`gaps/`, docs/reference/gaps.md).
        bundle: files and folders of the rerun bundle that are made from it, besides `JOB.json`.
        page: the page of the job shows it.
    """

    recipe: bool = False
    result: bool = False
    comparison: tuple[str, ...] = ()
    gap: tuple[str, ...] = ()
    bundle: tuple[str, ...] = ()
    page: bool = False


FIELD_USES: dict[str, FieldUse] = {
    "state": FieldUse(
        result=True, comparison=("exit",), bundle=("README.txt", "outputs"), page=True
    ),
    "witness": FieldUse(bundle=("GAPS.tsv", "README.txt"), page=True),
    "task.task_id": FieldUse(
        comparison=("task",), gap=("task-missing",), bundle=("README.txt",), page=True
    ),
    "task.campaign": FieldUse(comparison=("task",), page=True),
    "task.stage": FieldUse(comparison=("task",), bundle=("README.txt",), page=True),
    "task.unit": FieldUse(comparison=("task",), page=True),
    "task.project": FieldUse(comparison=("task",)),
    "task.snapshot_id": FieldUse(comparison=("task",)),
    "task.sam_process_id": FieldUse(comparison=("task",)),
    "task.recovers": FieldUse(comparison=("task",)),
    "task.submitted_by": FieldUse(comparison=("task",), page=True),
    "task.submit_command": FieldUse(comparison=("task",)),
    "batch.system": FieldUse(comparison=("task",), bundle=("env",)),
    "batch.id": FieldUse(comparison=("task",), bundle=("env",), page=True),
    "batch.global_job_id": FieldUse(comparison=("task",), bundle=("env",)),
    "batch.attempt": FieldUse(comparison=("task",), bundle=("env",), page=True),
    "batch.part": FieldUse(comparison=("task",), bundle=("env",)),
    "batch.dag": FieldUse(comparison=("task",)),
    "batch.dag_node": FieldUse(comparison=("task",)),
    "batch.section": FieldUse(comparison=("task",)),
    "batch.queued_at": FieldUse(comparison=("task",)),
    "batch.classad_sha256": FieldUse(),
    "retry_of": FieldUse(comparison=("task",), page=True),
    "rerun_of": FieldUse(comparison=("task",), page=True),
    "started_at": FieldUse(comparison=("task",), page=True),
    "ended_at": FieldUse(comparison=("task",), bundle=("README.txt",), page=True),
    "sent_at": FieldUse(),
    "command.argv": FieldUse(comparison=("command",), bundle=("README.txt",), page=True),
    "command.working_directory": FieldUse(
        recipe=True, comparison=("host",), bundle=("README.txt", "command", "env"), page=True
    ),
    "command.stdin": FieldUse(),
    "command.stdin_sha256": FieldUse(recipe=True, comparison=("command",), page=True),
    "command.steps[].name": FieldUse(
        comparison=("command", "exit"),
        bundle=("NEEDS.tsv", "README.txt", "command", "outputs"),
        page=True,
    ),
    "command.steps[].role": FieldUse(
        recipe=True,
        comparison=("command",),
        bundle=("GAPS.tsv", "NEEDS.tsv", "README.txt", "command", "outputs"),
        page=True,
    ),
    "command.steps[].argv": FieldUse(
        recipe=True,
        comparison=("command",),
        bundle=("NEEDS.tsv", "README.txt", "command", "outputs"),
        page=True,
    ),
    "command.steps[].argv_encoded": FieldUse(bundle=("outputs",)),
    "command.steps[].stdin_sha256": FieldUse(
        recipe=True,
        comparison=("command",),
        bundle=("NEEDS.tsv", "README.txt", "command", "outputs"),
        page=True,
    ),
    "command.steps[].exit_code": FieldUse(comparison=("exit",), bundle=("outputs",)),
    "command.steps[].signal": FieldUse(
        comparison=("exit",), bundle=("command", "outputs"), page=True
    ),
    "command.steps[].started_at": FieldUse(bundle=("outputs",), page=True),
    "command.steps[].ended_at": FieldUse(bundle=("outputs",), page=True),
    "command.steps[].within": FieldUse(bundle=("outputs",), page=True),
    "command.steps[].evidence": FieldUse(bundle=("outputs",)),
    "command.steps[].working_directory": FieldUse(
        bundle=("NEEDS.tsv", "README.txt", "command", "outputs"), page=True
    ),
    "command.steps[].variables": FieldUse(bundle=("command", "outputs")),
    "command.steps[].variables_unset": FieldUse(bundle=("command", "outputs")),
    "command.processes.count": FieldUse(page=True),
    "command.processes.is_complete": FieldUse(bundle=("GAPS.tsv", "README.txt"), page=True),
    "command.processes.why_incomplete": FieldUse(),
    "command.processes.sha256": FieldUse(page=True),
    "command.processes.unknown_programs": FieldUse(bundle=("GAPS.tsv", "README.txt"), page=True),
    "exit.code": FieldUse(comparison=("exit",), bundle=("outputs",)),
    "exit.signal": FieldUse(comparison=("exit",), bundle=("outputs",)),
    "exit.failed_step": FieldUse(comparison=("exit",), bundle=("outputs",)),
    "exit.error_class": FieldUse(comparison=("exit",), bundle=("outputs",), page=True),
    "exit.message": FieldUse(comparison=("exit",), bundle=("outputs",), page=True),
    "exit.decided_by.evidence": FieldUse(
        comparison=("exit",), bundle=("GAPS.tsv", "README.txt", "outputs"), page=True
    ),
    "exit.decided_by.text": FieldUse(comparison=("exit",), bundle=("outputs",)),
    "configurations[].step": FieldUse(page=True),
    "configurations[].main": FieldUse(recipe=True, bundle=("fcl",), page=True),
    "configurations[].process_name": FieldUse(recipe=True, bundle=("fcl",), page=True),
    "configurations[].search_path": FieldUse(bundle=("env",)),
    "configurations[].files[].name": FieldUse(bundle=("command", "fcl"), page=True),
    "configurations[].files[].path": FieldUse(bundle=("command", "env", "fcl")),
    "configurations[].files[].sha256": FieldUse(
        recipe=True,
        gap=("fcl-missing",),
        bundle=("GAPS.tsv", "NEEDS.tsv", "README.txt", "command", "fcl"),
        page=True,
    ),
    "configurations[].files[].evidence": FieldUse(),
    "configurations[].files[].found_in": FieldUse(bundle=("command", "fcl")),
    "configurations[].files[].mode": FieldUse(),
    "configurations[].files[].modified_at": FieldUse(),
    "configurations[].files[].software": FieldUse(bundle=("fcl",)),
    "configurations[].files[].path_in_repository": FieldUse(bundle=("fcl",)),
    "configurations[].parameter_set_id": FieldUse(bundle=("fcl",), page=True),
    "configurations[].final_sha256": FieldUse(),
    "configurations[].overrides": FieldUse(recipe=True, page=True),
    "scripts[].name": FieldUse(bundle=("scripts",), page=True),
    "scripts[].path": FieldUse(
        recipe=True, bundle=("GAPS.tsv", "README.txt", "command", "scripts"), page=True
    ),
    "scripts[].sha256": FieldUse(
        recipe=True,
        gap=("script-missing",),
        bundle=("GAPS.tsv", "NEEDS.tsv", "README.txt", "command", "scripts"),
        page=True,
    ),
    "scripts[].found_in": FieldUse(),
    "scripts[].mode": FieldUse(bundle=("command",), page=True),
    "scripts[].modified_at": FieldUse(bundle=("command",)),
    "scripts[].software": FieldUse(bundle=("scripts",), page=True),
    "scripts[].path_in_repository": FieldUse(bundle=("scripts",)),
    "scripts[].evidence": FieldUse(),
    "software[].name": FieldUse(
        recipe=True,
        comparison=("products", "host", "others"),
        bundle=("GAPS.tsv", "LICENSES", "NEEDS.tsv", "README.txt", "command", "env", "git", "src"),
        page=True,
    ),
    "software[].evidence": FieldUse(
        comparison=("others",), bundle=("GAPS.tsv", "README.txt", "git"), page=True
    ),
    "software[].vcs": FieldUse(),
    "software[].repository": FieldUse(comparison=("others",), bundle=("git",), page=True),
    "software[].requested_ref": FieldUse(comparison=("others",), page=True),
    "software[].ref_kind": FieldUse(comparison=("others",), page=True),
    "software[].revision": FieldUse(comparison=("code",), page=True),
    "software[].tree": FieldUse(),
    "software[].describe": FieldUse(),
    "software[].is_dirty": FieldUse(comparison=("others",), bundle=("git",), page=True),
    "software[].worktree_tree": FieldUse(
        recipe=True, comparison=("code",), bundle=("NEEDS.tsv", "README.txt", "git"), page=True
    ),
    "software[].dirty_patch_sha256": FieldUse(
        comparison=("others",), bundle=("GAPS.tsv", "README.txt"), page=True
    ),
    "software[].objects_sha256": FieldUse(comparison=("others",), gap=("dirty-tree-missing",)),
    "software[].submodules[].path": FieldUse(comparison=("code",), bundle=("git",), page=True),
    "software[].submodules[].repository": FieldUse(bundle=("git",), page=True),
    "software[].submodules[].revision": FieldUse(comparison=("code",), bundle=("git",), page=True),
    "software[].submodules[].is_checked_out": FieldUse(bundle=("git",)),
    "software[].tags[].name": FieldUse(),
    "software[].tags[].object": FieldUse(),
    "software[].history.commits": FieldUse(),
    "software[].history.is_shallow": FieldUse(),
    "software[].converted": FieldUse(),
    "software[].left_out[].path": FieldUse(
        bundle=("GAPS.tsv", "NEEDS.tsv", "README.txt"), page=True
    ),
    "software[].left_out[].why": FieldUse(
        bundle=("GAPS.tsv", "NEEDS.tsv", "README.txt"), page=True
    ),
    "software[].left_out[].size_bytes": FieldUse(bundle=("NEEDS.tsv", "README.txt")),
    "software[].left_out[].files": FieldUse(bundle=("GAPS.tsv", "README.txt"), page=True),
    "software[].checkout": FieldUse(
        recipe=True,
        comparison=("host",),
        bundle=("NEEDS.tsv", "README.txt", "command", "env"),
        page=True,
    ),
    "software[].product.manager": FieldUse(comparison=("products",), bundle=("env",), page=True),
    "software[].product.version": FieldUse(comparison=("products",), bundle=("env",), page=True),
    "software[].product.qualifiers": FieldUse(comparison=("products",), bundle=("env",), page=True),
    "software[].product.root_hash": FieldUse(comparison=("products",), bundle=("env",)),
    "software[].product.prefix": FieldUse(bundle=("env",)),
    "software[].tarball.sha256": FieldUse(
        comparison=("code",), bundle=("GAPS.tsv", "README.txt"), page=True
    ),
    "software[].tarball.path": FieldUse(comparison=("code",)),
    "folder_links[].path": FieldUse(comparison=("others",)),
    "folder_links[].target": FieldUse(comparison=("others",)),
    "layout[].path": FieldUse(comparison=("others",)),
    "layout[].kind": FieldUse(comparison=("others",)),
    "layout[].target": FieldUse(comparison=("others",)),
    "layout[].mode": FieldUse(),
    "layout[].modified_at": FieldUse(),
    "environment.variables": FieldUse(
        comparison=("environment",),
        gap=("environment-missing",),
        bundle=("command", "env"),
        page=True,
    ),
    "environment.withheld": FieldUse(comparison=("environment",), bundle=("env",), page=True),
    "environment.container.image": FieldUse(
        comparison=("products",), bundle=("NEEDS.tsv", "README.txt", "env"), page=True
    ),
    "environment.container.digest": FieldUse(
        recipe=True,
        comparison=("products",),
        gap=("image-without-digest",),
        bundle=("NEEDS.tsv", "README.txt", "env"),
        page=True,
    ),
    "environment.container.resolved_path": FieldUse(
        comparison=("products",), bundle=("NEEDS.tsv", "README.txt", "env")
    ),
    "environment.container.root_hash": FieldUse(comparison=("products",), bundle=("env",)),
    "environment.container.id": FieldUse(comparison=("products",), bundle=("env",)),
    "environment.container.image_id": FieldUse(comparison=("products",), bundle=("env",)),
    "environment.os.id": FieldUse(
        comparison=("host",), bundle=("NEEDS.tsv", "README.txt", "env"), page=True
    ),
    "environment.os.version": FieldUse(
        comparison=("host",), bundle=("NEEDS.tsv", "README.txt", "env"), page=True
    ),
    "environment.os.kernel": FieldUse(
        comparison=("host",), bundle=("README.txt", "env"), page=True
    ),
    "environment.os.libc": FieldUse(comparison=("host",), bundle=("README.txt", "env"), page=True),
    "environment.locale": FieldUse(comparison=("host",), bundle=("env",), page=True),
    "environment.timezone": FieldUse(comparison=("host",), bundle=("env",), page=True),
    "environment.umask": FieldUse(comparison=("host",), bundle=("command", "env"), page=True),
    "environment.niceness": FieldUse(comparison=("host",), bundle=("env",)),
    "environment.limits": FieldUse(comparison=("host",), bundle=("env",)),
    "environment.packages_sha256": FieldUse(
        comparison=("products",), bundle=("NEEDS.tsv", "README.txt")
    ),
    "environment.system_packages_sha256": FieldUse(
        comparison=("host",), bundle=("GAPS.tsv", "NEEDS.tsv", "README.txt"), page=True
    ),
    "environment.libraries_sha256": FieldUse(
        comparison=("host",), bundle=("NEEDS.tsv", "README.txt")
    ),
    "environment.withheld_read": FieldUse(bundle=("GAPS.tsv", "README.txt"), page=True),
    "environment.touched_sha256": FieldUse(bundle=("GAPS.tsv", "README.txt"), page=True),
    "seeds[].step": FieldUse(recipe=True, comparison=("seeds",), bundle=("seeds.tsv",), page=True),
    "seeds[].module": FieldUse(
        recipe=True, comparison=("seeds",), bundle=("seeds.tsv",), page=True
    ),
    "seeds[].instance": FieldUse(
        recipe=True, comparison=("seeds",), bundle=("seeds.tsv",), page=True
    ),
    "seeds[].engine": FieldUse(
        recipe=True, comparison=("seeds",), bundle=("seeds.tsv",), page=True
    ),
    "seeds[].seed": FieldUse(recipe=True, comparison=("seeds",), bundle=("seeds.tsv",), page=True),
    "seeds[].state_sha256": FieldUse(
        recipe=True,
        comparison=("seeds",),
        bundle=("GAPS.tsv", "README.txt", "seeds.tsv"),
        page=True,
    ),
    "seeds[].source": FieldUse(bundle=("seeds.tsv",)),
    "threads": FieldUse(recipe=True, comparison=("seeds",), bundle=("env",), page=True),
    "conditions[].database": FieldUse(
        recipe=True,
        comparison=("seeds",),
        bundle=("GAPS.tsv", "NEEDS.tsv", "README.txt", "conditions"),
        page=True,
    ),
    "conditions[].url": FieldUse(
        comparison=("seeds",), bundle=("NEEDS.tsv", "README.txt", "conditions")
    ),
    "conditions[].tag": FieldUse(
        comparison=("seeds",),
        gap=("conditions-untagged",),
        bundle=("NEEDS.tsv", "README.txt", "conditions"),
        page=True,
    ),
    "conditions[].validity": FieldUse(
        comparison=("seeds",), bundle=("NEEDS.tsv", "README.txt", "conditions")
    ),
    "conditions[].payload_sha256": FieldUse(
        recipe=True,
        comparison=("seeds",),
        gap=("conditions-missing",),
        bundle=("NEEDS.tsv", "README.txt", "conditions"),
        page=True,
    ),
    "host.hostname": FieldUse(comparison=("host",), bundle=("README.txt", "env"), page=True),
    "host.facility": FieldUse(comparison=("host",), bundle=("env",), page=True),
    "host.site": FieldUse(comparison=("host",), bundle=("env",), page=True),
    "host.slot": FieldUse(comparison=("host",), bundle=("env",), page=True),
    "host.is_onsite": FieldUse(comparison=("host",), bundle=("env",)),
    "host.cpu_model": FieldUse(comparison=("host",), bundle=("README.txt", "env"), page=True),
    "host.cpu_flags_sha256": FieldUse(comparison=("host",), bundle=("env",)),
    "host.cores": FieldUse(comparison=("host",), bundle=("command", "env"), page=True),
    "host.memory_bytes": FieldUse(comparison=("host",), bundle=("env",), page=True),
    "hosts": FieldUse(comparison=("others",), page=True),
    "ranks": FieldUse(comparison=("others",), page=True),
    "resources.wall_seconds": FieldUse(
        comparison=("resources",), bundle=("README.txt", "outputs"), page=True
    ),
    "resources.cpu_user_seconds": FieldUse(
        comparison=("resources",), bundle=("outputs",), page=True
    ),
    "resources.cpu_system_seconds": FieldUse(
        comparison=("resources",), bundle=("outputs",), page=True
    ),
    "resources.max_rss_bytes": FieldUse(
        comparison=("resources",), bundle=("README.txt", "outputs"), page=True
    ),
    "resources.max_vsize_bytes": FieldUse(
        comparison=("resources",), bundle=("outputs",), page=True
    ),
    "resources.read_bytes": FieldUse(comparison=("resources",), bundle=("outputs",), page=True),
    "resources.write_bytes": FieldUse(comparison=("resources",), bundle=("outputs",), page=True),
    "resources.requested_memory_bytes": FieldUse(
        comparison=("resources",), bundle=("outputs",), page=True
    ),
    "resources.cores_used": FieldUse(comparison=("resources",), bundle=("outputs",), page=True),
    "modules[].step": FieldUse(comparison=("modules",), bundle=("outputs",)),
    "modules[].path": FieldUse(comparison=("modules",), bundle=("outputs",)),
    "modules[].label": FieldUse(comparison=("modules",), bundle=("outputs",), page=True),
    "modules[].type": FieldUse(comparison=("modules",), bundle=("outputs",), page=True),
    "modules[].events": FieldUse(comparison=("modules",), bundle=("outputs",), page=True),
    "modules[].seconds_total": FieldUse(comparison=("modules",), bundle=("outputs",), page=True),
    "modules[].seconds_max": FieldUse(bundle=("outputs",), page=True),
    "modules[].vsize_delta_bytes_max": FieldUse(bundle=("outputs",)),
    "modules[].rss_delta_bytes_max": FieldUse(bundle=("outputs",)),
    "inputs[].name": FieldUse(bundle=("command", "inputs"), page=True),
    "inputs[].namespace": FieldUse(bundle=("inputs",), page=True),
    "inputs[].experiment": FieldUse(page=True),
    "inputs[].path": FieldUse(recipe=True, bundle=("command", "inputs"), page=True),
    "inputs[].step": FieldUse(bundle=("inputs",)),
    "inputs[].mode": FieldUse(),
    "inputs[].modified_at": FieldUse(bundle=("command",)),
    "inputs[].size_bytes": FieldUse(bundle=("command", "inputs"), page=True),
    "inputs[].checksums": FieldUse(comparison=("inputs",), bundle=("inputs",)),
    "inputs[].sha256": FieldUse(
        recipe=True,
        comparison=("inputs",),
        gap=("input-checksum-short", "input-missing"),
        bundle=("GAPS.tsv", "NEEDS.tsv", "README.txt", "command", "inputs"),
        page=True,
    ),
    "inputs[].location": FieldUse(bundle=("inputs",), page=True),
    "inputs[].role": FieldUse(
        recipe=True, comparison=("inputs",), bundle=("GAPS.tsv", "README.txt", "inputs"), page=True
    ),
    "inputs[].opened_at": FieldUse(page=True),
    "inputs[].closed_at": FieldUse(page=True),
    "inputs[].times_from": FieldUse(page=True),
    "inputs[].times_within_seconds": FieldUse(page=True),
    "inputs[].events_read": FieldUse(bundle=("inputs",), page=True),
    "inputs[].status": FieldUse(),
    "inputs[].evidence": FieldUse(),
    "outputs[].name": FieldUse(bundle=("README.txt", "outputs"), page=True),
    "outputs[].namespace": FieldUse(page=True),
    "outputs[].path": FieldUse(bundle=("command", "outputs")),
    "outputs[].step": FieldUse(),
    "outputs[].status": FieldUse(
        result=True,
        comparison=("outputs",),
        bundle=("GAPS.tsv", "README.txt", "outputs"),
        page=True,
    ),
    "outputs[].size_bytes": FieldUse(bundle=("outputs",), page=True),
    "outputs[].checksums": FieldUse(bundle=("outputs",)),
    "outputs[].sha256": FieldUse(bundle=("outputs",), page=True),
    "outputs[].content_digest": FieldUse(result=True, bundle=("outputs",), page=True),
    "outputs[].location": FieldUse(page=True),
    "outputs[].data_tier": FieldUse(comparison=("outputs",), page=True),
    "outputs[].file_format": FieldUse(comparison=("outputs",)),
    "outputs[].file_type": FieldUse(comparison=("outputs",)),
    "outputs[].data_stream": FieldUse(comparison=("outputs",)),
    "outputs[].event_count": FieldUse(comparison=("outputs",), bundle=("outputs",), page=True),
    "outputs[].first_event": FieldUse(comparison=("outputs",)),
    "outputs[].last_event": FieldUse(comparison=("outputs",)),
    "outputs[].runs": FieldUse(comparison=("outputs",)),
    "outputs[].created_at": FieldUse(),
    "outputs[].closed_at": FieldUse(),
    "outputs[].parents": FieldUse(),
    "outputs[].metadata": FieldUse(comparison=("outputs",)),
    "outputs[].evidence": FieldUse(),
    "outputs_not_there[].path": FieldUse(
        comparison=("others",), bundle=("GAPS.tsv", "README.txt"), page=True
    ),
    "outputs_not_there[].step": FieldUse(comparison=("others",), page=True),
    "outputs_not_there[].evidence": FieldUse(comparison=("others",), page=True),
    "trace.keys": FieldUse(),
    "trace.waits_for": FieldUse(),
    "trace.home_settings": FieldUse(),
    "trace.why_incomplete": FieldUse(bundle=("GAPS.tsv", "README.txt"), page=True),
    "trace.not_kept[].path": FieldUse(bundle=("GAPS.tsv", "README.txt"), page=True),
    "trace.not_kept[].reason": FieldUse(bundle=("GAPS.tsv", "README.txt"), page=True),
    "trace.not_kept_count": FieldUse(bundle=("GAPS.tsv", "README.txt"), page=True),
    "trace.changed": FieldUse(bundle=("GAPS.tsv", "README.txt"), page=True),
    "trace.absent": FieldUse(),
    "trace.absent_left_out": FieldUse(),
    "trace.network": FieldUse(bundle=("GAPS.tsv", "README.txt"), page=True),
    "logs[].name": FieldUse(
        comparison=("logs",), bundle=("GAPS.tsv", "README.txt", "logs"), page=True
    ),
    "logs[].step": FieldUse(bundle=("logs",), page=True),
    "logs[].sha256": FieldUse(
        comparison=("logs",), gap=("log-missing",), bundle=("logs",), page=True
    ),
    "logs[].size_bytes": FieldUse(comparison=("logs",), bundle=("logs",), page=True),
    "logs[].is_truncated": FieldUse(comparison=("logs",), bundle=("logs",), page=True),
    "weaknesses[].kind": FieldUse(
        comparison=("others",), bundle=("GAPS.tsv", "README.txt"), page=True
    ),
    "weaknesses[].name": FieldUse(comparison=("others",)),
    "weaknesses[].detail": FieldUse(comparison=("others",)),
    "hook.version": FieldUse(comparison=("others",), page=True),
    "hook.python": FieldUse(comparison=("others",)),
    "extra": FieldUse(comparison=("others",), page=True),
}
"""By the path of the field; `[]` stands for each member of a list."""
