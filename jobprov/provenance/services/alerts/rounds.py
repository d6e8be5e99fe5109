"""A round: the rules of all experiments are looked at, and what is due is sent.

The service does one every ten seconds, `jobprov alerts check` when it is called.
"""

from pathlib import Path
from typing import NamedTuple

from jobprov.provenance.db.queries.lookup.experiments import experiment_key
from jobprov.provenance.services.alerts.checks import CheckedExperiment, check_experiment
from jobprov.provenance.services.alerts.conditions import Experiment
from jobprov.provenance.services.alerts.deliveries import send_due
from jobprov.provenance.services.alerts.rules import read_alert_rules
from jobprov.provenance.services.work.queue import Parts


class AlertSettings(NamedTuple):
    """What alerts need to know of the service.

    Attributes:
        file: the operator's, with the rules.
        address: of the service, for messages.
        folders: whose disks are looked at.
    """

    file: Path
    address: str
    folders: tuple[Path, ...]


class Round(NamedTuple):
    """What was done at once.

    Attributes:
        checked: the experiments that were looked at.
        unrecorded: experiments of the file that have nothing recorded yet.
        sent, failed: messages.
    """

    checked: list[CheckedExperiment]
    unrecorded: list[str]
    sent: int
    failed: int


def run_alerts(parts: Parts, settings: AlertSettings, *, is_forced: bool = False) -> Round:
    """Look at each experiment whose turn it is, then send what is due.

    Args:
        is_forced: also where somebody looked less than a minute ago.

    Raises:
        BadInputError: the operator's file is wrong.
    """
    rules = read_alert_rules(settings.file)
    checked, unrecorded = [], []
    try:
        for name, alerts in rules.items():
            key = _key_of(parts, name)
            if key is None:
                unrecorded.append(name)
                continue
            experiment = Experiment(key, name)
            done = check_experiment(
                parts, settings.folders, experiment, alerts, is_forced=is_forced
            )
            if done is not None:
                checked.append(done)
    finally:
        # Alerts found before are sent, whatever keeps an experiment from being looked at now
        sent, failed = send_due(parts, settings.address, rules)
    return Round(checked, unrecorded, sent, failed)


def _key_of(parts: Parts, name: str) -> int | None:
    with parts.database.reading.connect() as connection:
        return experiment_key(connection, name)
