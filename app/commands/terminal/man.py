"""`jobprov man`: the pages of the manual, printed or written for `man` to find."""

from pathlib import Path

import click

from jobprov.app.commands.terminal.manuals import commands_below, manual_of
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
            page.write_text(manual_of(command, typed), encoding="utf-8")
            count += 1
    if not count:
        raise NotFoundError(f"There is no command {wanted}.")
    return count


COMMANDS = {"man": man}
EXAMPLES = {
    "man": (
        "jobprov man lineage",
        "jobprov man --into ~/.local/share/man/man1",
    ),
}
