"""Answers to catalogs and transfer services that report a file."""

from msgspec import Struct


class SightingAnswer(Struct, frozen=True):
    """What became of a file that a catalog or transfer service saw.

    Attributes:
        change: `created`, or `same` where exactly this was seen before.
        namespace: empty where the file has none.
        url: the path of the file's page.
        job_id: the job that made the file; None while no job claims it.
        job_url: the path of the job's page.
        joined_by: `job` where the sighting names the job, else `checksum` or `name`; None without a
            job.
        is_sure: False where the job only may have made the file.
        aliases: the file's names at birth.
    """

    change: str
    name: str
    namespace: str
    experiment: str
    url: str
    job_id: str | None
    job_url: str | None
    joined_by: str | None
    is_sure: bool
    aliases: list[str]
