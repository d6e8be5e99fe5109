"""Whether code draws random numbers that no seed decides, or writes what differs from run to run.

Rules by words, which may miss what a program hides and never say what they do not read. They are
not meant for what is harmless: pauses, names of temporary files, times in a log, UUIDs (each job of
`fife_wrap` makes one, which names files).
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
    (rb"/dev/u?random\b|\b(?:os\.urandom|SystemRandom|default_rng)\(\s*\)", None),
    (rb"(?i)s(?:eed|rand)[^\n#]{0,40}(?:\$\(date|`date|\btime\(|\btime\.time|\$\$|getpid\()", None),
    (rb"\bTRandom\w*(?:\s+\w+)?\s*\(\s*0\s*\)|\bSetSeed\(\s*0?\s*\)|\bsrand\(\s*\)", None),
    (rb"\brandom\.(?:" + _CALLS + rb")\(", rb"(?i)seed"),
    (rb"\b(?:rnorm|runif|rpois|rexp)\(", rb"set\.seed"),
    (rb"(?m)(?:^|[|;&(]\s*)shuf\b", rb"--random-source"),
)
# Time, host and number of the process, on a line that writes to a file, or in the name of one
_TO_FILE = rb"(?:[^;]*|.*\}\s*)(?<![\d&>])>>?\s*(?!&|/dev/|\(|\S*\.log\b)[\w$\"'./{~]"
_SHELL_TIME = rb"(?:date|hostname|uname)\b"
_PYTHON_TIME = (
    rb"\b(?:datetime\.(?:now|utcnow|today)|date\.today|time\.(?:time|ctime|asctime|strftime)"
    rb"|socket\.gethostname|platform\.node|os\.getpid)\("
)
_WRITES = re.compile(
    rb"|".join(
        (
            rb"\b__(?:DATE|TIME|TIMESTAMP)__\b",
            rb"(?:\$\(|`|^\s*|[;&|{]\s*)" + _SHELL_TIME + _TO_FILE,
            rb"[\w./]\$\(" + _SHELL_TIME + rb"[^)]*\)\w*\.(?!log\b|err\b|out\b)\w",
            rb"\$(?:\$|\{?HOSTNAME\b)" + _TO_FILE,
            rb"\b(?:write(?:lines|row)?|dump)\(.*" + _PYTHON_TIME,
            _PYTHON_TIME + rb".*\bfile=(?!sys\.std)",
        )
    )
)
_MOST_LINES, _LINE_BYTES = 5000, 300  # so that no text takes long


def find_unseeded(content: bytes) -> Optional[str]:
    """Return where a text draws random numbers unseeded, in words; None where it does not."""
    if not _is_text(content):
        return None
    for draws, seeds in _RULES:
        if seeds is not None and re.search(seeds, content):
            continue
        for match in re.finditer(draws, content):
            begin = content.rfind(b"\n", 0, match.start()) + 1
            line = content[begin:].split(b"\n", 1)[0]
            if not _HARMLESS.search(line):
                return _show(content.count(b"\n", 0, begin) + 1, line)
    return None


def find_run_specific(content: bytes) -> Optional[str]:
    """Return where a text writes time, host or process number to a file; None where it does not."""
    if not _is_text(content):
        return None
    for number, line in enumerate(content.split(b"\n", _MOST_LINES)[:_MOST_LINES], 1):
        if len(line) <= _LINE_BYTES and _WRITES.search(line) and not _HARMLESS.search(line):
            return _show(number, line)
    return None


def _is_text(content: bytes) -> bool:
    return len(content) <= _MOST_BYTES and b"\0" not in content[:_HEAD_BYTES]


def _show(number: int, line: bytes) -> str:
    return "line {}, {}".format(number, line.strip()[:_SHOWN].decode("utf-8", "replace"))
