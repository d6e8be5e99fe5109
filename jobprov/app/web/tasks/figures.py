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
        NotFoundError: nobody declared how many units there are to be, or nothing was left all week.
    """
    drawn = draw_backlog(campaign.backlog, datetime.fromisoformat(campaign.counted_at))
    if drawn is None or campaign.backlog is None:
        raise NotFoundError("Nothing is known to be left of this campaign that could be drawn.")
    # As of the burn-down: of other stages nobody knows how many units they are to have
    done, expected = 0, 0
    for stage in campaign.stages:
        if stage.units.expected is not None:
            done += stage.units.produced
            expected += stage.units.expected
    start, end = datetime.fromisoformat(drawn.start), datetime.fromisoformat(drawn.end)
    figure = render_template(
        "tasks/figure.svg",
        campaign=campaign,
        drawn=drawn,
        width=WIDTH,
        height=HEIGHT,
        line=done_words(done, expected),
        is_whole=campaign.backlog.burn_down.is_whole,
        cost="" if spending is None or not spending.total.jobs else cost_words(spending),
        ends_at=campaign.backlog.ends_at and minute(campaign.backlog.ends_at),
        counted_at=minute(campaign.counted_at),
        times=_times(start, end),
        lefts=_lefts(campaign.backlog.burn_down.most()),
    )
    return Response(figure, content_type="image/svg+xml; charset=utf-8")


def _times(start: datetime, end: datetime) -> list[Tick]:
    """Return the days or hours on the axis of the figure, as many as have room."""
    ticks = []
    for tick in Axis(start, end).ticks():
        if tick.label:
            ticks.append(Tick(round(WIDTH * tick.percent / 100), tick.label))
    return ticks


def _lefts(most: int) -> list[Tick]:
    """Return round numbers of units between none and most."""
    rough = most / _LINES
    power = 10 ** (len(str(int(rough))) - 1)
    step = max(1, next(round(nice * power) for nice in _NICE if nice * power >= rough))
    return [
        Tick(HEIGHT - round((HEIGHT - TOP) * left / most), number(left))
        for left in range(0, most + 1, step)
    ]
