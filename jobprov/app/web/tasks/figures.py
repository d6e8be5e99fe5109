"""What is left of a campaign as a figure that stands alone: for a talk, a mail or a paper."""

from datetime import datetime
from typing import NamedTuple

from flask import Response, render_template

from jobprov.app.reports.rows import cost_words, done_words
from jobprov.app.web.frame.formats import minute, number
from jobprov.app.web.tasks.backlogs import HEIGHT, TOP, WIDTH, draw_backlog
from jobprov.app.web.tasks.timelines import Axis
from jobprov.provenance.answers.statistics.campaigns import CampaignProgress
from jobprov.provenance.answers.statistics.spending import Spending
from jobprov.provenance.errors import NotFoundError

_LINES = 5
_NICE = (1, 2, 2.5, 5, 10)


class Tick(NamedTuple):
    """A place on an axis of the figure, in the coordinates of the picture, and its words."""

    at: int
    words: str


def show_figure(campaign: CampaignProgress, spending: Spending | None) -> Response:
    """Show what is left of a campaign, with axes, on white, and what it cost where that is counted.

    Raises:
        NotFoundError: no number of units is declared, or nothing was left all week.
    """
    drawn = draw_backlog(campaign.backlog, datetime.fromisoformat(campaign.counted_at))
    if drawn is None or campaign.backlog is None:
        raise NotFoundError("Nothing is known to be left of this campaign that could be drawn.")
    start, end = datetime.fromisoformat(drawn.start), datetime.fromisoformat(drawn.end)
    cost = ""
    if spending is not None and spending.total.jobs:
        cost = cost_words(spending)
    figure = render_template(
        "tasks/figure.svg",
        campaign=campaign,
        drawn=drawn,
        width=WIDTH,
        height=HEIGHT,
        line=_done_line(campaign),
        is_whole=campaign.backlog.burn_down.is_whole,
        cost=cost,
        ends_at=campaign.backlog.ends_at and minute(campaign.backlog.ends_at),
        counted_at=minute(campaign.counted_at),
        times=_times(start, end),
        lefts=_lefts(campaign.backlog.burn_down.most()),
    )
    return Response(figure, content_type="image/svg+xml; charset=utf-8")


def _done_line(campaign: CampaignProgress) -> str:
    """Return how many units are done of the stages that declare their number, as the burn-down."""
    done, expected = 0, 0
    for stage in campaign.stages:
        if stage.units.expected is not None:
            done += stage.units.produced
            expected += stage.units.expected
    return done_words(done, expected)


def _times(start: datetime, end: datetime) -> list[Tick]:
    """Return the days or hours on the axis of the figure, as many as have room."""
    ticks = []
    for tick in Axis(start, end).ticks():
        if tick.label:
            ticks.append(Tick(round(WIDTH * tick.percent / 100), tick.label))
    return ticks


def _lefts(most: int) -> list[Tick]:
    """Return round numbers of units between none and most."""
    step = _round_step(most / _LINES)
    ticks = []
    for left in range(0, most + 1, step):
        height = round((HEIGHT - TOP) * left / most)
        ticks.append(Tick(HEIGHT - height, number(left)))
    return ticks


def _round_step(least: float) -> int:
    """Return the first of 1, 2, 2.5, 5, 10, 20, 25, … that is not below a number, as an integer."""
    power: int = 10 ** (len(str(int(least))) - 1)
    large_enough = [nice * power for nice in _NICE if nice * power >= least]
    return max(1, round(min(large_enough)))
