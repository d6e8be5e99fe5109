"""`--as-run PROGRAM OPTIONS…`: a file as art would run it on this machine, by a command line."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.fhicl import Configuration
from jobprov.provenance.fhicl.running.as_run import as_run
from jobprov.provenance.fhicl.running.command_line import ArtOptions, read_command_line
from jobprov.provenance.fhicl.running.facts import Facts

_OPTION, _RELEASE_OPTION = "--as-run", "--art-release"
_RELEASE_VARIABLE, _PLUGIN_PATH_VARIABLE = "ART_VERSION", "CET_PLUGIN_PATH"
_ROOT_OUTPUT = "*RootOutput_module.so"
_META = "jobprov.as_run"


class AsRunCommand(click.Command):
    """A command whose line may end with `--as-run` and the command line of art."""

    def __init__(self, *words: Any, **more: Any) -> None:
        """Make the command, with the options of `--as-run` behind its own."""
        super().__init__(*words, **more)
        help_words = (
            "The rest of the line is a command line of art (lar -c job.fcl -n 10), or its options "
            "alone: FILE as that would run."
        )
        self.params.append(
            click.Option(
                [_RELEASE_OPTION],
                metavar="VERSION",
                help="With --as-run: the release of art (3.14.04); ART_VERSION by default.",
                expose_value=False,
                callback=_remember_release,
            )
        )
        self.params.append(
            click.Option([_OPTION], metavar="ARGV...", help=help_words, expose_value=False)
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take everything behind `--as-run` away before options are read."""
        if _OPTION in args:
            place = args.index(_OPTION)
            ctx.meta[_META] = args[place + 1 :]
            args = args[:place]
        return super().parse_args(ctx, args)


def _remember_release(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    ctx.meta[_RELEASE_OPTION] = value


def run_as_asked(configuration: Configuration, file: str) -> Configuration:
    """Return a configuration as the command line behind `--as-run` would run it.

    It is the same where there is none.
    """
    meta = click.get_current_context().meta
    words: list[str] | None = meta.get(_META)
    if words is None:
        return configuration
    if not words or words[0].startswith("-"):
        words = ["art", *words]
    if not {"-c", "--config"} & set(words):
        words = [words[0], "-c", file, *words[1:]]
    options = read_command_line(words)
    return as_run(configuration, options, _facts_here(options, meta.get(_RELEASE_OPTION)))


def _facts_here(options: ArtOptions, release: str | None) -> Facts:
    """Return what this machine and its environment decide."""
    plugins = os.environ.get(_PLUGIN_PATH_VARIABLE)
    has_root_output = None
    if plugins is not None:
        has_root_output = _has_root_output(plugins.split(":"))
    listed = options.text("source-list")
    source_lists = {}
    if listed is not None:
        source_lists[listed] = _text(listed)
    return Facts(
        release=release or os.environ.get(_RELEASE_VARIABLE),
        has_root_output=has_root_output,
        most_threads=len(os.sched_getaffinity(0)),
        source_lists=source_lists,
    )


def _has_root_output(folders: Sequence[str]) -> bool:
    return any(any(Path(folder).glob(_ROOT_OUTPUT)) for folder in folders if folder)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:
        raise BadInputError(f"The source list {path} cannot be read: {problem}") from problem
