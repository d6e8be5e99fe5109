"""Event generation with Pythia 8."""

import itertools
import math
import time
from typing import Any, ClassVar

import awkward as ak
import numpy as np
import pythia8mc

from toyexp import messages
from toyexp.errors import EventError, misconfigured
from toyexp.events import Columns

_TRIES_BEFORE_WARNING, _TRIES_BETWEEN_WARNINGS = 100, 2000


class ToyPythia:
    """Fills each event with the charged final-state particles of one collision.

    `beam` is a table `{ energyCM: GeV }`, `commands` are Pythia's own settings; an event is tried
    again until the mass of the hard system (GeV) is at least `requireMassAbove`.
    """

    DEFAULTS: ClassVar = {
        "beam": dict,
        "commands": list,
        "seed": int,
        "requireMassAbove": 0.0,
        "keepAbsEtaBelow": 2.5,
        "keepPtAbove": 0.5,
    }

    def __init__(self, label: str, parameters: dict[str, Any]) -> None:
        self.label = label
        self.parameters = parameters
        self.event_seconds: list[float] = []
        self.pythia = pythia8mc.Pythia("", printBanner=False)
        energy = parameters["beam"].get("energyCM")
        seed = parameters["seed"]
        fixed = [
            "Print:quiet = on",
            f"Beams:eCM = {energy}",
            "Random:setSeed = on",
            f"Random:seed = {seed}",
        ]
        for command in [*fixed, *parameters["commands"]]:
            if not self.pythia.readString(command):
                raise misconfigured(
                    label, "ToyPythia", [f"Pythia does not know the setting {command!r}"]
                )
        messages.info(
            "RANDOM",
            f"ToyPythia:{label}@Construction",
            f'Instantiated Pythia8Rndm engine "{label}:0:" with seed {seed}.',
        )
        if not self.pythia.init():
            raise misconfigured(
                label, "ToyPythia", ["Pythia cannot be initialised with these settings"]
            )

    def produce(self, columns: Columns) -> Columns:
        """Return the events with particles, weights and process codes."""
        particles, weights, codes = [], [], []
        self.event_seconds = []
        for run, subrun, event in zip(
            columns["run"], columns["subrun"], columns["event"], strict=True
        ):
            started = time.perf_counter()
            self._generate(f"run: {run} subRun: {subrun} event: {event}")
            particles.append(self._charged())
            weights.append(self.pythia.infoPython().weight())
            codes.append(self.pythia.infoPython().code())
            self.event_seconds.append(time.perf_counter() - started)
        fields = ("pid", "pt", "eta", "phi")
        flat = np.array([row for rows in particles for row in rows], dtype="float64").reshape(
            -1, len(fields)
        )
        counts = [len(rows) for rows in particles]
        collection = {
            field: ak.unflatten(flat[:, index], counts) for index, field in enumerate(fields)
        }
        return {
            **columns,
            "weight": np.array(weights),
            "process_code": np.array(codes),
            "charged_multiplicity": np.array(counts),
            "particle": ak.zip(collection),
        }

    def _generate(self, where: str) -> None:
        wanted = self.parameters["requireMassAbove"]
        for tries in itertools.count(1):
            if not self.pythia.next():
                raise EventError(
                    f"Pythia gave up on an event, processing module ToyPythia/{self.label} {where}"
                )
            if self.pythia.infoPython().mHat() >= wanted:
                return
            if tries == _TRIES_BEFORE_WARNING or tries % _TRIES_BETWEEN_WARNINGS == 0:
                text = (
                    f"{tries} collisions tried, none with a mass of {wanted:g} GeV or more, {where}"
                )
                messages.warning("Inefficient", f"ToyPythia:{self.label}", text)

    def _charged(self) -> list[tuple[float, float, float, float]]:
        eta_limit, pt_limit = self.parameters["keepAbsEtaBelow"], self.parameters["keepPtAbove"]
        kept = []
        for index in range(self.pythia.event.size()):
            particle = self.pythia.event[index]
            if particle.isFinal() and particle.isCharged():
                pt, eta = particle.pT(), particle.eta()
                if pt > pt_limit and math.fabs(eta) < eta_limit:
                    kept.append((float(particle.id()), pt, eta, particle.phi()))
        return kept
