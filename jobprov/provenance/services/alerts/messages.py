"""What is written to receivers: alerts that began and that are over, in one message.

Words of a message come from rules, and from what jobs said: control characters are taken out, and
an invisible space is put into words that a chat would take for a call to everybody.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jobprov.provenance.answers.addresses import alerts_page
from jobprov.provenance.db.changes.alerts import TakenDelivery
from jobprov.provenance.lineage.words import counted, duration
from jobprov.provenance.times import minute_text

MOST_TOLD = 20
_AGAIN = "The answer to an earlier try of this message was lost: it may have reached you before."
_NARROW_SPACE = "\u200b"


class Message(NamedTuple):
    """A message: its title and its body, as plain text."""

    title: str
    body: str


def compose(taken: Sequence[TakenDelivery], address: str) -> Message:
    """Return the message about deliveries of one receiver.

    Args:
        taken: the deliveries, of one experiment.
        address: of the service.
    """
    experiment = taken[0].experiment
    # That an alert began and that it is over may both have waited
    alerts = list({delivery.uuid: delivery for delivery in taken}.values())
    paragraphs = [_paragraph(alert, address) for alert in alerts[:MOST_TOLD]]
    left = len(alerts) - len(paragraphs)
    if left:
        paragraphs.append(f"And {counted(left, 'alert')} more.")
    paragraphs.append(f"All alerts: {address}{alerts_page(experiment)}")
    if any(delivery.is_uncertain for delivery in taken):
        paragraphs.append(_AGAIN)
    return Message(plain(f"{experiment}: {_title(alerts)}"), "\n\n".join(paragraphs))


def trial(experiment: str, receiver: str, address: str) -> Message:
    """Return the message of `jobprov alerts test`."""
    body = (
        f"This is a test of the receiver {receiver} of {experiment}. Nothing is wrong.\n\n"
        f"All alerts: {address}{alerts_page(experiment)}"
    )
    return Message(plain(f"{experiment}: a test"), plain_lines(body))


def _title(alerts: Sequence[TakenDelivery]) -> str:
    if len(alerts) == 1:
        [alert] = alerts
        return f"{'over: ' if _is_over(alert) else ''}{alert.rule}"
    over = sum(1 for alert in alerts if _is_over(alert))
    if over == len(alerts):
        return f"{counted(over, 'alert')} over"
    title = counted(len(alerts) - over, "alert")
    return f"{title}, {over} over" if over else title


def _is_over(delivery: TakenDelivery) -> bool:
    return delivery.ended_at is not None


def _paragraph(delivery: TakenDelivery, address: str) -> str:
    """Return the paragraph about one alert."""
    lines = [f"{delivery.rule}: {delivery.words}"]
    began = minute_text(delivery.began_at)
    if delivery.ended_at is None:
        lines.append(f"Since {began}.")
    else:
        lasted = duration((delivery.ended_at - delivery.began_at).total_seconds())
        lines[0] = f"Over: {lines[0]}"
        lines.append(f"Began {began}, over {minute_text(delivery.ended_at)}, after {lasted}.")
        if delivery.ended_words:
            lines.append(f"Now: {delivery.ended_words}")
    lines = [plain(line) for line in lines]
    return "\n".join([*lines, f"{address}{delivery.page}"])


def plain(text: str) -> str:
    """Return a text on one line, without what a terminal or a chat would act on."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    in_one_line = " ".join(printable.split())
    return in_one_line.replace("@", f"@{_NARROW_SPACE}").replace("<!", f"<{_NARROW_SPACE}!")


def plain_lines(text: str) -> str:
    """Return a text with each of its lines made plain, see `plain`."""
    return "\n".join(plain(line) for line in text.split("\n"))
