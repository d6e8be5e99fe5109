"""Gaps of checkouts: files that lay there and were not kept.

Source: docs/reference/gaps.md, docs/reference/record.md (`left_out`).
"""

from collections.abc import Iterator
from posixpath import join, normpath

from jobprov.provenance.records.job_record import JobRecord, LeftOut, Software

_SHOWN = 5
UNREAD = frozenset({"ignored", "data", "private"})
"""Why files were left out of which nothing shows that the job read them."""


def is_changed(software: Software) -> bool:
    """Return whether other files ran than those of the commit."""
    return bool(software.is_dirty or software.worktree_tree)


def left_out_gaps(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield (code, sentence) of each gap."""
    recorded = _recorded_places(record)
    for software in record.software or ():
        name = software.name or software.checkout or "a checkout"
        missing: list[LeftOut] = []
        unread: list[LeftOut] = []
        secret: list[LeftOut] = []
        for file in software.left_out or ():
            if join(software.checkout or "", file.path) in recorded:
                continue  # a file of the job itself, which the record describes
            if file.why == "secret":
                secret.append(file)
            else:
                (unread if file.why in UNREAD else missing).append(file)
        if missing:
            yield "untracked-left-out", f"{name} held files that are not here: {_names(missing)}."
        if secret:
            yield "secret-removed", f"{name}: secrets were taken out of {_names(secret)}."
        if unread:
            yield "ignored-left-out", f"{name} held files that git does not keep: {_names(unread)}."


def _recorded_places(record: JobRecord) -> set[str]:
    """Return the absolute paths of the files that the record describes by themselves."""
    folder = record.command.working_directory if record.command else None
    files = [*(record.inputs or ()), *(record.outputs or ()), *(record.scripts or ())]
    return {normpath(join(folder or "", file.path)) for file in files if file.path}


def _names(files: list[LeftOut]) -> str:
    names = []
    for file in files[:_SHOWN]:
        why = f" ({file.why})" if file.why and file.why not in ("secret", "ignored", "data") else ""
        names.append((file.path or "others") + why)
    count = sum(file.files or 1 for file in files)
    more = f" and {count - len(names)} more" if count > len(names) else ""
    return ", ".join(names) + more
