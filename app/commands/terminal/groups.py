"""Groups of commands, whose lists say to the end what each command does."""

import click

_WHOLE = 1000


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
