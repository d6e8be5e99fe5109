# shellcheck shell=sh disable=SC2034,SC2154,SC2317 # its variables are the including script's too
# clients.sh - find the storage clients of this machine that a job may call; a part of run.sh. POSIX sh; of programs only coreutils.
# A job finds a client not only by the PATH that run.sh gives it: scripts put folders in front of it, call a client by its path,
# start a login shell, or have all this done by a set-up script that nobody recorded, and that is still here.

storage_clients='arccp arcrm dccp ddisp eoscp gfal-chmod gfal-copy gfal-ls gfal-mkdir gfal-rename gfal-rm gfal-save gfal-stat
globus-url-copy ifdh lcg-cp lcg-del metacat rucio samweb srmcp srmrm uberftp xrdcp xrdfs'
products_with_clients='gfal2 ifdhc metacat rucio sam_web_client samweb_client xrootd' # as UPS lays them out: NAME/VERSION/FLAVOR/bin
setup_bytes_at_most=1048576 setups_at_most=50 setup_depth=3 words_at_most=20000
variables_at_most=1000 expansions_at_most=2000 # each looks through all variables

# The clients that are installed here: $machine_clients, absolute paths, one a line. With `named`, those alone that a text of the job
# leads to, whatever its PATH is; otherwise also those to which PATH, variables and the system's own folders lead.
find_machine_clients() { # [named]
  machine_clients='' base='' named_only=${1:-no}
  if [ -n "$capsule" ]; then
    [ -d "$capsule" ] || return 0 # nobody can look into an image
    base=${capsule%/}
  fi
  machine_clients=$(list_folders | LC_ALL=C sort -u | clients_in_folders | LC_ALL=C sort -u)
}

# --- the words of a job's texts that may be paths ---------------------------------------------------

# The words of a text, one a line. Quotes go, as they may stand within a path: "$base"/bin
split_text() { tr -d "\"'" | tr -cs "A-Za-z0-9_./+@%=\${}~\\n-" '\n'; }
pick_words() { # those that may be a path or the value of a variable; `system` where a shell sets PATH anew
  before=''
  while IFS= read -r word; do
    case ${before##*/}:$word in
      source:\$* | .:\$*) printf '%s\n' "$word" ;; # a set-up script
      sh:-*l* | bash:-*l* | dash:-*l* | ksh:-*l* | zsh:-*l* | command:-p | env:-i | env:-) printf 'system\n' ;;
    esac
    case $word in
      /etc/profile*) printf 'system\n' ;;
      */* | *=*) printf '%s\n' "$word" ;;
    esac
    before=$word
  done
}
words_of_scripts() { # of the job's scripts and commands
  (
    place() { case $1 in scripts/*) split_text <"$here/$1" | pick_words ;; esac }
    step() {
      shift 2
      printf '%s\n' "$@" | split_text | pick_words
    }
    act=clients section=layout
    # shellcheck source=/dev/null
    . "$(list_of command/layout)"
    section=steps
    # shellcheck source=/dev/null
    . "$(list_of command/steps)"
  ) 2>/dev/null
}
words_of_variables() {
  (
    set -- # an option of the list
    section=environment
    # shellcheck source=/dev/null
    . "$(list_of env/environment)"
    [ $# -eq 0 ] || printf '%s\n' "$@" | split_text | pick_words
  ) 2>/dev/null
}

# --- the paths for which they stand -----------------------------------------------------------------

note_variables() { # WORDS: all values that a variable is given anywhere: $variables
  variables=$nl$(assignments_in "$1" | head -n "$variables_at_most")$nl
}
assignments_in() { # WORDS
  for word in $1; do
    case $word in
      [A-Za-z_]*=?*) printf '%s\n' "$word" ;;
    esac
  done
}
values_of() { # NAME: sets values
  values='' variables_left=$variables
  while :; do
    case $variables_left in
      *"$nl$1="*) variables_left=${variables_left#*"$nl$1="} ;;
      *) return ;;
    esac
    values="$values ${variables_left%%"$nl"*}"
    variables_left=$nl${variables_left#*"$nl"}
  done
}
# Print each absolute path for which a word may stand, by all values of the variables in it.
expand() { # WORD DEPTH
  case $1 in
    *'$'*) ;;
    /*)
      printf '%s\n' "${1%\}}"
      return
      ;;
    *) return ;;
  esac
  expanded=$((expanded + 1))
  [ "$2" -lt 4 ] && [ "$expanded" -le "$expansions_at_most" ] || return 0
  rest_of_word=${1#*\$}
  rest_of_word=${rest_of_word#\{}
  variable=${rest_of_word%%[!A-Za-z0-9_]*}
  rest_of_word=${rest_of_word#"$variable"}
  [ -n "$variable" ] && [ "$variable" != PATH ] || return 0
  values_of "$variable"
  set -- "${1%%\$*}" "${rest_of_word#\}}" $(($2 + 1))
  for value in $values; do expand "$1$value$2" "$3"; done
}
paths_of() { # WORDS
  expanded=0
  for word in $1; do
    case $word in
      [A-Za-z_]*=*) expand "${word#*=}" 0 ;;
      -*/*) expand "/${word#*/}" 0 ;; # an option's value, and ${X:-/path}
      *) expand "$word" 0 ;;
    esac
  done | head -n "$words_at_most"
}
is_setup() { # PATH: a file that scripts source, and that can be read through at once
  case $1 in
    *.sh | *.bash | */activate | */*[Ss]etup* | */*profile*) ;;
    *) return 1 ;;
  esac
  [ -f "$base$1" ] && [ -r "$base$1" ] && [ "$(size_of "$base$1")" -le "$setup_bytes_at_most" ]
}

# --- the folders in which a client may be -----------------------------------------------------------

list_folders() {
  words=$(words_of_scripts | LC_ALL=C sort -u | head -n "$words_at_most")
  more_words=$(words_of_variables)
  setups=$nl setups_read=0 depth=0
  while :; do
    note_variables "$words$nl$more_words"
    paths=$(paths_of "$words" | LC_ALL=C sort -u)
    depth=$((depth + 1))
    [ "$depth" -le "$setup_depth" ] || break
    new_words=$(words_of_setups)
    for path in $paths; do ! is_setup "$path" || setups=$setups$path$nl; done
    [ -n "$new_words" ] || break
    words=$(printf '%s\n' "$words" "$new_words" | LC_ALL=C sort -u | head -n "$words_at_most")
  done
  for path in $paths; do folders_around "$path"; done
  case $nl$words$nl in *"${nl}system$nl"*) list_path "$system_path" ;; esac
  [ "$named_only" = no ] || return 0
  for path in $(paths_of "$more_words"); do folders_around "$path"; done
  list_path "$recorded_path"
  list_path "$job_path"
  list_path "$system_path"
}
system_path=/bin:/usr/bin:/usr/local/bin:/sbin:/usr/sbin:/usr/local/sbin
list_path() { # PATH
  path_left=$1:
  while [ -n "$path_left" ]; do
    printf '%s\n' "${path_left%%:*}"
    path_left=${path_left#*:}
  done
}
words_of_setups() { # of set-up scripts that were not read yet
  for path in $paths; do
    case $setups in *"$nl$path$nl"*) continue ;; esac
    is_setup "$path" || continue
    setups_read=$((setups_read + 1))
    [ "$setups_read" -le "$setups_at_most" ] || return 0
    split_text <"$base$path" | pick_words
  done
}
folders_around() { # PATH
  if [ -d "$base$1" ]; then
    folders_of_installation "${1%/}"
  elif is_setup "$1"; then
    set -- "${1%/*}"
    folders_of_installation "$1"
    folders_of_installation "${1%/*}"
  else
    for name in $storage_clients; do [ "${1##*/}" != "$name" ] || printf '%s\n' "$1"; done
  fi
}
folders_of_installation() { # FOLDER
  [ -n "$1" ] || return 0
  printf '%s\n' "$1" "$1/bin"
  for product in $products_with_clients; do
    for bin in "$base$1/$product"/*/*/bin "$base$1/prd/$product"/*/*/bin "$base${1%/*}/prd/$product"/*/*/bin; do
      [ ! -d "$bin" ] || printf '%s\n' "${bin#"$base"}"
    done
  done
}
clients_in_folders() { # folders, and paths of clients, on standard input
  while IFS= read -r folder; do
    case $folder in /*) ;; *) continue ;; esac
    if [ -d "$base$folder" ]; then
      for name in $storage_clients; do print_program "$folder/$name"; done
    else
      print_program "$folder"
    fi
  done
}
print_program() { # PATH
  [ ! -f "$base$1" ] || [ ! -x "$base$1" ] || printf '%s\n' "$1"
}

clients_is_whole=yes
