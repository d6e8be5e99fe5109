"""Every tracked text: links lead somewhere, and nothing is of the machine it was written on."""

import os
import re
import subprocess
import unicodedata
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FOLDERS = re.compile(r"(?<![\w.$}-])/(?:root|work|Users)/|/tmp/(?:team|bash_jobs)")
INDEXES = re.compile(r"--(?:extra-)?index-url|\b(?:artifactory|nexus|devpi|jfrog)\b")
INDEX_SETTINGS = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
)


def tracked() -> list[Path]:
    """Return the tracked files; of a copy without git, all that lie in it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("NOT A GIT CHECKOUT: nobody can say which files are tracked")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def markdown() -> list[Path]:
    return [file for file in tracked() if file.suffix == ".md"]


def pages() -> list[Path]:
    """Return the pages that readers open: those at the top and in docs."""
    return [
        file for file in markdown() if file.parent == ROOT or file.is_relative_to(ROOT / "docs")
    ]


def anchors(file: Path) -> set[str]:
    """Return the anchors of a page's headings, made as code hosting sites make them."""
    text = re.sub(
        r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    kept = (
        "".join(
            letter
            for letter in title.lower()
            if letter in " -_" or unicodedata.category(letter)[0] in "LN"
        )
        for title in titles
    )
    return {title.strip().replace(" ", "-") for title in kept}


@pytest.mark.slow
def test_links_lead_somewhere() -> None:
    broken = []
    for file in markdown():
        for link in LINK.findall(file.read_text(encoding="utf-8")):
            path, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            target = (file.parent / path) if path else file
            if not target.exists() or (
                anchor and target.suffix == ".md" and anchor not in anchors(target)
            ):
                broken.append(f"{file.relative_to(ROOT)}: {link}")

    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        file = waiting.pop().resolve()
        if file in seen or not file.exists():
            continue
        seen.add(file)
        links = [link.partition("#")[0] for link in LINK.findall(file.read_text(encoding="utf-8"))]
        waiting += [
            file.parent / link for link in links if link.endswith(".md") and ":" not in link
        ]

    pages = {file.resolve() for file in markdown() if file.is_relative_to(ROOT / "docs")}
    assert pages - seen == set()


def made_here() -> re.Pattern[str]:
    """Return what matches this very checkout, home folder and package index."""
    urls = [os.environ[name] for name in INDEX_SETTINGS if os.environ.get(name)]
    hosts = {urlsplit(url).hostname for url in " ".join(urls).split()} - {None, "pypi.org"}
    places = {f"{ROOT}/", f"{Path.home()}/"} - {"//", "/root/"}
    return re.compile("|".join(re.escape(word) for word in sorted({*places, *map(str, hosts)})))


@pytest.mark.slow
def test_no_text_names_the_machine_or_the_package_index_that_made_it() -> None:
    found = []
    patterns = (FOLDERS, INDEXES, made_here())
    for file in tracked():
        content = file.read_bytes()
        if b"\0" in content or file == Path(__file__) or "tests/data/" in file.as_posix():
            continue
        lines = content.decode("utf-8", "replace").splitlines()
        found += [
            f"{file.relative_to(ROOT)}:{number}: {line[:120]}"
            for number, line in enumerate(lines, 1)
            if any(pattern.search(line) for pattern in patterns)
        ]

    assert found == []


@pytest.mark.slow
def test_pinned_requirements_name_no_address() -> None:
    """Whoever installs takes packages from the index of their own choice."""
    lists = [file for file in tracked() if file.parent == ROOT / "requirements"]

    assert [
        file.name
        for file in lists
        if re.search(r"^[^#]*://|^-i\b|^--", file.read_text(), re.MULTILINE)
    ] == []


def test_each_example_of_json_is_json() -> None:
    import json  # noqa: PLC0415 - this test alone

    for file in markdown():
        for block in re.findall(
            r"^```json\n(.*?)^```", file.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
        ):
            json.loads(block)


def test_the_example_record_is_taken() -> None:
    """The smallest record that the contract shows is one that the service decodes."""
    from jobprov.provenance.records.reading.decoding import decode_record  # noqa: PLC0415 - this test alone

    text = (ROOT / "docs/reference/record.md").read_text(encoding="utf-8")
    [example] = re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)

    decoded = decode_record(example.encode())

    assert decoded.record is not None
    assert decoded.repairs == ()


def test_no_line_of_a_page_is_past_120_columns() -> None:
    """An address or a picture stands on one line, however long."""
    unbreakable = re.compile(r"^(?:!\[[^\]]*\]\(\S+\)|\S+)$")
    long = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in pages()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 120 and not unbreakable.match(line)
    ]

    assert long == []


def test_paths_that_pages_name_exist() -> None:
    """A page that names a module is stale once the module moved."""
    folders = "app|archive|benchmarks|migrations|provenance|scripts|tests"
    path = re.compile(rf"`((?:{folders})/[\w./-]*[\w/])`")
    gone = []
    for file in pages():
        prose = re.sub(
            r"^```diff.*?^```", "", file.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE
        )
        for name in path.findall(prose):
            if not (ROOT / name).exists():
                gone.append(f"{file.relative_to(ROOT)}: {name}")

    assert gone == []


@pytest.mark.slow
def test_no_tracked_text_holds_a_conflict_marker() -> None:
    """A merge that was committed half-way is found by its markers.

    Git writes seven of one character at the beginning of a line.
    """
    marker = re.compile(rb"^(?:<{7} |>{7} |\|{7} |={7}$)", re.MULTILINE)
    marked = []
    for file in tracked():
        content = file.read_bytes()
        if b"\0" not in content and marker.search(content):
            marked.append(str(file.relative_to(ROOT)))

    assert marked == []


def test_each_version_is_short_in_the_changelog() -> None:
    _, *versions = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")

    assert [text[:30] for text in versions if len(text.splitlines()) > 36] == []


def test_the_changelog_has_an_entry_for_this_version() -> None:
    [version] = re.findall(
        r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE
    )

    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", text, re.MULTILINE)


def test_each_module_that_a_page_names_exists() -> None:
    """A page names a module by the end of its path; what is Python's own is no module of ours."""
    named = re.compile(r"`([\w./-]+\.py)`")
    others = {"urllib/request.py"}
    paths = [f"/{file.relative_to(ROOT)}" for file in tracked()]
    gone = [
        f"{file.relative_to(ROOT)}: {module}"
        for file in markdown()
        if file.parent == ROOT or file.is_relative_to(ROOT / "docs")
        for module in named.findall(file.read_text(encoding="utf-8"))
        if module not in others and not any(path.endswith(f"/{module}") for path in paths)
    ]

    assert gone == []


@pytest.mark.slow
def test_each_page_that_code_names_exists() -> None:
    """A docstring or message that sends its reader to a page names it by its path."""
    named = re.compile(r"(?<![\w/.])docs/[\w/-]+\.md")
    gone = []
    for file in tracked():
        if file.suffix in (".py", ".html", ".sh", ".toml"):
            gone += [
                f"{file.relative_to(ROOT)}: {page}"
                for page in named.findall(file.read_text(encoding="utf-8"))
            ]

    assert [line for line in gone if not (ROOT / line.split(": ")[1]).exists()] == []
