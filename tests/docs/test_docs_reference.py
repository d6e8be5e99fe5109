"""What the documentation lists is what the code has.

That is settings, commands, routes, gaps, errors, floors and fields.
"""

import importlib
import inspect
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import click
import msgspec
import pytest

from jobprov import app, archive, provenance
from jobprov.app.cli import jobprov
from jobprov.app.factory import create_app
from jobprov.app.web.frame.markup import STATES
from jobprov.archive import errors as archive_errors
from jobprov.provenance import errors as provenance_errors
from jobprov.provenance.capture import options as hook_options
from jobprov.provenance.records.gaps.codes import GAPS
from jobprov.provenance.records.identity import JOB_NAMESPACE, WITNESSES
from jobprov.provenance.records.job_record import JobRecord, State
from jobprov.provenance.services.upkeep.database_rebuild import NOT_DERIVED
from tests.docs import reference_pages

DOCS = Path(__file__).parents[2] / "docs"
README = DOCS.parent / "README.md"


APART = (
    "jobprov.provenance.capture",
    "jobprov.provenance.bundle.comparison.root_masking",
    "jobprov.provenance.fhicl.",
    "jobprov.provenance.launchers.scripts.",
)
"""What stands alone, and what turns its own errors into the one that it shows.

The hook and verify.py stand alone; FhiclError is what is shown.
"""


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of every table."""
    lines = [
        line for line in text.splitlines() if line.startswith("|") and not set(line) <= set("|- ")
    ]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.mark.parametrize("page", reference_pages.pages(), ids=lambda page: page.name)
def test_page_repeats_the_table_in_the_code(page: Path) -> None:
    """The page repeats settings, commands, and what each gap stops.

    `python tests/docs/reference_pages.py` writes them anew.
    """
    assert page.read_text(encoding="utf-8") == reference_pages.pages()[page]


def test_every_gap_has_a_section_and_no_other() -> None:
    assert sorted(re.findall(r"^### `(.+)`$", read("reference/gaps.md"), re.MULTILINE)) == sorted(
        GAPS
    )


def pages_with_commands() -> list[str]:
    """Return every page that a user reads; decisions tell of their time."""
    pages = [README, *DOCS.glob("*.md"), *DOCS.glob("[!d]*/*.md")]
    return sorted(page.relative_to(DOCS.parent).as_posix() for page in pages)


@pytest.mark.parametrize("name", pages_with_commands())
def test_commands_in_examples_exist(name: str) -> None:
    text = (DOCS.parent / name).read_text(encoding="utf-8")
    code = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL) + re.findall(
        r"`(jobprov [^`]+)`", text
    )
    typed = [
        found
        for part in code
        for found in re.findall(r"^jobprov ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", part, re.MULTILINE)
    ]
    context = click.Context(jobprov)

    for command, inner in typed:
        found = jobprov.get_command(context, command)
        assert found is not None, f"{name} names jobprov {command}"
        if isinstance(found, click.Group) and inner:
            assert inner in found.list_commands(context), f"{name} names jobprov {command} {inner}"


def command_lines(name: str) -> list[list[str]]:
    """Return the words of each line that a reader would copy from a page."""
    text = (DOCS.parent / name).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [
        line.split(" #")[0].split() for line in "".join(blocks).replace("\\\n", " ").splitlines()
    ]


@pytest.mark.parametrize("name", pages_with_commands())
def test_options_in_examples_exist(name: str) -> None:
    context = click.Context(jobprov)

    for words in command_lines(name):
        if words[:1] == ["jobprov"]:
            command: Any = jobprov.get_command(context, words[1])
            if isinstance(command, click.Group):
                command = command.get_command(context, words[2])
            known = {
                option
                for parameter in command.params
                for option in (*parameter.opts, *parameter.secondary_opts)
            }
            assert {word for word in words if re.match(r"--?[a-z]", word)} <= known, words


@pytest.mark.parametrize("name", pages_with_commands())
def test_options_of_the_hook_in_examples_exist(name: str) -> None:
    known = {
        f"--{option}" for option in (*hook_options.ONE, *hook_options.MANY, *hook_options.FLAGS)
    }

    for words in command_lines(name):
        hooks = [
            place
            for place, word in enumerate(words)
            if word.strip('"').endswith("job-end-hook.pyz")
        ]
        if hooks and words[hooks[-1] + 1 :][:1] in (
            ["run"],
            ["start"],
            ["step"],
            ["end"],
            ["flush"],
        ):
            given = words[hooks[-1] + 1 :]
            own = given[: given.index("--")] if "--" in given else given
            assert {word for word in own if word.startswith("--")} <= known, words


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the methods of every address of the API, as the documentation writes it."""
    data = tmp_path_factory.mktemp("docs")
    application = create_app({"JOBPROV_DATA": str(data), "JOBPROV_ARCHIVE_URL": "memory:"})
    found: dict[str, set[str]] = {}
    for rule in application.url_map.iter_rules():
        if rule.rule.startswith("/api/"):
            address = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            found.setdefault(address, set()).update((rule.methods or set()) - {"HEAD", "OPTIONS"})
    application.extensions["jobprov"].close()
    return found


@pytest.mark.slow
def test_every_route_has_a_section_and_no_other(routes: dict[str, set[str]]) -> None:
    documented = re.findall(
        r"^### `(GET|PUT|POST|DELETE) (/api/v1/[^`]+)`$", read("reference/http.md"), re.MULTILINE
    )

    assert sorted(documented) == sorted(
        (method, address) for address in routes for method in routes[address]
    )


@pytest.mark.slow
def test_every_query_parameter_is_explained(tmp_path: Path) -> None:
    """By the OpenAPI document, or where its words are not enough by the section of the call."""
    application = create_app({"JOBPROV_DATA": str(tmp_path), "JOBPROV_ARCHIVE_URL": "memory:"})
    document = application.test_client().get("/api/v1/openapi.json").json
    application.extensions["jobprov"].close()
    sections = dict(
        re.findall(
            r"^### `GET (/api/v1/[^`]+)`$(.*?)(?=^##)",
            read("reference/http.md"),
            re.MULTILINE | re.DOTALL,
        )
    )

    for address, call in document["paths"].items():
        for parameter in call.get("get", {}).get("parameters", ()):
            if parameter.get("in") == "query" and not parameter.get("description"):
                assert f"`{parameter['name']}" in sections[address], (
                    f"{address}: {parameter['name']}"
                )


@pytest.mark.parametrize("module", [provenance_errors, archive_errors])
def test_every_error_is_drawn_in_the_tree_of_its_package(module: ModuleType) -> None:
    drawn = re.findall(r"^(?:[│├└─\s]*)(\w+Error)\b", module.__doc__ or "", re.MULTILINE)

    assert sorted(drawn) == sorted(name for name, _ in error_classes(module))


def test_every_error_elsewhere_is_of_a_drawn_kind() -> None:
    """So that `app/errors.py` gives each one a status."""
    for package in (app, provenance, archive):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.startswith(APART):
                for name, kind in error_classes(importlib.import_module(found.name)):
                    assert issubclass(
                        kind, provenance_errors.ProvenanceError | archive_errors.ArchiveError
                    ), name


def error_classes(module: ModuleType) -> Iterator[tuple[str, type]]:
    for name, kind in inspect.getmembers(module, inspect.isclass):
        if issubclass(kind, Exception) and kind.__module__ == module.__name__:
            yield name, kind


def structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """Yield a struct and every struct that its fields hold."""
    if inspect.isclass(kind) and issubclass(kind, msgspec.Struct):
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from structs(field.type)
    for inner in get_args(kind):
        yield from structs(inner)


def test_record_contract_names_every_field() -> None:
    named = {
        part
        for word in re.findall(r"`([a-z0-9_.]+)`", read("reference/record.md"))
        for part in word.split(".")
    }
    fields = {
        field.name for struct in structs(JobRecord) for field in msgspec.structs.fields(struct)
    }

    assert fields - named == set()


def test_record_contract_names_states_witnesses_and_namespace() -> None:
    text = read("reference/record.md")

    for word in (*get_args(State), *WITNESSES, JOB_NAMESPACE):
        assert f"`{word}`" in text


def test_tables_that_a_rebuild_leaves_empty_are_documented() -> None:
    documented = {
        cells[0].strip("`")
        for cells in rows(
            read("how-to/look-after-the-archive.md").split("**Not derived**")[1].split("\n## ")[0]
        )
    }

    assert documented - {"table"} == set(NOT_DERIVED)


def test_glossary_says_what_each_mark_of_a_state_means() -> None:
    words = set(re.findall(r"[a-z_]+", read("reference/glossary.md")))

    assert set(STATES) - words == set(), "pages show these words beside a mark"


def test_every_room_is_in_the_table_of_the_architecture() -> None:
    text = (DOCS / "explanation/architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    rooms = {
        folder.name
        for floor in (
            "app",
            "app/web",
            "app/api",
            "app/commands",
            "provenance/services",
            "provenance/db/queries",
        )
        for folder in (DOCS.parent / "jobprov" / floor).iterdir()
        if (folder / "__init__.py").is_file()
    }

    assert named == rooms - {"api", "commands", "web"}, "these are floors, and hold rooms"


def test_floors_that_the_architecture_names_are_those_of_the_contract() -> None:
    configuration = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = [
        contract
        for contract in configuration["tool"]["importlinter"]["contracts"]
        if contract["name"] == "the floors of provenance"
    ]
    text = (
        read("explanation/architecture.md")
        .split("Inside `provenance` the floors are")[1]
        .split("\n\n")[1]
    )

    drawn = [
        sorted(re.findall(r"`(\w+)`", floor))
        for floor in re.split(r"^\d\. ", text, flags=re.MULTILINE)[1:]
    ]
    assert drawn == [sorted(layer.split(" | ")) for layer in contract["layers"]]
