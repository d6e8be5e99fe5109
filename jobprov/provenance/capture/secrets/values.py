"""Takes secrets out of JSON: by what a text holds, and by the key that it is the value of."""

import functools
import re
from typing import Any, List

from jobprov.provenance.capture.secrets.texts import may_hold_secret, redact_text

HARMLESS = frozenset(["", "0", "1", "true", "false", "yes", "no", "on", "off"])
"""Values, in lower case, that are no secret whatever they are called."""
SHORTEST_VALUE = 8
"""In characters; a shorter value of a variable is not looked for: it stands in texts by chance."""
_SHORTEST_PASSWORD = 4
# What a key of JSON is called whose value is a secret
_KEY = re.compile(
    r"(?:^|[\w.-]*[_.-])(?:password|passwd|passphrase|pw|secret|token|(?:api|access|secret|private)_?key)$",
    re.IGNORECASE,
)


def redact_strings(value: Any) -> Any:
    """Return the value with secrets taken out of every string in it.

    Nothing leaves that a rule knows.
    """
    if isinstance(value, str):
        return redact_text(value) if len(value) >= SHORTEST_VALUE else value
    if isinstance(value, dict):
        return {redact_strings(key): _redact_item(key, item) for key, item in value.items()}
    if isinstance(value, list):
        return value if _has_no_sign(value) else [redact_strings(item) for item in value]
    return value


def _has_no_sign(values: List[Any]) -> bool:
    """Tell by one search whether a list is of strings without secrets, as a search path is."""
    if not all(isinstance(value, str) for value in values):
        return False
    text = "\n".join(values).encode("utf-8", "surrogateescape")
    return not may_hold_secret(text)


def _redact_item(key: Any, item: Any) -> Any:
    if names_secret_value(key, item):
        return "<redacted:name>"
    if key == "variables" and isinstance(item, dict):  # an environment, judged as a whole
        return {name: redact_strings(value) for name, value in item.items()}
    return redact_strings(item)


def names_secret_value(key: Any, item: Any) -> bool:
    """Tell whether a key of JSON says that its value is a secret."""
    if not (isinstance(key, str) and isinstance(item, str) and _is_secret_key(key)):
        return False
    is_long_enough = len(item) >= _SHORTEST_PASSWORD
    return is_long_enough and item[0] not in "$<{%./" and item.lower() not in HARMLESS


@functools.lru_cache(maxsize=1024)
def _is_secret_key(key: str) -> bool:
    return _KEY.match(key) is not None
