"""What is looked at and begun before a command: all that the job waits for, so it loads little."""
# ruff: noqa: PLC0415 - what few jobs need, and what is needed once the command runs

from typing import TYPE_CHECKING, Dict, Optional, Sequence

from jobprov.provenance.capture.command.glance import Glance
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.sending import places
from jobprov.provenance.capture.sight.following import Following

if TYPE_CHECKING:
    from jobprov.provenance.capture.trace.strace import Trace
    from jobprov.provenance.capture.trace.turn import Asking, Turn


class Before:
    """Looks at what a command is about to use.

    Attributes:
        glance: what was there; None where nobody could look.
        following: the folders that are followed, or None.
        turn: what the service said of traces; None where it was not asked, or did not answer.
        trace: strace for the command, or None.
    """

    def __init__(self, options: Options, environment: Dict[str, str]) -> None:
        self.options, self.environment = options, environment
        self.glance: Optional[Glance] = None
        self.following: Optional[Following] = None
        self.turn: "Optional[Turn]" = None
        self.trace: "Optional[Trace]" = None

    def look(self) -> None:
        """Look, and begin to follow the job's folders."""
        self.glance = glance = Glance(self.options.command, self.options, self.environment)
        asking = self._ask(glance)
        if not self.options.told_only:
            self._follow(glance)
        if asking is not None:  # it may have been answered while the folders were followed
            self.turn = asking.wait()
        if self.options.trace or (self.turn is not None and self.turn.is_wanted):
            self._prepare_trace(glance)
            if self.turn is not None and self.turn.is_wanted and self.tracer_words():
                self.turn.confirm(self.options, self.environment)

    def may_be_asked(self) -> bool:
        """Tell whether jobs of this kind may be traced without being told."""
        return not (self.options.told_only or self.options.rerun_of)

    def tracer_words(self) -> Sequence[str]:
        """Return what is put before the command so that it is traced; nothing where it is not."""
        return self.trace.words if self.trace is not None else ()

    def _ask(self, glance: Glance) -> "Optional[Asking]":
        """Ask the service whether the command is to be traced, unless that is told already."""
        options = self.options
        if not options.url or options.trace or not self.may_be_asked():
            return None
        try:
            from jobprov.provenance.capture.trace.turn import Asking

            return Asking(options, self.environment, glance)
        except Exception as error:
            glance.notes.append("kind of job: {}: {}".format(type(error).__name__, error))
            return None

    def _follow(self, glance: Glance) -> None:
        """Follow the job's folder before the command: it may move its first file away at once."""
        try:
            scripts = []
            for script in glance.scripts:
                if script.content is not None:
                    scripts.append(script.content)
            spools = places.possible(self.options, self.environment)
            self.following = Following(self.options, scripts, spools)
        except Exception as error:
            glance.notes.append("nothing is seen: {}: {}".format(type(error).__name__, error))

    def _prepare_trace(self, glance: Glance) -> None:
        try:
            from jobprov.provenance.capture.sending import spool
            from jobprov.provenance.capture.trace.strace import Trace

            self.trace = Trace(self.options.command, spool.find(self.options, self.environment))
        except Exception as error:
            glance.notes.append(
                "trace: the command ran without, {}: {}".format(type(error).__name__, error)
            )
