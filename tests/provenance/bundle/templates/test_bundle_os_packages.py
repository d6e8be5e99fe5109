"""The script in a bundle that installs the operating system's packages in their recorded versions."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.library.productions.toy_job import Run, Toy

SCRIPT = "data/env/install-os-packages.sh"


def unpacked(toy: Toy, tmp_path: Path, system: str, version: str, listing: str) -> Path:
    toy.record["started_at"] = "2026-01-01T00:00:00Z"
    toy.record["environment"] |= {
        "os": {"id": system, "version": version},
        "system_packages_sha256": toy.blobs.write(listing.encode()),
    }
    return toy.unpack(tmp_path / "bag")


def test_commands_of_apt_are_printed_with_the_archive_of_the_day(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    listing = "deb\tbash\t5.2.37-2\tamd64\ndeb\tlibc6\t2:2.41-1+b1\ti386\ndeb\ttzdata\t2025a\tall\n"
    bag = unpacked(toy, tmp_path, "debian", "13", listing)

    outcome = shell(bag / SCRIPT)

    assert outcome.returncode == 0, outcome.stderr
    update, install = outcome.stdout.splitlines()
    source = f"Dir::Etc::SourceList={bag}/data/env/os-packages.list"
    assert source in update
    assert source in install
    assert install.endswith(" bash:amd64=5.2.37-2 libc6:i386=2:2.41-1+b1 tzdata=2025a")


def test_commands_of_rpm_are_for_dnf_or_yum(toy: Toy, tmp_path: Path, shell: Run) -> None:
    listing = (
        "rpm\tbash\t5.1.8-9.el9\tx86_64\nrpm\tgpg-pubkey\t1-2\t\nrpm\tgpg-pubkey\t1-3\t(none)\n"
    )
    bag = unpacked(toy, tmp_path, "almalinux", "9.4", listing)

    outcome = shell(bag / SCRIPT)

    assert outcome.returncode == 0, outcome.stderr
    program = "dnf" if shutil.which("dnf", path="/usr/bin:/bin") else "yum"
    assert outcome.stderr == ""
    [line] = outcome.stdout.splitlines()
    assert line.startswith(program + " ")
    assert line.endswith(" install bash-5.1.8-9.el9.x86_64")


def test_line_that_is_no_package_is_no_word_of_a_command(
    toy: Toy, tmp_path: Path, shell: Run
) -> None:
    """A hostile sender names a package like an option of apt, or like a command."""
    trap = tmp_path / "trap"
    names = [
        f"-oDPkg::Pre-Invoke::=touch {trap}",
        "--allow-unauthenticated",
        f"$(touch {trap})",
        f"`touch {trap}`",
        f"x; touch {trap}",
        "",
    ]
    lines = [f"deb\t{name}\t1\tamd64\n" for name in names]
    lines += [
        "deb\tbash\t-1\tamd64\n",
        "deb\tbash\t\tamd64\n",
        "no line\n",
        "deb\tbash\t5\tamd64\n",
    ]
    bag = unpacked(toy, tmp_path, "haiku", "1", "".join(lines))

    outcome = shell(bag / SCRIPT)

    assert outcome.stdout.endswith(" --no-install-recommends bash:amd64=5\n")
    assert f"{len(lines) - 1} lines of os-packages.tsv are no packages" in outcome.stderr
    assert not trap.exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="NO APT: its commands are not obeyed")
def test_apt_takes_the_words_that_the_script_gives_it(toy: Toy, tmp_path: Path) -> None:
    """Versions of this machine, so that no archive needs to be asked; nothing is installed."""
    form = "deb\\t${Package}\\t${Version}\\t${Architecture}\\n"
    words = ["dpkg-query", "--show", f"--showformat={form}", "bash", "coreutils", "tzdata"]
    listing = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    bag = unpacked(toy, tmp_path, "haiku", "1", listing)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "apt-get").write_text('#!/bin/sh\nexec /usr/bin/apt-get --simulate "$@"\n')
    (programs / "apt-get").chmod(0o755)

    outcome = subprocess.run(
        ["sh", str(bag / SCRIPT), "--now"],
        env={"PATH": f"{programs}:/usr/bin:/bin", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome.returncode == 0, outcome.stderr
    assert "0 newly installed, 0 to remove" in outcome.stdout


def test_other_words_than_now_are_refused(toy: Toy, tmp_path: Path, shell: Run) -> None:
    bag = unpacked(toy, tmp_path, "debian", "13", "deb\tbash\t5\tamd64\n")

    outcome = shell(bag / SCRIPT, "--help")

    assert outcome.returncode == 2
    assert outcome.stdout == ""


def test_bundle_without_a_listing_has_no_script(toy: Toy, tmp_path: Path) -> None:
    assert not (toy.unpack(tmp_path / "bag") / SCRIPT).exists()
