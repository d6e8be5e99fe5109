"""Finding the muon pair, and choosing events by its mass."""

from typing import Any, ClassVar

import awkward as ak
import numpy as np

from toyexp.errors import EventError
from toyexp.events import Columns


class ToyDimuon:
    """Adds mass and transverse momentum (GeV) of the hardest pair of opposite charge.

    -1 where there is none.
    """

    DEFAULTS: ClassVar = {"muonPtAbove": 20.0}

    def __init__(self, label: str, parameters: dict[str, Any]) -> None:
        self.label = label
        self.parameters = parameters

    def produce(self, columns: Columns) -> Columns:
        """Return the events with the pair's quantities."""
        if "muon" not in columns:
            raise EventError(f"The events hold no muons, processing module ToyDimuon/{self.label}")
        muon = columns["muon"][columns["muon"].pt > self.parameters["muonPtAbove"]]
        plus = self._hardest(muon[muon.charge > 0])
        minus = self._hardest(muon[muon.charge < 0])
        is_pair = ~(np.isnan(plus["pt"]) | np.isnan(minus["pt"]))
        angle = np.cos(plus["phi"] - minus["phi"])
        with np.errstate(invalid="ignore"):
            mass = np.sqrt(
                2 * plus["pt"] * minus["pt"] * (np.cosh(plus["eta"] - minus["eta"]) - angle)
            )
            pt = np.sqrt(plus["pt"] ** 2 + minus["pt"] ** 2 + 2 * plus["pt"] * minus["pt"] * angle)
        return {
            **columns,
            "dimuon_mass": np.where(is_pair, mass, -1.0),
            "dimuon_pt": np.where(is_pair, pt, -1.0),
        }

    def _hardest(self, muon: Any) -> dict[str, Any]:
        best = ak.firsts(muon[ak.argsort(muon.pt, ascending=False)])
        return {
            name: ak.to_numpy(ak.fill_none(best[name], np.nan)) for name in ("pt", "eta", "phi")
        }


class ToyMassFilter:
    """Lets events pass whose pair has a mass of at least `massMin` and below `massMax`, or, with `invert`, outside."""

    DEFAULTS: ClassVar = {"massMin": float, "massMax": float, "invert": False}

    def __init__(self, label: str, parameters: dict[str, Any]) -> None:
        self.label = label
        self.parameters = parameters

    def passes(self, columns: Columns) -> Any:
        """Return one boolean an event; an event without a pair never passes."""
        mass = columns["dimuon_mass"]
        is_inside = (mass >= self.parameters["massMin"]) & (mass < self.parameters["massMax"])
        return (mass > 0) & (~is_inside if self.parameters["invert"] else is_inside)
