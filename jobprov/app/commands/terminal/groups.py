"""Groups of commands, whose lists say to the end what each command does, and their examples."""

from collections.abc import Mapping, Sequence

import click

_WHOLE = 1000
_KEPT = "\b\nExamples:"


class Group(click.Group):
    """A group whose list has the whole first sentence of each command.

    Click's own list cuts it where the line ends.
    """

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, each with what it does."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        rows = []
        for name, command in commands.items():
            if command and not command.hidden:
                rows.append((name, summary(command)))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def summary(command: click.Command) -> str:
    """Return what a command does: its first sentence, however long."""
    return command.get_short_help_str(limit=_WHOLE).removesuffix(".")


def add_examples(command: click.Command, words: str, examples: Mapping[str, Sequence[str]]) -> None:
    """Have the help of a command end with its examples, and that of each command in a group.

    Args:
        command: the command.
        words: what one types for it, without `jobprov`.
        examples: lines to type, by the words of the command that they are of.
    """
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            add_examples(inner, f"{words} {name}", examples)
    elif words in examples:
        # \b keeps the lines as they are
        command.epilog = "\n".join([_KEPT, *(f"  {line}" for line in examples[words])])


def examples_of(command: click.Command) -> list[str]:
    """Return the examples that the help of a command ends with."""
    if not command.epilog or not command.epilog.startswith(_KEPT):
        return []
    return [line.strip() for line in command.epilog.removeprefix(_KEPT).splitlines() if line]
