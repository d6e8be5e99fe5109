"""What stops a job, and the exit code that it gives.

Codes are those of art: 9 configuration, 90 an fcl file that cannot be read, 88 the command line, 1
an exception while events were processed.
"""

from collections.abc import Sequence


class ToyError(Exception):
    """Root of what stops a job on purpose; `category` heads the block that is printed."""

    category = "ToyError"
    exit_code = 65


class CommandLineError(ToyError):
    """The command line asks for something that there is not."""

    category = "CommandLine"
    exit_code = 88


class FclError(ToyError):
    """An fcl file cannot be read; the message ends with file and line."""

    category = "Parse error"
    exit_code = 90


class ConfigurationError(ToyError):
    """A module was given parameters that it cannot take."""

    category = "Configuration"
    exit_code = 9


class FileReadError(ToyError):
    """An input file cannot be read as what it should be."""

    category = "FileReadError"
    exit_code = 24


class EventError(ToyError):
    """A module failed on an event."""

    category = "ProductNotFound"
    exit_code = 1


def misconfigured(label: str, module_type: str, problems: Sequence[str]) -> ConfigurationError:
    """Return the error for one module's parameters.

    The first problem in one line, then all of them.
    """
    rule = "=" * 100
    first = f"Module {label} ({module_type}): {problems[0]}"
    listed = [f" -  {problem}" for problem in problems]
    body = [
        rule,
        "",
        f"Module label: {label}",
        f"module_type : {module_type}",
        "",
        *listed,
        "",
        rule,
    ]
    return ConfigurationError("\n".join([first, *body]))
