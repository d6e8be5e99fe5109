"""What `git describe` and `git log` answer in a checkout: tags, and the number of commits."""

from typing import Dict, List

from jobprov.provenance.capture.checkouts.git import git, text
from jobprov.provenance.capture.record.fields import without_empty
from jobprov.provenance.capture.record.json_objects import Entry

_MOST_TAGS, _MOST_COMMITS = 10, 1000


def describe(top: str, entry: Entry) -> None:
    """Fill in description, tags and number of commits, once."""
    if "history" in entry:
        return
    entry["history"] = without_empty(
        {
            "commits": int(text(top, "rev-list", "--count", "HEAD") or 0) or None,
            "is_shallow": text(top, "rev-parse", "--is-shallow-repository") == "true" or None,
        }
    )
    description = text(top, "describe", "--tags", "--always", "--long")
    # with and without --tags, which takes tags of both kinds
    names = [text(top, "describe", *words, "--abbrev=0") for words in ((), ("--tags",))]
    names += (text(top, "tag", "--points-at", "HEAD") or "").split()[:_MOST_TAGS]
    refs = ["refs/tags/" + name for name in names if name]
    tags = []
    if refs:
        form = "--format=%(objectname) %(refname)"
        for line in (text(top, "for-each-ref", form, *sorted(set(refs))) or "").splitlines():
            oid, name = line.split(" ", 1)
            tags.append({"name": name, "object": oid})
    entry.update(without_empty({"describe": description, "tags": tags or None}))


def list_objects(top: str, entry: Entry) -> List[bytes]:
    """Return the commits and tags that these answers need: few, or none."""
    describe(top, entry)
    tags = [tag["object"] for tag in entry.get("tags", ())]
    history, words = entry["history"], [entry["revision"]]
    if history.get("commits", 0) <= _MOST_COMMITS:
        return git(top, "rev-list", *words).split() + [tag.encode() for tag in tags]
    commits: Dict[bytes, None] = {}
    for tag in tags:
        found = git(
            top, "rev-list", "--max-count={}".format(_MOST_COMMITS + 1), *words, "--not", tag
        )
        commits.update(dict.fromkeys(found.split()))
        commits[git(top, "rev-parse", tag + "^{commit}").strip()] = None
    if len(commits) > _MOST_COMMITS:
        commits = {}
    return [*commits, *(tag.encode() for tag in tags)]
