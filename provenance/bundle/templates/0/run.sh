#!/bin/sh
# shellcheck disable=SC2317,SC2015 # many functions are words that the sourced lists use
# run.sh - run the recorded job again. Needs a POSIX shell, coreutils and what NEEDS.tsv names.
# Recorded strings reach this script only as single-quoted words of the lists in command/ and env/: they are never evaluated.
set -u
PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}
export PATH
case $0 in */*) lib=${0%/*}/lib.sh ;; *) lib=./lib.sh ;; esac
# shellcheck source=lib.sh
. "$lib"

usage() {
  say "usage: sh run.sh [--input-dir FOLDER]... OUT      run the job in OUT, which must be new or empty"
  say "       sh run.sh [--input-dir FOLDER]... --check  say what is missing; 0 if nothing is, else 1"
  say "       sh run.sh --dry-run [OUT]                  say what would be done"
  say "       sh run.sh --shell OUT                      lay everything out, then a shell in the job's environment"
  say "The exit code is the job's own; 125 if the job could not be started. The job's own output goes to OUT/run.log."
}
refuse() {
  say "run.sh: $*"
  exit 125
}

act=run input_dirs='' out=''
while [ $# -gt 0 ]; do
  case $1 in
    --check) act=check ;;
    --dry-run) act=dry-run ;;
    --shell) act=shell ;;
    --input-dir)
      [ $# -gt 1 ] || refuse "--input-dir wants a folder after it."
      find_absolute "$2" || refuse "there is no folder $2 to look for inputs in."
      input_dirs=$input_dirs$absolute$nl
      shift
      ;;
    -h | --help) usage && exit 0 ;;
    --) ;;
    -*) usage && refuse "there is no option $1." ;;
    *)
      [ -z "$out" ] || refuse "give one folder OUT, not $out and $1."
      out=$1
      ;;
  esac
  shift
done
find_here "$0"
find_sha_tool || :

# --- words of command/layout.sh; `act` says what they do ---------------------------------------

cannot_lay_out() { refuse "cannot lay out $1; is the bundle whole, and can $out be written?"; }
work_inside() { # PLACE: the job ran in a folder of a repository
  [ "$act" = lay-out ] || return 0
  mkdir -p "$1" && ln -s "$1" "$work" || cannot_lay_out "$1"
}
source_tree() { # STORED PLACE
  [ "$act" = dry-run ] && say "copy the tree $1 to $2"
  [ "$act" = lay-out ] || return 0
  mkdir -p "$2" || cannot_lay_out "$2"
  [ ! -d "$here/$1" ] || cp -R "$here/$1/." "$2/" || cannot_lay_out "$2"
  chmod -R u+rwX,go+rX "$2" || cannot_lay_out "$2"
}
programs() { # PLACE...
  [ "$act" = lay-out ] || return 0
  chmod 0755 "$@" || cannot_lay_out "$*"
}
place() { # STORED MODE PLACE
  [ "$act" = dry-run ] && say "copy $1 to $3"
  [ "$act" = lay-out ] || return 0
  mkdir -p "${3%/*}" && rm -f "$3" && cp "$here/$1" "$3" && chmod "$2" "$3" || cannot_lay_out "$3"
}
link() { # TARGET PLACE
  [ "$act" = lay-out ] || return 0
  mkdir -p "${2%/*}" || cannot_lay_out "$2"
  [ -e "$2" ] || [ -h "$2" ] || ln -s "$1" "$2" || cannot_lay_out "$2"
}
folder() { # PLACE
  [ "$act" = lay-out ] || return 0
  mkdir -p "$1" || cannot_lay_out "$1"
}
input() { # NAME SHA256 SIZE STORED PLACE [KNOWN_PLACE]...
  if [ -n "$4" ]; then
    place "$4" 0644 "$5"
    return
  fi
  input_name=$1 input_sha256=$2 input_size=$3 input_place=$5
  shift 5
  if ! find_input "$@"; then
    say "missing: input $input_name (sha256 $input_sha256, $input_size bytes); give its folder by --input-dir"
    missing=$((missing + 1))
    return 0
  fi
  [ "$act" = dry-run ] && say "link $input_place to $found"
  [ "$act" = lay-out ] || return 0
  mkdir -p "${input_place%/*}" && ln -s "$found" "$input_place" || cannot_lay_out "$input_place"
}

# --- finding inputs by digest -------------------------------------------------------------------

find_input() { # KNOWN_PLACE...: sets found
  found=
  for candidate in "$@"; do
    try_input "$candidate" && return 0
  done
  rest=$input_dirs
  while [ -n "$rest" ]; do
    directory=${rest%%"$nl"*}
    rest=${rest#*"$nl"}
    try_input "$directory/${input_name##*/}" && return 0
    visit() { [ -n "$found" ] || try_input "$1" || :; }
    walk "$directory"
    [ -z "$found" ] || return 0
  done
  return 1
}
try_input() { # FILE: sets found if it is the input wanted
  [ -f "$1" ] && [ -r "$1" ] || return 1
  [ "$input_size" = - ] || [ "$(size_of "$1")" = "$input_size" ] || return 1
  if [ "$input_sha256" = - ]; then
    [ "${1##*/}" = "${input_name##*/}" ] || return 1
    say "note: input $input_name has no recorded sha256; taken by name and size: $1"
  else
    [ "$(digest_of 256 "$1")" = "$input_sha256" ] || return 1
  fi
  found=$1
}

# --- words of command/programs.sh ---------------------------------------------------------------

program() {
  is_there "$1" && return 0
  say "missing: program $1 (looked in $job_path)"
  missing=$((missing + 1))
}
python() { :; }

check_needs() {
  missing=0
  # shellcheck source=/dev/null
  . "$here/command/layout.sh"
  # shellcheck source=/dev/null
  . "$here/command/programs.sh"
  [ "$missing" -eq 0 ]
}

# --- running -------------------------------------------------------------------------------------

make_out() {
  if [ -e "$1" ] || [ -h "$1" ]; then
    [ -d "$1" ] || refuse "$1 is there and is no folder; give a new one."
    [ -z "$(ls -A "$1")" ] || refuse "$1 is not empty; give a new or empty folder."
  fi
  mkdir -p "$1" && find_absolute "$1" || refuse "cannot make $1."
  name_folders "$absolute"
}
lay_out() {
  umask 022
  act=lay-out
  mkdir -p "$src" "$elsewhere" "$out/home" "$out/tmp" || refuse "cannot write in $out."
  # shellcheck source=/dev/null
  . "$here/command/layout.sh"
  mkdir -p "$work/." || refuse "cannot make $work."
  # what is there before the job: everything else in the working directory is its output
  visit() { printf '%s\n' "${1#"$work"/}"; }
  walk "$work" >"$out/laid-out.txt"
}

# Obey one step in the recorded environment. The first failing code is the job's; a failure that was not recorded ends it.
step() { # NAME EXPECTED_CODE PROGRAM [ARGUMENT]...
  step_name=$1 expected=$2
  shift 2
  if [ "$act" = dry-run ]; then
    say "run $step_name in $work: $*"
    return 0
  fi
  [ "$stopped" = no ] || return 0
  printf 'run.sh: step %s\n' "$step_name" >>"$out/run.log"
  in_environment "$@" <"$stdin" >>"$out/run.log" 2>&1
  code=$?
  printf '%s\n' "$code" >>"$out/exit-codes.txt"
  printf 'run.sh: step %s ended with exit code %s\n' "$step_name" "$code" >>"$out/run.log"
  [ "$code" -eq 0 ] && return 0
  [ "$exit_code" -ne 0 ] || exit_code=$code
  [ "$code" = "$expected" ] || stopped=yes
}
in_environment() { # PROGRAM [ARGUMENT]...
  # shellcheck source=/dev/null
  . "$here/env/environment.sh"
  (cd "$work" && exec env -i "PATH=$job_path" "HOME=$out/home" "TMPDIR=$out/tmp" "PWD=$work" "$@")
}

if [ "$act" = check ] || [ "$act" = dry-run ]; then
  name_folders "${out:-OUT}"
  find_job_path
  check_needs
  checked=$?
  [ "$act" = check ] && exit "$checked"
  # shellcheck source=/dev/null
  . "$here/command/steps.sh"
  exit 0
fi

[ -n "$out" ] || { usage && refuse "give a folder OUT for the rerun."; }
wanted=$act
make_out "$out"
find_job_path
act=check
check_needs || refuse "$missing things are missing, see above and NEEDS.tsv; nothing was run."
lay_out
stdin=/dev/null
[ ! -f "$here/command/stdin" ] || stdin=$here/command/stdin
if [ "$wanted" = shell ]; then
  say "a shell in the job's environment; the steps are in $here/command/steps.sh"
  in_environment sh -i
  exit
fi
exit_code=0 stopped=no
: >"$out/exit-codes.txt"
act=run
# shellcheck source=/dev/null
. "$here/command/steps.sh"
say "run.sh: the job ended with exit code $exit_code; its output is in $out/run.log"
exit "$exit_code"
