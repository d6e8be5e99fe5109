"""Excerpts: stretches of a record that other jobs have in the very same bytes, sent by digest where the service knows them.

They are found by their place: configurations, software, and of the environment all but the
variables that tell one job from another. Of the variables there are several excerpts, so that one
that is a job's own after all spoils a quarter and not the whole. Source: docs/reference/http.md, "Excerpts".
"""

import hashlib
import json
import zlib

CONTENT_TYPE = "application/vnd.jobprov.excerpts"
_SHORTEST = 256  # in bytes; what is shorter costs no more than its digest, which is sent twice
_MOST = 16
_BUCKETS = 4  # of variables
_SHORTEST_MARK = 4  # in characters: a shorter value stands in others by chance
_OWN = (
    "CLUSTER PROCESS JOBSUBJOBID JOBSUBJOBSECTION JOBSUBPARENTJOBID DAGMANJOBID TRACEPARENT BOGOMIPS NODE_NAME HOSTNAME HOST"
    " VENDOR_ID PWD OLDPWD TMPDIR TMP TEMP JSB_TMP SHLVL _ SAM_PROCESS_ID JUSTIN_JOBSUB_ID"
)
_OWN_NAMES = frozenset(_OWN.split())
_FOLDERS = ("_CONDOR_SCRATCH_DIR", "TMPDIR", "PWD")  # other variables name places below them


class Excerpt:
    """A stretch of a record: where it begins, its bytes, and their SHA-256."""

    def __init__(self, start, content):
        self.start, self.content = start, content
        self.sha256 = hashlib.sha256(content).hexdigest()


def find(record, body):
    """Return the excerpts of a record in the order of its bytes, 16 at most, none over another."""
    texts = [
        _text(record[name])
        for name in ("configurations", "software", "scripts")
        if record.get(name)
    ]
    environment = record.get("environment") or {}
    texts += _runs(record, environment.get("variables") or {})
    texts += [_text(environment["withheld"])] if environment.get("withheld") else []
    found, end = [], 0
    places = ((body.find(text), text) for text in texts if len(text) >= _SHORTEST)
    for start, text in sorted(places):
        if start >= end and len(found) < _MOST:
            found.append(Excerpt(start, text))
            end = start + len(text)
    return found


def fold(body, excerpts, known):
    """Return a record's bytes for a service that takes excerpts.

    Those in `known` (digests) by name, the others to be remembered.
    """
    places, kept, end = [], [], 0
    for excerpt in excerpts:
        is_here = excerpt.sha256 not in known
        places.append([excerpt.start, len(excerpt.content), excerpt.sha256, is_here])
        kept.append(body[end : excerpt.start])
        if is_here:
            kept.append(excerpt.content)
        end = excerpt.start + len(excerpt.content)
    head = json.dumps(places, separators=(",", ":")).encode("ascii")
    return b"\n".join([head, b"".join([*kept, body[end:]])])


def order(environment):
    """Return variables in an order that puts together what jobs share.

    By bucket, and at the end what is a job's own.
    """
    marks = _marks({}, environment)
    return sorted(environment, key=lambda name: (_bucket(name, environment[name], marks), name))


def _runs(record, variables):
    """Return the texts of neighbours of one bucket."""
    marks, runs, last = _marks(record, variables), [], None
    for name, value in variables.items():
        bucket = _bucket(name, value, marks)
        if bucket == _BUCKETS:
            last = None
            continue
        if bucket != last:
            runs.append({})
        runs[-1][name], last = value, bucket
    return [_text(run)[1:-1] for run in runs]


def _bucket(name, value, marks):
    """Return a number below 4 for a variable that jobs may share, 4 for one that is this job's own."""
    if name in _OWN_NAMES or any(mark in value for mark in marks):
        return _BUCKETS
    return zlib.crc32(name.encode("utf-8", "surrogateescape")) % _BUCKETS


def _marks(record, variables):
    """Return what tells a job from others: its scratch folder, its batch id, its node."""
    words = [variables.get(name) for name in _FOLDERS]
    words += [variables.get("JOBSUBJOBID"), variables.get("HOSTNAME")]
    batch = record.get("batch") or {}
    words += [
        batch.get("id"),
        batch.get("global_job_id"),
        (record.get("host") or {}).get("hostname"),
    ]
    return [
        word for word in words if isinstance(word, str) and len(word.rstrip("/")) >= _SHORTEST_MARK
    ]


def _text(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
