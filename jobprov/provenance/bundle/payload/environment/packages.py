"""The installed packages in a bundle: distributions, compilers, the operating system's packages.

`env/os-packages.tsv` is the listing that all jobs of a release share; `env/os-packages.txt` tells
how to get these versions back when the mirrors have newer ones, and `env/os-packages.list` names
the archive for apt. `env/requirements.txt` has the distributions for pip.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from jobprov.provenance.bundle.fields import digest
from jobprov.provenance.bundle.names import percent
from jobprov.provenance.bundle.needs import CODE, ENVIRONMENT
from jobprov.provenance.bundle.payload.payload import Payload

_LARGEST_LISTING = 4 * 1024 * 1024  # bytes; a longer listing is put into the bundle, but not read
_LISTING_COLUMNS = 4
_NEEDED_FOR = {
    "interpreter": "what ran the job's scripts",
    "compiler": "what compiled while the job ran",
    "pip": "installed for the job's Python",
}
_DISTRIBUTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9.!+_-]*")
_OF_SYSTEM = re.compile(r"/usr/lib(64)?/python3?[^/]*/(dist|site)-packages$")
_REQUIREMENTS = """\
# The Python packages that the job's Pythons found, each once a folder: pip install -r requirements.txt
"""
_EVERY_ARCHITECTURE = frozenset({"all", "noarch", "(none)", ""})
_DEBIAN = {
    "8": "jessie",
    "9": "stretch",
    "10": "buster",
    "11": "bullseye",
    "12": "bookworm",
    "13": "trixie",
    "14": "forky",
}
_UBUNTU = {
    "18.04": "bionic",
    "20.04": "focal",
    "22.04": "jammy",
    "24.04": "noble",
    "26.04": "resolute",
}
_FROM_DEBIAN = """\
All packages as they were on that day, in a folder that becomes a root:
    debootstrap @CODENAME@ ROOT https://snapshot.debian.org/archive/debian/@DAY@T000000Z/
or as a line of sources.list (security updates are in archive/debian-security, \
suite @CODENAME@-security):
    deb [check-valid-until=no] https://snapshot.debian.org/archive/debian/@DAY@T000000Z/ \
@CODENAME@ main
then: apt-get install NAME=VERSION
One version of a package, whenever it was current: \
the answer of this address names the .deb by a hash, and
https://snapshot.debian.org/file/HASH is the .deb. \
The addresses of all of them, by a shell in this folder:
    cut -f 2,3 os-packages.tsv | while read -r name version; do
      echo "https://snapshot.debian.org/mr/binary/$name/$version/binfiles?fileinfo=1"
    done
"""
_DEBIAN_LIST = """\
deb [check-valid-until=no] https://snapshot.debian.org/archive/debian/@DAY@T000000Z/ @CODENAME@ main
"""
_DEBIAN_SECURITY_LIST = """\
deb [check-valid-until=no] https://snapshot.debian.org/archive/debian-security/@DAY@T000000Z/ \
@CODENAME@-security main
"""
_DAY = re.compile(r"\d{8}")
_OLDEST_WITH_SECURITY = 11  # before, the suite had another name
_UBUNTU_LIST = """\
deb [check-valid-until=no] https://snapshot.ubuntu.com/ubuntu/@DAY@T000000Z/ @CODENAME@ \
main universe
deb [check-valid-until=no] https://snapshot.ubuntu.com/ubuntu/@DAY@T000000Z/ @CODENAME@-updates \
main universe
deb [check-valid-until=no] https://snapshot.ubuntu.com/ubuntu/@DAY@T000000Z/ @CODENAME@-security \
main universe
"""
_FROM_UBUNTU = """\
All packages as they were on that day, as a line of sources.list:
    deb [check-valid-until=no] https://snapshot.ubuntu.com/ubuntu/@DAY@T000000Z/ \
@CODENAME@ main universe
then: apt-get install NAME=VERSION
One version of a package, whenever it was current:
    https://launchpad.net/ubuntu/+archive/primary/+files/NAME_VERSION_@ARCH@.deb
"""
_RPM_PLACES = {
    "almalinux": (
        "https://vault.almalinux.org/@VERSION@/{BaseOS,AppStream,CRB}/@ARCH@/os/Packages/ (while it"
        " is the newest: https://repo.almalinux.org/almalinux/@VERSION@/)"
    ),
    "rocky": (
        "https://dl.rockylinux.org/vault/rocky/@VERSION@/{BaseOS,AppStream}/@ARCH@/os/Packages/"
    ),
    "centos": "https://vault.centos.org/ (the folder of the version, @ARCH@/os/Packages/)",
    "scientific": (
        "https://ftp.scientificlinux.org/linux/scientific/@VERSION@/@ARCH@/os/Packages/ and"
        " .../updates/security/ (or below .../scientific/obsolete/)"
    ),
    "fedora": (
        "https://archives.fedoraproject.org/pub/archive/fedora/linux/releases/@VERSION@/Everything/"
        "@ARCH@/os/Packages/"
    ),
}
_FROM_RPM = """\
The file of a package is NAME-VERSION.ARCHITECTURE.rpm, below
    @PLACE@
A root of them: dnf --installroot=ROOT --disablerepo='*' \
--repofrompath=then,ADDRESS-OF-THE-FOLDER-WITH-repodata
    --enablerepo=then install NAME-VERSION.ARCHITECTURE
Packages of EPEL: https://dl.fedoraproject.org/pub/archive/epel/
"""
_FROM_ELSEWHERE = "No archive of old packages is known here for this system.\n"


class _Archive(NamedTuple):
    """Where old packages of a system are kept.

    All may have marks, as `@DAY@`.

    Attributes:
        how: how to get them back, for a reader.
        place: the address; words may follow it.
        sources: the same as apt takes it (sources.list(5)); empty for other systems.
    """

    how: str
    place: str
    sources: str = ""


class Package(NamedTuple):
    """A line of the recorder's listing of interpreters, compilers and distributions.

    Attributes:
        record: SHA-256 of what a wheel's RECORD lists; empty for anything else.
    """

    kind: str
    name: str
    version: str
    place: str
    record: str = ""


def listed_packages(payload: Payload) -> list[Package]:
    """Return the interpreters, compilers and distributions that the recorder listed."""
    packages = []
    for cells in _listing(payload, "packages_sha256"):
        if len(cells) >= _LISTING_COLUMNS and cells[0] in _NEEDED_FOR:
            record = digest("".join(cells[4:5]))
            packages.append(Package(cells[0], cells[1], cells[2], cells[3], record))
    return packages


def need_packages(payload: Payload, packages: list[Package]) -> None:
    """Note packages as needs of the environment."""
    for package in packages:
        name = f"{package.name} {package.version}".strip()
        why = _NEEDED_FOR[package.kind]
        payload.needs.add(
            ENVIRONMENT, package.kind, name, why, digest=package.record, place=package.place
        )


def add_requirements(payload: Payload, packages: list[Package]) -> None:
    """Write `env/requirements.txt`: distributions by the folder that they are installed in.

    Those of the operating system's Python come with its packages, and so are comments.
    """
    by_folder: dict[str, list[str]] = {}
    for package in packages:
        line = f"{package.name}=={package.version}"
        if package.kind == "pip" and _DISTRIBUTION.fullmatch(line):
            by_folder.setdefault(package.place, []).append(line)
    if not by_folder or payload.level < CODE:
        return
    parts = [_REQUIREMENTS]
    for folder, lines in sorted(by_folder.items()):
        parts.append(_requirements_of(folder, sorted(lines)))
    payload.write_shared("env/requirements.txt", "".join(parts).encode("utf-8", "replace"))


def _requirements_of(folder: str, distributions: Sequence[str]) -> str:
    title, mark = percent(folder), ""
    if _OF_SYSTEM.search(folder):
        title, mark = f"{title}: of the operating system, see os-packages.tsv", "# "
    lines = "".join(f"{mark}{distribution}\n" for distribution in distributions)
    return f"\n# {title}\n{lines}"


def add_os_packages(payload: Payload) -> None:
    """Write `env/os-packages.tsv` and `env/os-packages.txt`, and note the packages as a need."""
    sha256 = payload.environment.digest("system_packages_sha256")
    if not sha256:
        return
    system = payload.environment.part("os")
    name = f"{system.text('id') or 'unknown system'} {system.text('version')}".strip()
    if not payload.has(sha256):
        why = "the listing of the operating system's packages did not arrive"
        payload.needs.add(ENVIRONMENT, "os-packages", name, why, digest=sha256)
        return
    listing = _listing(payload, "system_packages_sha256")
    archive = _filled_archive(payload, listing)
    why = (
        "the operating system's packages: env/os-packages.tsv, and env/os-packages.txt how to get "
        "them"
    )
    address = archive.place.split(" ", maxsplit=1)[0]
    payload.needs.add(ENVIRONMENT, "os-packages", name, why, digest=sha256, place=address)
    if payload.level >= CODE:
        payload.keep("env/os-packages.tsv", sha256)
        head = (
            f"The job ran on {name} with {len(listing)} packages. os-packages.tsv lists them: "
            "manager, name, version, architecture.\nsh install-os-packages.sh prints the commands "
            "that install them, and obeys them with --now.\n\n"
        )
        if archive.sources:
            payload.write_shared("env/os-packages.list", archive.sources.encode())
        payload.write("env/os-packages.txt", (head + archive.how).encode("utf-8", "replace"))


def _filled_archive(payload: Payload, listing: list[list[str]]) -> _Archive:
    """The archive of the packages of the job's system, as they were on the day of the job."""
    system = payload.environment.part("os")
    version = system.text("version")
    archive, codename = _archive_of(system.text("id"), version)
    how = archive.how.replace("@PLACE@", archive.place)
    place, sources = archive.place, archive.sources
    marks = {
        "@DAY@": _day(payload),
        "@CODENAME@": codename,
        "@VERSION@": version,
        "@ARCH@": _architecture(listing),
    }
    for mark, value in marks.items():
        how, place = how.replace(mark, value), place.replace(mark, value)
        sources = sources.replace(mark, value)
    return _Archive(how, place, sources if _DAY.fullmatch(marks["@DAY@"]) else "")


def _archive_of(system: str, version: str) -> tuple[_Archive, str]:
    """The archive of a system, with marks in it, and the codename of the version."""
    release = version.partition(".")[0]
    if system == "debian" and release in _DEBIAN:
        place = "https://snapshot.debian.org/archive/debian/@DAY@T000000Z/"
        has_security = int(release) >= _OLDEST_WITH_SECURITY
        sources = _DEBIAN_LIST + (_DEBIAN_SECURITY_LIST if has_security else "")
        return _Archive(_FROM_DEBIAN, place, sources), _DEBIAN[release]
    if system == "ubuntu" and version in _UBUNTU:
        place = "https://snapshot.ubuntu.com/ubuntu/@DAY@T000000Z/"
        return _Archive(_FROM_UBUNTU, place, _UBUNTU_LIST), _UBUNTU[version]
    if system in _RPM_PLACES:
        return _Archive(_FROM_RPM, _RPM_PLACES[system]), ""
    return _Archive(_FROM_ELSEWHERE, ""), ""


def _day(payload: Payload) -> str:
    """The day of the job as YYYYMMDD."""
    moment = payload.record.text("started_at") or payload.record.text("ended_at")
    return moment[:10].replace("-", "")


def _architecture(listing: list[list[str]]) -> str:
    """The architecture of most packages, apart from those for every one."""
    counts = Counter(cells[3] for cells in listing if len(cells) >= _LISTING_COLUMNS)
    for architecture, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        if architecture not in _EVERY_ARCHITECTURE:
            return architecture
    return "x86_64"


def _listing(payload: Payload, field: str) -> list[list[str]]:
    """The cells of a listing of the environment; none if it is not here, or too long."""
    sha256 = payload.environment.digest(field)
    if not payload.has(sha256) or payload.draft.reader.size(sha256) > _LARGEST_LISTING:
        return []
    content = payload.draft.reader.get(sha256).decode("utf-8", "replace")
    return [line.split("\t") for line in content.splitlines()]
