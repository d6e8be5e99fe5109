"""A detector in one formula: muons are seen with an efficiency, and their momentum is smeared."""

from typing import Any, ClassVar

import awkward as ak
import numpy as np

from toyexp import messages
from toyexp.errors import EventError
from toyexp.events import Columns

_MUON = 13


class ToySmear:
    """Makes reconstructed muons of the generated ones.

    `resolution` is a table: `constant` (relative) and `slope` (relative, per GeV) of the transverse
    momentum, added in quadrature.
    """

    DEFAULTS: ClassVar = {
        "resolution": dict,
        "efficiency": 1.0,
        "acceptAbsEtaBelow": 2.4,
        "seed": int,
    }

    def __init__(self, label: str, parameters: dict[str, Any]) -> None:
        self.label = label
        self.parameters = parameters
        self.random = np.random.Generator(np.random.PCG64(parameters["seed"]))
        messages.info(
            "RANDOM",
            f"ToySmear:{label}@Construction",
            f'Instantiated PCG64 engine "{label}:0:" with seed {parameters["seed"]}.',
        )

    def produce(self, columns: Columns) -> Columns:
        """Return the events with muons."""
        if "particle" not in columns:
            raise EventError(
                f"The events hold no generated particles, processing module ToySmear/{self.label}"
            )
        true = columns["particle"]
        true = true[
            (abs(true.pid) == _MUON) & (abs(true.eta) < self.parameters["acceptAbsEtaBelow"])
        ]
        counts = ak.to_numpy(ak.num(true))
        total = int(counts.sum())
        is_seen = self.random.random(total) < self.parameters["efficiency"]
        factor = 1 + self.random.standard_normal(total) * self._resolution(
            ak.to_numpy(ak.flatten(true.pt))
        )
        muon = ak.zip(
            {
                "charge": ak.where(true.pid > 0, -1, 1),
                "pt": true.pt * ak.unflatten(np.maximum(factor, 0.01), counts),
                "eta": true.eta,
                "phi": true.phi,
            }
        )
        return {**columns, "muon": muon[ak.unflatten(is_seen, counts)]}

    def _resolution(self, pt: Any) -> Any:
        resolution = self.parameters["resolution"]
        return np.hypot(resolution["constant"], resolution["slope"] * pt)
