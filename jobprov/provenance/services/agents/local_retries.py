"""Runs a recorded job here, from its unpacked bundle, with its output on this terminal.

It shows an error: nothing is recorded or compared; see `reruns/execution.py` for that. The number
of events is changed where the program is one of art's, whose options are known; other programs run
as recorded.
"""

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from jobprov.provenance.errors import BundleError

_SHELL = r"""here={here}
events={events}
. "$here/lib.sh"
name_folders {out}
code=0
say() {{ printf '%s\n' "$*" >&2; }}
# The recorded arguments, with the number of events replaced; art takes it once.
fewer() {{ # PROGRAM [ARGUMENT]...
  program=$1
  shift
  left=$# skipped=no
  while [ "$left" -gt 0 ]; do
    word=$1 left=$((left - 1))
    shift
    if [ "$skipped" = yes ]; then
      skipped=no
      continue
    fi
    case $word in
      -n | --nevts) skipped=yes ;;
      --nevts=* | -n[0-9]*) ;;
      *) set -- "$@" "$word" ;;
    esac
  done
  "$program" "$@" -n "$events"
}}
step() {{ # NAME EXPECTED_CODE PROGRAM [ARGUMENT]...
  say "--- step $1, which ended with exit code $2 when it was recorded"
  shift 2
  [ "$code" -eq 0 ] || return 0
  case ${{1##*/}}:$events in
    *:) "$@" </dev/null ;;
    art:* | lar:* | nova:* | mu2e:* | uboone:* | gm2:* | toy:*) fewer "$@" </dev/null ;;
    *)
      say "note: ${{1##*/}} is not known to take a number of events; it runs as recorded"
      "$@" </dev/null
      ;;
  esac
  code=$?
}}
cd "$work" || exit 125
job=''
read_paths
section=steps
. "$here/command/steps.sh"
exit "$code"
"""


def run_here(
    root: Path, out: Path, *, events: int | None = None, input_dirs: Sequence[Path] = ()
) -> int:
    """Return the exit code of a job that was run in the new folder `out`.

    It is 125 where run.sh could not make the folder; run.sh prints why.

    Args:
        root: the unpacked bundle.
        out: where to; `out/work` is the job's working directory.
        events: so many events at most; None for as many as recorded.
        input_dirs: where to look for inputs that the bundle lacks.

    Raises:
        BundleError: there is no bundle, or no shell.
    """
    data = root.resolve() / "data"
    if not (data / "run.sh").is_file():
        raise BundleError(f"There is no bundle at {root}: run.sh is missing; unpack its tar first.")
    # Its shell below uses the paths in OUT
    command = ["sh", str(data / "run.sh"), "--no-own-root"]
    for folder in input_dirs:
        command += ["--input-dir", str(folder.resolve())]
    command += ["--shell", str(out.resolve())]
    # The shell of run.sh is interactive and prompts before each line: it gets one line alone, which
    # replaces it by a shell that reads ours from a file
    script = out.resolve().with_name(f"{out.name}.steps")
    script.write_text(
        _SHELL.format(
            here=shlex.quote(str(data)), out=shlex.quote(str(out.resolve())), events=events or ""
        ),
        encoding="utf-8",
    )
    line = f"exec sh {shlex.quote(str(script))}\n"
    try:
        done = subprocess.run(command, input=line, text=True, check=False)
    except OSError as error:
        raise BundleError(
            f"A bundle needs a POSIX shell named sh on the PATH ({error})."
        ) from error
    return done.returncode
