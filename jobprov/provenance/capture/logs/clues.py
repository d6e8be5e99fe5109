"""What a failed command left besides its logs that tells where it failed.

Its FHiCL has the type of a module that the log names by its label, or the label of a type; art's
databases have the last event of a log that was cut off; the command line has the path of a file
that the log only says could not be opened.
"""

import os
from typing import Collection, Optional, Sequence, Tuple

from jobprov.provenance.capture.logs import art_trackers
from jobprov.provenance.capture.logs.configured_modules import ConfiguredModules
from jobprov.provenance.capture.record.json_objects import Finding

_TRACKERS = {"TimeTracker": "--timing-db", "MemoryTracker": "--memcheck-db"}
_NUMBERS = ("run", "subrun", "event")


class Clues:
    """What is known of a command besides its logs.

    Attributes:
        contents: its FHiCL, the text that counts most first.
        databases: art's, as far as this command alone wrote them.
        argv: words of all its command lines.
        is_path_set: whether CET_PLUGIN_PATH was set; None where nobody knows.
        is_script: whether it may do more than run art.
        own_logs: names of the logs to which the last program like art alone printed.
    """

    def __init__(
        self,
        contents: Sequence[bytes] = (),
        databases: Sequence[str] = (),
        argv: Sequence[str] = (),
        *,
        is_path_set: Optional[bool] = None,
        is_script: bool = False,
        own_logs: Collection[str] = (),
    ) -> None:
        self.databases, self.argv, self.is_path_set = databases, argv, is_path_set
        self._contents, self.is_script, self.own_logs = contents, is_script, own_logs
        self._modules: Optional[ConfiguredModules] = None

    def complete_module(self, finding: Finding) -> None:
        """Add the type of the module that a finding names, or the label, as the FHiCL has it."""
        label, kind = finding.get("module_label"), finding.get("module_type")
        if not self._contents or bool(label) == bool(kind):
            return
        if self._modules is None:
            self._modules = ConfiguredModules(self._contents)
        if label:
            finding["module_type"] = self._modules.type_of(label)
        elif kind:
            finding["module_label"] = self._modules.label_of(kind)

    def complete_event(self, place: Finding) -> None:
        """Replace the event that a log names last where a database has a later one."""
        for path in self.databases:
            last = _last_event(path)
            if last and last > tuple(int(place.get(name) or -1) for name in _NUMBERS):
                place.update(zip(_NUMBERS, map(str, last)))  # noqa: B905 - Python 3.6
                place["event_from"] = os.path.basename(path)

    def add_database(self, finding: Finding) -> None:
        """Add the path of the database that a service of art could not write."""
        for service, option in _TRACKERS.items():
            if service in (finding.get("service") or "") and "SQL" in finding["category"]:
                path = self._value_of(option)
                if path:
                    finding["file"] = path
                    finding["message"] += ": {} {}".format(option, path)

    def add_plugin_path(self, finding: Finding) -> None:
        """Say that the path of plugins is not set, where that is why one is missing."""
        message = finding.get("message") or ""
        if self.is_path_set is False and "does not correspond to any library" in message:
            finding["message"] = message.rstrip(".") + "; CET_PLUGIN_PATH is not set"

    def _value_of(self, option: str) -> Optional[str]:
        for place, word in enumerate(self.argv):
            name, equals, value = word.partition("=")
            if name != option:
                continue
            if equals:
                return value
            following = self.argv[place + 1 : place + 2]
            return following[0] if following else None
        return None


def _last_event(path: str) -> Optional[Tuple[int, int, int]]:
    try:
        import sqlite3  # noqa: PLC0415 - not every Python has it
    except ImportError:
        return None
    try:
        return art_trackers.last_event(path)
    except (OSError, sqlite3.Error):  # none, or a locked one: the log has to do
        return None
