"""A job in other people's words: PROV, OpenLineage and in-toto, as its bundle holds them."""

import io
import tarfile
from dataclasses import replace

from provenance.services.build_bundle import Bundle, stream_plan

FORMS = {
    "prov-json": ("prov.json", "application/json"),
    "prov-n": ("prov.provn", "text/provenance-notation; charset=utf-8"),
    "openlineage": ("openlineage.ndjson", "application/x-ndjson"),
    "in-toto": ("statement.json", "application/vnd.in-toto+json"),
}
"""File below `prov/` of a bundle, and content type, by the name of the form."""


def export_job(bundle: Bundle, form: str) -> bytes:
    """Return one of the `FORMS` of a job."""
    path = f"data/prov/{FORMS[form][0]}"
    members = tuple(member for member in bundle.plan.members if member.path == path)
    alone = replace(bundle.plan, own=members, fragments={})
    data = b"".join(stream_plan(alone, bundle.reader))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        extracted = archive.extractfile(f"{bundle.plan.top}/{path}")
        return extracted.read() if extracted is not None else b""
