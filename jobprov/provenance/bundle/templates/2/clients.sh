# shellcheck shell=sh disable=SC2034,SC2154,SC2317 # its variables are the including script's too
# clients.sh - find the storage clients of this machine that the job could call.
# A part of run.sh. POSIX sh; of programs only coreutils.
#
# The PATH that run.sh sets is not the only way to a client: scripts put folders in front of PATH,
# call a client by its path, start a login shell, or source a set-up script that nobody recorded but
# that is still on this machine. So the texts of the job are searched:
#   1. Pick the words that may be a path, from its scripts, its commands and its variables.
#   2. Expand the variables in these words, by every value that any of the texts gives them.
#   3. Read the set-up scripts among the paths, and go on with the words in them.
#   4. List the folders around each path in which a client may be installed.
#   5. Print the clients in these folders.
# Nothing is run, and neither conditions nor the order of lines count: rather too many are found
# than one too few. Each step has a limit, so that no text can keep it busy for long.

storage_clients='arccp arcrm dccp ddisp eoscp gfal-chmod gfal-copy gfal-ls gfal-mkdir gfal-rename gfal-rm gfal-save gfal-stat
globus-url-copy ifdh lcg-cp lcg-del metacat rucio samweb srmcp srmrm uberftp xrdcp xrdfs'
products_with_clients='gfal2 ifdhc metacat rucio sam_web_client samweb_client xrootd'
system_path=/bin:/usr/bin:/usr/local/bin:/sbin:/usr/sbin:/usr/local/sbin

words_at_most=20000
variables_at_most=1000
expansions_at_most=2000 # each looks through all variables
expansion_depth=4       # variables in the values of variables
setup_bytes_at_most=1048576
setups_at_most=50 # in a round
setup_rounds=3    # a set-up script, one that it sources, and one that this one sources

# Set $machine_clients to the clients that are installed here: absolute paths, one a line.
# With `named`, only those that a text of the job leads to, whatever its PATH is; without, also those
# to which PATH, other variables and the folders of the system lead.
find_machine_clients() { # [named]
  machine_clients='' base='' named_only=${1:-no}
  if [ -n "$capsule" ]; then
    [ -d "$capsule" ] || return 0 # nobody can look into an image
    base=${capsule%/}             # all paths below are inside the capsule
  fi
  machine_clients=$(list_folders | LC_ALL=C sort -u | clients_in_folders | LC_ALL=C sort -u)
}

# Print the folders in which a client may be, and the paths of clients.
list_folders() {
  words=$(words_of_scripts | some_words)
  words_in_variables=$(words_of_variables)
  setups_read=$nl round=0
  while :; do
    variables=$nl$(assignments_in "$words$nl$words_in_variables" | head -n "$variables_at_most")$nl
    paths=$(paths_of "$words" | LC_ALL=C sort -u)
    [ "$round" -lt "$setup_rounds" ] || break
    round=$((round + 1))
    words_in_setups=$(words_of_new_setups)
    [ -n "$words_in_setups" ] || break
    for path in $paths; do
      ! is_setup "$path" || setups_read=$setups_read$path$nl
    done
    words=$(printf '%s\n' "$words" "$words_in_setups" | some_words)
  done

  for path in $paths; do folders_around "$path"; done
  case $nl$words$nl in
    *"${nl}system$nl"*) folders_of_path "$system_path" ;;
  esac
  [ "$named_only" = no ] || return 0
  for path in $(paths_of "$words_in_variables"); do folders_around "$path"; done
  folders_of_path "$recorded_path"
  folders_of_path "$job_path"
  folders_of_path "$system_path"
}
some_words() { LC_ALL=C sort -u | head -n "$words_at_most"; }

# --- 1. words that may be paths ----------------------------------------------------------------------

# Print the words of a text, one a line. Quotes go, as they may stand within a path: "$base"/bin
split_text() { tr -d "\"'" | tr -cs "A-Za-z0-9_./+@%=\${}~\\n-" '\n'; }

# Of words, one a line, print those that may be a path or set a variable; and `system` where a shell
# sets PATH anew, to the folders of the system.
pick_words() {
  before=''
  while IFS= read -r word; do
    case ${before##*/}:$word in
      source:\$* | .:\$*) printf '%s\n' "$word" ;; # a set-up script that a variable names
      sh:-*l* | bash:-*l* | dash:-*l* | ksh:-*l* | zsh:-*l* | command:-p | env:-i | env:-)
        printf 'system\n'
        ;;
    esac
    case $word in
      /etc/profile*) printf 'system\n' ;;
      */* | *=*) printf '%s\n' "$word" ;;
    esac
    before=$word
  done
}
# The recorded lists call `place` for each file and `step` for each command of the job.
words_of_scripts() {
  (
    place() { # STORED ...
      case $1 in scripts/*) split_text <"$here/$1" | pick_words ;; esac
    }
    step() { # NAME EXPECTED_CODE PROGRAM [ARGUMENT]...
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
    set -- # the list puts NAME=VALUE there
    section=environment
    # shellcheck source=/dev/null
    . "$(list_of env/environment)"
    [ $# -eq 0 ] || printf '%s\n' "$@" | split_text | pick_words
  ) 2>/dev/null
}

# --- 2. the paths that words stand for ---------------------------------------------------------------

# Print the absolute paths that words stand for.
paths_of() { # WORDS
  expansions=0
  for word in $1; do
    case $word in
      [A-Za-z_]*=*) expand "${word#*=}" 0 ;;
      -*/*) expand "/${word#*/}" 0 ;; # the value of an option, or of ${X:-/path}
      *) expand "$word" 0 ;;
    esac
  done | head -n "$words_at_most"
}
# Print each absolute path that a word stands for: its first variable is replaced by each of its
# values in turn, and the result is expanded again.
expand() { # WORD DEPTH
  case $1 in
    *'$'*) ;;
    /*)
      printf '%s\n' "${1%\}}"
      return
      ;;
    *) return ;;
  esac
  expansions=$((expansions + 1))
  [ "$2" -lt "$expansion_depth" ] && [ "$expansions" -le "$expansions_at_most" ] || return 0
  rest_of_word=${1#*\$}
  rest_of_word=${rest_of_word#\{}
  variable=${rest_of_word%%[!A-Za-z0-9_]*}
  rest_of_word=${rest_of_word#"$variable"}
  [ -n "$variable" ] && [ "$variable" != PATH ] || return 0
  find_values "$variable"
  # The positional parameters are this call's own, unlike the variables
  set -- "${1%%\$*}" "${rest_of_word#\}}" $(($2 + 1))
  for value in $values; do expand "$1$value$2" "$3"; done
}
# Set $values to all values of a variable, with blanks between them.
find_values() { # NAME
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
assignments_in() { # WORDS
  for word in $1; do
    case $word in
      [A-Za-z_]*=?*) printf '%s\n' "$word" ;;
    esac
  done
}

# --- 3. set-up scripts -------------------------------------------------------------------------------

# Whether a path looks like a script that others source, and is short enough to read.
is_setup() { # PATH
  case $1 in
    *.sh | *.bash | */activate | */*[Ss]etup* | */*profile*) ;;
    *) return 1 ;;
  esac
  [ -f "$base$1" ] && [ -r "$base$1" ] && [ "$(size_of "$base$1")" -le "$setup_bytes_at_most" ]
}
# Print the words of the set-up scripts among $paths that are not in $setups_read.
words_of_new_setups() {
  new_setups=0
  for path in $paths; do
    case $setups_read in *"$nl$path$nl"*) continue ;; esac
    is_setup "$path" || continue
    new_setups=$((new_setups + 1))
    [ "$new_setups" -le "$setups_at_most" ] || return 0
    split_text <"$base$path" | pick_words
  done
}

# --- 4. folders in which a client may be -------------------------------------------------------------

folders_of_path() { # FOLDER:FOLDER...
  path_left=$1:
  while [ -n "$path_left" ]; do
    printf '%s\n' "${path_left%%:*}"
    path_left=${path_left#*:}
  done
}
# Print the folders that a path of the job leads to: itself, or those around a set-up script. The
# path of a client is printed itself.
folders_around() { # PATH
  if [ -d "$base$1" ]; then
    folders_of_installation "${1%/}"
  elif is_setup "$1"; then
    set -- "${1%/*}"
    folders_of_installation "$1"
    folders_of_installation "${1%/*}"
  elif is_client_name "${1##*/}"; then
    printf '%s\n' "$1"
  fi
}
is_client_name() { # NAME
  for storage_client in $storage_clients; do
    [ "$1" != "$storage_client" ] || return 0
  done
  return 1
}
# UPS has its products at PRODUCTS/NAME/VERSION/FLAVOR/bin, and its database may lie beside a `prd`.
folders_of_installation() { # FOLDER
  [ -n "$1" ] || return 0
  printf '%s\n' "$1" "$1/bin"
  for product in $products_with_clients; do
    for bin in "$base$1/$product"/*/*/bin "$base$1/prd/$product"/*/*/bin "$base${1%/*}/prd/$product"/*/*/bin; do
      [ ! -d "$bin" ] || printf '%s\n' "${bin#"$base"}"
    done
  done
}

# --- 5. the clients in these folders -----------------------------------------------------------------

# Read folders, and paths of clients, from standard input; print the clients that can be run.
clients_in_folders() {
  while IFS= read -r folder; do
    case $folder in /*) ;; *) continue ;; esac
    if [ -d "$base$folder" ]; then
      for storage_client in $storage_clients; do print_program "$folder/$storage_client"; done
    else
      print_program "$folder"
    fi
  done
}
print_program() { # PATH
  [ ! -f "$base$1" ] || [ ! -x "$base$1" ] || printf '%s\n' "$1"
}

clients_is_whole=yes
