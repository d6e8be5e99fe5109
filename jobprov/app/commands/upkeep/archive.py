"""`jobprov archive check|repair|adopt|stats|expire|seal`: keep the archive sound."""

import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import (
    data_option,
    emit,
    json_option,
    opened_service,
    opens_service,
    option_with_default,
    settings_with,
)
from jobprov.app.commands.terminal.progress import shown_progress
from jobprov.app.config import Settings
from jobprov.app.moments import SEAL, note_done
from jobprov.app.wiring import Service
from jobprov.provenance.db.queries.upkeep import AwaitedCount, known_archive
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.words import counted, number, size
from jobprov.provenance.services.bundles.checks import check_bundles
from jobprov.provenance.services.erasures.log_expiry import Expiry, expire_logs
from jobprov.provenance.services.upkeep import archive_identity
from jobprov.provenance.services.upkeep.archive_checks import ArchiveReport, Trouble, check_archive
from jobprov.provenance.services.upkeep.archive_growth import (
    Growth,
    count_recorded,
    forecast_growth,
)
from jobprov.provenance.services.upkeep.backups import (
    DATABASE_COPY,
    copied_archive,
    open_copy,
)
from jobprov.provenance.services.upkeep.repairs import repair_archive
from jobprov.provenance.services.upkeep.sealing import seal_all

_FAR = 3650
_MOST_JOBS = 10


@click.group(cls=Group)
def archive() -> None:
    """Check, count and seal what the archive holds."""


@archive.command()
@click.option(
    "--bundles",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="Build N planned bundles again instead, and compare.",
)
@data_option
@json_option
def check(*, bundles: int | None, data: str | None, as_json: bool) -> None:
    """Read every byte of the archive; say what is damaged or gone, and which jobs that touches.

    With --data, the archive in that folder is checked, and its database if there is one, instead of
    those that JOBPROV_ARCHIVE_URL and JOBPROV_DATABASE_URL name. That is how to check a copy. A
    folder without an archive is refused.
    """
    settings = _settings_of_copy(data)
    with opened_service(settings) as service:
        if bundles is not None:
            is_sound = _check_bundles(service, bundles, as_json=as_json)
        else:
            is_sound = _check_archive(service, settings.archive_url, as_json=as_json)
    sys.exit(0 if is_sound else 1)


def _settings_of_copy(data: str | None) -> Settings:
    """Return the settings; what a folder that was named holds goes before the environment.

    Raises:
        BadInputError: the folder holds no archive, so that another one would be checked.
    """
    given: dict[str, object] = {"data": data}
    if data is not None:
        folder = Path(data).absolute()
        address = copied_archive(folder)
        if address is None:
            raise BadInputError(
                f"{folder} holds no archive, so nothing was checked. Without --data, the archive of "
                "JOBPROV_ARCHIVE_URL is checked, or else the one in JOBPROV_DATA.",
                {"data": ["a folder that holds an archive"]},
            )
        given["archive_url"] = address
        if (folder / DATABASE_COPY).is_file():
            given["database_url"] = f"sqlite:///{folder / DATABASE_COPY}"
    return settings_with(**given)


def _check_archive(service: Service, address: str, *, as_json: bool) -> bool:
    """Read the whole archive, print what is wrong, and return whether it is sound."""
    with service.reading() as connection, shown_progress(as_json=as_json):
        report = check_archive(connection, service.store)
    document = {"archive": address, **_report_json(report)}
    emit(document, _report_text(report, address), as_json=as_json)
    return report.is_sound


def _check_bundles(service: Service, count: int, *, as_json: bool) -> bool:
    """Build planned bundles again, print which drifted, and return whether none did."""
    report = check_bundles(service.database, service.writer, service.store, count)
    lines: list[str] = []
    drifted: list[Mapping[str, object]] = []
    for drift in report.drifted:
        job = drift.job
        lines.append(f"DRIFT {job.experiment} job {job.job_id} plan {drift.number}: {drift.detail}")
        drifted.append({**job._asdict(), "plan": drift.number, "detail": drift.detail})
    lines.append(
        f"{counted(report.compared, 'bundle')} built again and compared, {report.first} built for "
        f"the first time, {len(report.drifted)} drifted."
    )
    emit(
        {"compared": report.compared, "first": report.first, "drifted": drifted},
        "\n".join(lines),
        as_json=as_json,
    )
    return not report.drifted


@archive.command()
@click.option(
    "--from",
    "source",
    required=True,
    metavar="BACKUP",
    help="Folder of `jobprov backup`, or the address of an archive (file:/…, s3://…).",
)
@opens_service
def repair(*, source: str, service: Service, as_json: bool) -> None:
    """Put back what is damaged or missing from a copy of this archive, then check again.

    Every byte is compared with its digest. Damaged packs are moved aside, to the folder set-aside.
    """
    copy = open_copy(source)
    with service.reading() as connection:
        known = known_archive(connection)
        report = repair_archive(connection, service.store, copy, known)
    text = (
        f"{counted(report.blobs, 'blob')} and {counted(report.documents, 'document')} put back, "
        f"{counted(report.packs, 'damaged pack')} moved aside."
    )
    after = _report_json(report.after)
    emit(
        {**report._asdict(), "after": after},
        f"{text}\n{_report_text(report.after, service.settings.archive_url)}",
        as_json=as_json,
    )
    sys.exit(0 if report.after.is_sound else 1)


@archive.command()
@click.option("--yes", is_flag=True, help="Do it; without this, only say what would be done.")
@data_option
@json_option
def adopt(*, yes: bool, data: str | None, as_json: bool) -> None:
    """Make this archive the database's own, after the one before was lost for good.

    What the lost archive held is then missing; `jobprov archive check` lists it.
    """
    settings = settings_with(data=data)
    if not yes:
        sys.exit(
            f"{settings.archive_url} would become the archive of this database, and blobs that are "
            "not in it would count as lost. If that is what you want: --yes"
        )
    with opened_service(settings, is_tied=False) as service:
        identity = archive_identity.adopt(service.database, service.store)
    emit(
        {"identity": identity},
        f"The archive {identity} is the database's own now.",
        as_json=as_json,
    )


@archive.command()
@opens_service
def stats(*, service: Service, as_json: bool) -> None:
    """Show how much the archive holds."""
    stored, now = service.store.stats(), datetime.now(UTC)
    with service.reading() as connection:
        recorded = count_recorded(connection, now=now)
    free_bytes = _free_bytes(service.settings.archive_url)
    growth = forecast_growth(stored.stored_bytes, recorded, now=now, free_bytes=free_bytes)
    numbers = {
        "blobs": stored.blobs,
        "loose": stored.loose,
        "packs": stored.packs,
        "stored_bytes": stored.stored_bytes,
        "content_bytes": stored.content_bytes,
    }
    held = (
        f"The archive holds {counted(stored.blobs, 'blob')} of {size(stored.content_bytes)}, "
        f"{size(stored.stored_bytes)} compressed."
    )
    packed = f"All are packed, in {counted(stored.packs, 'pack')}."
    if stored.loose:
        packed = f"Not packed yet: {number(stored.loose)}; `jobprov archive seal` does it."
    lines = [held, packed, _growth_text(growth)]
    emit({**numbers, "growth": growth._asdict()}, "\n".join(lines), as_json=as_json)


def _growth_text(growth: Growth) -> str:
    if growth.bytes_a_day is None:
        return "No job was recorded in the last 30 days, so its growth is not known."
    days = round(growth.days)
    last_days = "the last day" if days == 1 else f"the last {days} days"
    text = (
        f"It grows by about {size(int(growth.bytes_a_day))} a day, or "
        f"{size(int(365 * growth.bytes_a_day))} a year, at the pace of {last_days} "
        f"({counted(growth.recent_jobs, 'job')})."
    )
    if growth.days_left is None:
        return text
    left = "more than ten years"
    if growth.days_left <= _FAR:
        left = counted(round(growth.days_left), "day")
    return f"{text} At this pace its disk is full in {left}."


def _free_bytes(archive_url: str) -> int | None:
    """Return the free bytes of the archive's disk; None for a bucket."""
    if not archive_url.startswith("file:"):
        return None
    return shutil.disk_usage(archive_url.removeprefix("file:")).free


@archive.command()
@click.option("--experiment", required=True, help="Whose logs.")
@option_with_default("--days", click.IntRange(0, 36_500), 90, "Logs of jobs recorded longer ago.")
@click.option(
    "--quota",
    "quota_gb",
    type=click.FloatRange(0),
    help="Only the oldest beyond so many GB of whole logs.",
)
@option_with_default(
    "--keep", click.IntRange(1, 10_000), 64, "So many kB at each end.", to="kept_kb"
)
@option_with_default(
    "--jobs", click.IntRange(1, 1_000_000_000), 100_000, "Look at so many at most."
)
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would go.")
@opens_service
def expire(
    *, experiment: str, days: int, quota_gb: float | None, kept_kb: int, jobs: int,
    dry_run: bool, service: Service, as_json: bool,
) -> None:  # fmt: skip
    """Let old logs of jobs that succeeded expire: both ends are kept, the digest and a gap stay.

    For cron, a line an experiment.
    """
    before = datetime.now(UTC) - timedelta(days=days)
    quota_bytes = None if quota_gb is None else int(quota_gb * 1e9)
    done = expire_logs(
        service.database,
        service.writer,
        service.store,
        experiment,
        before=before,
        quota_bytes=quota_bytes,
        kept_bytes=kept_kb * 1000,
        most_jobs=jobs,
        is_trial=dry_run,
    )
    verb = "would expire" if dry_run else "expired"
    emit(done._asdict(), _expiry_text(done, verb), as_json=as_json)
    sys.exit(1 if done.left else 0)


def _expiry_text(done: Expiry, verb: str) -> str:
    text = (
        f"{counted(done.logs, 'log')} of {counted(done.jobs, 'job')} {verb}: "
        f"{size(done.freed_bytes)} uncompressed."
    )
    if not done.is_whole:
        text += " The next run goes on."
    if done.left:
        text += f" {counted(done.left, 'log')} could not be erased: see `jobprov archive check`."
    return text


@archive.command()
@opens_service
def seal(*, service: Service, as_json: bool) -> None:
    """Seal the ledger into the archive's chains, and put loose blobs into packs."""
    with shown_progress(as_json=as_json):
        ledger, blobs = seal_all(service.database, service.writer, service.store)
        note_done(service.settings.data, SEAL)
    text = (
        f"{_entries(ledger.entries)} sealed in {counted(ledger.segments, 'segment')} "
        f"({size(ledger.body_bytes)}); {counted(blobs.packed, 'blob')} packed."
    )
    if ledger.adopted:
        text += f" {counted(ledger.adopted, 'segment')} adopted that only the archive had."
    numbers = {**ledger._asdict(), "packed": blobs.packed, "damaged": list(blobs.damaged)}
    emit(numbers, text, as_json=as_json)
    sys.exit(1 if blobs.damaged else 0)


def _report_json(report: ArchiveReport) -> dict[str, object]:
    troubles = []
    for trouble in report.troubles:
        jobs = [job._asdict() for job in trouble.jobs]
        harmless = {"is_harmless": trouble.is_harmless}
        troubles.append({**trouble._asdict(), **harmless, "jobs": jobs})
    return {
        **report._asdict(),
        "is_sound": report.is_sound,
        "gaps": report.gaps._asdict(),
        "troubles": troubles,
    }


def _report_text(report: ArchiveReport, address: str) -> str:
    """Return what is wrong, then what was looked at, and last whether the archive is sound."""
    lines = [_trouble_text(trouble) for trouble in report.troubles]
    lines.append(
        f"Read: {counted(report.blobs, 'blob')}, and {counted(report.segments, 'segment')} of the "
        f"ledger with {_entries(report.entries)}."
    )
    lines.append(f"Looked for: {counted(report.needed_blobs, 'blob')} that records need.")
    if report.gaps.blobs:
        lines.append(_gaps_text(report.gaps))
    verdict = "is sound"
    if not report.is_sound:
        losses = sum(not trouble.is_harmless for trouble in report.troubles)
        verdict = f"is not sound: {counted(losses, 'thing')} damaged or missing"
    lines.append(f"The archive {address} {verdict}.")
    return "\n".join(lines)


def _gaps_text(gaps: AwaitedCount) -> str:
    verb = "names" if gaps.jobs == 1 else "name"
    was = "was" if gaps.blobs == 1 else "were"
    named = f"{counted(gaps.blobs, 'blob')} that {counted(gaps.jobs, 'job')} {verb}"
    return f"{named} {was} never sent: a gap, not damage."


def _entries(count: int) -> str:
    return f"{number(count)} {'entry' if count == 1 else 'entries'}"


def _trouble_text(trouble: Trouble) -> str:
    text = f"{trouble.kind} {trouble.name} ({trouble.where}): {trouble.detail}"
    for job in trouble.jobs[:_MOST_JOBS]:
        text += f"\n    touches job {job.job_id} of {job.experiment}"
    if len(trouble.jobs) > _MOST_JOBS:
        text += f"\n    and {len(trouble.jobs) - _MOST_JOBS} more; --json lists them all"
    return text


COMMANDS = {"archive": archive}
EXAMPLES = {
    "archive check": ("jobprov archive check --bundles 10",),
    "archive repair": ("jobprov archive repair --from /backup/jobprov",),
    "archive adopt": ("jobprov archive adopt --yes",),
    "archive stats": ("jobprov archive stats",),
    "archive expire": ("jobprov archive expire --experiment toyexp --days 365 --dry-run",),
    "archive seal": ("jobprov archive seal",),
}
