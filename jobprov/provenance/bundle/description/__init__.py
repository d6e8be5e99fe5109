"""The bundle described for people and for other programs."""
