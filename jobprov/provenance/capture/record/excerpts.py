"""Excerpts: stretches of a record that other jobs have in the same bytes, sent by digest if known.

They are found by their place: configurations, software, scripts, and of the environment all but the
variables that differ from job to job. There are several excerpts of variables: if one turns out to
be a job's own after all, it spoils a quarter and not the whole.

Source: docs/reference/http.md, "Excerpts".
"""

import hashlib
import json
import zlib
from typing import Any, Collection, Dict, List, Optional, Sequence

from jobprov.provenance.capture.record.json_objects import Record

CONTENT_TYPE = "application/vnd.jobprov.excerpts"
_SHORTEST = 256  # in bytes; what is shorter costs no more than its digest, which is sent twice
_MOST = 16
_SHARED_FIELDS = ("configurations", "software", "scripts")
_SHARED_BUCKETS = 4  # of variables that jobs share
_OWN_BUCKET = _SHARED_BUCKETS
_SHORTEST_MARK = 4  # in characters: a shorter value stands in others by chance
_OWN_NAMES = frozenset(
    [
        "CLUSTER",
        "PROCESS",
        "JOBSUBJOBID",
        "JOBSUBJOBSECTION",
        "JOBSUBPARENTJOBID",
        "DAGMANJOBID",
        "TRACEPARENT",
        "BOGOMIPS",
        "NODE_NAME",
        "HOSTNAME",
        "HOST",
        "VENDOR_ID",
        "PWD",
        "OLDPWD",
        "TMPDIR",
        "TMP",
        "TEMP",
        "JSB_TMP",
        "SHLVL",
        "_",
        "SAM_PROCESS_ID",
        "JUSTIN_JOBSUB_ID",
    ]
)
_FOLDERS = ("_CONDOR_SCRATCH_DIR", "TMPDIR", "PWD")  # other variables name places below them


class Excerpt:
    """A stretch of a record: where it begins, its bytes, and their SHA-256."""

    def __init__(self, start: int, content: bytes) -> None:
        self.start, self.content = start, content
        self.sha256 = hashlib.sha256(content).hexdigest()


def find(record: Record, body: bytes) -> List[Excerpt]:
    """Return the excerpts of a record in the order of its bytes, 16 at most, none over another."""
    texts = [text for text in _shared_texts(record) if len(text) >= _SHORTEST]
    places = [(body.find(text), text) for text in texts]
    excerpts: List[Excerpt] = []
    end = 0
    for start, text in sorted(places):
        if start >= end and len(excerpts) < _MOST:
            excerpts.append(Excerpt(start, text))
            end = start + len(text)
    return excerpts


def fold(body: bytes, excerpts: Sequence[Excerpt], known: Collection[str]) -> bytes:
    """Return a record's bytes for a service that takes excerpts.

    Those in `known` (digests) are only named; the others stay, and the service remembers them.
    """
    places, pieces, end = [], [], 0
    for excerpt in excerpts:
        is_here = excerpt.sha256 not in known
        places.append([excerpt.start, len(excerpt.content), excerpt.sha256, is_here])
        pieces.append(body[end : excerpt.start])
        if is_here:
            pieces.append(excerpt.content)
        end = excerpt.start + len(excerpt.content)
    pieces.append(body[end:])
    head = json.dumps(places, separators=(",", ":")).encode("ascii")
    return head + b"\n" + b"".join(pieces)


def order(environment: Dict[str, str]) -> List[str]:
    """Return the names of variables, those that jobs share together, a job's own at the end."""
    marks = _marks({}, environment)
    return sorted(environment, key=lambda name: (_bucket(name, environment[name], marks), name))


def _shared_texts(record: Record) -> List[bytes]:
    """Return what other jobs may have as well, as it stands in the record's bytes."""
    texts = [_text(record[field]) for field in _SHARED_FIELDS if record.get(field)]
    environment = record.get("environment") or {}
    texts += _variable_texts(record, environment.get("variables") or {})
    if environment.get("withheld"):
        texts.append(_text(environment["withheld"]))
    return texts


def _variable_texts(record: Record, variables: Dict[str, str]) -> List[bytes]:
    """Return the texts of neighbouring variables of one bucket."""
    marks = _marks(record, variables)
    runs: List[Dict[str, str]] = []
    last_bucket: Optional[int] = None
    for name, value in variables.items():
        bucket = _bucket(name, value, marks)
        if bucket == _OWN_BUCKET:
            last_bucket = None
            continue
        if bucket != last_bucket:
            runs.append({})
        runs[-1][name] = value
        last_bucket = bucket
    return [_text(run)[1:-1] for run in runs]


def _bucket(name: str, value: str, marks: Sequence[str]) -> int:
    """Return a number below 4 for a variable that jobs may share, 4 for one of this job alone."""
    if name in _OWN_NAMES or any(mark in value for mark in marks):
        return _OWN_BUCKET
    return zlib.crc32(name.encode("utf-8", "surrogateescape")) % _SHARED_BUCKETS


def _marks(record: Record, variables: Dict[str, str]) -> List[str]:
    """Return the words that tell this job from others.

    Its scratch folder, its batch id, its node.
    """
    batch, host = record.get("batch") or {}, record.get("host") or {}
    words = [variables.get(name) for name in _FOLDERS]
    words += [variables.get("JOBSUBJOBID"), variables.get("HOSTNAME")]
    words += [batch.get("id"), batch.get("global_job_id"), host.get("hostname")]
    return [
        word for word in words if isinstance(word, str) and len(word.rstrip("/")) >= _SHORTEST_MARK
    ]


def _text(value: Any) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")
