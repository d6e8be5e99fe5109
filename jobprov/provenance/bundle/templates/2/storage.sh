#!/bin/sh
# shellcheck disable=SC2015,SC3013 # `A && B || C` where C is meant for both; -ef, which POSIX has since 2024, and shells before
# storage.sh - stands in for a storage client (its own name in a rerun: xrdcp, ifdh...) where a job's scripts call one.
# What a script fetches comes from the inputs that run.sh laid out, and what it stores is kept below OUT: a rerun needs no
# storage, and never writes into that of an experiment. An address SCHEME://HOST/PATH is the file HOST/PATH below OUT/elsewhere.
# The calls are those of ifdhc's ifdh.h, and of the manuals of xrdcp, xrdfs, gfal2-util and globus-url-copy.
set -u
client=${0##*/}
programs=$(readlink -f "$0") || exit 1
programs=${programs%/*}
elsewhere=${programs%/programs-of-rerun} # empty in a rerun's own root
out=${elsewhere%/elsewhere}
delivered=$programs/delivered.txt # from where the job's inputs came, in order
nl='
'

fail() {
  printf '%s: %s (this is storage.sh, which a rerun has in its place)\n' "$client" "$*" >&2
  exit 1
}

# --- files ----------------------------------------------------------------------------------------

# The file of the rerun for which an address or a path stands.
resolve() { # NAME: sets file
  file=${1%%\?*}
  case $file in
    file:///*) file=${file#file://} ;;
    file:/*) file=${file#file:} ;;
  esac
  case $file in
    *://*) file=$elsewhere/${file#*://} ;;
    "$out"/* | /dev/null | /dev/std* | /dev/fd/*) ;;
    /*) file=$elsewhere$file ;;
  esac
}
find_source() { # NAME: sets file
  resolve "$1"
  [ ! -e "$file" ] || return 0
  if [ -e "$1" ]; then # what the bundle does not have, and this machine has
    file=$1
    return 0
  fi
  [ -f "$delivered" ] || return 1
  name=${file##*/}
  while IFS= read -r address; do # the same file by another door
    [ "${address##*/}" = "$name" ] || continue
    resolve "$address"
    [ ! -e "$file" ] || return 0
  done <"$delivered"
  return 1
}
need_source() { # NAME: sets file
  find_source "$1" || fail "$1 is no input in the bundle, and the job has not stored it"
}

into_folder=no
copy() { # SOURCE TARGET
  source=''
  if find_source "$1"; then source=$file; fi
  if [ "$2" = - ]; then
    need_source "$1"
    cat "$source" || fail "cannot read $source"
    return
  fi
  resolve "$2"
  target=$file
  if [ "$into_folder" = yes ] || [ -d "$target" ] || [ "$target" != "${target%/}" ]; then
    target=${target%/}/${1##*/}
  fi
  if [ -z "$source" ] && [ -f "$target" ]; then return 0; fi # it lies there already; nobody recorded from where it came
  need_source "$1"
  [ ! "$source" -ef "$target" ] || return 0
  case $target in */*) mkdir -p "${target%/*}" || fail "cannot make ${target%/*}" ;; esac
  [ ! -h "$target" ] || rm -f "$target" # a copy through a link would go into somebody's own file
  if [ -d "$source" ]; then
    cp -R "$source" "$target"
  else
    cp "$source" "$target" # what a link leads to
  fi || fail "cannot write $target"
}
copy_to_last() { # LINES: sources, and their target
  lines=${1%"$nl"}
  last=${lines##*"$nl"}
  lines=${lines%"$last"}
  [ -n "$lines" ] || fail "no file is named that could be copied"
  while [ -n "$lines" ]; do
    copy "${lines%%"$nl"*}" "$last"
    lines=${lines#*"$nl"}
  done
}
# SOURCE... TARGET with options among them. A bare word behind an option is the option's value, unless there is such a file.
copy_files() { # WORD...
  lines='' previous='' left=$#
  for word in "$@"; do
    left=$((left - 1))
    case $word in
      -?*) ;;
      */*) lines=$lines$word$nl ;;
      *) [ "$left" -gt 0 ] && is_value "$previous" "$word" || lines=$lines$word$nl ;;
    esac
    previous=$word
  done
  copy_to_last "$lines"
}
is_value() { # PREVIOUS WORD
  case $1 in
    -?*) [ ! -e "$2" ] ;;
    *) return 1 ;;
  esac
}
make_folder() { # NAME
  resolve "$1"
  mkdir -p "$file" || fail "cannot make $file"
}
rename() { # [OPTION]... NAME NAME: of a file or folder that the job stored
  from='' to=''
  for word in "$@"; do
    case $word in -*) continue ;; esac
    from=$to to=$word
  done
  resolve "$from"
  [ -e "$file" ] || fail "there is no $from"
  source=$file
  resolve "$to"
  rmdir "$file" 2>/dev/null # laid out for what comes there
  [ ! -e "$file" ] || fail "there is a $to already"
  mkdir -p "${file%/*}" && mv "$source" "$file" || fail "cannot make $file"
}
remove() { # NAME
  resolve "$1"
  [ -e "$file" ] || fail "there is no $1"
  rm -rf "$file" || fail "cannot remove $file"
}
list() { # NAME [OPTION OF LS]
  need_source "$1"
  ls ${2:+"$2"} "$file"
}
# ifdh shows a folder and what is in it by whole names, one a line; for lss with sizes.
list_whole() { # VERB NAME [DEPTH]
  need_source "$2"
  folder=$file
  if [ ! -d "$folder" ]; then
    show "$1" "$2" "$folder"
    return
  fi
  show "$1" "${2%/}/" "$folder"
  [ "${3:-1}" != 0 ] || return 0
  for entry in "$folder"/*; do
    name=${2%/}/${entry##*/}
    [ ! -d "$entry" ] || name=$name/
    [ ! -e "$entry" ] || show "$1" "$name" "$entry"
  done
}
show() { # VERB NAME FILE
  case $1 in
    lss) printf '%s\t%s\n' "$2" "$(if [ -d "$3" ]; then echo 0; else wc -c <"$3" | tr -d ' '; fi)" ;;
    *) printf '%s\n' "$2" ;;
  esac
}

# --- clients --------------------------------------------------------------------------------------

last_word() { # WORD...: sets last
  for last in "$@"; do :; done
}

xrdfs() { # HOST VERB [ARGUMENT]...
  host=${1#*://}
  verb=${2:-}
  last_word "$@"
  last=root://${host%/}/$last
  case $verb in
    mkdir) make_folder "$last" ;;
    rm | rmdir) remove "$last" ;;
    ls) list "$last" ;;
    stat) list "$last" -ld ;;
    *) fail "xrdfs ${verb:-without a command} is not known here" ;;
  esac
}

ifdh() { # VERB [ARGUMENT]...
  verb=${1:-}
  [ $# -eq 0 ] || shift
  case $verb in
    cp) ifdh_cp "$@" ;;
    rename) rename "$@" ;;
    mv)
      ifdh_cp "$@"
      for word in "$@"; do
        case $word in -* | ';' | "$last") continue ;; esac
        resolve "$word" # never what this machine has and the rerun has not
        rm -rf "$file"
      done
      ;;
    mkdir | mkdir_p) make_folder "$1" ;;
    rm | rmdir) remove "$1" ;;
    ls | lss) list_whole "$verb" "$1" "${2:-}" ;;
    ll) list "$1" -l ;;
    chmod | pin | log | enterState | leaveState | cleanup) ;;
    startProject | findProject) printf 'http://rerun/%s\n' "${1:-}" ;;
    establishProcess) printf '1\n' ;;
    updateFileStatus | setStatus | endProcess | endProject) ;;
    getNextFile) next_file ;;
    translateConstraints) consumed_files ;;
    localPath) local_path "$1" && printf '%s\n' "$path" ;;
    fetchInput)
      local_path "$1"
      copy "$1" "$path"
      printf '%s\n' "$path"
      ;;
    addOutputFile) printf '%s\n' "$1" >>"$programs/output-files.txt" ;;
    copyBackOutput)
      into_folder=yes
      while IFS= read -r word; do copy "$word" "$1"; done <"$programs/output-files.txt"
      ;;
    *) fail "ifdh ${verb:-without a verb} is not known here" ;;
  esac
}
# [-D] [-r] [--force=X] SOURCE... TARGET [';' SOURCE... TARGET]..., or -f LIST
ifdh_cp() {
  pieces=''
  for word in "$@"; do
    case $word in
      -D) into_folder=yes ;;
      -f) pieces=list ;;
      -*) ;;
      ';')
        copy_to_last "$pieces"
        pieces=''
        ;;
      *)
        if [ "$pieces" = list ]; then
          while read -r from to; do copy "$from" "$to"; done <"$word"
          return
        fi
        pieces=$pieces$word$nl
        ;;
    esac
  done
  copy_to_last "$pieces"
}
local_path() { # ADDRESS: sets path
  path=${1%%\?*}
  path=${IFDH_DATA_DIR:-${_CONDOR_SCRATCH_DIR:-${TMPDIR:-/var/tmp}}/ifdh_rerun}/${path##*/}
}
# Of a project of SAM: at each call the next input, as a file that any program can open; at the end nothing.
next_file() {
  calls=0
  [ ! -f "$programs/calls.txt" ] || while read -r _; do calls=$((calls + 1)); done <"$programs/calls.txt"
  echo getNextFile >>"$programs/calls.txt"
  [ -f "$delivered" ] || return 0
  while IFS= read -r address; do
    if [ "$calls" -eq 0 ]; then
      find_source "$address" || file=$address
      printf '%s\n' "$file"
      return
    fi
    calls=$((calls - 1))
  done <"$delivered"
}
consumed_files() { # for "consumer_process_id ...": which files came
  [ ! -f "$delivered" ] || while IFS= read -r address; do printf '%s\n' "${address##*/}"; done <"$delivered"
}

case ${1:-} in
  -h | --help | --version) # scripts ask so whether there is such a client
    printf '%s: storage.sh, which a rerun has in its place\n' "$client"
    exit 0
    ;;
esac
case $client in
  ifdh) ifdh "$@" ;;
  xrdfs) xrdfs "$@" ;;
  xrdcp | gfal-copy | globus-url-copy) copy_files "$@" ;;
  gfal-mkdir) last_word "$@" && make_folder "$last" ;;
  gfal-rm) last_word "$@" && remove "$last" ;;
  gfal-ls) last_word "$@" && list "$last" ;;
  gfal-stat) last_word "$@" && list "$last" -ld ;;
  *) fail "it needs a storage or catalog, and is not called in a rerun; --program $client=FILE has the job call FILE" ;;
esac
