"""What can be read from the name of a file: data or configuration, an address, a pattern of art."""

import functools
import os
import re
from typing import Optional, Tuple

DATA_SUFFIXES = (
    ".root",
    ".h5",
    ".hdf5",
    ".hepmc",
    ".hepmc3",
    ".lhe",
    ".parquet",
    ".npz",
    ".npy",
    ".raw",
    ".dat",
    ".art",
    ".txt",
    ".csv",
    ".tsv",
    ".list",
    ".lst",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
    ".fits",
    ".pkl",
)
SYSTEM_FOLDERS = ("/usr/", "/bin/", "/sbin/", "/lib", "/opt/", "/cvmfs/", "/nix/")
# jobsub unpacks the tarballs of submissions there, and removes them after some weeks
_FLEETING = "/cvmfs/fifeuser"
_URL = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# Compiled where they are needed: few jobs do before their command
_DID = r"(?s)([A-Za-z0-9_.-]*):(?!//)((?:.*/)?[^:/]+)\Z"
_ART_PATTERN = r"%(?:0?\d*)?(?:if[bdenps]|t[cor]|[lprRsS#])"


def is_url(path: str) -> bool:
    """Tell whether a name is an address: it is recorded, and never opened."""
    return _URL.match(path) is not None


def file_name(place: str) -> str:
    """Return the name of the file at a path or address, without the address's query."""
    if is_url(place):
        place = place.partition("?")[0]
    return os.path.basename(place.rstrip("/"))


def is_in_system_folder(path: str) -> bool:
    """Tell whether a path lies in a folder of the system or of software that stays."""
    return path.startswith(SYSTEM_FOLDERS) and not path.startswith(_FLEETING)


def normal_path(path: str) -> str:
    """Return an absolute path without `.`, `..` and any `//`: normpath keeps one in front."""
    return "/" + os.path.normpath(path).lstrip("/")


def is_within(path: str, folder: str) -> bool:
    """Tell whether an absolute path is a folder, or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def split_did(word: str) -> Tuple[Optional[str], str]:
    """Return (namespace, path) of `namespace:path`, and (None, the word) of any other name.

    A file that is there under the whole word is meant, whatever its name holds.
    """
    did = re.match(_DID, word)
    if did is None or os.path.exists(word):
        return None, word
    return did.group(1), did.group(2)


def from_here(path: str) -> str:
    """Return an absolute path as the record has it: relative below the working folder."""
    folder = os.getcwd() + os.sep
    return path[len(folder) :] if path.startswith(folder) else path


def is_data(path: str) -> bool:
    """Tell whether a file has a suffix of data; `.tar.gz` is an archive, as `.tar` and `.tgz`."""
    name, suffix = os.path.splitext(path.lower())
    return suffix in DATA_SUFFIXES and not name.endswith(".tar")


def guess_role(path: str) -> str:
    """Return the role of an input that was only found on the command line.

    Data by its suffix, else configuration.
    """
    return "primary" if is_data(path) else "configuration"


def as_glob(pattern: str) -> str:
    """Return art's output pattern (`%l_%r_%#.root`, `%ifb`) as a glob.

    Other names are returned as they are.
    """
    return re.sub(_ART_PATTERN, "*", pattern) if "%" in pattern else pattern


def real_path(path: str) -> str:
    """Return the path of a file of code without links.

    It is remembered: each is asked for several times, and costs a look at every folder on its way.
    """
    return _resolve(os.path.abspath(path))


@functools.lru_cache(maxsize=4096)
def _resolve(path: str) -> str:
    return os.path.realpath(path)
