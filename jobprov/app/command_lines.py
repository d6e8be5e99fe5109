"""Commands of ours to be copied from a page or a terminal into a shell."""

import shlex


def command_line(command: str, *names: str, **options: str | None) -> str:
    """Return a command that a shell takes as it stands: whole, and quoted where that is needed.

    Args:
        command: what to run, as `task` or `diff --campaigns`.
        names: its arguments.
        options: with their values; those that are None or empty are left out.
    """
    words = ["jobprov", *command.split()]
    for option, value in options.items():
        if value:
            words += [f"--{option}", value]
    if any(name.startswith("-") for name in names):
        words.append("--")  # such a name looks like an option
    return shlex.join([*words, *names])
