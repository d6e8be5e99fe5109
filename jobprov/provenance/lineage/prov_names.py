"""Names of files and jobs in W3C PROV, the same in the export of a job and in that of a lineage.

Documents that are merged share what they name alike. A file is named by experiment, namespace and
name, which every record knows, and not by its digest, which the record of a job that only read it
may lack.

Source: W3C recommendation "PROV-N: the provenance notation" (30 April 2013), section 3.7.1 for the
characters of qualified names.
"""

from urllib.parse import quote

FILE = "urn:jobprov:file:"
JOB = "urn:uuid:"
TERMS = "urn:jobprov:terms:"


def file_in_prov(experiment: str, namespace: str, name: str) -> str:
    """The qualified name of a file: `file:EXPERIMENT/NAMESPACE/NAME`, without what is empty."""
    parts = [experiment, namespace, name]
    return "file:" + "/".join(local_name(part) for part in parts if part)


def job_in_prov(job_id: str) -> str:
    """The qualified name of a job, whose URI is that of its UUID."""
    return f"job:{local_name(job_id)}"


def local_name(text: str) -> str:
    """The text percent-encoded, so that PROV-N needs no escapes.

    PROV-N allows no `-` or `.` at the beginning of a name, and no `.` at its end.
    """
    encoded = quote(text, safe="", errors="replace").replace("~", "%7E")
    if encoded[:1] in {"-", "."}:
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if encoded.endswith("."):
        encoded = f"{encoded[:-1]}%2E"
    return encoded
