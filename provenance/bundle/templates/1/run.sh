#!/bin/sh
# shellcheck disable=SC2317,SC2015,SC2034 # many functions are words that the sourced lists use
# run.sh - run the recorded job again. Needs a POSIX shell, coreutils and what NEEDS.tsv names.
# Recorded strings reach this script only as single-quoted words of the lists in command/ and env/: they are never evaluated.
set -u
PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}
export PATH
case $0 in */*) lib=${0%/*}/lib.sh ;; *) lib=./lib.sh ;; esac
# shellcheck source=lib.sh
. "$lib"

usage() {
  say "usage: sh run.sh [OPTION]... OUT       run the job in OUT, which must be new or empty"
  say "       sh run.sh [OPTION]... --check   say what is missing; 0 if nothing is, else 1"
  say "       sh run.sh --dry-run [OUT]       say what would be done"
  say "       sh run.sh --shell OUT           lay everything out, then a shell in the job's environment"
  say "  --job ID              which job, in a bundle of many; --list-jobs says which there are"
  say "  --input-dir FOLDER    look for inputs here too, by digest; may be given often"
  say "  --no-fetch            never fetch an input from where it was recorded to be"
  say "  --events N            only the first N events, where a step is a program of art (-n N); for triage, not to be verified"
  say "  --input FILE          this one file in place of all inputs that the arguments name; likewise"
  say "  --from-src            take code from src/, the plain files (this is what happens without an option)"
  say "  --from-git            take code from git/, the packs; needs git"
  say "  --capsule FILE|FOLDER run inside this environment: a container image (a tar wants podman or apptainer, a SIF apptainer"
  say "                        or singularity), or a folder that is the root of a file system (unshare, mount and chroot)"
  say "The exit code is the job's own; 125 if the job could not be started. The job's own output goes to OUT/run.log."
}
refuse() {
  say "run.sh: $*"
  exit 125
}

act=run input_dirs='' out='' code_from=src capsule='' may_fetch=yes job_wanted='' events='' one_input=''
while [ $# -gt 0 ]; do
  case $1 in
    --check) act=check ;;
    --dry-run) act=dry-run ;;
    --shell) act=shell ;;
    --from-src) code_from=src ;;
    --from-git) code_from=git ;;
    --no-fetch) may_fetch=no ;;
    --job)
      [ $# -gt 1 ] || refuse "--job wants the id of a job after it."
      job_wanted=$2
      shift
      ;;
    --list-jobs) act=list-jobs ;;
    --capsule)
      [ $# -gt 1 ] || refuse "--capsule wants a file or folder after it."
      find_absolute_path "$2" || refuse "there is no capsule $2."
      capsule=$absolute
      shift
      ;;
    --events)
      [ $# -gt 1 ] || refuse "--events wants a number after it."
      case $2 in '' | *[!0-9]*) refuse "--events wants a number, not $2." ;; esac
      events=$2
      shift
      ;;
    --input)
      [ $# -gt 1 ] || refuse "--input wants a file after it."
      [ ! -d "$2" ] && find_absolute_path "$2" || refuse "there is no file $2."
      one_input=$absolute
      shift
      ;;
    --input-dir)
      [ $# -gt 1 ] || refuse "--input-dir wants a folder after it."
      find_absolute "$2" || refuse "there is no folder $2 to look for inputs in."
      input_dirs=$input_dirs$absolute$nl
      shift
      ;;
    -h | --help) usage && exit 0 ;;
    --) # what comes now is OUT, also where it begins with a dash
      if [ $# -ne 2 ] || [ -n "$out" ]; then refuse "give one folder OUT behind --."; fi
      case $2 in -*) out=./$2 ;; *) out=$2 ;; esac
      shift
      ;;
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
[ "$act" != list-jobs ] || list_jobs
choose_job "$job_wanted" || refuse "$job_problem"

# --- words of command/layout.sh; `act` says what they do ---------------------------------------

cannot_lay_out() { refuse "cannot lay out $1; is the bundle whole, and can $out be written?"; }
work_inside() { # PLACE: the job ran in a folder of a repository
  [ "$act" = lay-out ] || return 0
  mkdir -p "$1" && ln -s "$1" "$work" || cannot_lay_out "$1"
}
source_tree() { # NAME STORED PLACE
  [ "$act" = dry-run ] && say "copy the tree $1 from $code_from/ to $3"
  [ "$act" = lay-out ] || return 0
  mkdir -p "$3" || cannot_lay_out "$3"
  if [ "$code_from" = git ]; then
    check_out "$1" "$3" || refuse "git cannot check out $1; try --from-src."
    return
  fi
  [ ! -d "$here/$2" ] || cp -R "$here/$2/." "$3/" || cannot_lay_out "$3"
  chmod -R u+rwX,go+rX "$3" || cannot_lay_out "$3"
}
# The checkout's own git, as far as the bundle has it: git in the job answers as it did.
repository() { # NAME PLACE
  [ "$act" = lay-out ] && [ -f "$here/git/$1/index" ] && [ ! -e "$2/.git" ] || return 0
  IFS= read -r ran <"$here/git/$1/ran" || cannot_lay_out "$2/.git"
  mkdir -p "$2/.git/objects/pack" "$2/.git/refs" "$2/.git/info" || cannot_lay_out "$2/.git"
  for file in HEAD config packed-refs index; do
    cp "$here/git/$1/$file" "$2/.git/$file" || cannot_lay_out "$2/.git"
  done
  cp "$here/git/$1/objects.pack" "$2/.git/objects/pack/pack-$ran.pack" || cannot_lay_out "$2/.git"
  cp "$here/git/$1/objects.idx" "$2/.git/objects/pack/pack-$ran.idx" || cannot_lay_out "$2/.git"
  [ ! -s "$here/git/$1/history-ends" ] || cp "$here/git/$1/history-ends" "$2/.git/shallow" || cannot_lay_out "$2/.git"
  chmod -R u+rwX,go+rX "$2/.git" || cannot_lay_out "$2/.git"
}
# The tree that ran, from the pack; git gets no settings and no hooks but its own.
check_out() { # NAME PLACE
  git_folder=$out/git/$1
  mkdir -p "$git_folder/objects/pack" "$git_folder/refs" "$git_folder/info" &&
    printf '* -text -eol -ident -filter -working-tree-encoding\n' >"$git_folder/info/attributes" &&
    printf 'ref: refs/heads/none\n' >"$git_folder/HEAD" &&
    cp "$here/git/$1/shallow" "$git_folder/shallow" && # first: git asks for the parents otherwise
    plain_git index-pack --fsck-objects --stdin <"$here/git/$1/objects.pack" >/dev/null &&
    IFS= read -r tree <"$here/git/$1/ran" &&
    plain_git --work-tree="$2" read-tree "$tree" &&
    plain_git --work-tree="$2" checkout-index --all --force
}
plain_git() {
  env -i "PATH=$caller_path" HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 LC_ALL=C \
    git --git-dir="$git_folder" -c core.hooksPath=/dev/null -c core.autocrlf=false -c core.symlinks=true \
    -c core.attributesFile=/dev/null -c safe.directory='*' "$@"
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
  input_places=$input_places$5$nl
  if [ -n "$4" ] && [ -f "$here/$4" ]; then # a bundle with fetch.txt has it where it was fetched
    place "$4" 0644 "$5"
    return
  fi
  input_name=$1 input_sha256=$2 input_size=$3 input_place=$5
  shift 5
  if find_input "$@"; then
    [ "$act" = dry-run ] && say "link $input_place to $found"
    [ "$act" = lay-out ] || return 0
    mkdir -p "${input_place%/*}" || cannot_lay_out "$input_place"
    bring "$found" "$input_place"
  elif can_fetch "$@"; then
    [ "$act" = lay-out ] || { say "input $input_name will be fetched by $fetcher from $fetchable" && return 0; }
    mkdir -p "${input_place%/*}" || cannot_lay_out "$input_place"
    fetch_input "$@" || refuse "input $input_name could not be fetched with the recorded digest; give its folder by --input-dir."
  elif [ -n "$one_input" ]; then
    [ "$act" = lay-out ] || say "note: input $input_name is not here, and left out for $one_input"
  else
    say "missing: input $input_name (sha256 $input_sha256, $input_size bytes); give its folder by --input-dir"
    missing=$((missing + 1))
  fi
}

bring() { # FILE PLACE
  if is_written "$2"; then
    # through a link the job would write into the recorded file itself
    cp "$1" "$2" && chmod u+rw "$2" || cannot_lay_out "$2"
  elif [ -n "$capsule" ]; then
    # a link would lead out of the capsule
    ln "$1" "$2" 2>/dev/null || cp "$1" "$2" || cannot_lay_out "$2"
  else
    ln -s "$1" "$2" || cannot_lay_out "$2"
  fi
}

# The word of outputs/expected.sh: where the job writes, as far as that was recorded.
output() { # NAME JSON_NAME REQUIRED SIZE SHA256 COMPARATOR CONTENT_DIGEST CHECKSUMS REFERENCE PLACE
  shift 9
  output_places=$output_places$1$nl
}
is_written() { # PLACE
  case $output_places in *"$nl$1$nl"*) return 0 ;; *) return 1 ;; esac
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

# --- fetching inputs from where they were recorded to be, by the tool that is there -----------------

find_fetcher() { # LOCATION: sets fetcher
  fetcher=
  case $1 in
    root://* | xroot://* | roots://*) candidates=xrdcp ;;
    http://* | https://*) candidates='curl wget' ;;
    *) return 1 ;;
  esac
  for candidate in $candidates; do
    if command -v "$candidate" >/dev/null 2>&1; then
      fetcher=$candidate
      return 0
    fi
  done
  return 1
}
can_fetch() { # LOCATION...: sets fetcher and fetchable
  [ "$may_fetch" = yes ] || return 1
  # what nobody could compare is not fetched
  [ "$input_sha256" != - ] && [ -n "$sha_tool" ] || return 1
  for fetchable in "$@"; do
    find_fetcher "$fetchable" && return 0
  done
  return 1
}
fetch_input() { # LOCATION...
  for location in "$@"; do
    find_fetcher "$location" || continue
    say "fetching input $input_name by $fetcher from $location"
    rm -f "$input_place"
    case $fetcher in
      xrdcp) xrdcp --nopbar --silent "$location" "$input_place" </dev/null >&2 || continue ;;
      curl) curl --fail --silent --show-error --location --globoff --proto =http,https --output "$input_place" --url "$location" </dev/null >&2 || continue ;;
      wget) wget -q -O "$input_place" "$location" </dev/null >&2 || continue ;;
    esac
    [ "$(digest_of 256 "$input_place")" != "$input_sha256" ] || return 0
    say "what came from $location has another digest than recorded"
  done
  rm -f "$input_place"
  return 1
}

# --- words of command/programs.sh ---------------------------------------------------------------

program() {
  [ -z "$capsule" ] || return 0 # the capsule's own
  find_program "$1" && return 0
  say "missing: program $1 (looked in $job_path)"
  missing=$((missing + 1))
}
python() { :; }

check_needs() {
  missing=0 input_places=$nl
  section=layout
  # shellcheck source=/dev/null
  . "$(list_of command/layout)"
  section=programs
  # shellcheck source=/dev/null
  . "$(list_of command/programs)"
  if [ "$code_from" = git ] && ! command -v git >/dev/null 2>&1; then
    say "missing: program git, for --from-git"
    missing=$((missing + 1))
  fi
  find_container_tool || missing=$((missing + 1))
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
  input_places=$nl
  act=lay-out
  mkdir -p "$src" "$elsewhere" "$out/home" "$out/tmp" || refuse "cannot write in $out."
  [ -z "$job" ] || printf '%s\n' "$job" >"$out/job.txt"
  [ -z "$events$one_input" ] || printf '%s\n' "${events:+--events $events}${one_input:+ --input $one_input}" >"$out/in-part.txt"
  output_places=$nl section=expected
  # shellcheck source=/dev/null
  . "$(list_of outputs/expected)"
  section=layout
  # shellcheck source=/dev/null
  . "$(list_of command/layout)"
  mkdir -p "$work/." || refuse "cannot make $work."
  if [ -n "$one_input" ]; then
    mkdir -p "$out/input" && bring "$one_input" "$out/input/${one_input##*/}" || refuse "cannot write in $out."
    one_input=$out/input/${one_input##*/}
  fi
  # what is there before the job: everything else in the working directory is its output
  visit() { printf '%s\n' "${1#"$work"/}"; }
  walk "$work" >"$out/laid-out.txt"
}

# Obey one step in the recorded environment. The first failing code is the job's; a failure that was not recorded ends it.
step() { # NAME EXPECTED_CODE PROGRAM [ARGUMENT]...
  step_name=$1 expected=$2
  shift 2
  if [ "$act" = dry-run ]; then
    say "run $step_name in $work: $*${events:+, the first $events events}${one_input:+, with the input $one_input}"
    return 0
  fi
  [ "$stopped" = no ] || return 0
  if [ -n "$events$one_input" ]; then
    in_part "$@"
    return 0
  fi
  obey "$@"
}
obey() { # PROGRAM [ARGUMENT]...: one step, as it was recorded or in part
  printf 'run.sh: step %s\n' "$step_name" >>"$out/run.log"
  in_environment "$@" <"$stdin" >>"$out/run.log" 2>&1
  code=$?
  printf '%s\n' "$code" >>"$out/exit-codes.txt"
  printf 'run.sh: step %s ended with exit code %s\n' "$step_name" "$code" >>"$out/run.log"
  [ "$code" -eq 0 ] && return 0
  [ "$exit_code" -ne 0 ] || exit_code=$code
  [ "$code" = "$expected" ] || stopped=yes
}
# Obey a step with other arguments: --input FILE stands for the first argument that names an input, the others go; of an art
# program also those given by -s, -S and what --events replaces.
in_part() { # PROGRAM [ARGUMENT]...
  is_art_step=no input_is_given=no before='' left=$#
  is_art "$@" && is_art_step=yes
  while [ "$left" -gt 0 ]; do
    word=$1
    shift
    left=$((left - 1))
    case $is_art_step$before in
      yes-n | yes--nevts) [ -z "$events" ] || { before='' && continue; } ;;
      yes-s | yes--source | yes-S | yes--source-list) [ -z "$one_input" ] || { before='' && continue; } ;;
    esac
    before=$word
    case $is_art_step$word in
      yes-n | yes--nevts | yes--nevts=*) [ -z "$events" ] || continue ;;
      yes-s | yes--source | yes-S | yes--source-list | yes--source=* | yes--source-list=*) [ -z "$one_input" ] || continue ;;
    esac
    if [ -n "$one_input" ] && names_input "$word"; then
      [ "$is_art_step$input_is_given" = nono ] || continue
      input_is_given=yes word=$one_input
    fi
    set -- "$@" "$word"
  done
  [ "$is_art_step" = no ] || [ -z "$one_input" ] || set -- "$@" -s "$one_input"
  [ "$is_art_step" = no ] || [ -z "$events" ] || set -- "$@" -n "$events"
  [ "$is_art_step" = yes ] || [ -z "$events" ] || say "note: step $step_name is no program of art; --events changes nothing in it"
  printf 'run.sh: in part: %s\n' "$*" >>"$out/run.log"
  obey "$@"
}
is_art() { # PROGRAM [ARGUMENT]...: by its configuration, whatever an experiment calls it
  option=
  for argument in "$@"; do
    case $option$argument in
      -c*.fcl | --config*.fcl) return 0 ;;
    esac
    option=
    case $argument in -c | --config) option=$argument ;; esac
  done
  return 1
}
names_input() { # WORD
  case $input_places in
    *"$nl$1$nl"* | *"$nl$work/${1#./}$nl"*) [ -n "$1" ] ;;
    *) return 1 ;;
  esac
}
in_environment() { # PROGRAM [ARGUMENT]...
  section=environment
  # shellcheck source=/dev/null
  . "$(list_of env/environment)"
  set -- env -i "PATH=$job_path" "HOME=$out/home" "TMPDIR=$out/tmp" "PWD=$work" "$@"
  case $container_tool in
    '') (cd "$work" && exec "$@") ;;
    apptainer | singularity)
      (cd "$work" && exec "$container_tool" exec --cleanenv --no-home --bind "$out:$out" --pwd "$work" "$capsule_image" "$@")
      ;;
    podman)
      # --entrypoint: an image may have one of its own; label=disable: SELinux would keep OUT from the container
      shift
      (cd "$work" && exec podman run --rm -i --network=host --security-opt label=disable -v "$out:$out" -w "$work" \
        --entrypoint env "$capsule_image" "$@")
      ;;
    chroot) in_capsule_folder "$@" ;;
  esac
}

# --- the capsule ----------------------------------------------------------------------------------

find_container_tool() { # sets container_tool, empty without a capsule
  container_tool=
  [ -n "$capsule" ] || return 0
  capsule_image=$capsule candidates='apptainer singularity'
  if [ -d "$capsule" ]; then
    candidates='unshare apptainer singularity'
  elif ! is_sif; then
    candidates='podman apptainer singularity' # a tar, as podman and docker save it
  fi
  for candidate in $candidates; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    container_tool=$candidate
    if [ "$candidate" = unshare ]; then
      container_tool=chroot
      unshare -rm true 2>/dev/null || continue
    fi
    return 0
  done
  say "missing: one of $candidates, to run inside $capsule"
  return 1
}
is_sif() { # a SIF begins with a line for the shell, a bare squashfs with its magic number
  first=$(dd if="$capsule" bs=4 count=1 2>/dev/null | tr -d '\000') || return 1
  case $first in '#!'* | hsqs) return 0 ;; *) return 1 ;; esac
}
load_capsule() {
  [ -f "$capsule" ] && ! is_sif || return 0
  case $container_tool in
    apptainer | singularity) capsule_image=docker-archive:$capsule ;;
    podman)
      capsule_image=$(podman load --quiet --input "$capsule") || refuse "podman cannot load $capsule."
      capsule_image=${capsule_image##*: }
      ;;
  esac
}
# A root of the capsule's own entries, with OUT where it is outside; nothing is written into the capsule.
in_capsule_folder() { # PROGRAM [ARGUMENT]...
  mkdir -p "$out/root" || return 125
  # shellcheck disable=SC2016 # the inner shell's own variables
  unshare -rm sh -c '
    set -u
    PATH=$PATH:/usr/sbin:/sbin
    capsule=$1 out=$2 work=$3
    shift 3
    show() { # INNER: what the capsule has here; the way to OUT is made of new folders
      for entry in "$capsule$1"/* "$capsule$1"/.[!.]*; do
        inner=$1/${entry##*/}
        if [ -h "$entry" ]; then
          cp -P "$entry" "$out/root$inner" || return 1
        elif [ -d "$entry" ]; then
          mkdir -p "$out/root$inner" || return 1
          case $out/ in "$inner"/*) show "$inner" || return 1 ;; *) mount --rbind "$entry" "$out/root$inner" || return 1 ;; esac
        elif [ -f "$entry" ]; then
          : >"$out/root$inner" && mount --bind "$entry" "$out/root$inner" || return 1
        fi
      done
    }
    show "" || exit 125
    for kernel in /dev /proc; do
      mkdir -p "$out/root$kernel" && mount --rbind "$kernel" "$out/root$kernel" || exit 125
    done
    mkdir -p "$out/root$out" && mount --bind "$out" "$out/root$out" || exit 125
    exec chroot "$out/root" /bin/sh -c "cd \"\$1\" && shift && exec \"\$@\"" sh "$work" "$@"
  ' sh "$capsule" "$out" "$work" "$@"
}

if [ "$act" = check ] || [ "$act" = dry-run ]; then
  name_folders "${out:-OUT}"
  find_job_path
  check_needs
  checked=$?
  [ "$act" = check ] && exit "$checked"
  section=steps
  # shellcheck source=/dev/null
  . "$(list_of command/steps)"
  exit 0
fi

[ -n "$out" ] || { usage && refuse "give a folder OUT for the rerun."; }
wanted=$act
make_out "$out"
find_job_path
act=check
check_needs || refuse "$missing things are missing, see above and NEEDS.tsv; nothing was run."
load_capsule
lay_out
stdin=/dev/null
[ ! -f "$here/${job_folder}command/stdin" ] || stdin=$here/${job_folder}command/stdin
if [ "$wanted" = shell ]; then
  say "a shell in the job's environment; the steps are in $(list_of command/steps)"
  in_environment sh -i
  exit
fi
exit_code=0 stopped=no
: >"$out/exit-codes.txt"
act=run
section=steps
# shellcheck source=/dev/null
. "$(list_of command/steps)"
say "run.sh: the job ended with exit code $exit_code; its output is in $out/run.log"
exit "$exit_code"
