"""How many examples a property is tried on.

All of them with the slow tests, a quarter by default.
"""

from hypothesis import settings

# Hypothesis' own limit of 200 ms an example fails tests on a machine that is busy with something
# else.
settings.register_profile("full", deadline=None)
settings.register_profile("short", deadline=None, max_examples=25)
settings.load_profile("full")


def examples(count: int) -> int:
    """Return how many of `count` examples this run tries."""
    return max(5, count * settings().max_examples // settings.get_profile("full").max_examples)


def try_few_examples() -> None:
    """Try properties on fewer examples from now on."""
    settings.load_profile("short")
