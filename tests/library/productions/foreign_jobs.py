"""Jobs of real programs, to be rerun in a root that has nothing but their capsule.

Each is a folder of files, a command line, and what it writes. Programs, libraries and inputs lie
outside of temporary folders, as those of a worker node do.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.library.hook import find_python


class Places(NamedTuple):
    """Folders of one job.

    Attributes:
        work: its working directory.
        home: its HOME.
        software: where programs are installed.
    """

    work: Path
    home: Path
    software: Path


class ForeignJob(NamedTuple):
    """A job.

    Attributes:
        programs: what must be on this machine.
        prepare: lays out its files and returns its command line.
        output: the file that it writes.
    """

    name: str
    programs: tuple[str, ...]
    prepare: Callable[[Places], list[str]]
    output: str = "out.txt"

    @property
    def is_possible(self) -> bool:
        """Whether its programs are here."""
        return all(map(shutil.which, self.programs))


def _write(path: Path, content: str, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return path


def _numpy(places: Places) -> list[str]:
    _write(places.work / "fit.py", FIT)
    _write(places.work / "points.csv", "".join(f"{x},{3 * x + 1 + (x % 3)}\n" for x in range(200)))
    return [sys.executable, "fit.py", "points.csv", "out.txt"]


FIT = """
import sys, urllib.request
import numpy
x, y = numpy.loadtxt(sys.argv[1], delimiter=",").T
with open(sys.argv[2], "w") as out:
    print(*numpy.polyfit(x, y, 1).round(9), numpy.linalg.norm(y).round(9), file=out)
"""


def _perl(places: Places) -> list[str]:
    script = (
        "use strict; use List::Util qw(sum); use POSIX qw(floor); use JSON::PP; use HTTP::Tiny;\n"
        "my ($in, $out) = @ARGV; open my $f, '<', $in or die; my @n = map { 0 + $_ } <$f>;\n"
        "open my $o, '>', $out or die;\n"
        "print $o JSON::PP->new->canonical->encode({ sum => sum(@n), mean => floor(sum(@n) / @n) });\n"
    )
    _write(places.work / "sum.pl", script)
    _write(places.work / "n.txt", "".join(f"{n * n}\n" for n in range(100)))
    return ["perl", "sum.pl", "n.txt", "out.txt"]


def _origin_library(places: Places) -> list[str]:
    """A program whose library lies beside it, found by $ORIGIN, and one that it opens itself."""
    folder = places.software / "toy-1.0"
    _write(folder / "src/lib.c", "double scale(double x) { return 2.5 * x; }\n")
    _write(folder / "src/plug.c", "double shift(double x) { return x + 1; }\n")
    main = (
        "#include <dlfcn.h>\n#include <stdio.h>\ndouble scale(double);\nint main(int n, char **a) {\n"
        '  void *plug = dlopen("libplug.so", RTLD_NOW);\n'
        '  if (!plug) { fprintf(stderr, "%s\\n", dlerror()); return 3; }\n'
        '  double (*shift)(double) = (double (*)(double))dlsym(plug, "shift"), x;\n'
        '  FILE *in = fopen(a[1], "r"), *out = fopen(a[2], "w");\n'
        '  while (fscanf(in, "%lf", &x) == 1) fprintf(out, "%.9g\\n", shift(scale(x)));\n'
        "  return fclose(out);\n}\n"
    )
    _write(folder / "src/main.c", main)
    build = (
        "mkdir -p bin lib && gcc -shared -fPIC -o lib/libtoy.so src/lib.c"
        " && gcc -shared -fPIC -o lib/libplug.so src/plug.c"
        " && gcc -o bin/toy src/main.c -Llib -ltoy -ldl '-Wl,-rpath,$ORIGIN/../lib'"
    )
    subprocess.run(["sh", "-c", build], cwd=folder, check=True)
    _write(places.work / "in.txt", "1\n2.5\n1e9\n")
    return [str(folder / "bin/toy"), "in.txt", "out.txt"]


def _fortran(places: Places) -> list[str]:
    _write(places.work / "sum.f90", FORTRAN)
    _write(
        places.work / "build.sh", "set -e\ngfortran -O1 -o sum sum.f90\n./sum < in.txt > out.txt\n"
    )
    _write(places.work / "in.txt", "3\n1.5 2.5 4.0\n")
    return ["sh", "build.sh"]


FORTRAN = """program total
  integer :: n
  real(8), allocatable :: x(:)
  read(*, *) n
  allocate(x(n))
  read(*, *) x
  write(*, '(f12.6)') sum(x), sqrt(dot_product(x, x))
end program
"""


def _awk(places: Places) -> list[str]:
    _write(places.work / "in.txt", "".join(f"run{n % 3} {n}\n" for n in range(50)))
    _write(
        places.work / "sum.sh",
        "#!/bin/sh\nawk '{s[$1] += $2} END {for (k in s) print k, s[k]}' $1 | sort > $2\n",
        0o755,
    )
    return ["./sum.sh", "in.txt", "out.txt"]


def _sqlite(places: Places) -> list[str]:
    database = places.software / "conditions.db"
    places.software.mkdir(parents=True, exist_ok=True)
    statements = "create table gain(channel, value); insert into gain values (1, 1.5), (2, 2.5);"
    subprocess.run(["sqlite3", str(database), statements], check=True)
    question = "'select channel, value * 2 from gain order by 1'"
    _write(places.work / "read.sh", f"sqlite3 -csv {database} {question} > out.txt\n")
    return ["sh", "read.sh"]


def _make(places: Places) -> list[str]:
    _write(places.work / "Makefile", "CFLAGS = -O2\nout.txt: toy\n\t./toy > $@\ntoy: toy.o\n")
    main = 'int main(void) { printf("%.6f\\n", 2.0 / 3); return 0; }\n'
    _write(places.work / "toy.c", "#include <stdio.h>\n#include <math.h>\n" + main)
    return ["make", "-s"]


def _home_python(places: Places) -> list[str]:
    """A Python of pyenv, copied into a hidden folder of the home, with a module in ~/.local."""
    python = next(filter(None, map(find_python, ("3.12", "3.11", "3.10"))))
    prefix = Path(python).resolve().parents[1]
    own = places.home / ".pyenv/versions" / prefix.name
    heavy = shutil.ignore_patterns(
        "test", "__pycache__", "site-packages", "*.a", "config-3*", "idlelib", "tkinter"
    )
    shutil.copytree(prefix, own, symlinks=True, ignore=heavy)
    short = "python" + ".".join(prefix.name.split(".")[:2])
    _write(places.home / f".local/lib/{short}/site-packages/toymodule.py", "FACTOR = 7\n", 0o600)
    _write(places.work / "x.py", USE_OF_A_MODULE)
    return [str(own / "bin" / short), "x.py", "out.txt"]


USE_OF_A_MODULE = """
import sys, json, toymodule, urllib.request
with open(sys.argv[1], "w") as out:
    json.dump([toymodule.FACTOR, sys.version_info[:2]], out)
"""


def _find_sort_sed(places: Places) -> list[str]:
    for n in range(20):
        _write(places.work / f"data/run{n:02}/log.txt", f"events {n * n}\n")
    _write(places.work / "list.sh", PIPELINE, 0o755)
    return ["./list.sh"]


PIPELINE = """#!/bin/bash
set -euo pipefail
find data -name '*.txt' | sort -r | xargs cat | sed -n 's/events //p' > all.txt
grep -v '^0$' all.txt | uniq | tee out.txt | wc -l
"""


def _scratch_and_home(places: Places) -> list[str]:
    _write(places.home / ".toyrc", "scale=4\n")
    _write(places.work / "job.sh", SCRATCH)
    return ["sh", "job.sh"]


SCRATCH = """set -e
. ~/.toyrc
d=$(mktemp -d /var/tmp/toy.XXXXXX)
b=$(mktemp /tmp/toy.XXXXXX)
trap 'rm -r $d $b' EXIT
seq 1 9 > $d/a
awk -v s=$scale '{print $1 * s}' $d/a > $b
cp $b out.txt
"""


def _locale(places: Places) -> list[str]:
    folder = places.software / "locale"
    folder.mkdir(parents=True)
    words = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")]
    subprocess.run(words, check=True, capture_output=True)
    _write(places.work / "words.txt", "Zoo\nÄpfel\nzebra\napfel\nÖl\nOma\n")
    _write(places.work / "sort.sh", f"export LOCPATH={folder} LC_ALL=de_DE.UTF-8\n" + LOCALE)
    return ["bash", "sort.sh"]


LOCALE = """sort words.txt > out.txt
printf '%.2f\\n' 1,5 >> out.txt
locale decimal_point >> out.txt
"""


def _ctypes(places: Places) -> list[str]:
    """Python that opens a library by its path, and asks the system for another."""
    folder = places.software / "plug"
    _write(folder / "plug.c", "int seven(void) { return 7; }\n")
    build = "gcc -shared -fPIC -o libplug.so plug.c"
    subprocess.run(["sh", "-c", build], cwd=folder, check=True)
    _write(places.work / "x.py", CTYPES)
    return [sys.executable, "x.py", str(folder / "libplug.so"), "out.txt"]


CTYPES = """
import ctypes, ctypes.util, sys
plug, math = ctypes.CDLL(sys.argv[1]), ctypes.CDLL(ctypes.util.find_library("m"))
math.cos.restype, math.cos.argtypes = ctypes.c_double, [ctypes.c_double]
with open(sys.argv[2], "w") as out:
    print(plug.seven(), math.cos(0.5), file=out)
"""


def _linked_release(places: Places) -> list[str]:
    """A release behind a link, its libraries by LD_LIBRARY_PATH with `..` behind that link."""
    folder = places.software / "release-1"
    _write(folder / "lib/toy.c", "int nine(void) { return 9; }\n")
    main = '#include <stdio.h>\nint nine(void);\nint main(void) { printf("%d\\n", nine()); }\n'
    _write(folder / "main.c", main)
    build = (
        "mkdir bin && gcc -shared -fPIC -o lib/libtoy.so.1 lib/toy.c && ln -s libtoy.so.1 lib/libtoy.so"
        " && gcc -o bin/toy main.c -Llib -ltoy && ln -s release-1 ../current"
    )
    subprocess.run(["sh", "-c", build], cwd=folder, check=True)
    current = places.software / "current"
    script = f"LD_LIBRARY_PATH={current}/bin/../lib {current}/bin/toy > out.txt\n"
    _write(places.work / "run.sh", script)
    return ["sh", "run.sh"]


def _archive(places: Places) -> list[str]:
    _write(places.work / "in/a.txt", "1\n2\n")
    _write(places.work / "in/b.txt", "3\n")
    _write(places.work / "pack.sh", PACKING)
    return ["sh", "pack.sh"]


PACKING = """set -e
tar --sort=name --mtime=@0 --owner=0 --group=0 -cf in.tar in
xz -9 < in.tar | xz -d | tar -xOf - | gzip -n | gunzip | paste -sd+ | bc > out.txt
"""


def _r(places: Places) -> list[str]:
    fit = 'd <- read.csv("in.csv"); m <- lm(y ~ x, d)\n'
    _write(places.work / "fit.R", fit + 'writeLines(format(coef(m), digits = 8), "out.txt")\n')
    _write(places.work / "in.csv", "x,y\n1,2.1\n2,3.9\n3,6.2\n")
    return ["Rscript", "fit.R"]


JOBS = (
    ForeignJob("numpy", (), _numpy),
    ForeignJob("perl", ("perl",), _perl),
    ForeignJob("origin-library", ("gcc",), _origin_library),
    ForeignJob("fortran", ("gfortran",), _fortran),
    ForeignJob("awk", ("awk",), _awk),
    ForeignJob("sqlite", ("sqlite3",), _sqlite),
    ForeignJob("make", ("make", "gcc"), _make),
    ForeignJob("home-python", (), _home_python),
    ForeignJob("find-sort-sed", ("find", "xargs"), _find_sort_sed),
    ForeignJob("scratch-and-home", ("awk",), _scratch_and_home),
    ForeignJob("locale", ("localedef",), _locale),
    ForeignJob("ctypes", ("gcc",), _ctypes),
    ForeignJob("linked-release", ("gcc",), _linked_release),
    ForeignJob("archive", ("xz", "bc"), _archive),
    ForeignJob("r", ("Rscript",), _r),
)


def environment_of(places: Places) -> dict[str, str]:
    """Return the variables of a job on a worker node."""
    return {"HOME": str(places.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
