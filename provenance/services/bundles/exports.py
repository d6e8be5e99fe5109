"""A job in other people's words: PROV, OpenLineage and in-toto, as its bundle holds them."""

import io
import tarfile
from dataclasses import replace

from jobprov.provenance.bundle.exports import FORMS
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.bundles.job_bundle import Bundle, stream_plan


def export_job(bundle: Bundle, form: str) -> bytes:
    """Return one of the `FORMS` of a job.

    Raises:
        NotFoundError: the bundle's plan is of a specification that had no such file.
    """
    path = f"data/prov/{FORMS[form][0]}"
    members = tuple(member for member in bundle.plan.members if member.path == path)
    if not members:
        raise NotFoundError(f"The bundle of job {bundle.job_id} holds no {form}.")
    alone = replace(bundle.plan, own=members, fragments={})
    data = b"".join(stream_plan(alone, bundle.reader))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        extracted = archive.extractfile(f"{bundle.plan.top}/{path}")
        return extracted.read() if extracted is not None else b""
