"""A job in other formats: PROV, OpenLineage and in-toto, exactly as its bundle holds them."""

import io
import tarfile
from dataclasses import replace

from jobprov.provenance.bundle.description.exports import FORMS
from jobprov.provenance.services.bundles.job_bundle import Bundle, stream_plan


def export_job(bundle: Bundle, form: str) -> bytes:
    """Return one of the `FORMS` of a job."""
    path = f"data/prov/{FORMS[form][0]}"
    members = tuple(member for member in bundle.plan.members if member.path == path)
    alone = replace(bundle.plan, own=members, fragments={})
    data = b"".join(stream_plan(alone, bundle.reader))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        extracted = archive.extractfile(f"{bundle.plan.top}/{path}")
        return extracted.read() if extracted is not None else b""
