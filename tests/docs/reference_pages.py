"""Parts of the reference that repeat a table in the code: settings, commands, gaps, tables.

Of a gap they say what it stops and how to close it. `python tests/docs/reference_pages.py` writes
them anew; a test says which page is out of date.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from jobprov.app.cli import SECTIONS, jobprov
from jobprov.app.commands.terminal.groups import examples_of
from jobprov.app.config import SETTINGS
from jobprov.provenance.records.gaps.codes import GAPS
from jobprov.provenance.services.analysis.schema import TABLES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
WIDTH = 118
STOPS_NONE = 9
"""The level that stands for "lowers no grade" in the table of gaps."""
EVERYWHERE = {"--help", "--url", "--json", "--data"}
"""Options that the page explains once, at its top."""
BEGIN, END = "<!-- generated from the code -->", "<!-- end -->"


def pages() -> dict[Path, str]:
    """Return the pages that repeat code, with the text that they should have."""
    settings, commands, gaps, tables = (
        REFERENCE / name for name in ("settings.md", "commands.md", "gaps.md", "tables.md")
    )
    return {
        settings: with_generated_part(settings, "\n".join(settings_list())),
        commands: with_generated_part(commands, "\n".join(command_sections())),
        tables: with_generated_part(tables, "\n".join(table_sections())),
        gaps: with_stops_and_cures(gaps.read_text(encoding="utf-8")),
    }


def with_generated_part(page: Path, part: str) -> str:
    """Return the page with `part` between its two marks."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{part.strip()}\n\n{END}{after}"


def item(text: str) -> str:
    """Return one item of a list, broken into lines."""
    return textwrap.fill(
        f"- {text}", WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def settings_list() -> Iterator[str]:
    for setting in SETTINGS:
        default = f"`{setting.default}`" if setting.default else "empty"
        yield item(f"**`{setting.name}`** (default: {default}): {setting.help}")


def table_sections() -> Iterator[str]:
    """Yield the tables for analysis, each with its columns."""
    for table in TABLES:
        yield f"## `{table.name}`\n"
        yield textwrap.fill(f"A row: {table.meaning}.", WIDTH) + "\n"
        for column in table.columns:
            yield item(f"`{column.name}` ({column.kind}): {column.meaning}.")
        yield ""


def command_sections() -> Iterator[str]:
    """Yield the sections of `jobprov --help`, each command with its options."""
    context = click.Context(jobprov)
    for title, names in SECTIONS.items():
        yield f"## {title}\n"
        for name in names:
            command = jobprov.get_command(context, name)
            assert command is not None, (
                f"{name} is in the table of commands, and its module is not there"
            )
            yield from command_section(command, f"jobprov {name}")


def command_section(command: click.Command, typed: str) -> Iterator[str]:
    """Yield a heading, what the command does, and its options.

    A group has those of each command in it.
    """
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from command_section(inner, f"{typed} {name}")
        return
    context = click.Context(command, info_name=typed)
    arguments = [
        parameter.make_metavar(context)
        for parameter in command.params
        if isinstance(parameter, click.Argument)
    ]
    yield f"### `{' '.join([typed, *arguments])}`\n"
    yield f"{prose(command.help or '')}\n"
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    for option in options:
        help_record = option.get_help_record(context)
        if help_record and not EVERYWHERE & {*option.opts}:
            yield item(f"`{help_record[0]}`: {help_record[1]}".removesuffix(": "))
    if options:
        yield ""
    examples = examples_of(command)
    if examples:
        yield "\n".join(["```sh", *examples, "```\n"])


def prose(text: str) -> str:
    """Return the paragraphs of a help text, broken into lines."""
    paragraphs = re.split(r"\n\s*\n", text.replace("\b\n", "").strip())
    return "\n\n".join(
        textwrap.fill(" ".join(paragraph.split()), WIDTH) for paragraph in paragraphs
    )


def with_stops_and_cures(text: str) -> str:
    """Return the page of gaps with what each stops and how to close it, as the code says."""
    head, *sections = re.split(r"(?m)^(?=### `)", text)
    return (head + "".join(with_stop_and_cure(section) for section in sections)).rstrip("\n") + "\n"


def with_stop_and_cure(section: str) -> str:
    """Return the section of one gap; a heading of the next group may follow it."""
    [code] = re.findall(r"^### `([a-z-]+)`$", section, re.MULTILINE)[:1]
    level, cure = GAPS[code]
    meaning, _, group = section.partition("\n## ")
    meaning = meaning.partition("\n- **Stops**")[0].strip()
    stops = "no level" if level == STOPS_NONE else f"L{level}"
    section = f"{meaning}\n\n- **Stops**: {stops}\n{item(f'**To close it**: {cure}')}\n"
    if group:
        return f"{section}\n## {group.strip()}\n\n"
    return f"{section}\n"


def write() -> None:
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
