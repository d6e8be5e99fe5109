#!/bin/sh
# shellcheck disable=SC2317,SC2015,SC2034,SC2030,SC2031 # many functions are words that the sourced lists use, some in a subshell
# shellcheck disable=SC3013 # -ef, which POSIX has since 2024, and shells before
{ # the shell reads up to the brace at the end before it begins: a script that was cut off does nothing
# run.sh - run the recorded job again. Needs a POSIX shell, coreutils and what NEEDS.tsv names.
# Recorded strings reach this script only as single-quoted words of the lists in command/ and env/: they are never evaluated.
set -u
PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}
export PATH
case $0 in */*) lib=${0%/*}/lib.sh ;; *) lib=./lib.sh ;; esac
lib_is_whole=no
# shellcheck source=lib.sh
[ ! -r "$lib" ] || . "$lib"
[ "$lib_is_whole" = yes ] || { printf '%s\n' "run.sh: $lib is not here, or not whole; is run.sh still in its bundle?" >&2 && exit 125; }

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
  say "  --program NAME=FILE   use FILE where the job names the program NAME, a bare name or the recorded path: an interpreter that"
  say "                        lies elsewhere here; may be given often"
  say "  --variable NAME=VALUE give the job this variable, in place of what was recorded: one whose value was withheld; may be given often"
  say "  --changed             run although files of this bundle were changed; not to be verified"
  say "  --no-network          the job reaches no network, and so no storage, whatever it calls; in a root of its own alone"
  say "  --own-root            only in a root of its own, where everything lies at its recorded path (unshare and mount)"
  say "  --no-own-root         never so, but with paths rewritten to folders of OUT; without an option, where it must be"
  say "The exit code is the job's own; 125 if the job could not be started. The job's own output goes to OUT/run.log."
}
refuse() {
  say "run.sh: $*"
  exit 125
}

choose_program() { # NAME=FILE
  case $1 in
    *"$nl"*) refuse "--program wants no line end in it." ;;
    /*=?* | [!/]*=?*) ;;
    *) refuse "--program wants NAME=FILE, not $1." ;;
  esac
  case ${1%%=*} in
    /*) can_be_laid_out "${1%%=*}" || refuse "--program wants the recorded path of a program, not ${1%%=*}." ;;
    */* | .*) refuse "--program wants a bare name or the recorded path of a program, not ${1%%=*}." ;;
  esac
  find_absolute_path "${1#*=}" && [ -f "$absolute" ] && [ -x "$absolute" ] || refuse "there is no program ${1#*=}."
  chosen_programs=$chosen_programs$1$nl
  chosen_programs=${chosen_programs%"${1#*=}$nl"}$absolute$nl
}
choose_variable() { # NAME=VALUE; a value may be a secret, and is never printed
  case $1 in
    *=*) ;;
    *) refuse "--variable wants NAME=VALUE; there is no = in what was given." ;;
  esac
  case ${1%%=*} in
    '' | [0-9]* | *[!A-Za-z0-9_]*) refuse "--variable wants the name of a variable before the first =, of letters, digits and _." ;;
    HOME | PATH | PWD | TMPDIR) refuse "${1%%=*} leads to what is laid out; --variable cannot change it." ;;
  esac
  quote "$1"
  chosen_variables="$chosen_variables $quoted" variable_names="$variable_names ${1%%=*}"
}
# The kernel fills these folders, and `..` could lead out of OUT.
can_be_laid_out() { # RECORDED
  case $1/ in
    */../* | */./* | *//?* | [!/]* | *"$nl"*) return 1 ;;
    /dev/shm/?*) return 0 ;;
    /proc/* | /sys/* | /dev/*) return 1 ;;
  esac
}

job_nice=0 stdin_is=open
act=run chosen_variables='' variable_names='' input_dirs='' out='' code_from=src capsule='' may_fetch=yes job_wanted='' events='' one_input='' own_root='' may_be_changed=no chosen_programs=''
has_clients=no named_clients=' ' has_stand_ins=no network=yes
while [ $# -gt 0 ]; do
  case $1 in
    --check) act=check ;;
    --dry-run) act=dry-run ;;
    --shell) act=shell ;;
    --from-src) code_from=src ;;
    --from-git) code_from=git ;;
    --no-fetch) may_fetch=no ;;
    --changed) may_be_changed=yes ;;
    --no-network) network=no ;;
    --own-root) own_root=wanted ;;
    --no-own-root) own_root=no ;;
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
    --program)
      [ $# -gt 1 ] || refuse "--program wants NAME=FILE after it."
      choose_program "$2"
      shift
      ;;
    --variable)
      [ $# -gt 1 ] || refuse "--variable wants NAME=VALUE after it."
      choose_variable "$2"
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

# The lists of this job, without which nothing can be done.
for needed in command/layout command/paths command/programs command/steps command/times env/environment outputs/expected outputs/job; do
  [ -r "$(list_of "$needed")" ] || refuse "the bundle is not whole: $(list_of "$needed") is not here."
done
for needed in own-root.sh storage.sh mkdir.sh clients.sh; do
  [ -r "$here/$needed" ] || refuse "the bundle is not whole: $here/$needed is not here."
done
clients_is_whole=no
# shellcheck source=clients.sh
. "$here/clients.sh"
[ "$clients_is_whole" = yes ] || refuse "the bundle is not whole: $here/clients.sh was cut off."

# --- words of command/layout.sh; `act` says what they do ---------------------------------------

cannot_lay_out() { refuse "cannot lay out $1; is the bundle whole, and can $out be written?"; }
work_inside() { # PLACE: the job ran in a folder of a repository
  [ "$act" = lay-out ] && [ "$way" = rewritten ] || return 0
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
  # older than what was built of it: its own times are not known
  TZ=UTC0 find "$3" -type f -exec touch -t 200001010000 {} + 2>/dev/null || :
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
  env -i "PATH=$PATH" HOME=/nonexistent GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 LC_ALL=C \
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
moved() { # PLACE LATER_PLACE [PATTERN]: where the job moved or copied an output, whose name may have a time or id in it
  [ "$act" = find-moved ] || return 0
  if [ -e "$1" ] || [ -h "$1" ]; then return 0; fi
  case $1 in "$work"/*) [ -d "${1%/*}" ] || make_in_work "${1%/*}" ;; esac # such as a folder of mktemp, which is gone
  find_absolute "${1%/*}" || return 0
  # the job may have made links by now
  case $absolute/ in "$out"/*) ;; *) return 0 ;; esac
  if [ -f "$2" ]; then
    ln -s "$2" "$absolute/${1##*/}"
  elif [ $# -gt 2 ]; then
    for later in "${2%/*}"/*; do
      # shellcheck disable=SC2254 # a pattern
      case ${later##*/} in $3) [ ! -f "$later" ] || [ -e "$absolute/${later##*/}" ] || ln -s "$later" "$absolute/" ;; esac
    done
  fi
}
make_in_work() { # FOLDER
  is_clear "$work" "${1#"$work"}" && mkdir -p "$1" || :
}
link_in_out() { # TARGET PLACE: in its own root, a rerun has the recorded folders instead
  [ "$way" = own ] || link "$@"
}
# A link as the job found it; without a root of its own, to where its target is laid out.
link_as_it_was() { # TARGET GOAL PLACE TIME
  [ "$act" = lay-out ] || return 0
  mkdir -p "${3%/*}" && is_inside_out "${3%/*}" || cannot_lay_out "$3"
  if [ -e "$3" ] || [ -h "$3" ]; then return 0; fi
  link_target=$1
  case $1 in /* | ../* | */../* | */..) [ "$way" = own ] || link_target=$2 ;; esac
  ln -s -- "$link_target" "$3" || cannot_lay_out "$3"
  [ -z "$4" ] || TZ=UTC0 touch -h -d "$4" "$3" 2>/dev/null || :
}
hard_link() { # FIRST PLACE: two names of one file
  [ "$act" = lay-out ] || return 0
  if [ -f "$1" ] && [ ! -h "$1" ] && [ -f "$2" ] && [ ! -h "$2" ]; then ln -f "$1" "$2" || :; fi
}
pipe() { # PLACE
  [ "$act" = lay-out ] || return 0
  mkdir -p "${1%/*}" && is_inside_out "${1%/*}" && mkfifo "$1" || cannot_lay_out "$1"
}
# A file with holes, as cp makes them where it can; before modes and times.
sparse() { # PLACE
  [ "$act" = lay-out ] && [ -f "$1" ] && [ ! -h "$1" ] && [ ! -e "$1.holes" ] && is_inside_out "${1%/*}" || return 0
  if cp --sparse=always "$1" "$1.holes" 2>/dev/null; then mv -f "$1.holes" "$1"; else rm -f "$1.holes"; fi
}
# Nothing that a bundle names may lead out of OUT.
is_inside_out() { # FOLDER
  find_absolute "$1" || return 1
  case $absolute/ in "$out"/*) ;; *) return 1 ;; esac
}
# The word of command/times.sh: mode and time of a file or folder, once everything is there. TIME is in UTC.
as_it_was() { # MODE TIME PLACE
  if [ -h "$3" ] || [ ! -e "$3" ] || ! is_inside_out "${3%/*}"; then return 0; fi
  if [ "$act" = give-back ]; then # so that OUT can be removed
    [ ! -d "$3" ] || chmod u+rwx "$3" || :
    return 0
  fi
  case $1 in
    '') ;;
    *[!0-7]* | ?????* | [!01]???) cannot_lay_out "$3" ;;
    *) chmod "$1" "$3" || cannot_lay_out "$3" ;;
  esac
  [ -n "$2" ] || return 0
  TZ=UTC0 touch -d "$2" "$3" 2>/dev/null || TZ=UTC0 touch -d "${2%.*}" "$3" 2>/dev/null ||
    say "note: the time of $3 cannot be set here: $2 UTC"
}
folder() { # PLACE
  [ "$act" = lay-out ] || return 0
  mkdir -p "$1" || cannot_lay_out "$1"
}
input() { # NAME SHA256 SIZE STORED PLACE [KNOWN_PLACE]...
  input_places=$input_places$5$nl
  case $act in recall | find-moved | clients) return 0 ;; esac
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
    if is_linked; then
      copy "$found" "$input_place"
    else
      bring "$found" "$input_place"
      is_written "$input_place" || linked=$linked$input_sha256$nl
    fi
  elif [ "$input_sha256" = "$fetched_sha256" ]; then # another place of the last one
    [ "$act" = lay-out ] || return 0
    mkdir -p "${input_place%/*}" || cannot_lay_out "$input_place"
    copy "$fetched_place" "$input_place"
  elif can_fetch "$@"; then
    fetched_sha256=$input_sha256 fetched_place=$input_place
    [ "$act" = lay-out ] || { say "input $input_name will be fetched by $fetcher from $fetchable" && return 0; }
    mkdir -p "${input_place%/*}" || cannot_lay_out "$input_place"
    fetch_input "$@" || refuse "input $input_name could not be fetched with the recorded digest; give its folder by --input-dir."
  elif [ -n "$one_input" ]; then
    [ "$act" = lay-out ] || say "note: input $input_name is not here, and left out for $one_input"
  elif [ "$input_sha256" != - ] && [ "$input_sha256" = "$missing_sha256" ]; then
    : # another place of the last one
  else
    missing_sha256=$input_sha256
    say "missing: input $input_name (sha256 $input_sha256, $input_size bytes); give its folder by --input-dir"
    missing=$((missing + 1))
  fi
}

# Is a link to the input laid out elsewhere? The job copies it from there, and cp copies no file to a
# link to itself.
is_linked() {
  case $linked in *"$nl$input_sha256$nl"*) return 0 ;; *) return 1 ;; esac
}
copy() { # FILE PLACE
  cp "$1" "$2" && chmod u+rw "$2" || cannot_lay_out "$2"
}
bring() { # FILE PLACE
  if is_written "$2"; then
    copy "$1" "$2" # through a link the job would write into the recorded file itself
  elif [ "$way" = own ]; then
    bring_into_root "$1" "$2"
  elif [ -n "$capsule" ]; then
    # a link would lead out of the capsule
    ln "$1" "$2" 2>/dev/null || cp "$1" "$2" || cannot_lay_out "$2"
  else
    ln -s "$1" "$2" || cannot_lay_out "$2"
  fi
}

# A client by which the job's scripts reach a storage: storage.sh stands in for it, on PATH and where the job had it.
storage_client() { # NAME [PLACE]...
  client_name=$1
  shift
  has_clients=yes named_clients="$named_clients$client_name "
  [ "$act" = dry-run ] && say "use storage.sh in place of $client_name"
  [ "$act" = lay-out ] || return 0
  has_stand_ins=yes
  place storage.sh 0755 "$elsewhere/programs-of-rerun/$client_name"
  for client_place in "$@"; do
    rm -f "$client_place"
    up_to_elsewhere "${client_place#"$elsewhere"/}"
    link "${up}programs-of-rerun/$client_name" "$client_place"
  done
}
up_to_elsewhere() { # PATH below elsewhere: sets up
  up='' rest_of_path=$1
  while [ "$rest_of_path" != "${rest_of_path#*/}" ]; do
    up=../$up rest_of_path=${rest_of_path#*/}
  done
}
delivered() { # ADDRESS: from where the job had an input, one after the other
  [ "$act" = lay-out ] || return 0
  printf '%s\n' "$1" >>"$elsewhere/programs-of-rerun/delivered.txt" || cannot_lay_out "$1"
}

# --- clients of this machine, which storage.sh cannot always stand in for -------------------------------

# In a root of its own, and in a capsule's, whatever leads to a client of this machine finds storage.sh there. A job with rewritten
# paths can call what lies at a path that its texts name: it is not begun, unless its caller says that it may call that.
check_machine_clients() {
  reached=''
  if has_mounts; then
    find_machine_clients
    return 0
  fi
  [ "$has_clients" = yes ] || return 0
  find_machine_clients named
  each_machine_client note_reached
  [ -n "$reached" ] || return 0
  say "not safe: the job's scripts lead to a storage client of this machine, by which they could write into a storage."
  say "  In a root of its own, storage.sh would stand in for it; without one it cannot. This lets the job call it:$reached"
  return 1
}
note_reached() { # PATH
  case $named_clients in
    *" ${1##*/} "*) is_chosen_client "$1" || reached="$reached$nl  --program ${1##*/}=$1" ;;
  esac
}
each_machine_client() { # WORD: call it with each path
  clients_left=$machine_clients$nl
  while [ -n "$clients_left" ]; do
    client=${clients_left%%"$nl"*} clients_left=${clients_left#*"$nl"}
    [ -z "$client" ] || "$1" "$client"
  done
}
has_mounts() { [ "$way" = own ] || [ "$container_tool" = chroot ]; }
is_chosen_client() { # PATH: was it given by --program?
  if find_chosen "${1##*/}" || find_chosen "$1"; then [ "$program_file" = "$1" ] || [ "$program_file" -ef "$1" ]; else return 1; fi
}
# The lines of OUT/root.sh that lay storage.sh over the machine's clients; what is laid out there already stays.
cover_machine_clients() {
  [ -n "$machine_clients" ] || return 0
  quote "$job_elsewhere/programs-of-rerun"
  # shellcheck disable=SC2016 # the inner shell's own words
  printf '#!/bin/sh\nexec %s/"${0##*/}" "$@"\n' "$quoted" >"$out/stand-in.sh" && chmod 0755 "$out/stand-in.sh" || cannot_lay_out storage.sh
  each_machine_client cover_client
}
put_stand_in() { # PATH: under its name, unless it is there or --program gives another
  stand_in=$out/elsewhere/programs-of-rerun/${1##*/}
  [ ! -e "$stand_in" ] || return 0
  mkdir -p "${stand_in%/*}" && cp "$here/storage.sh" "$stand_in" && chmod 0755 "$stand_in" || cannot_lay_out storage.sh
}
# With rewritten paths: first on PATH, also in place of clients that no text names.
precede_machine_clients() {
  find_machine_clients
  each_machine_client put_stand_in
  [ -z "$machine_clients" ] || has_stand_ins=yes
}
# Does the root show nothing at a place, or what the bundle has?
is_hidden_client() { # PATH
  [ "$way" = own ] || return 1
  [ ! -e "$elsewhere$1" ] && [ ! -h "$elsewhere$1" ] || return 0
  case :$recorded_path:$programs_found in *":${1%/*}:"* | *":$1:"*) return 1 ;; esac # revealed
  rest_of_hidden=$hidden_folders
  while [ -n "$rest_of_hidden" ]; do
    case $1 in "${rest_of_hidden%%"$nl"*}"/*) return 0 ;; esac
    rest_of_hidden=${rest_of_hidden#*"$nl"}
  done
  return 1
}
# Nothing can be mounted on a link, but on what it leads to.
cover_client() { # PATH
  if is_chosen_client "$1" || is_hidden_client "$1"; then return 0; fi
  put_stand_in "$1"
  real_client=$(readlink -f "$base$1") || return 0
  case $real_client in "$base"/*) real_client=${real_client#"$base"} ;; *) refuse "$1 leads out of $base; --program ${1##*/}=FILE names another." ;; esac
  case ${real_client##*/} in
    *"${1##*/}"* | gfal*) ;;
    *) # a program that does more than this, such as an interpreter
      link_client_to_stand_in "$1"
      return
      ;;
  esac
  in_root_list bring "$out/stand-in.sh" "$real_client"
}
link_client_to_stand_in() { # PATH
  [ "$way" = own ] || refuse "$1 leads to $real_client, in place of which storage.sh cannot be; --program ${1##*/}=$1 lets the job call it."
  folder_of_client=$(readlink -f "$base${1%/*}") && folder_of_client=${folder_of_client#"$base"} || return 0
  is_clear "$elsewhere" "$folder_of_client" || return 0
  [ ! -h "$elsewhere$folder_of_client/${1##*/}" ] || return 0 # by another name of the folder
  mkdir -p "$elsewhere$folder_of_client" && ln -s "/programs-of-rerun/${1##*/}" "$elsewhere$folder_of_client/${1##*/}" || cannot_lay_out "$1"
}

# A folder that the job makes itself, and that holds something laid out: mkdir.sh lets its mkdir succeed.
made_folder() { # PLACE RECORDED
  [ "$act" = lay-out ] && [ -d "$1" ] || return 0
  has_stand_ins=yes
  programs_of_rerun=$elsewhere/programs-of-rerun
  [ -f "$programs_of_rerun/mkdir" ] || place mkdir.sh 0755 "$programs_of_rerun/mkdir"
  [ "$way" = own ] || set -- "$1" "$1"
  printf '%s\n' "$2" >>"$programs_of_rerun/laid-out-folders.txt" || cannot_lay_out "$1"
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
  if find_chosen "$1" || find_program "$1"; then
    programs_found=$programs_found$program_file:
    return 0
  fi
  case $1 in
    /*) say "missing: program $1 (it is not here)" ;;
    *) say "missing: program $1 (looked in $job_path)" ;;
  esac
  missing=$((missing + 1))
}
program_laid_out() { # PROGRAM: the interpreter of a script, in the bundle; a script names it by its recorded path
  [ "$way" = own ] || program "$1"
}
python() { :; }
# What --program gives for a name or recorded path: $program_file.
find_chosen() { # PROGRAM
  case $nl$chosen_programs in *"$nl$1="*) ;; *) return 1 ;; esac
  program_file=$nl$chosen_programs
  program_file=${program_file#*"$nl$1="}
  program_file=${program_file%%"$nl"*}
}
# A link would not do: a Python finds its virtual environment by the path that it is called by.
lay_out_chosen() {
  chosen_left=$chosen_programs
  while [ -n "$chosen_left" ]; do
    chosen_name=${chosen_left%%=*} chosen_left=${chosen_left#*=}
    quote "${chosen_left%%"$nl"*}"
    chosen_left=${chosen_left#*"$nl"}
    case $chosen_name in /*) chosen_place=$elsewhere$chosen_name ;; *) chosen_place=$elsewhere/programs-of-rerun/$chosen_name ;; esac
    is_clear "$out" "${chosen_place#"$out"}" && mkdir -p "${chosen_place%/*}" && rm -f "$chosen_place" &&
      printf '#!/bin/sh\nexec %s "$@"\n' "$quoted" >"$chosen_place" && chmod 0755 "$chosen_place" || cannot_lay_out "$chosen_name"
  done
}

refuse_changed_files() {
  find_changed_files '*'
  [ -n "$changed_files" ] || return 0
  say "changed since the bundle was made:"
  say "$changed_files"
  [ "$may_be_changed" = yes ] || refuse "files of this bundle were changed, see above; --changed runs it all the same."
}
check_needs() {
  missing=0 missing_sha256='' fetched_sha256='' input_places=$nl programs_found=
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

# What NEEDS.tsv names, as it is here: programs by their recorded place, and how much nobody can look for.
tell_needs() {
  unchecked='' counted=0 kind_before=''
  [ -f "$here/NEEDS.tsv" ] && [ -z "$capsule" ] || return 0
  tab=$(printf '\t')
  while IFS=$tab read -r kind name _ _ _ place; do
    case $kind$place in
      kind*) ;;
      program/* | interpreter/* | compiler/*) tell_program "$kind" "$name" "$place" ;;
      program* | input* | condition*) ;; # looked for already
      *)
        [ "$kind" = "$kind_before" ] || { count_unchecked && kind_before=$kind counted=0; }
        counted=$((counted + 1))
        ;;
    esac
  done <"$here/NEEDS.tsv"
  count_unchecked
  [ -z "$unchecked" ] || say "not looked for, see NEEDS.tsv: $unchecked"
}
count_unchecked() {
  [ "$counted" -eq 0 ] || unchecked="$unchecked${unchecked:+, }$counted of $kind_before"
}
tell_program() { # KIND NAME PLACES: of those in PLACES one is enough
  path_left=$3:
  while [ -n "$path_left" ]; do
    place_here=${path_left%%:*} path_left=${path_left#*:}
    if [ -d "$place_here" ]; then place_here=$place_here/$2; fi
    if find_chosen "$place_here" || find_chosen "${place_here##*/}"; then place_here=$program_file; fi
    if [ -f "$place_here" ] && [ -x "$place_here" ]; then
      say "found: $1 $2 at $place_here"
      return 0
    fi
  done
  say "not found: $1 $2 (it was at $3)"
  checked=1
}

# What of the installed software that the job was seen to use is not here: $absent_told, if it was traced.
find_absent_software() {
  absent_told='' used=0 absent=0 programs=0 absent_names='' other=''
  [ -f "$here/env/touched.tsv" ] || return 0
  tab=$(printf '\t') software_root=''
  [ ! -d "$capsule" ] || software_root=${capsule%/}
  while IFS=$tab read -r path kind _ _ digest; do
    is_software || continue
    used=$((used + 1))
    [ ! -f "$software_root$path" ] || continue
    case $path in
      */bin/* | */sbin/*)
        [ -n "$software_root" ] || ! find_program "${path##*/}" || continue # it is elsewhere here
        programs=$((programs + 1))
        [ "$programs" -gt 10 ] || absent_names="$absent_names $path"
        ;;
      *) other=$path ;;
    esac
    absent=$((absent + 1))
  done <"$here/env/touched.tsv"
  [ "$absent" -eq 0 ] ||
    absent_told="not here: $absent of the $used files of installed software that the job was seen to use:${absent_names:- $other}"
}
# Whether a line of env/touched.tsv has the digest of a file that each machine of a release has alike.
is_software() {
  case $kind$digest in file-) return 1 ;; file*) ;; *) return 1 ;; esac
  case $path in *%* | /etc/* | /var/* | /run/*) return 1 ;; esac
}
tell_software() {
  find_absent_software
  [ "$programs" -eq 0 ] || checked=1
  [ -z "$absent_told" ] || say "$absent_told (env/touched.tsv lists them)"
  [ "$used" -gt 0 ] || return 0
  differing=$(software_here <"$here/env/touched.tsv" | check_digests | name_failed | wc -l)
  [ "$differing" -eq 0 ] || say "of other versions here: $((differing)) of these $used files"
}
software_here() { # env/touched.tsv as `sha256sum -c` takes it
  while IFS=$tab read -r path kind _ _ digest; do
    is_software && [ -f "$software_root$path" ] && [ -r "$software_root$path" ] && printf '%s  %s\n' "$digest" "$software_root$path"
  done
}
# What may be the reason where a job ends as it did not when it was recorded.
tell_why() {
  [ "$stopped" = yes ] || return 0
  case $expected in
    -) say "run.sh: step $step_name ended with exit code $code; none was recorded. What may be the reason:" ;;
    *) say "run.sh: step $step_name ended with exit code $code, recorded was $expected. What may be the reason:" ;;
  esac
  case $code in
    126) say "- a program cannot be executed, as on a disk mounted with noexec, or made for another processor: see the end of $out/run.log" ;;
    127) say "- a program is not here, or a library or interpreter that it needs: see the end of $out/run.log" ;;
    *) say "- see the end of $out/run.log" ;;
  esac
  tell_gaps
  tell_absent_programs
  [ "$has_clients" = no ] ||
    say "- its scripts fetch and store files by a client for which storage.sh stands in: --program NAME=FILE has them use another"
  find_absent_software
  [ -z "$absent_told" ] || say "- $absent_told"
  [ "$way" != rewritten ] || say "- without a root of its own, a script or program that names a recorded path finds nothing there: see README.txt, Files at fixed places"
}
tell_absent_programs() {
  tell_needs 2>&1 | while IFS= read -r line; do
    case $line in 'not found: '*) say "- $line; what it had installed is gone with it. --program PLACE=FILE names another" ;; esac
  done
}
# What the record lacks that a rerun needs, as far as the bundle knows.
tell_gaps() {
  gaps=0
  [ -f "$here/GAPS.tsv" ] || return 0
  tab=$(printf '\t')
  while IFS=$tab read -r gap level message _; do
    case $level in L1 | L2) ;; *) continue ;; esac
    gaps=$((gaps + 1))
    [ "$gaps" -gt 3 ] || say "- $gap: $message"
    [ "$gap" != withheld-variable-read ] || say "  (--variable NAME=VALUE gives the job such a variable)"
  done <"$here/GAPS.tsv"
  [ "$gaps" -le 3 ] || say "- and $((gaps - 3)) more gaps of the record that stop L1 or L2: GAPS.tsv"
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
  # not -p: whoever makes it has the folder to itself
  mkdir "$src" || refuse "cannot write in $out, or another run.sh runs in it; give a new folder."
  mkdir -p "$elsewhere" || refuse "cannot write in $out."
  [ "$way" = rewritten ] || lay_out_root
  mkdir -p "$out/home/." "$out/tmp/." || refuse "cannot write in $out."
  [ -z "$job" ] || printf '%s\n' "$job" >"$out/job.txt"
  note_job
  [ -z "$events$one_input" ] || printf '%s\n' "${events:+--events $events}${one_input:+ --input $one_input}" >"$out/in-part.txt"
  output_places=$nl linked=$nl fetched_sha256='' section=expected
  # shellcheck source=/dev/null
  . "$(list_of outputs/expected)"
  section=layout
  # shellcheck source=/dev/null
  . "$(list_of command/layout)"
  mkdir -p "$work/." || refuse "cannot make $work."
  lay_out_chosen
  if has_mounts; then :; else precede_machine_clients; fi
  [ "$way" = rewritten ] || finish_root
  section='times'
  # shellcheck source=/dev/null
  . "$(list_of command/times)"
  if [ -n "$one_input" ] && [ "$way" = rewritten ]; then
    mkdir -p "$out/input" && bring "$one_input" "$out/input/${one_input##*/}" || refuse "cannot write in $out."
    one_input=$out/input/${one_input##*/}
  fi
  # what is there before the job: everything else in the working directory is its output
  visit() { printf '%s\n' "${1#"$work"/}"; }
  walk "$work" >"$out/laid-out.txt"
  age_outputs
  act=laid-out
}
# For verify.sh: whose rerun this is.
note_job() {
  job() { printf '%s\n' "$1" >"$out/rerun-of.txt" || refuse "cannot write in $out."; }
  reason() { :; }
  not_there() { :; }
  section=job
  # shellcheck source=/dev/null
  . "$(list_of outputs/job)"
}
# A file that lies where the job writes is as old as can be, so that verify.sh sees whether the job wrote it.
age_outputs() {
  rest=${output_places#"$nl"}
  while [ -n "$rest" ]; do
    place=${rest%%"$nl"*} rest=${rest#*"$nl"}
    if [ -f "$place" ] && [ ! -h "$place" ]; then
      TZ=UTC0 touch -t 197001020000 "$place" && printf '%s\n' "$place"
    fi
  done >"$out/outputs-before.txt"
  TZ=UTC0 touch -t 197001020000 "$out/outputs-before.txt"
}

# Obey all steps. From here on `work` and `elsewhere` are what the job's own words mean.
do_steps() {
  work=$job_work elsewhere=$job_elsewhere
  if [ -n "$one_input" ]; then
    # how the steps name inputs
    input_places=$nl act=recall section=layout
    # shellcheck source=/dev/null
    . "$(list_of command/layout)"
  fi
  exit_code=0 stopped=no
  : >"$out/unfinished" || refuse "cannot write in $out." # it stays where run.sh is ended from outside
  : >"$out/run.log"
  : >"$out/exit-codes.txt"
  act=run
  section=steps
  # shellcheck source=/dev/null
  . "$(list_of command/steps)"
  [ "$stopped" != no-root ] || start_again
  rm -f "$out/unfinished"
}
# The job has not begun: what says that it did goes.
forget_beginning() { rm -f "$out/exit-codes.txt" "$out/unfinished"; }
# For verify.sh: links from where outputs were made to where the job left them.
find_moved() {
  name_folders "$out"
  act=find-moved section=layout
  # shellcheck source=/dev/null
  . "$(list_of command/layout)"
}
give_back() {
  name_folders "$out"
  act=give-back section='times'
  # shellcheck source=/dev/null
  . "$(list_of command/times)"
}

# The job's niceness, unless run.sh itself is as nice already.
niceness() { # NUMBER
  here_nice=$(nice 2>/dev/null) || here_nice=$1
  job_nice=$(($1 - here_nice))
}
# So many processors as the job had, where there are more; others are likely to run beside this one, so not always the first.
processors() { # COUNT
  [ "$act" = run ] || return 0
  allowed=$(taskset -pc $$ 2>/dev/null) || return 0
  count=0 each=''
  for range in $(printf '%s' "${allowed##*: }" | tr , ' '); do
    number=${range%-*}
    while [ "$number" -le "${range#*-}" ]; do
      each="$each $number" count=$((count + 1)) number=$((number + 1))
    done
  done
  if [ "$count" -lt "$1" ]; then
    say "note: the job had $1 processors, here are $count"
    return 0
  fi
  [ "$count" -gt "$1" ] || return 0
  # shellcheck disable=SC2086 # several words
  set -- "$1" $each $each
  chosen=$1
  shift $((1 + $$ % count))
  few=''
  while [ "$chosen" -gt 0 ]; do
    few=$few,$1 chosen=$((chosen - 1))
    shift
  done
  taskset -pc "${few#,}" $$ >/dev/null 2>&1 || :
}

stdin_closed() { stdin_is=closed; }

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
  [ -z "$chosen_programs" ] || printf 'run.sh: with --program %s' "$chosen_programs" >>"$out/run.log"
  [ -z "$variable_names" ] || printf 'run.sh: with --variable for%s\n' "$variable_names" >>"$out/run.log"
  if [ "$way" = rewritten ] && find_chosen "${1#"$elsewhere"}"; then
    shift
    set -- "$program_file" "$@"
  fi
  rm -f "$out/started"
  in_environment "$@" <"$stdin" >>"$out/run.log" 2>&1
  code=$?
  if [ -e "$out/no-root" ]; then
    stopped=no-root
    return
  fi
  if is_in_container && [ ! -e "$out/started" ]; then
    forget_beginning
    refuse "$container_tool could not start step $step_name inside $capsule (it ended with $code); $out/run.log says why."
  fi
  printf '%s\n' "$code" >>"$out/exit-codes.txt" ||
    refuse "step $step_name ended with $code, and $out cannot be written any more, so that what it made may be cut off: is the disk full?"
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
  eval "set -- $chosen_variables \"\$@\"" # quoted words of the caller; they come behind the recorded ones, and so count
  section=environment
  # shellcheck source=/dev/null
  . "$(list_of env/environment)"
  [ -z "$job_tmp" ] || set -- "TMPDIR=$job_tmp" "$@"
  [ "$has_stand_ins$chosen_programs" = no ] || job_path=$job_elsewhere/programs-of-rerun:$job_path
  set -- env -i "PATH=$(without_last_colon "$job_path")" "HOME=$job_home" "PWD=$work" "$@"
  # a container tool that fails has exit codes that a job may have, too: what runs inside first leaves a sign
  # shellcheck disable=SC2016 # the inner shell's own variables
  ! is_in_container || set -- /bin/sh -c ': >"$1/started" && shift && exec "$@"' sh "$out" "$@"
  # shellcheck disable=SC2016 # the inner shell's own
  [ "$stdin_is" != closed ] || set -- sh -c 'exec "$@" <&-' sh "$@"
  [ "$job_nice" -le 0 ] || set -- nice -n "$job_nice" "$@"
  case $way$container_tool in
    own* | rewrittenchroot) in_own_root "$@" ;;
    rewritten) (cd "$work" && exec "$@") ;;
    *apptainer | *singularity)
      (cd "$work" && exec "$container_tool" exec --cleanenv --no-home --bind "$out:$out" --pwd "$work" "$capsule_image" "$@")
      ;;
    *podman)
      # --entrypoint: an image may have one of its own; label=disable: SELinux would keep OUT from the container
      shift
      (cd "$work" && exec podman run --rm -i --network=host --security-opt label=disable -v "$out:$out" -w "$work" \
        --entrypoint /bin/sh "$capsule_image" "$@")
      ;;
  esac
}

is_in_container() {
  case $container_tool in apptainer | singularity | podman) return 0 ;; *) return 1 ;; esac
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
      find_namespaces || continue
    fi
    return 0
  done
  case $candidates in
    unshare*) say "missing: a kernel that allows namespaces (unshare), or one of apptainer, singularity, to run inside $capsule" ;;
    *) say "missing: one of $candidates, to run inside $capsule" ;;
  esac
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
# --- the rerun's own root ---------------------------------------------------------------------------

# Whether this is to be done in a root of its own: $way, and $why_rewritten if not.
choose_way() {
  way=rewritten why_rewritten=''
  name_job_folders
  read_paths
  if [ "$own_root" = no ]; then
    why_rewritten="as asked for"
  elif ! can_be_laid_out "$recorded_work"; then
    why_rewritten="no root can have the job's working directory ${recorded_work:-, which was not recorded}"
  elif [ -n "$unusual_checkout" ]; then
    why_rewritten="no root can have the checkout $unusual_checkout"
  elif [ -n "$capsule" ] && { find_container_tool 2>/dev/null; [ "$container_tool" != chroot ]; }; then
    why_rewritten="${container_tool:-a container tool} makes the root"
  elif ! find_namespaces; then
    why_rewritten="the kernel or a missing program (unshare, mount) allows no root of its own here"
  else
    way=own
    name_job_folders
    read_paths # its variables stand for recorded paths now
  fi
  [ -z "$why_rewritten" ] || [ "$own_root" != wanted ] || refuse "no root of its own: $why_rewritten."
  [ "$network" = no ] || return 0
  find_container_tool 2>/dev/null || :
  has_mounts || refuse "--no-network needs a root of its own: $why_rewritten."
}
tell_way() {
  if [ "$way" = own ]; then
    told='own root' && say "run.sh: in a root of its own, everything at its recorded path"
  else
    told='rewritten paths' && say "run.sh: with paths rewritten to folders of $out: $why_rewritten"
  fi
  [ "$act" = dry-run ] || printf '%s\n' "$told" >"$out/way.txt" || refuse "cannot write in $out."
}
# The folders as the job names them; `work` and `elsewhere` mean these from the first step on.
name_job_folders() {
  unusual_checkout=''
  if [ "$way" = rewritten ]; then
    job_work=$work job_elsewhere=$elsewhere job_home=$out/home job_tmp=$out/tmp
    return
  fi
  job_work=$recorded_work job_elsewhere='' job_home=$recorded_home job_tmp=$recorded_tmp
  can_be_laid_out "$job_home" || job_home=/tmp/home
  [ -z "$job_tmp" ] || can_be_laid_out "$job_tmp" || job_tmp=/tmp
}
# Read the lists of words with what the job's own words mean.
find_recorded_path() {
  work=$job_work elsewhere=$job_elsewhere
  find_job_path
  [ "$way" = rewritten ] || [ -z "$recorded_path" ] || leave_out_caller_path
  name_folders "$out"
}
# In a root of its own a job has the recorded PATH alone, if that leads to its programs.
leave_out_caller_path() {
  caller_path_before=$caller_path caller_path=''
  section=environment
  # shellcheck source=/dev/null
  . "$(list_of env/environment)"
  job_path=$(without_last_colon "$job_path")
  missing=0 programs_found=''
  section=programs
  # shellcheck source=/dev/null
  . "$(list_of command/programs)" 2>/dev/null
  [ "$missing" -ne 0 ] || return 0
  caller_path=$caller_path_before
  section=environment
  # shellcheck source=/dev/null
  . "$(list_of env/environment)"
}

# What the kernel and the programs here allow: $namespaces, $proc, $enter; see own-root.sh.
find_namespaces() {
  for program in unshare mount id; do
    command -v "$program" >/dev/null 2>&1 || return 1
  done
  user=$(id -u) group=$(id -g)
  if [ "$user" = 0 ] && try_namespaces --mount; then
    enter=plain
    unshare --root=/ --wd=/ true 2>/dev/null || enter=chroot
  elif try_namespaces "--map-root-user --mount"; then
    enter=as-user
    # shellcheck disable=SC2086 # several words
    unshare $namespaces unshare --user --map-user="$user" --map-group="$group" --root=/ --wd=/ true 2>/dev/null || enter=chroot
  else
    return 1
  fi
  [ "$network" = no ] || return 0
  namespaces="$namespaces --net"
  # shellcheck disable=SC2086 # several words
  unshare $namespaces true 2>/dev/null
}
try_namespaces() { # OPTIONS
  proc=new namespaces="$1 --pid --fork --kill-child"
  # shellcheck disable=SC2086 # several words
  unshare $namespaces mount -t proc proc /proc 2>/dev/null && return 0
  proc=old namespaces=$1
  # shellcheck disable=SC2086 # several words
  unshare $namespaces mount --bind "$here" "$here" 2>/dev/null
}

# OUT/elsewhere is what is laid over the host's root, or the capsule's. The other folders of OUT are links into it, so that
# everything else is done as without a root.
lay_out_root() {
  : >"$out/root.sh" && mkdir -p "$out/root" || refuse "cannot write in $out."
  hidden_folders=''
  mkdir -p "$elsewhere/tmp" "$elsewhere/var/tmp" && chmod 1777 "$elsewhere/tmp" "$elsewhere/var/tmp" || refuse "cannot write in $out."
  if [ "$recorded_work" != / ]; then # all its files have absolute paths
    at_recorded_place "$recorded_work" "$work" "elsewhere$recorded_work"
    hide "$recorded_work"
  fi
  read_paths # the checkouts
  at_recorded_place "$job_home" "$out/home" "elsewhere$job_home"
  [ -z "$job_tmp" ] || at_recorded_place "$job_tmp" "$out/tmp" "elsewhere$job_tmp"
}
at_recorded_place() { # RECORDED LINK TARGET
  mkdir -p "$elsewhere$1" && ln -s "$3" "$2" || cannot_lay_out "$1"
}
hide() { # RECORDED: what the host has in this folder is not shown
  hidden_folders=$hidden_folders$1$nl
  in_root_list hide "$1"
}
checkout() { # PLACE RECORDED
  can_be_laid_out "$2" || unusual_checkout=$2
  [ "$act" = lay-out ] || return 0
  at_recorded_place "$2" "$src/${1##*/}" "../elsewhere$2"
  hide "$2"
}
# Links come last, so that nothing is written through one.
same_folder() { # RECORDED OTHER_NAME
  [ "$act" = link-folders ] && can_be_laid_out "$2" || return 0
  if [ -e "$elsewhere$2" ] || ! is_clear "$elsewhere" "$2"; then return 0; fi # laid out, or behind a link
  mkdir -p "$elsewhere${2%/*}" && ln -s "$1" "$elsewhere$2" || cannot_lay_out "$2"
}
finish_root() {
  act=link-folders
  read_paths
  act=lay-out
  rest=${output_places#"$nl"}
  while [ -n "$rest" ]; do
    place=${rest%%"$nl"*} rest=${rest#*"$nl"}
    case $place in "$elsewhere"/*) in_root_list absent "${place#"$elsewhere"}" ;; esac
  done
  rest=$programs_found$recorded_path:
  while [ -n "$rest" ]; do
    reveal "${rest%%:*}"
    rest=${rest#*:}
  done
  [ -z "$one_input" ] || in_root_list bring "$one_input" "$one_input"
  cover_machine_clients
}
# Software in a folder that is laid out, which the bundle does not have: a venv in a checkout.
reveal() { # PATH
  rest_of_hidden=$hidden_folders
  while [ -n "$rest_of_hidden" ]; do
    hidden_folder=${rest_of_hidden%%"$nl"*}
    rest_of_hidden=${rest_of_hidden#*"$nl"}
    case $1 in
      "$hidden_folder"/?*)
        below=${1#"$hidden_folder"/}
        in_root_list reveal "$hidden_folder/${below%%/*}"
        ;;
    esac
  done
}
bring_into_root() { # FILE PLACE
  find_absolute "${2%/*}" || cannot_lay_out "$2"
  case $absolute/ in
    "$elsewhere"/*)
      : >"$2" || cannot_lay_out "$2"
      in_root_list bring "$1" "${absolute#"$elsewhere"}/${2##*/}"
      ;;
    *) ln -s "$1" "$2" || cannot_lay_out "$2" ;; # standard input, which run.sh opens
  esac
}
in_root_list() { # WORD [ARGUMENT]...
  line=$1
  shift
  for argument in "$@"; do
    quote "$argument"
    line="$line $quoted"
  done
  printf '%s\n' "$line" >>"$out/root.sh" || refuse "cannot write in $out."
}

# Obey a program in the root, which is made anew for each.
in_own_root() { # PROGRAM [ARGUMENT]...
  if [ "$way" = rewritten ]; then
    # the capsule alone, with OUT at its own path
    mkdir -p "$out/root" && printf 'out_itself\n' >"$out/root.sh" || return 125
    cover_machine_clients
    mirror=$out/root
  else
    mirror=$out/elsewhere
  fi
  : >"$out/stubs.txt" || return 125
  rm -f "$out/alive"
  mkfifo "$out/alive" 2>/dev/null && exec 9<>"$out/alive"
  # shellcheck disable=SC2086,SC2016 # several words; the inner shell's own variables
  unshare $namespaces sh -c '[ "$1" = yes ] || PATH=$PATH:/usr/sbin:/sbin ip link set lo up 2>/dev/null; shift; exec sh "$@"' sh "$network" \
    "$here/own-root.sh" "${capsule%/}" "$mirror" "$out" "$work" "$proc" "$enter" "$user" "$group" "$@" 9>&-
  root_code=$?
  exec 9>&-
  rm -f "$out/alive"
  remove_stubs
  return "$root_code"
}
remove_stubs() {
  stubs=''
  while IFS= read -r stub; do stubs=$stub$nl$stubs; done <"$out/stubs.txt"
  set --
  while [ -n "$stubs" ]; do
    stub=${stubs%%"$nl"*}
    stubs=${stubs#*"$nl"}
    is_clear "$mirror" "${stub%/*}" || continue
    if [ -h "$mirror$stub" ] || { [ -f "$mirror$stub" ] && [ ! -s "$mirror$stub" ]; }; then
      rm -f "$mirror$stub"
    elif [ -d "$mirror$stub" ]; then
      set -- "$@" "$mirror$stub"
    fi
  done
  [ $# -eq 0 ] || rmdir "$@" 2>/dev/null || :
}
# The root could not be made, so that the job has not begun: it runs without one.
start_again() {
  cat "$out/run.log" >&2
  if [ "$own_root$way" != own ] || [ -s "$out/exit-codes.txt" ]; then
    leave_root
    forget_beginning
    refuse "the root cannot be made, see above."
  fi
  leave_root
  way=rewritten why_rewritten="no root of its own can be made, see above"
  name_folders "$out"
  name_job_folders
  [ "$network" = yes ] || refuse "--no-network needs a root of its own: $why_rewritten."
  find_recorded_path
  check_machine_clients || refuse "nothing was run."
  tell_way
  do_steps
}
# Nothing is mounted any more: an input that is not in the bundle is a link, as without a root.
leave_root() {
  reveal() { :; }
  hide() { :; }
  absent() { :; }
  out_itself() { :; }
  bring() { # FILE RECORDED
    is_clear "$out/elsewhere" "$2" && [ -f "$out/elsewhere$2" ] && [ ! -s "$out/elsewhere$2" ] || return 0
    rm -f "$out/elsewhere$2" && ln -s "$1" "$out/elsewhere$2"
  }
  # shellcheck source=/dev/null
  . "$out/root.sh"
  [ ! -d "$out/overlay" ] || chmod -R u+rwX "$out/overlay"
  rm -rf "$out/overlay" "$out/root.sh" "$out/stubs.txt" "$out/no-root"
  rmdir "$out/root" 2>/dev/null || :
}

if [ "$act" = check ] || [ "$act" = dry-run ]; then
  name_folders "${out:-OUT}"
  choose_way
  find_recorded_path
  check_needs
  checked=$?
  check_machine_clients || checked=1
  if [ "$act" = check ]; then
    tell_needs
    tell_software
    find_changed_files '*'
    [ -z "$changed_files" ] || { checked=1 && say "changed since the bundle was made: $changed_files"; }
    tell_gaps
    if [ "$checked$gaps" = 00 ]; then
      say "run.sh: nothing is missing, as far as this can be told before the job runs."
    elif [ "$checked" -eq 0 ]; then
      say "run.sh: nothing that can be looked for is missing. For want of what the record lacks, named above, the job may fail or make something else."
    fi
    exit "$checked"
  fi
  tell_way
  work=$job_work elsewhere=$job_elsewhere
  section=steps
  # shellcheck source=/dev/null
  . "$(list_of command/steps)"
  exit 0
fi

[ -n "$out" ] || { usage && refuse "give a folder OUT for the rerun."; }
wanted=$act
refuse_changed_files
make_out "$out"
[ -z "$changed_files" ] || printf '%s\n' "$changed_files" >"$out/changed.txt" || refuse "cannot write in $out."
act=check
choose_way
find_recorded_path
check_needs || refuse "what is named above is missing ($missing, see NEEDS.tsv); nothing was run."
check_machine_clients || refuse "nothing was run."
load_capsule
lay_out
tell_way
stdin=/dev/null
[ ! -f "$here/${job_folder}command/stdin" ] || stdin=$here/${job_folder}command/stdin
if [ "$wanted" = shell ]; then
  work=$job_work elsewhere=$job_elsewhere
  say "a shell in the job's environment; the steps are in $(list_of command/steps)"
  in_environment sh -i
  exit_code=$?
  [ ! -e "$out/no-root" ] || refuse "no root of its own can be made, see above; try --no-own-root."
else
  do_steps
  find_moved
  tell_why
  say "run.sh: the job ended with exit code $exit_code; its output is in $out/run.log"
fi
give_back
[ ! -d "$out/root" ] || leave_root
exit "$exit_code"
}
