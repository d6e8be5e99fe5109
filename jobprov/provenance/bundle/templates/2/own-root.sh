#!/bin/sh
# shellcheck disable=SC2015,SC2317 # some functions are words of OUT/root.sh
# own-root.sh - run one program in a root of its own: a base (the host's root, or a capsule) with the recorded files laid over it.
# run.sh starts it in new namespaces. Nothing of the base can be written, except through a copy; what is written is below OUT.
#
#   sh own-root.sh BASE MIRROR OUT WORK PROC ENTER USER GROUP PROGRAM [ARGUMENT]...
#
# BASE    the base without a slash at its end: '' for the host's root
# MIRROR  the folder that is laid over it, file by file and folder by folder
# PROC    `new` in a namespace of process numbers, else `old`
# ENTER   how the root is entered: `as-user` (with USER and GROUP, and no rights over the root), `plain`, or `chroot`
# OUT/root.sh names the folders of which the base shows nothing, and single files and folders that are shown beside.
set -u
PATH=$PATH:/usr/sbin:/sbin
# shellcheck source=lib.sh
. "${0%/*}/lib.sh"
base=$1 mirror=$2 out=$3 work=$4 proc=$5 enter=$6 user=$7 group=$8
shift 8
root=$out/root
entries_at_most=2000 # of the base in one folder, where the kernel cannot lay one folder over another
give_up() {
  printf 'run.sh: the root of the rerun cannot be made: %s\n' "$*" >&2
  : >"$out/no-root"
  exit 125
}

# Note a thing that was made below MIRROR only so that something can be mounted on it: run.sh removes it.
stub() { # INNER
  case $1 in *"$nl"*) ;; *) printf '%s\n' "$1" >>"$out/stubs.txt" ;; esac
}
make_folder() { # INNER: and the folders around it
  [ -d "$root$1" ] && [ ! -h "$root$1" ] && return 0
  case $1 in *[!/]*/*) make_folder "${1%/*}" || return 1 ;; esac
  mkdir "$root$1" && stub "$1"
}
is_there() { [ -e "$1" ] || [ -h "$1" ]; }

# Show a file or folder, with everything that is mounted in it, such as a storage in /pnfs. Read-only where the kernel allows.
bind() { # SOURCE INNER
  if [ -d "$1" ]; then
    make_folder "$2" || return 1
  elif ! is_there "$root$2"; then
    make_folder "${2%/*}" && : >"$root$2" && stub "$2" || return 1
  fi
  mount -o rbind,ro=recursive "$1" "$root$2" 2>/dev/null && return 0 # util-linux 2.39, Linux 5.12
  mount -o rbind,ro "$1" "$root$2" 2>/dev/null || mount --rbind "$1" "$root$2" || return 1
  case $mounted in *" $1/"*) forbid_writing_below "$root$2" ;; esac
}
# What is mounted in a folder that is shown, one by one: an older mount makes the folder itself read-only, and nothing in it.
forbid_writing_below() { # FOLDER
  while read -r _ _ _ _ place options _; do
    case $place in "$1"/*) ;; *) continue ;; esac
    # with its other options, which an unprivileged caller may not take away
    mount -o "remount,bind,ro,$(without_rw "$options")" "$place" 2>/dev/null ||
      printf 'run.sh: note: %s can be written by the job\n' "${place#"$root"}" >&2
  done </proc/self/mountinfo
}
without_rw() { # OPTIONS
  case $1 in rw,* | ro,*) printf '%s' "${1#*,}" ;; rw | ro) ;; *) printf '%s' "$1" ;; esac
}

is_made() { case $made in *"$nl$1$nl"*) return 0 ;; *) return 1 ;; esac }
# What the base has at a place, unless something else is laid out there.
show() { # INNER
  if [ -h "$base$1" ]; then
    is_there "$root$1" || { cp -P "$base$1" "$root$1" && stub "$1"; }
  elif is_absent "$1"; then
    return 0
  elif ! is_there "$root$1" || is_made "$1"; then
    if [ -d "$base$1" ]; then
      can_be_scratch "$1" && make_folder "$1" && overlay "$1" || bind "$base$1" "$1"
    elif [ -f "$base$1" ]; then # sockets and pipes are left out
      bind "$base$1" "$1"
    fi
  elif [ -d "$base$1" ] && [ -d "$root$1" ] && [ ! -h "$root$1" ]; then
    is_hidden "$1" || lay_over "$1"
  fi
}
# A folder in which a job may have made files that nobody recorded: with an overlay they come to lie below OUT.
can_be_scratch() { # INNER
  case $1 in /*/* | /bin | /boot | /cvmfs | /etc | /lib* | /sbin | /usr) return 1 ;; esac
}
# A folder that both have: an overlay, if nothing is mounted in it; else the base's entries one by one.
lay_over() { # INNER
  overlay "$1" || show_entries "$1"
}
overlay() { # INNER
  # the characters that mount's option takes for its own
  case $base$1$out in *,* | *:* | *\\* | *\"* | *"$nl"*) return 1 ;; esac
  case $mounted in *" $base$1/"*) return 1 ;; esac
  overlays=$((overlays + 1))
  [ -d "$out/overlay/$overlays" ] || mkdir -p "$out/overlay/$overlays" || return 1
  mount -t overlay -o "lowerdir=$base$1,upperdir=$mirror$1,workdir=$out/overlay/$overlays" overlay "$root$1" 2>/dev/null || return 1
  overlaid=$overlaid$1$nl
}
show_entries() { # INNER
  set -- "$1" "$base$1"/* "$base$1"/.[!.]* "$base$1"/..?*
  inner=$1
  shift
  if [ $# -gt "$entries_at_most" ]; then
    printf 'run.sh: note: %s has %s entries here; those that are not laid out are hidden\n' "$inner/" $# >&2
    return 0
  fi
  make_missing "$inner" "$@" || return 1
  for entry in "$@"; do
    case $entry in
      "$base"/proc | "$base"/dev | "$base"/sys) continue ;;
    esac
    ! is_there "$entry" || show "${entry#"$base"}" || return 1
  done
}
# The folders and links that the base has and nothing is laid out at, by one command for all.
made=$nl
make_missing() { # INNER ENTRY...
  inner=$1 left=$(($# - 1)) links=no
  shift
  while [ "$left" -gt 0 ]; do
    entry=$1 left=$((left - 1))
    shift
    case $entry in *"$nl"*) continue ;; esac
    if is_there "$root${entry#"$base"}"; then
      continue
    elif [ -h "$entry" ]; then
      links=yes
    elif [ -d "$entry" ]; then
      made=$made${entry#"$base"}$nl
      stub "${entry#"$base"}"
      set -- "$@" "$root${entry#"$base"}"
    fi
  done
  [ $# -eq 0 ] || mkdir "$@" || return 1
  [ "$links" = no ] || copy_links "$inner"
}
copy_links() { # INNER
  set -- "$1" "$base$1"/* "$base$1"/.[!.]*
  inner=$1 left=$(($# - 1))
  shift
  while [ "$left" -gt 0 ]; do
    entry=$1 left=$((left - 1))
    shift
    if [ -h "$entry" ] && ! is_there "$root${entry#"$base"}"; then
      stub "${entry#"$base"}"
      set -- "$@" "$entry"
    fi
  done
  [ $# -eq 0 ] || cp -P "$@" "$root$inner/"
}

# --- words of OUT/root.sh -------------------------------------------------------------------------

hidden=$nl
hide() { # INNER: the base shows nothing in this folder
  hidden=$hidden$1$nl
}
absent=$nl
absent() { # INNER: a file that the base has from the job itself, and that was not there before
  [ "$pass" != folders ] || absent=$absent$1$nl
}
is_absent() { case $absent in *"$nl$1$nl"*) return 0 ;; *) return 1 ;; esac }
# In an overlay, removing it leaves the base as it is.
remove_absent() {
  rest_of_absent=${absent#"$nl"}
  while [ -n "$rest_of_absent" ]; do
    file=${rest_of_absent%%"$nl"*}
    rest_of_absent=${rest_of_absent#*"$nl"}
    if [ -f "$base$file" ] && ! is_there "$mirror$file" && is_overlaid "$file" && is_clear "$root" "$file"; then
      rm -f "$root$file" 2>/dev/null || :
    fi
  done
}
is_overlaid() { # INNER
  rest=${overlaid#"$nl"}
  while [ -n "$rest" ]; do
    case $1 in "${rest%%"$nl"*}"/*) return 0 ;; esac
    rest=${rest#*"$nl"}
  done
  return 1
}
is_hidden() { case $hidden in *"$nl$1$nl"*) return 0 ;; *) return 1 ;; esac }
bring() { # FILE INNER: an input that is not in the bundle, or the folder that holds the given input
  [ "$pass" = files ] || return 0
  bind "$1" "$2" || give_up "$1 cannot be shown as $2"
}
reveal() { # INNER: a file or folder of the base that is shown even in a hidden folder
  [ "$pass" = files ] || return 0
  is_there "$root$1" || show "$1" || :
}
out_itself() { # OUT has the same path inside, and can be written
  [ "$pass" = files ] || return 0
  make_folder "$out" && mount --bind "$out" "$root$out" || give_up "$out cannot be shown"
  # what is read again for the next step
  for list in root.sh stubs.txt; do
    mount -o bind,ro "$out/$list" "$root$out/$list" || give_up "$out/$list cannot be shown"
  done
}
read_words() { # PASS
  pass=$1
  # shellcheck source=/dev/null
  . "$out/root.sh"
}

# --- the root -------------------------------------------------------------------------------------

# The folders on which something is mounted, each behind a blank.
find_mounted() {
  mounted=
  while read -r _ _ _ _ place _; do mounted="$mounted $place"; done </proc/self/mountinfo
}
make_root() {
  # what is mounted here must not be seen outside
  mount --make-rprivate / 2>/dev/null || give_up "mounts would be seen by others"
  mount --bind "$mirror" "$root" || give_up "$mirror cannot be mounted"
  # OUT may be in a folder that is shown
  mount --make-unbindable "$root" 2>/dev/null || :
  read_words folders
  show_entries "" || give_up "an entry of ${base:-/} cannot be shown"
  remove_absent
  show_kernel
  rest=${hidden#"$nl"}
  while [ -n "$rest" ]; do
    folder=${rest%%"$nl"*}
    rest=${rest#*"$nl"}
    is_clear "$mirror" "$folder" && mount --bind "$mirror$folder" "$root$folder" || give_up "$folder cannot be laid out"
  done
  read_words files
  # the kernel makes these so that only root can remove them, if run.sh cannot
  [ ! -d "$out/overlay/1/work" ] || chmod u+rwx "$out"/overlay/*/work 2>/dev/null || :
  mount --make-private "$root" 2>/dev/null || :
}
show_kernel() {
  for kernel in /dev /sys; do
    make_folder "$kernel" && mount --rbind "$kernel" "$root$kernel" || give_up "$kernel cannot be shown"
  done
  make_folder /proc || give_up "/proc cannot be made"
  if [ "$proc" = new ]; then
    mount -t proc proc "$root/proc" || give_up "/proc cannot be mounted"
  else
    mount --rbind /proc "$root/proc" || give_up "/proc cannot be shown"
  fi
  [ -d "$root/dev/shm" ] || return 0
  if [ -d "$mirror/dev/shm" ]; then
    mount --bind "$mirror/dev/shm" "$root/dev/shm"
  else
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  fi || give_up "/dev/shm cannot be made"
}

overlays=0 overlaid=$nl
# by one command, as each takes time
mkdir -p "$out/overlay/1" "$out/overlay/2" "$out/overlay/3" "$out/overlay/4" "$out/overlay/5" "$out/overlay/6" "$out/overlay/7" \
  "$out/overlay/8" "$out/overlay/9" "$out/overlay/10" "$out/overlay/11" "$out/overlay/12" || give_up "$out cannot be written"
find_mounted
make_root
# When run.sh ends, for whatever reason, nobody holds the other end of this pipe. Only in a namespace of process numbers:
# there it is everybody but this shell.
if [ "$proc" = new ] && [ $$ -eq 1 ] && [ -p "$out/alive" ]; then
  { read -r _ <"$out/alive" || kill -9 -1; } </dev/null >/dev/null 2>&1 &
fi
# as the leader of a process group, as the job was: it may end that by one signal. Not at a terminal, which a new session has
# not. The host's setsid: a capsule may have none
lead=''
[ "$proc" != new ] || [ -t 0 ] || ! command -v setsid >/dev/null || lead=setsid
# shellcheck disable=SC2016 # the inner shell's own words
enter() { # PROGRAM [ARGUMENT]...
  case $enter in
    as-user) $lead unshare --user --map-user="$user" --map-group="$group" --root="$root" --wd="$work" -- "$@" ;;
    plain) $lead unshare --root="$root" --wd="$work" -- "$@" ;;
    *) $lead chroot "$root" /bin/sh -c 'cd "$1" && shift && exec "$@"' sh "$work" "$@" ;;
  esac
}
# the code of a job that does not start could be a job's own
enter env >/dev/null 2>&1 || give_up "no program starts in it; $(enter env 2>&1 >/dev/null)"
enter "$@"
exit $?
