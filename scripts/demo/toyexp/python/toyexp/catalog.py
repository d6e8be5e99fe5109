"""The declaration that goes to the file catalog, written beside each output as `<output>.json`.

*Source*: MetaCat's file declaration: name, size, parents, and metadata with dotted keys.
"""

import json
from pathlib import Path
from typing import Any

_NAMES = {
    "data_tier": "core.data_tier",
    "data_stream": "core.data_stream",
    "file_format": "core.file_format",
    "file_type": "core.file_type",
    "event_count": "core.event_count",
    "first_event": "core.first_event",
    "last_event": "core.last_event",
    "runs": "core.runs",
}


def declaration(path: str, metadata: dict[str, Any]) -> str:
    """Return the JSON text that declares the file, with size in bytes."""
    application = {
        f"core.application.{key}": value for key, value in metadata["application"].items()
    }
    named = {
        dotted: metadata[name] for name, dotted in _NAMES.items() if metadata[name] is not None
    }
    document = {
        "name": Path(path).name,
        "size": Path(path).stat().st_size,
        "parents": [{"name": parent} for parent in metadata["parents"]],
        "metadata": {**named, **application},
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
