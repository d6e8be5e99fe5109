"""What the documentation lists is what the code has.

Settings, commands, routes, gaps, errors, fields of the record.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import click
import msgspec
import pytest

from jobprov import app, archive, provenance
from jobprov.app.cli import COMMANDS, jobprov
from jobprov.app.config import SETTINGS
from jobprov.app.factory import create_app
from jobprov.app.web.frame.markup import STATES
from jobprov.archive import errors as archive_errors
from jobprov.provenance import errors as provenance_errors
from jobprov.provenance.capture import options as hook_options
from jobprov.provenance.records.gaps import GAPS
from jobprov.provenance.records.identity import JOB_NAMESPACE, WITNESSES
from jobprov.provenance.records.job_record import JobRecord, State
from jobprov.provenance.services.upkeep.database_rebuild import NOT_DERIVED

DOCS = Path(__file__).parents[2] / "docs"
README = DOCS.parent / "README.md"


APART = (
    "jobprov.provenance.capture",
    "jobprov.provenance.bundle.root_masking",
    "jobprov.provenance.fhicl.",
)
"""What stands alone (the hook, verify.py), and what turns its own errors into the one that it shows (FhiclError)."""


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of every table."""
    lines = [
        line for line in text.splitlines() if line.startswith("|") and not set(line) <= set("|- ")
    ]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {
        cells[0].strip("`"): cells[1]
        for cells in rows(read("operating.md"))
        if cells[0].startswith("`JOBPROV_")
    }

    words = {"": "empty"} | {
        setting.default: f"`{setting.default}`" for setting in SETTINGS if setting.default
    }
    expected = {setting.name: words[setting.default] for setting in SETTINGS}
    # What the page says instead of a default
    expected["JOBPROV_SECRET_KEY"] = "made at first start"  # noqa: S105

    assert documented == expected


def commands() -> Iterator[str]:
    """Yield every command as it is typed, subcommands too."""
    context = click.Context(jobprov)
    for name in COMMANDS:
        command = jobprov.get_command(context, name)
        assert command is not None, (
            f"{name} is in the table of commands, and its module is not there"
        )
        if isinstance(command, click.Group):
            yield from (f"jobprov {name} {inner}" for inner in command.list_commands(context))
        else:
            yield f"jobprov {name}"


def documented_commands(text: str) -> set[str]:
    """Return the commands of the tables: `jobprov token create`, `list`, `revoke` name three."""
    found: set[str] = set()
    for cells in rows(text):
        if not cells[0].startswith("`jobprov "):
            continue
        first, *others = re.findall(r"`([^`]+)`", cells[0])
        words = [
            word for word in first.split() if word == word.lower() and not word.startswith("-")
        ]
        found.add(" ".join(words))
        found |= {" ".join([*words[:-1], other]) for other in others}
    return found


def test_every_command_is_documented_and_no_other() -> None:
    assert documented_commands(read("operating.md")) == set(commands())


@pytest.mark.parametrize(
    "name",
    ["README.md", "docs/operating.md", "docs/gaps.md", "docs/architecture.md", "docs/http.md"],
)
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


@pytest.mark.parametrize("name", ["README.md", "docs/operating.md"])
def test_options_in_examples_exist(name: str) -> None:
    """Options of `jobprov` and of the hook, in the lines that a reader would copy."""
    blocks = re.findall(
        r"^```sh\n(.*?)^```",
        (DOCS.parent / name).read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    context = click.Context(jobprov)
    hook = {
        f"--{option}" for option in (*hook_options.ONE, *hook_options.MANY, *hook_options.FLAGS)
    }

    for line in "".join(blocks).replace("\\\n", " ").splitlines():
        words = line.split(" #")[0].split()
        if "job-end-hook.pyz" in words:
            given = {word for word in words[: words.index("--")] if word.startswith("--")}
            assert given <= hook, line
        if words[:1] == ["jobprov"]:
            command: Any = jobprov.get_command(context, words[1])
            if isinstance(command, click.Group):
                command = command.get_command(context, words[2])
            known = {
                option
                for parameter in command.params
                for option in (*parameter.opts, *parameter.secondary_opts)
            }
            assert {word for word in words if word.startswith("-")} <= known, line


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


def test_every_route_is_documented_and_no_other(routes: dict[str, set[str]]) -> None:
    documented = set(
        re.findall(
            r"^(?:### |\| )`(GET|PUT|POST|DELETE) (/api/v1/[^`]+)`", read("http.md"), re.MULTILINE
        )
    )

    assert documented == {
        (method, address) for address, methods in routes.items() for method in methods
    }


def test_every_query_parameter_is_documented(routes: dict[str, set[str]], tmp_path: Path) -> None:
    application = create_app({"JOBPROV_DATA": str(tmp_path), "JOBPROV_ARCHIVE_URL": "memory:"})
    document = application.test_client().get("/api/v1/openapi.json").json
    application.extensions["jobprov"].close()
    documented = {
        cells[0].strip("`"): set(re.findall(r"`([a-z_]+)`", cells[1]))
        for cells in rows(read("http.md"))
        if len(cells) == 3
    }

    for address in routes:
        parameters = (
            document["paths"]
            .get(address.removeprefix("/api/v1"), document["paths"].get(address, {}))
            .get("get", {})
        )
        names = {
            parameter["name"]
            for parameter in parameters.get("parameters", ())
            if parameter.get("in") == "query"
        }
        assert names <= documented.get(f"GET {address}", set()), address


def test_every_gap_is_documented_with_what_it_costs_and_its_cure() -> None:
    documented = {
        cells[0].strip("`"): (cells[1], cells[3])
        for cells in rows(read("gaps.md"))
        if cells[0].startswith("`")
    }

    assert documented == {
        code: ("none" if level == 9 else f"L{level}", cure) for code, (level, cure) in GAPS.items()
    }


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
        for word in re.findall(r"`([a-z0-9_.]+)`", read("record.md"))
        for part in word.split(".")
    }
    fields = {
        field.name for struct in structs(JobRecord) for field in msgspec.structs.fields(struct)
    }

    assert fields - named == set()


def test_record_contract_names_states_witnesses_and_namespace() -> None:
    text = read("record.md")

    for word in (*get_args(State), *WITNESSES, JOB_NAMESPACE):
        assert f"`{word}`" in text


def test_tables_that_a_rebuild_leaves_empty_are_documented() -> None:
    documented = {
        cells[0].strip("`")
        for cells in rows(read("operating.md").split("**Not derived**")[1].split("\n## ")[0])
    }

    assert documented - {"table"} == set(NOT_DERIVED)


def test_glossary_says_what_each_mark_of_a_state_means() -> None:
    words = set(re.findall(r"[a-z]+", read("glossary.md")))

    assert set(STATES) - words == set(), "pages show these words beside a mark"
