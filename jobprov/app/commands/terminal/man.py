"""`jobprov man`: the pages of the manual, printed or written for `man` to find."""

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click

from jobprov.app.commands.terminal.groups import examples_of
from jobprov.provenance.errors import NotFoundError


@click.command("man")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.option(
    "--into",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write a page for each command into this folder instead.",
)
@click.pass_context
def man(context: click.Context, *, words: tuple[str, ...], folder: Path | None) -> None:
    """Print the manual page of COMMAND, or write the pages of all commands into a folder.

    Pages are in the language of man: `jobprov man lineage | man -l -` shows one. What lies in
    ~/.local/share/man/man1 is found by `man jobprov-lineage`.
    """
    root = context.find_root().command
    if folder is not None:
        count = _write(root, " ".join(["jobprov", *words]), folder)
        click.echo(f"{count} pages in {folder}.")
        return
    wanted = " ".join(["jobprov", *words])
    for typed, command in commands_below(root, "jobprov"):
        if typed == wanted:
            click.echo(manual_of(command, typed), nl=False)
            return
    raise NotFoundError(f"There is no command {wanted}.")


def _write(root: click.Command, wanted: str, folder: Path) -> int:
    """Write the pages of a command and of all in it, and return how many there are."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for typed, command in commands_below(root, "jobprov"):
        if typed == wanted or typed.startswith(f"{wanted} "):
            page = folder / f"{typed.replace(' ', '-')}.1"
            try:
                page.write_text(manual_of(command, typed), encoding="utf-8")
            except OSError as problem:
                problem.filename = str(page)  # which a full disk does not tell
                raise
            count += 1
    if not count:
        raise NotFoundError(f"There is no command {wanted}.")
    return count


def manual_of(command: click.Command, words: str) -> str:
    """Return the page of a command, such as `jobprov lineage`, in the language of man."""
    name = words.replace(" ", "-")
    context = click.Context(command, info_name=words)
    sentence = command.get_short_help_str(limit=1000).removesuffix(".")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH "{name.upper()}" "1" "" "jobprov {version("jobprov")}" "jobprov"',
        ".SH NAME",
        f"{_escaped(name)} \\- {_escaped(sentence)}",
        ".SH SYNOPSIS",
        f".B {_escaped(words)}",
        _escaped(usage),
        ".SH DESCRIPTION",
        *_paragraphs(command.help or ""),
        *_options(command, context),
        *_inner(command, name),
        *_examples(command),
        ".SH SEE ALSO",
        ".BR jobprov (1)",
    ]
    return "\n".join(lines) + "\n"


def commands_below(command: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and every command in it, each with the words that one types."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=words)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from commands_below(inner, f"{words} {name}")


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    records = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and isinstance(parameter, click.Option):
            records.append(record)
    if records:
        yield ".SH OPTIONS"
    for names, words in records:
        yield ".TP"
        yield f".B {_escaped(names)}"
        yield _escaped(words) or "\\&"


def _inner(command: click.Command, name: str) -> Iterator[str]:
    """Yield the list of the commands in a group."""
    if not isinstance(command, click.Group):
        return
    context = click.Context(command)
    yield ".SH COMMANDS"
    for inner_name in command.list_commands(context):
        inner = command.get_command(context, inner_name)
        if inner is not None and not inner.hidden:
            yield ".TP"
            yield f".BR {_escaped(f'{name}-{inner_name}')} (1)"
            yield _escaped(inner.get_short_help_str(limit=1000))


def _examples(command: click.Command) -> Iterator[str]:
    examples = examples_of(command)
    if examples:
        yield ".SH EXAMPLES"
    for line in examples:
        yield ".PP"
        yield ".nf"
        yield _escaped(line)
        yield ".fi"


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.replace("\b\n", "").strip()):
        yield ".PP"
        yield _escaped(" ".join(paragraph.split()))


def _escaped(text: str) -> str:
    """Return text as man shows it unchanged; a line may not begin with a dot or quote of its."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


COMMANDS = {"man": man}
EXAMPLES = {
    "man": (
        "jobprov man lineage",
        "jobprov man --into ~/.local/share/man/man1",
    ),
}
