"""`jobprov export-site`: the pages of campaigns as files."""

import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import emit, option_with_default
from jobprov.app.commands.terminal.progress import shown_progress
from jobprov.app.reports.site import Fetched, copy_pages, site_index
from jobprov.provenance.answers.addresses import campaign_page, report_page
from jobprov.provenance.answers.statistics.campaigns import CampaignProgress
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError, NotFoundError
from jobprov.provenance.lineage.words import counted

_MARK = ".jobprov-site"
_INDEX = "/"
"""The address that the list of campaigns has among the copied pages: the home page's."""


@click.command("export-site")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--experiment", required=True, help="Of this experiment.")
@click.option(
    "--campaign",
    "campaigns",
    multiple=True,
    required=True,
    help="Begin with this campaign; may be repeated.",
)
@option_with_default("--most", click.IntRange(1, 100_000), 2000, "Pages at most, nearest first.")
@asks_service
def export_site(
    *,
    folder: Path,
    experiment: str,
    campaigns: tuple[str, ...],
    most: int,
    client: Client,
    as_json: bool,
) -> None:
    """Write pages of campaigns, their tasks, jobs, files and lineage into FOLDER.

    They can be read without a service and without scripts.

    Begin with index.html: the page of the campaign, or a list of several. Links to what was not
    taken lead to the service. A copy that is there is replaced once the new one is whole.
    """
    _check(folder)
    names = list(dict.fromkeys(campaigns))
    listed = [client.campaign(name, experiment=experiment) for name in names]
    pages = {name: campaign_page(name, experiment) for name in names}
    starts = [*pages.values(), *(report_page(name, experiment) for name in names)]
    if len(names) > 1:
        starts.insert(0, _INDEX)
    for campaign, page in pages.items():
        if _fetch(client, page) is None:
            raise NotFoundError(f"No page of campaign {campaign} of {experiment} at {client.url}.")
    # In the copy, what leads home leads to the list of its campaigns
    ours = {}
    if len(names) > 1:
        ours[_INDEX] = _index(listed, client.url)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        site = Path(scratch) / "site"
        site.mkdir()
        with shown_progress(as_json=as_json):
            copied = copy_pages(
                lambda address: ours.get(address) or _fetch(client, address),
                starts,
                site,
                service=client.url,
                most=most,
            )
        (site / _MARK).write_text(json.dumps({"service": client.url, **copied._asdict()}) + "\n")
        site.chmod(0o755)
        if folder.exists():
            folder.rename(Path(scratch) / "before")
        site.rename(folder)
    text = f"{counted(copied.pages, 'page')} in {folder}/index.html"
    if copied.left:
        text += f"; {counted(copied.left, 'page')} beyond --most lead to the service"
    emit(copied._asdict(), f"{text}.", as_json=as_json)


def _check(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise BadInputError(
            f"{folder} holds something else; give a folder that is empty or was made by this "
            "command."
        )


def _index(campaigns: Sequence[CampaignProgress], service: str) -> Fetched:
    """Return the page that lists these campaigns, as if the service had answered it."""
    page = site_index(campaigns, made_at=datetime.now(UTC), service=service)
    return Fetched(_INDEX, "text/html; charset=utf-8", page.encode())


def _fetch(client: Client, address: str) -> Fetched | None:
    answer = client.page(address)
    return None if answer is None else Fetched(*answer)


COMMANDS = {"export-site": export_site}
EXAMPLES = {
    "export-site": ("jobprov export-site site --experiment toyexp --campaign demo-2026",),
}
