"""The code of two jobs: which commit, and what was changed in its working tree.

One commit is one version, under whatever name, ref or form of the url a record has it. Of two
working trees of one commit the changed files are named, from the patches that the hook sent. How
the objects of a commit came here (`objects_sha256`) is no difference of the code.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from jobprov.provenance.answers.comparisons.jobs import Difference, Facet
from jobprov.provenance.lineage.words import enumerated
from jobprov.provenance.services.comparisons.differences import (
    RECIPE,
    Record,
    compared,
    facet,
    flat,
    keyed,
)
from jobprov.provenance.services.comparisons.text_differences import unified
from jobprov.provenance.software.urls import match_key

CHANGED_FILES = "uncommitted changes in"
"""The last words of the key of a difference whose values are names of files."""

_MOST_NAMED = 20
_SENTENCE_NAMES = 3
_PATCHED = re.compile(rb'^diff --git "?a/.*?"? "?b/(.*?)"?$', re.MULTILINE)


class Pair(NamedTuple):
    """A checkout, or the configuration of a step, in both records; None where one lacks it.

    Attributes:
        name: as the first record has it, else as the second.
    """

    name: str
    before: Record | None
    after: Record | None


def is_installed(entry: Record) -> bool:
    """Return whether an entry of the software is an installed product, and no checkout."""
    return bool(entry.get("product")) and not entry.get("revision")


def commit_of(entry: Record) -> str | None:
    """Return the commit of a checkout, else the ref that was asked for."""
    resolution = entry.get("resolution") or {}
    commit: str | None = (
        resolution.get("commit") or entry.get("revision") or entry.get("requested_ref")
    )
    return commit


def pairs_of(before: Record, after: Record) -> list[Pair]:
    """Return the checkouts of both records, each with its like in the other one.

    Its like has the same name; else the same commit, or the same repository by another url.
    """
    old, new = _checkouts(before), _checkouts(after)
    pairs = [Pair(name, old[name], new[name]) for name in old if name in new]
    added = {name: entry for name, entry in new.items() if name not in old}
    for name, entry in old.items():
        if name in new:
            continue
        other = _like(entry, added)
        partner = None if other is None else added.pop(other)
        pairs.append(Pair(name, entry, partner))
    pairs += [Pair(name, None, entry) for name, entry in added.items()]
    return pairs


def _checkouts(record: Record) -> dict[str, Record]:
    entries = [entry for entry in record.get("software") or () if not is_installed(entry)]
    return keyed(entries, lambda entry: entry.get("name") or "unnamed")


def _like(entry: Record, others: Mapping[str, Record]) -> str | None:
    for name, other in others.items():
        if commit_of(entry) and commit_of(entry) == commit_of(other):
            return name
    for name, other in others.items():
        urls = [match_key(str(side.get("repository") or "")) for side in (entry, other)]
        if urls[0] and urls[0] == urls[1]:
            return name
    return None


def code_facet(before: Record, after: Record, sources: Mapping[str, bytes]) -> Facet:
    """Return how the code of two jobs differs; `sources` has the patches that are here."""
    rows: list[Difference] = []
    fact_count = 0
    for pair in pairs_of(before, after):
        old, new = _facts(pair.before, pair.name), _facts(pair.after, pair.name)
        fact_count += len(old.keys() | new.keys())
        if pair.before is None or pair.after is None or not _has_same_code(pair):
            rows += compared(old, new)
            rows += _changed_files(pair, sources)
        else:
            rows += compared(
                {key: value for key, value in old.items() if _is_submodule(key)},
                {key: value for key, value in new.items() if _is_submodule(key)},
            )
    return facet("code", "Code", RECIPE, rows, fact_count)


def _is_submodule(key: str) -> bool:
    return ".submodule " in key


def _facts(entry: Record | None, name: str) -> dict[str, object]:
    """Return what is compared of a checkout; nothing of one that a record lacks."""
    if entry is None:
        return {}
    facts: dict[str, object] = {"commit": commit_of(entry), "tarball": entry.get("tarball")}
    if _is_changed(entry):
        facts["is_dirty"] = bool(entry.get("is_dirty"))
        facts["worktree_tree"] = entry.get("worktree_tree")
        facts["dirty_patch_sha256"] = entry.get("dirty_patch_sha256")
        if not entry.get("worktree_tree"):
            facts["objects_sha256"] = entry.get("objects_sha256")
    submodules = keyed(entry.get("submodules"), lambda submodule: submodule.get("path"))
    for path, submodule in submodules.items():
        facts[f"submodule {path}"] = submodule.get("revision")
    return flat(facts, name)


def _is_changed(entry: Record) -> bool:
    """Return whether other files ran than those of the commit."""
    return bool(entry.get("is_dirty") or entry.get("worktree_tree"))


def _has_same_code(pair: Pair) -> bool:
    """Return whether both records name the same bytes; submodules apart."""
    old, new = pair.before or {}, pair.after or {}
    if commit_of(old) != commit_of(new) or old.get("tarball") != new.get("tarball"):
        return False
    if _is_changed(old) != _is_changed(new):
        return False
    if not _is_changed(old):
        return True
    trees = [entry.get("worktree_tree") for entry in (old, new)]
    return trees[0] is not None and trees[0] == trees[1]


def _changed_files(pair: Pair, sources: Mapping[str, bytes]) -> list[Difference]:
    """Return the files whose uncommitted changes differ, with the lines of both patches."""
    patch_before, patch_after = _patch(pair.before, sources), _patch(pair.after, sources)
    if patch_before is None and patch_after is None:
        return []
    old, new = _differing_files(pair, patch_before, patch_after)
    if not old and not new:
        return []
    lines, omitted = unified(patch_before or b"", patch_after or b"")
    row = Difference(
        "changed",
        f"{pair.name}.{CHANGED_FILES}",
        enumerated(old, _MOST_NAMED) or None,
        enumerated(new, _MOST_NAMED) or None,
        lines=lines,
        lines_omitted=omitted,
    )
    return [row]


def _patch(entry: Record | None, sources: Mapping[str, bytes]) -> bytes | None:
    return sources.get(str((entry or {}).get("dirty_patch_sha256")))


def _differing_files(
    pair: Pair, patch_before: bytes | None, patch_after: bytes | None
) -> tuple[list[str], list[str]]:
    """Return the files that each patch changes, but for those that both change alike.

    If the patch of a changed checkout is not here, all files of the other patch are returned.
    """
    before, after = changed_files(patch_before or b""), changed_files(patch_after or b"")
    if _lacks_patch(pair.before, patch_before) or _lacks_patch(pair.after, patch_after):
        return sorted(before), sorted(after)
    old = sorted(name for name in before if after.get(name) != before[name])
    new = sorted(name for name in after if before.get(name) != after[name])
    return old, new


def _lacks_patch(entry: Record | None, patch: bytes | None) -> bool:
    """Return whether the changes of a checkout are not known here."""
    return entry is not None and bool(entry.get("is_dirty")) and patch is None


def changed_files(patch: bytes) -> dict[str, bytes]:
    """Return what a patch of git changes in each file, by its name."""
    changes: dict[str, bytes] = {}
    starts = list(_PATCHED.finditer(patch))
    for match, following in zip_longest(starts, starts[1:]):
        end = len(patch) if following is None else following.start()
        changes[match.group(1).decode("utf-8", "replace")] = patch[match.end() : end]
    return changes


def patches_of(records: Iterable[Record]) -> set[str]:
    """Return the digests of the patches of changed checkouts."""
    digests: set[str] = set()
    for record in records:
        for entry in record.get("software") or ():
            digests.add(str(entry.get("dirty_patch_sha256") or ""))
    return digests - {""}


def unlike_fields(before: Record, after: Record) -> dict[str, tuple[object, object]]:
    """Return the differences of checkouts whose code is the same, by path.

    That is how their objects came here, and how they are called.
    """
    unlike: dict[str, tuple[object, object]] = {}
    for pair in pairs_of(before, after):
        if pair.before is None or pair.after is None or not _has_same_code(pair):
            continue
        for field in ("name", "is_dirty", "dirty_patch_sha256", "objects_sha256"):
            old, new = pair.before.get(field), pair.after.get(field)
            if old != new:
                unlike[f"software.{pair.name}.{field}"] = old, new
    return unlike


def code_words(rows: Sequence[Difference]) -> str:
    """Return in words what differs of the code, such as `nova is at another commit`."""
    by_name: dict[str, dict[str, Difference]] = {}
    for row in rows:
        name, field = _name_and_field(row.key)
        by_name.setdefault(name, {})[field] = row
    return " and ".join(_words_of(name, fields) for name, fields in by_name.items())


def _name_and_field(key: str) -> tuple[str, str]:
    """Return the parts of a key; names of checkouts and paths of submodules may hold dots."""
    for field in ("submodule ", CHANGED_FILES, "tarball"):
        if f".{field}" in key:
            return key.partition(f".{field}")[0], field
    name, _, field = key.rpartition(".")
    return name, field


def _words_of(name: str, fields: Mapping[str, Difference]) -> str:
    """Return in words what differs of one checkout."""
    commit = fields.get("commit")
    if commit is not None and commit.kind != "changed":
        which = "second" if commit.kind == "added" else "first"
        return f"only the {which} record names {name}"
    if commit is not None:
        return f"{name} is at another commit"
    if "submodule " in fields and len(fields) == 1:
        return f"{name} has another submodule"
    if "tarball" in fields:
        return f"{name} is another tarball"
    return f"{name} has the same commit with {_changes(fields)}"


def _changes(fields: Mapping[str, Difference]) -> str:
    """Return in words how the uncommitted changes of one commit differ."""
    dirty = fields.get("is_dirty")
    if dirty is None:
        words = "other uncommitted changes"
    else:
        which = "second" if dirty.kind == "added" else "first"
        words = f"uncommitted changes only in the {which} job"
    files = fields.get(CHANGED_FILES)
    if files is None:
        return f"{words} (which files is not recorded)"
    names: dict[str, None] = {}
    for value in (files.before, files.after):
        if value:
            names.update(dict.fromkeys(str(value).split(", ")))
    listed = list(names)
    more = ", …" if len(listed) > _SENTENCE_NAMES else ""
    return f"{words}: {', '.join(listed[:_SENTENCE_NAMES])}{more}"
