"""The BagIt files of a bundle, written by hand (libraries stamp today's date and their own version into them).

Source: RFC 8493 (BagIt 1.0).
"""

import hashlib
from datetime import UTC, datetime

from provenance.bundle.draft import Draft
from provenance.bundle.names import percent

ALGORITHMS = ("sha256", "sha512")


def add_bag(draft: Draft, *, job_id: str, spec_version: int, level: int, mtime: int, record_bytes: bytes) -> None:
    """Write bagit.txt, bag-info.txt, the manifests and the manifests of those; to be called when the payload is whole."""
    payload = draft.members("data/")
    draft.add("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
    facts = {
        "Bag-Software-Agent": f"jobprov bundle specification {spec_version}",
        "Bagging-Date": datetime.fromtimestamp(mtime, UTC).date().isoformat(),
        "Bundle-Spec-Version": str(spec_version),
        "Closure-Level": f"L{level}",
        "External-Identifier": f"urn:uuid:{percent(job_id)}",
        "Payload-Oxum": f"{sum(member.size for member in payload)}.{len(payload)}",
        "Record-Digest": f"sha256:{hashlib.sha256(record_bytes).hexdigest()}",
    }
    draft.add("bag-info.txt", "".join(f"{key}: {value}\n" for key, value in sorted(facts.items())).encode())
    _add_manifests(draft, "manifest", "data/")
    _add_manifests(draft, "tagmanifest", "")


def _add_manifests(draft: Draft, kind: str, folder: str) -> None:
    members = [member for member in draft.members(folder) if folder or not member.path.startswith("data/")]
    for algorithm in ALGORITHMS:
        lines = [f"{getattr(member, algorithm)}  {member.path}\n" for member in members]
        draft.add(f"{kind}-{algorithm}.txt", "".join(lines).encode())
