# shellcheck shell=sh disable=SC2034,SC2154 # its variables are the including script's too
# lib.sh - what run.sh and verify.sh share. POSIX sh; of programs only coreutils.
# Words of the lists in command/ and outputs/ that are the same in both scripts are defined here.

nl='
'
say() { printf '%s\n' "$*" >&2; }

# Put '...' around a text, whatever is in it: $quoted.
quote() { # TEXT
  quoted="'" quote_rest=$1
  while :; do
    case $quote_rest in
      *"'"*)
        quoted=$quoted${quote_rest%%"'"*}"'\\''"
        quote_rest=${quote_rest#*"'"}
        ;;
      *) quoted=$quoted$quote_rest"'" && return ;;
    esac
  done
}

# Where the bundle lies: $here. Safe for blanks, a trailing newline, CDPATH.
find_here() { # SCRIPT
  case $1 in */*) here=${1%/*} ;; *) here=. ;; esac
  here=$(unset CDPATH && cd -- "${here:-/}" && pwd -P && printf x) || exit 125
  here=${here%?x}
}

# An absolute path for a folder that exists: $absolute.
find_absolute() { # FOLDER
  absolute=$(unset CDPATH && cd -- "$1" 2>/dev/null && pwd -P && printf x) || return 1
  absolute=${absolute%?x}
}

# An absolute path for a file or folder that exists: $absolute.
find_absolute_path() { # PATH
  if [ -d "$1" ]; then find_absolute "$1" && return; fi
  [ -f "$1" ] || return 1
  case $1 in */*) find_absolute "${1%/*}/" || return 1 ;; *) find_absolute . || return 1 ;; esac
  absolute=${absolute%/}/${1##*/}
}

# Whether a path below a folder is without links, so that nothing in it leads elsewhere; what is not there is no link.
is_clear() { # FOLDER PATH
  clear_path=$1 clear_rest=${2#/}/
  while [ -n "$clear_rest" ]; do
    clear_path=$clear_path/${clear_rest%%/*}
    clear_rest=${clear_rest#*/}
    [ ! -h "$clear_path" ] || return 1
  done
}

# The folders of a rerun, as the lists name them.
name_folders() { # OUT
  out=$1
  work=$out/work src=$out/src elsewhere=$out/elsewhere
}

# The digest tool that is there: $sha_tool, empty if none.
find_sha_tool() {
  sha_tool=
  for tool in sha256sum shasum openssl sha256 busybox; do
    if command -v "$tool" >/dev/null 2>&1; then
      sha_tool=$tool
      [ "$(digest_of 256 /dev/null 2>/dev/null)" != "$sha256_of_nothing" ] || return 0
    fi
  done
  sha_tool=
  return 1
}
sha256_of_nothing=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

# Print the digest of a file in lower-case hex: BITS is 256 or 512.
digest_of() { # BITS FILE
  case $sha_tool in
    sha256sum) hex=$("sha${1}sum" <"$2") || return 1 ;;
    busybox) hex=$(busybox "sha${1}sum" <"$2") || return 1 ;;
    shasum) hex=$(shasum -a "$1" <"$2") || return 1 ;;
    openssl)
      hex=$(openssl dgst "-sha$1" <"$2") || return 1
      hex=${hex##* }
      ;;
    sha256) hex=$("sha$1" -q <"$2") || return 1 ;;
    *) return 1 ;;
  esac
  printf '%s' "${hex%% *}"
}

# Compare files with lines of digest and name on standard input, by one program for all: prints what `sha256sum -c` does, and
# nothing where no tool here can.
check_digests() {
  case $sha_tool in
    sha256sum) LC_ALL=C sha256sum -c 2>/dev/null ;;
    busybox) busybox sha256sum -c 2>/dev/null ;;
    shasum) shasum -a 256 -c 2>/dev/null ;;
  esac
  return 0
}

# Files of the bundle that are not as they were when it was made, or are gone, by its own lists: $changed_files. The lists come last
# in a tar: of one that was cut off, they are gone. Beside a copy of the folder data alone there need not be any.
find_changed_files() { # PATTERN...: which files
  changed_files=''
  [ -f "$here/../manifest-sha256.txt" ] || [ -f "$here/../bagit.txt" ] || return 0
  changed_files=$(cd "$here/.." && {
    [ -f tagmanifest-sha256.txt ] || [ ! -f bagit.txt ] || printf 'tagmanifest-sha256.txt is gone\n'
    {
      [ ! -f tagmanifest-sha256.txt ] || files_like manifest-sha256.txt <tagmanifest-sha256.txt
      [ ! -f manifest-sha256.txt ] || files_like "$@" <manifest-sha256.txt
    } | plain_files | check_digests | name_failed
  })
}
files_like() { # PATTERN...: those lines of a manifest whose file has the form of one
  while IFS= read -r line || [ -n "$line" ]; do
    for pattern in "$@"; do
      # shellcheck disable=SC2254 # a pattern
      case ${line#*  } in $pattern) printf '%s\n' "$line" && break ;; esac
    done
  done
}
# The lines of a manifest, without links and pipes, which may have no end, and without inputs that are gone: these are looked
# for elsewhere, by digest, as if they had never been here.
plain_files() {
  while IFS= read -r line; do
    file=${line#*  }
    if [ -h "$file" ]; then
      continue
    elif [ ! -e "$file" ]; then
      case $file in data/inputs/files/*) continue ;; esac
    elif [ ! -f "$file" ]; then
      continue
    fi
    printf '%s\n' "$line"
  done
}
name_failed() { # what `sha256sum -c` prints, on standard input
  while IFS= read -r line; do
    case $line in *': FAILED'*) ;; *) continue ;; esac
    line=${line%%: FAILED*}
    if [ -e "$line" ]; then printf '%s\n' "$line"; else printf '%s is gone\n' "$line"; fi
  done
}

size_of() { # FILE
  bytes=$(wc -c <"$1") || return 1
  printf '%s' $((bytes))
}

# Call `visit FILE` for every file and link below a folder, in the order of the shell's patterns.
walk() { # FOLDER
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    if [ -d "$entry" ] && [ ! -h "$entry" ]; then
      walk "$entry"
    elif [ -e "$entry" ] || [ -h "$entry" ]; then
      visit "$entry"
    fi
  done
}

# A bundle of many jobs has all lists of a job in one file, which looks at $section; a bundle of one job has a file a list.
list_of() { # LIST
  if [ -n "$job" ]; then printf '%s' "$here/jobs/$job.sh"; else printf '%s' "$here/$1.sh"; fi
}
# Whether the job is in this bundle: $job, empty in a bundle of one; $job_folder, where its own files lie.
choose_job() { # ID
  job=$1 job_folder='' job_problem=''
  if [ ! -d "$here/jobs" ]; then
    [ -z "$job" ] || job_problem="this is a bundle of one job; leave --job out."
    job=''
  elif [ -z "$job" ]; then
    job_problem="this is a bundle of many jobs; name one by --job ID (sh run.sh --list-jobs says which)."
  else
    case $job in *[!A-Za-z0-9._+-]*) job_problem="no job has such an id." && return 1 ;; esac
    job_folder=jobs/$job/
    [ -f "$here/jobs/$job.sh" ] || job_problem="job $job is not in this bundle (sh run.sh --list-jobs says which are)."
  fi
  [ -z "$job_problem" ]
}
list_jobs() {
  [ -f "$here/jobs.tsv" ] || { say "this is a bundle of one job." && exit 1; }
  cat "$here/jobs.tsv"
  exit
}

# Words of command/paths.sh, which says where the job's folders were.
folders() { # WORK HOME TMPDIR PATH: '' where it was not recorded
  recorded_work=$1 recorded_home=$2 recorded_tmp=$3 recorded_path=$4
}
checkout() { :; }    # PLACE RECORDED
same_folder() { :; } # RECORDED OTHER_NAME

# `own` where the rerun has a root of its own, in which everything lies at its recorded path.
way=rewritten

# The recorded PATH, then the caller's: $job_path. Sourcing sets it and, in a subshell, nothing else that matters.
find_job_path() {
  caller_path=$PATH
  read_paths
  [ "$way" = rewritten ] || drop_recorded_folders
  section=environment
  # shellcheck source=/dev/null
  . "$(list_of env/environment)"
}
# In a root of its own the job's PATH is the recorded one; of the caller's only what that has not.
drop_recorded_folders() {
  path_left=$caller_path: caller_path=''
  while [ -n "$path_left" ]; do
    case :$recorded_path: in *":${path_left%%:*}:"*) ;; *) caller_path=$caller_path${caller_path:+:}${path_left%%:*} ;; esac
    path_left=${path_left#*:}
  done
}
without_last_colon() { printf '%s' "${1%:}"; }
read_paths() {
  section=paths
  # shellcheck source=/dev/null
  . "$(list_of command/paths)"
}

# Find a program by the job's PATH: $program_file. Not by `command -v`, which first finds what the shell itself has: its own commands,
# which no job can start, and the words of these scripts, one of which is `python`.
find_program() { # PROGRAM
  case $1 in
    /*)
      program_file=$1
      [ -x "$1" ]
      return
      ;;
    */* | '') return 1 ;;
  esac
  path_left=$job_path:
  while [ -n "$path_left" ]; do
    program_file=${path_left%%:*}
    program_file=${program_file:-.}/$1
    path_left=${path_left#*:}
    [ -f "$program_file" ] && [ -x "$program_file" ] && return 0
  done
  return 1
}

# shellcheck disable=SC2034 # of the including script
lib_is_whole=yes
