"""Whether a script draws random numbers that no seed decides, as far as its text tells.

A rule by words, which may miss what a program hides and never says what it does not read. It is not
meant for what is random and harmless: pauses and names of temporary files.
"""

import re
from typing import Optional

_MOST_BYTES, _HEAD_BYTES, _SHOWN = 1 << 20, 1024, 60
_HARMLESS = re.compile(rb"^\s*(?:#|//|\*)|sleep|mktemp|te?mp", re.IGNORECASE)
_CALLS = (
    rb"random|rand[n]?|randint|randrange|choices?|shuffle|sample|uniform|gauss|normal|normalvariate"
    rb"|exponential|poisson|permutation|integers"
)
# (what draws, what in the same text says that it was seeded after all)
_RULES = (
    (rb"\$\{?RANDOM\b|\(\([^\n]*\bRANDOM\b", rb"(?m)^\s*RANDOM="),
    (rb"/dev/u?random\b|\b(?:os\.urandom|SystemRandom|uuid\.uuid[14]|default_rng)\(\s*\)", None),
    (rb"(?i)s(?:eed|rand)[^\n#]{0,40}(?:\$\(date|`date|\btime\(|\btime\.time|\$\$|getpid\()", None),
    (rb"\bTRandom\w*(?:\s+\w+)?\s*\(\s*0\s*\)|\bSetSeed\(\s*0?\s*\)|\bsrand\(\s*\)", None),
    (rb"\brandom\.(?:" + _CALLS + rb")\(", rb"(?i)seed"),
    (rb"\b(?:rnorm|runif|rpois|rexp)\(", rb"set\.seed"),
    (rb"(?m)(?:^|[|;&(]\s*)shuf\b", rb"--random-source"),
)


def find_unseeded(content: bytes) -> Optional[str]:
    """Return where a text draws random numbers unseeded, in words; None where it does not."""
    if len(content) > _MOST_BYTES or b"\0" in content[:_HEAD_BYTES]:
        return None
    for draws, seeds in _RULES:
        if seeds is not None and re.search(seeds, content):
            continue
        for match in re.finditer(draws, content):
            begin = content.rfind(b"\n", 0, match.start()) + 1
            line = content[begin:].split(b"\n", 1)[0]
            if not _HARMLESS.search(line):
                number = content.count(b"\n", 0, begin) + 1
                shown = line.strip()[:_SHOWN].decode("utf-8", "replace")
                return "line {}, {}".format(number, shown)
    return None
