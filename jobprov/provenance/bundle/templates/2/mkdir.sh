#!/bin/sh
# shellcheck disable=SC3013 # -ef, which POSIX has since 2024, and shells before
# mkdir.sh - stands in for mkdir in a rerun of a job that made folders itself and put its inputs there, as in
# `mkdir in && cp /pnfs/raw.root in/`. run.sh laid the inputs out, so these folders are there before the job begins. The first
# mkdir of each succeeds, as it did for the job; for everything else this is the mkdir of the machine.
set -u
programs=$(readlink -f "$0") || exit 1
programs=${programs%/*}
laid_out=$programs/laid-out-folders.txt # one in each line
made=$programs/made-folders.txt         # those that the job has made by now

# Does the job make a folder that was laid out? Note that it did.
makes_laid_out() { # NAME
  [ -d "$1" ] || return 1
  while IFS= read -r folder; do
    [ "$1" -ef "$folder" ] || continue
    ! is_made || return 1 # a second mkdir fails, as it did for the job
    printf '%s\n' "$folder" >>"$made"
    return 0
  done <"$laid_out"
  return 1
}
is_made() {
  [ -f "$made" ] || return 1
  while IFS= read -r other; do
    [ "$folder" != "$other" ] || return 0
  done <"$made"
  return 1
}

done_here=0 left=0 previous=''
for word in "$@"; do
  shift
  if makes_laid_out "$word"; then
    done_here=$((done_here + 1))
    continue
  fi
  set -- "$@" "$word"
  case $previous:$word in
    -m:* | *:-*) ;; # an option, or its mode
    *) left=$((left + 1)) ;;
  esac
  previous=$word
done
[ "$done_here" -eq 0 ] || [ "$left" -gt 0 ] || exit 0
command -p mkdir "$@"
