#!/bin/sh
# install-os-packages.sh - the operating system's packages of the job, in their recorded versions: those of os-packages.tsv, by
# apt-get, dnf or yum. For a container or a root of the same release, as root. It prints the commands; with --now it obeys them.
# Names and versions with characters that no package has are left out: none is ever an option or a command.
set -u
case ${1-} in
  '' | --now) ;;
  *)
    printf '%s\n' "usage: sh install-os-packages.sh [--now]" >&2
    exit 2
    ;;
esac
now=${1-}
case $0 in */*) here=${0%/*} ;; *) here=. ;; esac
here=$(unset CDPATH && cd -- "${here:-/}" && pwd -P) || exit 1
obey() {
  if [ "$now" = --now ]; then "$@"; else printf '%s\n' "$*"; fi
}

tab=$(printf '\t') manager='' odd=0
set --
while IFS= read -r line; do
  case $line in *"$tab$tab"*) odd=$((odd + 1)) && continue ;; esac # a shell would take the cells behind for these
  IFS=$tab read -r kind name version architecture _ <<END
$line
END
  case $kind/$architecture in 'rpm/' | 'rpm/(none)') continue ;; esac # a key
  case $name$version$architecture in *[!A-Za-z0-9.+:~_^-]*) odd=$((odd + 1)) && continue ;; esac
  case $name/$version in [!A-Za-z0-9]* | */ | */-*) odd=$((odd + 1)) && continue ;; esac
  case $kind/$architecture in
    deb/all | deb/) set -- "$@" "$name=$version" ;;
    deb/*) set -- "$@" "$name:$architecture=$version" ;;
    rpm/*) set -- "$@" "$name-$version.$architecture" ;;
    *) odd=$((odd + 1)) && continue ;;
  esac
  manager=$kind
done <"$here/os-packages.tsv"
[ "$odd" -eq 0 ] || printf '%s\n' "install-os-packages.sh: $odd lines of os-packages.tsv are no packages, and left out" >&2

case $manager in
  deb)
    # the mirrors of today have newer ones; an archive's list of packages is older than apt takes
    if [ -f "$here/os-packages.list" ]; then
      set -- -o "Dir::Etc::SourceList=$here/os-packages.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Acquire::Check-Valid-Until=false install --yes --allow-downgrades --no-install-recommends "$@"
      obey apt-get -o "Dir::Etc::SourceList=$here/os-packages.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Acquire::Check-Valid-Until=false update || exit 1
      obey apt-get "$@"
    else
      obey apt-get install --yes --allow-downgrades --no-install-recommends "$@"
    fi
    ;;
  rpm)
    if command -v dnf >/dev/null 2>&1; then
      obey dnf --assumeyes --allowerasing install "$@"
    else
      obey yum --assumeyes install "$@"
    fi
    ;;
  *)
    printf '%s\n' "install-os-packages.sh: os-packages.tsv has no package" >&2
    exit 1
    ;;
esac
