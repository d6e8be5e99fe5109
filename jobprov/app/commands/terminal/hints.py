"""Commands that are printed for people to type: they run as they stand."""

import shlex
import shutil
import sys
from pathlib import Path

from jobprov.app.config import Settings, load_settings


def own_command() -> str:
    """Return what to type for `jobprov`: its path where the shell does not find this very one."""
    program = Path(sys.executable).with_name("jobprov")
    found = shutil.which("jobprov")
    if not program.is_file() or (found is not None and Path(found).absolute() == program):
        return "jobprov"
    return shlex.quote(str(program))


def exports(settings: Settings, address: str) -> str | None:
    """Return the line after which commands ask the service at `address` and open its folder.

    None where they do so already: they have the environment, or defaults, of this process.
    """
    usual = load_settings({})
    named = []
    if usual.url != address:
        named.append(f"JOBPROV_URL={shlex.quote(address)}")
    if usual.data != settings.data:
        named.append(f"JOBPROV_DATA={shlex.quote(str(settings.data))}")
    return f"export {' '.join(named)}" if named else None
