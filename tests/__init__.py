"""Tests; `tests.library` has what they share."""

import gc

# From the first import on: modules and collected tests stay, and Python went through them over and over
gc.set_threshold(20_000, 20, 20)
