"""The page of an analysis: samples by data tier, done and expected of each, and obsolete passes."""

from typing import NamedTuple

from flask import Response

from jobprov.app.csv_rows import CONTENT_TYPE, Cell, csv_lines
from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted, number
from jobprov.app.web.frame.page import answer, asked, here, pages
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.tasks.samples import Sample, SampleCell, Samples
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.tasks.samples import list_samples

_COLUMNS = (
    "sample",
    "data_tier",
    "definitions",
    "releases",
    "files",
    "expected_files",
    "events",
    "expected_events",
)


class ShownCell(NamedTuple):
    """A cell of the table.

    `share` is in thousandths of the expected files, None where none are expected.
    """

    cell: SampleCell
    is_done: bool
    share: int | None


class ShownSample(NamedTuple):
    """A row of the table: the cells of a sample by data tier."""

    sample: str
    cells: dict[str, ShownCell]


@pages.get("/samples/<experiment>", endpoint="samples")
def show_page(experiment: str) -> Response:
    """Show the samples of an experiment, as a page or as CSV."""
    samples = _read(experiment)
    if asked("format") == "csv":
        return _csv(samples)
    twin = None
    if samples.samples or samples.archived:
        twin = address("/samples", {"experiment": experiment})
    rows = [_shown_sample(sample) for sample in samples.samples]
    return answer(
        "tasks/samples.html",
        twin=twin,
        experiment=experiment,
        tiers=samples.data_tiers,
        first_line=first_line(samples),
        samples=cut_rows("samples", rows, 40),
        archived=cut_rows("archived", samples.archived, 20),
        csv_url=here(format="csv"),
    )


def _read(experiment: str) -> Samples:
    """Return the samples; none for a recorded experiment without a declared task.

    Raises:
        NotFoundError: nothing of the experiment was recorded.
    """
    service = get_service()
    with service.reading() as connection:
        try:
            return list_samples(connection, service.store, experiment)
        except NotFoundError:
            # the home page leads here from every experiment
            find_experiment(connection, experiment)
            return Samples(experiment, [], [], [])


def first_line(samples: Samples) -> str:
    """Return how much of the expected amount is there."""
    if not samples.samples and not samples.archived:
        return (
            "No task was declared, so it is not known what is expected: "
            "declare tasks with jobprov declare, or with jobprov register at submission."
        )
    cells = [cell for sample in samples.samples for cell in sample.cells]
    expecting = [cell for cell in cells if cell.expected_files is not None]
    done = sum(_is_done(cell) for cell in expecting)
    sample_count = counted(len(samples.samples), "sample")
    size = f"{sample_count} in {counted(len(samples.data_tiers), 'data tier')}"
    if not expecting:
        return f"{size}; no task declares how many files it expects."
    cell_count = counted(len(expecting), "cell")
    return f"{size}: {number(done)} of {cell_count} that expect files are complete."


def _shown_sample(sample: Sample) -> ShownSample:
    return ShownSample(sample.sample, {cell.data_tier: _shown_cell(cell) for cell in sample.cells})


def _shown_cell(cell: SampleCell) -> ShownCell:
    share = None
    if cell.expected_files:
        share = min(1000, round(1000 * cell.files / cell.expected_files))
    return ShownCell(cell, _is_done(cell), share)


def _is_done(cell: SampleCell) -> bool:
    return cell.expected_files is not None and cell.files >= cell.expected_files


def _csv(samples: Samples) -> Response:
    rows = [_csv_row(sample.sample, cell) for sample in samples.samples for cell in sample.cells]
    return Response(csv_lines(_COLUMNS, rows), content_type=CONTENT_TYPE)


def _csv_row(sample: str, cell: SampleCell) -> dict[str, Cell]:
    return {
        "sample": sample,
        "data_tier": cell.data_tier,
        "definitions": " ".join(cell.definitions),
        "releases": " ".join(cell.releases),
        "files": cell.files,
        "expected_files": cell.expected_files,
        "events": cell.events,
        "expected_events": cell.expected_events,
    }
