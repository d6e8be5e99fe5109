#!/bin/sh
# shellcheck disable=SC2317,SC2034,SC3013 # -nt is in POSIX since 2024, and in every shell for long; many functions are words that the sourced lists use
{ # the shell reads up to the brace at the end before it begins: a script that was cut off does nothing
# verify.sh - compare a rerun with the record, or a bundle with its own manifests.
# Bytes are compared by the shell alone; the content of ROOT files by verify.py, where a Python with uproot is at hand.
set -u
PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}
export PATH
case $0 in */*) lib=${0%/*}/lib.sh ;; *) lib=./lib.sh ;; esac
lib_is_whole=no
# shellcheck source=lib.sh
[ ! -r "$lib" ] || . "$lib"
[ "$lib_is_whole" = yes ] || { printf '%s\n' "verify.sh: $lib is not here, or not whole; is verify.sh still in its bundle?" >&2 && exit 2; }

usage() {
  say "usage: sh verify.sh [--report FILE] [--environment-grade WORDS] OUT   compare the rerun in OUT with the record"
  say "       sh verify.sh --bundle                                          compare this bundle with its manifests"
  say "Exit code: 0 equal, 1 differs, 2 cannot be decided here."
}
give_up() {
  say "verify.sh: $*"
  exit 2
}

act=compare report='' grade=other out=''
while [ $# -gt 0 ]; do
  case $1 in
    --bundle) act=bundle ;;
    --report | --environment-grade)
      [ $# -gt 1 ] || give_up "$1 wants a value after it."
      if [ "$1" = --report ]; then report=$2; else grade=$2; fi
      shift
      ;;
    -h | --help) usage && exit 0 ;;
    --) # what comes now is OUT, also where it begins with a dash
      if [ $# -ne 2 ] || [ -n "$out" ]; then give_up "give one folder OUT behind --."; fi
      case $2 in -*) out=./$2 ;; *) out=$2 ;; esac
      shift
      ;;
    -*) usage && give_up "there is no option $1." ;;
    *)
      [ -z "$out" ] || give_up "give one folder OUT, not $out and $1."
      out=$1
      ;;
  esac
  shift
done
find_here "$0"
find_sha_tool || say "verify.sh: no sha256sum, shasum, openssl, sha256 or busybox here; digests cannot be computed by the shell."

# The lines that are there once: of two copies of what is known and one of what is there, what is not known. Comparing each with all
# others in the shell takes minutes for the files of a large release.
only_once() { LC_ALL=C sort | LC_ALL=C uniq -u; }
# One line for a file that is there; a name of several lines is none of the known, and told by its first.
print_name() { # NAME
  case $1 in
    *"$nl"*) odd=$((odd + 1)) && printf '%s... (a name of several lines, %s)\n' "${1%%"$nl"*}" "$odd" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

# --- the bundle itself ---------------------------------------------------------------------------

tab='	'
complain() { # FINDING: one a line
  say "$*"
  complaints=$((complaints + $(printf '%s\n' "$*" | wc -l)))
}
with_words() { # WORD REASON: around each line of standard input
  while IFS= read -r line; do printf '%s\n' "$1 $line ($2)"; done
}
check_manifest() { # MANIFEST BITS: every payload file that it lists
  [ -f "$1" ] || { complain "MISSING $1" && return; }
  whole=no
  # one program for all files; but never through a link or a pipe, which may have no end
  if [ "$sha_tool" = sha256sum ] && [ -z "$unplain" ] && "sha${2}sum" -c "$1" >/dev/null 2>&1; then whole=yes; fi
  while IFS= read -r line || [ -n "$line" ]; do
    file=${line#*  }
    if [ "$whole" = yes ]; then
      continue
    elif is_unfetched "$file"; then
      say "not fetched: $file (fetch.txt says from where)"
    elif [ ! -f "$file" ]; then
      complain "MISSING $file (listed in $1)"
    elif [ ! -r "$file" ]; then
      complain "UNREADABLE $file"
    elif [ "$(digest_of "$2" "$file")" != "${line%%  *}" ]; then
      complain "CHANGED $file (by $1)"
    fi
  done <"$1"
}
# The lists of lists are in no list: they are made again, and compared letter by letter.
check_tag_manifest() { # MANIFEST BITS
  [ -f "$1" ] || { complain "MISSING $1" && return; }
  expected_lines='' tag_lines=$(cat "$1" && printf x) told=no
  for file in $tag_files; do
    digest=
    [ ! -f "$file" ] || digest=$(digest_of "$2" "$file" 2>/dev/null) || digest=
    expected_lines="$expected_lines$digest  $file$nl"
    case "$nl$tag_lines" in
      *"$nl$digest  $file$nl"*) ;;
      *"  $file$nl"*)
        told=yes
        if [ -f "$file" ]; then complain "CHANGED $file (by $1)"; else complain "MISSING $file (listed in $1)"; fi
        ;;
      *) told=no && break ;; # it lost this line
    esac
  done
  [ "$told" = yes ] || [ "$tag_lines" = "${expected_lines}x" ] || complain "CHANGED $1 (it has other lines)"
}
# Each list names the same files in the same order, a whole line each.
check_lists() {
  [ -f manifest-sha256.txt ] || return 0
  sorted=$(LC_ALL=C sort -u -k 2 manifest-sha256.txt && printf x)
  [ "$sorted" = "$(cat manifest-sha256.txt && printf x)" ] || complain "CHANGED manifest-sha256.txt (its lines are not in order, each once)"
  check_form manifest-sha256.txt 64
  [ "$is_holey" = no ] || return 0
  [ ! -f manifest-sha512.txt ] || check_form manifest-sha512.txt 128
  payload_names=$(names_of manifest-sha256.txt)
  for list in manifest-sha512.txt posix-cksum.txt; do
    [ ! -f "$list" ] || [ "$(names_of "$list")" = "$payload_names" ] ||
      complain "CHANGED $list (it does not name the same files as manifest-sha256.txt)"
  done
}
check_form() { # MANIFEST DIGITS
  while IFS= read -r line || [ -n "$line" ]; do
    digits=${line%%  *}
    case $digits in
      *[!0-9a-f]*) ;;
      *)
        case ${#digits}$line in "$2$digits  data/"?*) continue ;; esac
        ;;
    esac
    complain "CHANGED $1 (a line has another form: $line)"
    return
  done <"$1"
}
names_of() { # LIST
  case $1 in
    posix-cksum.txt) while read -r _ _ file; do printf '%s\n' "$file"; done <"$1" ;;
    *) while IFS= read -r line || [ -n "$line" ]; do printf '%s\n' "${line#*  }"; done <"$1" ;;
  esac
}
# What bagit.txt and bag-info.txt state, as far as the bundle itself shows it.
check_declarations() {
  [ ! -f bagit.txt ] || [ "$(cat bagit.txt && printf x)" = "BagIt-Version: 1.0${nl}Tag-File-Character-Encoding: UTF-8${nl}x" ] ||
    complain "CHANGED bagit.txt (it does not declare BagIt 1.0)"
  [ -f bag-info.txt ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      'Bundle-Spec-Version: 1') ;;
      Bundle-Spec-Version:*) complain "CHANGED bag-info.txt (this verify.sh checks bundles of specification 1)" ;;
      'Record-Digest: sha256:'*)
        [ -z "$sha_tool" ] || [ ! -f data/JOB.json ] || [ "${line#*sha256:}" = "$(digest_of 256 data/JOB.json 2>/dev/null)" ] ||
          complain "CHANGED bag-info.txt or data/JOB.json (Record-Digest)"
        ;;
      'Payload-Oxum: '*)
        [ ! -f posix-cksum.txt ] || [ "${line#*: }" = "$(sum_of_sizes)" ] || complain "CHANGED bag-info.txt or posix-cksum.txt (Payload-Oxum)"
        ;;
    esac
  done <bag-info.txt
}
sum_of_sizes() {
  total=0 count=0
  while read -r _ bytes _; do
    case $bytes in '' | *[!0-9]*) bytes=0 ;; esac
    total=$((total + bytes)) count=$((count + 1))
  done <posix-cksum.txt
  printf '%s.%s' "$total" "$count"
}
# POSIX's own checksum finds damage without a digest tool, though no forgery. Some hundred files at once.
check_cksums() {
  [ -f posix-cksum.txt ] || { complain "MISSING posix-cksum.txt" && return; }
  command -v cksum >/dev/null 2>&1 || return 0
  set -- && batch=''
  while read -r sum bytes file; do
    if [ ! -f "$file" ]; then
      [ -n "$sha_tool" ] || complain "MISSING $file (listed in posix-cksum.txt)"
      continue
    fi
    set -- "$@" "$file" && batch="$batch$sum $bytes $file$nl"
    if [ $# -ge 200 ]; then
      check_batch "$@"
      set -- && batch=''
    fi
  done <posix-cksum.txt
  [ $# -eq 0 ] || check_batch "$@"
}
check_batch() { # FILE...: by cksum, whose lines should be those of the batch
  actual=$(cksum "$@" 2>/dev/null)
  [ "$actual$nl" != "$batch" ] || return 0
  rest=$batch
  while [ -n "$rest" ]; do
    line=${rest%%"$nl"*} rest=${rest#*"$nl"}
    case "$nl$actual$nl" in *"$nl$line$nl"*) ;; *) complain "CHANGED ${line#* * } (by posix-cksum.txt)" ;; esac
  done
}
# The names in the lists, one a line.
names_in_lists() {
  if [ -f manifest-sha256.txt ]; then
    names_of manifest-sha256.txt
  elif [ -f posix-cksum.txt ]; then
    names_of posix-cksum.txt
  fi
  for file in $tag_files tagmanifest-sha256.txt; do printf '%s\n' "$file"; done
  [ "$is_holey" = yes ] || printf '%s\n' tagmanifest-sha512.txt
}
# The paths that fetch.txt lists: a file that is not there was not fetched yet.
read_fetch_list() {
  unfetched=$nl
  [ "$is_holey" = yes ] || return 0
  while read -r _ _ file; do unfetched=$unfetched$file$nl; done <fetch.txt
}
is_unfetched() { # FILE
  case $unfetched in *"$nl$1$nl"*) [ ! -e "$1" ] && [ ! -h "$1" ] ;; *) return 1 ;; esac
}
# Call `visit FILE` for all that is in the bundle, also for empty folders, whose name gets a slash.
walk_all() { # FOLDER
  for entry in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    if [ -h "$entry" ]; then
      visit "$entry"
    elif [ -d "$entry" ]; then
      if is_empty "$entry"; then visit "$entry/"; else walk_all "$entry"; fi
    elif [ -e "$entry" ]; then
      visit "$entry"
    fi
  done
}
is_empty() { # FOLDER
  for inner in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    if [ -e "$inner" ] || [ -h "$inner" ]; then return 1; fi
  done
}
# A bundle holds plain files and folders; a device or a pipe in place of a file would never end.
list_unplain() {
  visit() {
    case $1 in */) return 0 ;; esac
    if [ -h "$1" ] || [ ! -f "$1" ] || [ -u "$1" ] || [ -g "$1" ]; then print_name "${1#./}"; fi
  }
  walk_all .
}
# Which files are programs: the two scripts, and what src/NAME.modes.tsv says.
list_programs() {
  printf '%s\n' data/run.sh data/verify.sh
  seen=$nl
  for list in data/src/*.modes.tsv; do
    [ -f "$list" ] || continue
    while IFS="$tab" read -r mode _ _ stored _; do
      case $stored in
        *.odd/*) # files with one content share it, with the mode of the first
          case $seen in *"$nl$stored$nl"*) continue ;; esac
          seen=$seen$stored$nl
          ;;
      esac
      [ "$mode" != 100755 ] || printf '%s\n' "data/$stored"
    done <"$list"
  done
}
list_executable() { # names of files on standard input
  while IFS= read -r file; do
    if [ -f "$file" ] && [ -x "$file" ]; then printf '%s\n' "$file"; fi
  done
}
check_modes() { # NAMES
  executable=$(printf '%s\n' "$1" | list_executable)
  if [ -z "$executable" ] || { [ -x bagit.txt ] && [ -x bag-info.txt ] && [ -x data/README.txt ]; }; then
    say "note: what is a program is not compared: this folder has lost its mode bits, which does no harm."
    return
  fi
  other=$({ list_programs && printf '%s\n' "$executable"; } | only_once)
  odd_modes=$(printf '%s\n' "$other" | tell_modes)
  [ -z "$odd_modes" ] || complain "$odd_modes"
}
tell_modes() { # names of files on standard input
  while IFS= read -r file; do
    if [ -x "$file" ]; then
      printf '%s\n' "MODE $file (it can be executed, and is no program)"
    elif [ -f "$file" ]; then
      printf '%s\n' "MODE $file (it is a program, and cannot be executed)"
    fi
  done
}
# Whether a link to this script's folder lies beside the lists, in the folder's place.
find_linked_folder() {
  is_linked=no
  case $0 in */*) own_folder=${0%/*} ;; *) return 0 ;; esac
  case $own_folder in */*) beside=${own_folder%/*} ;; *) beside=. ;; esac
  if [ -h "$own_folder" ] && [ -f "$beside/bagit.txt" ]; then is_linked=yes; fi
}
check_bundle() {
  find_linked_folder
  cd "$here/.." || give_up "cannot enter the bundle's folder."
  [ "$is_linked" = no ] || [ -f bagit.txt ] || {
    say "ODD data (a link; a bundle holds plain files and folders)"
    say "verify.sh: the bundle is not as it was made: 1 finding."
    exit 1
  }
  [ -f bagit.txt ] || [ -f manifest-sha256.txt ] || [ -f tagmanifest-sha256.txt ] ||
    give_up "this is a bundle's folder data alone: its lists, which lie beside it, are not here. Unpack the whole bundle."
  for tool in sort uniq cat; do
    command -v "$tool" >/dev/null 2>&1 || give_up "without $tool the bundle cannot be checked here."
  done
  complaints=0 odd=0
  # a bundle with inputs to be fetched has digests of one kind, for all that is known of them
  is_holey=no tag_files="README.txt bag-info.txt bagit.txt manifest-sha256.txt manifest-sha512.txt posix-cksum.txt"
  if [ -f fetch.txt ] && [ ! -e tagmanifest-sha512.txt ] && [ ! -e manifest-sha512.txt ]; then
    is_holey=yes tag_files="README.txt bag-info.txt bagit.txt fetch.txt manifest-sha256.txt"
  fi
  read_fetch_list
  unplain=$(list_unplain)
  [ -z "$unplain" ] || complain "$(printf '%s\n' "$unplain" |
    with_words ODD "a link, a device, a pipe, or a file with set-user-id; a bundle holds plain files")"
  if [ -n "$sha_tool" ]; then
    check_tag_manifest tagmanifest-sha256.txt 256
    [ "$is_holey" = yes ] || check_tag_manifest tagmanifest-sha512.txt 512
    check_manifest manifest-sha256.txt 256
    [ "$is_holey" = yes ] || check_manifest manifest-sha512.txt 512
  else
    command -v cksum >/dev/null 2>&1 || give_up "without a digest tool and cksum the bundle cannot be checked here."
    say "verify.sh: compared by cksum alone, which finds damage but no forgery."
  fi
  [ "$is_holey" = yes ] || [ -n "$unplain" ] || check_cksums
  check_lists
  check_declarations
  visit() { print_name "${1#./}"; }
  names=$(names_in_lists)
  extra=$({ printf '%s\n' "$names" "$names" && walk_all .; } | only_once) || give_up "the bundle's files could not be listed."
  [ -z "$extra" ] || complain "$(printf '%s\n' "$extra" | with_words EXTRA "no manifest lists it")"
  check_modes "$names"
  found="$complaints findings"
  [ "$complaints" -ne 1 ] || found="1 finding"
  [ "$complaints" -eq 0 ] || { say "verify.sh: the bundle is not as it was made: $found." && exit 1; }
  say "verify.sh: the bundle is as it was made, as far as its own lists tell."
  exit 0
}
[ "$act" = bundle ] && check_bundle

# --- words of outputs/job.sh and outputs/expected.sh ----------------------------------------------------------------

job() { job_id=$1 revision=$2 state=$3 expected_codes=$4 reason='' made='' has_missing=no; }
reason() { # WORD...: of the recorded failure
  for word in "$@"; do reason=$reason$word$nl; done
}
not_there() { # NAME PLACE: an output that the recorded job did not make
  has_missing=yes
  if [ -e "$2" ]; then made="$made${made:+, }$1"; fi
}

output() { # NAME JSON_NAME REQUIRED SIZE SHA256 COMPARATOR CONTENT_DIGEST CHECKSUMS REFERENCE PLACE [PATTERN]
  name=$1 json_name=$2 required=$3 size=$4 sha256=$5 comparator=$6 content=$7 checksums=$8
  shift 8
  reference=$1 place=$2 also_here=0
  outputs=$outputs${place#"$work"/}$nl
  if [ $# -gt 2 ] && [ -n "$place" ] && [ ! -f "$place" ]; then
    find_renamed "$3"
  fi
  if [ "$way_taken" = 'own root' ] && [ -h "$place" ]; then
    follow_in_root
  fi
  if [ -z "$place" ]; then
    undecided "the record does not say where the job wrote it"
  elif [ "$also_here" -gt 1 ]; then
    undecided "its name has a time or an id in it, and $also_here files here may be it"
  elif [ ! -f "$place" ]; then
    if [ "$size$sha256$content$checksums" = ---- ]; then
      undecided "the record has nothing of this output but its name, and it is not there"
    elif [ "$required" != no ]; then
      conclude MISSING R2 none "$name"
    fi
  elif ! is_of_rerun; then
    undecided "$why"
  elif has_same_bytes; then
    conclude IDENTICAL R7 "$told_by" "$name"
  else
    compare_content
  fi
}
# A name with a time or an id in it is another one in each run. Of several such files that one is meant which is equal.
find_renamed() { # PATTERN: sets place, if one file is meant; $also_here counts them
  recorded_place=$place renamed='' laid_out=$nl$(cat "$out/laid-out.txt")$nl
  for place in "${recorded_place%/*}"/*; do
    # shellcheck disable=SC2254 # a pattern
    case ${place##*/} in $1) [ -f "$place" ] || continue ;; *) continue ;; esac
    case $nl$outputs$laid_out in *"$nl${place#"$work"/}$nl"*) continue ;; esac
    also_here=$((also_here + 1)) renamed=$place
    if has_same_bytes; then
      also_here=1
      break
    fi
  done
  place=$recorded_place
  if [ "$also_here" -eq 1 ]; then
    place=$renamed outputs=$outputs${renamed#"$work"/}$nl
    say "note: $name is ${renamed##*/} here: its name has a time or an id in it"
  fi
}
# In its own root the job may have made a link to a recorded path, which lies below OUT.
follow_in_root() {
  target=$(readlink "$place") || return 0
  case $target in
    /*) [ ! -f "$elsewhere$target" ] || place=$elsewhere$target ;;
  esac
}
# A file that the rerun did not make says nothing about it, however equal it is.
is_of_rerun() { # sets why if not
  if [ ! -r "$place" ]; then
    why="it cannot be read"
    return 1
  fi
  case $laid_before in
    *"$nl$place$nl"*)
      # run.sh made it as old as that list
      if [ ! "$place" -nt "$out/outputs-before.txt" ]; then
        why="it lay there before the job began, and the rerun did not write it"
        return 1
      fi
      ;;
  esac
  real=$place
  if [ -h "$place" ]; then
    real=$(readlink -f "$place") || real=
  fi
  find_absolute_path "${real:-/}" 2>/dev/null || absolute=
  case $absolute in
    "$out"/*) ;;
    *)
      why="it is a link to a file outside of OUT, which the rerun did not make"
      return 1
      ;;
  esac
}
has_same_bytes() { # sets told_by
  told_by=sha256
  case $size$sha256 in
    0- | "0$sha256_of_nothing")
      told_by=size
      [ -s "$place" ] || return 0
      ;;
  esac
  [ "$sha256" != - ] && [ -n "$sha_tool" ] || return 1
  [ "$size" = - ] || [ "$(size_of "$place")" = "$size" ] || return 1
  [ "$(digest_of 256 "$place")" = "$sha256" ]
}
# Bytes differ, or nothing here can tell: ask verify.py whether the content is the same.
compare_content() {
  if [ "$comparator" = bytes ] && [ "$sha256" != - ] && [ -n "$sha_tool" ]; then
    conclude DIFFERENT R2 sha256 "$name"
    return
  fi
  if [ "$comparator" = bytes ] && [ "$size" != - ] && [ "$(size_of "$place")" != "$size" ]; then
    conclude DIFFERENT R2 size "$name"
    return
  fi
  if [ -z "$interpreter" ]; then
    why="no Python is here to compare content with"
    [ "$sha256" = - ] || [ -z "$sha_tool" ] || why="$why; bytes differ from the record"
    undecided "$why"
    return
  fi
  [ -z "$reference" ] || reference=$here/$reference
  answer=$("$interpreter" -B "$here/verify.py" compare "$place" \
    --sha256 "$sha256" --content "$content" --checksums "$checksums" --reference "$reference" --comparator "$comparator" 2>/dev/null)
  case $answer in
    IDENTICAL\ * | EQUIVALENT\ * | DIFFERENT\ *)
      verdict=${answer%% *} answer=${answer#* }
      level=${answer%% *}
      conclude "$verdict" "$level" "${answer#* }" "$name"
      ;;
    *) undecided "${answer:-verify.py did not answer with $interpreter}" ;;
  esac
}
# For people: what differs, as far as it can be seen here.
tell_difference() {
  here_size=$(size_of "$place") || return 0
  case $size in
    - | "$here_size") say "  it has $here_size bytes, as recorded" ;;
    *) say "  it has $here_size bytes, recorded were $size" ;;
  esac
  if [ -n "$reference" ] && [ -n "$interpreter" ]; then
    "$interpreter" -B "$here/verify.py" explain "$place" --reference "$reference" --comparator "$comparator" 2>/dev/null |
      while IFS= read -r line; do [ -z "$line" ] || say "  $line"; done
  fi
  case $name in
    *.[gG][zZ] | *.tgz | *.tar | *.zip | *.jar | *.a | *.pdf | *.ps | *.eps | *.svg | *.h5 | *.hdf5) dated="$dated${dated:+, }$name" ;;
  esac
}
rank_of() { # LEVEL: sets rank; R5~ stands between R4 and R5
  case $1 in *'~') rank=${1#R} && rank=${rank%'~'}0 && rank=$((rank - 5)) ;; *) rank=${1#R}0 ;; esac
}
conclude() { # VERDICT LEVEL COMPARATOR NAME
  printf '%s %s\n' "$1" "$4"
  [ "$1" != DIFFERENT ] || tell_difference
  if [ "$required" = yes ]; then
    compared=$((compared + 1))
    [ "$size" = 0 ] || all_empty=no
    case $1 in DIFFERENT | MISSING) differs=yes differing=$((differing + 1)) ;; esac
    rank_of "$2"
    [ "$rank" -ge "$lowest_rank" ] || { lowest=$2 && lowest_rank=$rank; }
  fi
  comparisons="$comparisons${comparisons:+, }{\"output\": $json_name, \"level\": \"$2\", \"comparator\": \"$3\"}"
}
undecided() {
  printf 'UNDECIDED %s: %s\n' "$name" "$1"
  [ "$required" = no ] || open=yes
}

# --- the Python for verify.py: the job's own first, one with uproot before one without -------------

program() { :; }
program_laid_out() { :; }
python() { pythons=$pythons$1$nl; }
find_interpreter() {
  find_job_path
  pythons='' interpreter=''
  section=programs
  # shellcheck source=/dev/null
  . "$(list_of command/programs)"
  candidates="${JOBPROV_PYTHON:+$JOBPROV_PYTHON$nl}${pythons}python3${nl}python$nl"
  for probe in 'import uproot, numpy' 'import hashlib'; do
    rest=$candidates
    while [ -n "$rest" ]; do
      candidate=${rest%%"$nl"*}
      rest=${rest#*"$nl"}
      find_program "$candidate" || continue
      if "$program_file" -B -c "$probe" >/dev/null 2>&1 </dev/null; then
        interpreter=$program_file
        return 0
      fi
    done
  done
}

# --- exit codes, extra files, the report ------------------------------------------------------------

# The codes of the steps, as recorded? A recorded failure that fails the same way is a success.
compare_exit_codes() {
  codes='' ended=same unknown=no all_zero=yes
  while IFS= read -r line; do
    codes="$codes${codes:+ }$line"
    [ "$line" = 0 ] || all_zero=no
  done <"$out/exit-codes.txt"
  expected=$expected_codes actual=$codes
  while [ -n "$expected$actual" ]; do
    one=${expected%% *} other=${actual%% *}
    [ "$one" = - ] && [ -n "$other" ] && unknown_code
    [ "$one" = "$other" ] || ended=otherwise
    case $expected in *' '*) expected=${expected#* } ;; *) expected='' ;; esac
    case $actual in *' '*) actual=${actual#* } ;; *) actual='' ;; esac
  done
  [ "$unknown" = no ] || case $state in
    failed | killed) [ "$all_zero" = no ] || ended=otherwise ;; # it did not fail at all
  esac
  if [ -n "$made" ]; then
    ended=otherwise
    say "made by the rerun, though the recorded job did not make it: $made"
  fi
  if [ "$ended" = same ]; then
    say "exit code: $codes, as recorded"
  else
    say "exit code: $codes, recorded was $expected_codes, of a job that is recorded as ${state:-ended}"
  fi
}
# Whether a job failed in the same way: its code alone does not tell, many failures share one.
check_failure() {
  if [ -n "$reason" ]; then
    log=$(tail -c 262144 "$out/run.log") || log=
    rest=$reason
    while [ -n "$rest" ]; do
      word=${rest%%"$nl"*} rest=${rest#*"$nl"}
      case $log in
        *"$word"*) ;;
        *) give_up "it failed as the record says, but $out/run.log does not have the word $word of the recorded reason: it may have failed for another one. No level, no report." ;;
      esac
    done
  elif [ "$unknown" = yes ]; then
    give_up "it failed, but the record has neither the exit code of each step nor a reason: whether it failed in the same way cannot be told. No level, no report."
  elif [ "$all_zero" = yes ] && [ "$has_missing" = no ]; then
    give_up "the job is recorded as $state though each exit code was 0, and nothing here tells how: no level, no report."
  fi
}
# No code was recorded of a step: of a job that succeeded it was 0, of another it may have been any.
unknown_code() {
  unknown=yes one=$other
  [ "$state" != succeeded ] || one=0
}
name_extra_files() {
  known=$nl$outputs$(cat "$out/laid-out.txt")$nl odd=0
  visit() {
    case $1 in *"$nl"*) case $known in *"$nl${1#"$work"/}$nl"*) return ;; esac ;; esac
    case $1 in */__pycache__/*) return ;; esac # what Python keeps of its modules
    print_name "${1#"$work"/}"
  }
  { printf '%s' "$outputs" "$outputs" && cat "$out/laid-out.txt" "$out/laid-out.txt" && walk "$work"; } | only_once |
    while IFS= read -r line; do printf 'EXTRA %s\n' "$line"; done
}
write_report() { # LEVEL
  if [ -z "$report" ]; then return 0; fi
  case $grade in *[!A-Za-z0-9\ +,.-]*) give_up "the environment grade may hold letters, digits, blanks and + , . - only." ;; esac
  host=$(uname -n)
  case $host in *[!A-Za-z0-9._-]*) host=unknown ;; esac
  when=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  {
    printf '{"revision": %s, "level": "%s", "comparisons": [%s], ' "$revision" "$1" "$comparisons"
    printf '"environment_grade": "%s", "host": "%s", "when": "%s"}\n' "$grade" "$host" "$when"
  } >"$report" || give_up "cannot write $report."
}

[ -n "$out" ] || { usage && give_up "give the folder OUT of a rerun."; }
find_absolute "$out" || give_up "there is no folder $out; run 'sh run.sh $out' first."
[ ! -f "$absolute/in-part.txt" ] || give_up "the job ran in part ($(cat "$absolute/in-part.txt")), so that there is nothing to compare it with."
name_folders "$absolute"
job_ran=''
[ ! -f "$out/job.txt" ] || IFS= read -r job_ran <"$out/job.txt"
choose_job "$job_ran" || give_up "$job_problem"
section=job
# shellcheck source=/dev/null
. "$(list_of outputs/job)"
rerun_of=$job_id
[ ! -f "$out/rerun-of.txt" ] || IFS= read -r rerun_of <"$out/rerun-of.txt"
[ "$rerun_of" = "$job_id" ] || give_up "$out has a rerun of job $rerun_of, and this is the bundle of job $job_id."
# a list that was cut off would have less compared than was recorded, and call the rest equal
find_changed_files data/lib.sh data/verify.sh data/verify.py data/env/environment.sh 'data/command/*' 'data/outputs/*' \
  "data/jobs/$job.sh" "data/jobs/$job/*" 'data/lists/*'
[ -z "$changed_files" ] || give_up "files by which outputs are compared were changed since this bundle was made ($changed_files): no level, no report."
[ ! -f "$out/changed.txt" ] || give_up "$out was run from a bundle that was changed ($(cat "$out/changed.txt")): no level, no report."
[ ! -f "$out/unfinished" ] ||
  give_up "the rerun in $out did not come to its end: it was interrupted, or it still runs. Run 'sh run.sh OUT' with a new folder. No level, no report."
if [ ! -s "$out/exit-codes.txt" ]; then
  comparisons=''
  write_report R0
  give_up "no job ran in $out; run 'sh run.sh OUT' with a new folder."
fi
find_interpreter
laid_before=$nl way_taken=''
[ ! -f "$out/way.txt" ] || IFS= read -r way_taken <"$out/way.txt"
[ ! -f "$out/outputs-before.txt" ] || laid_before=$nl$(cat "$out/outputs-before.txt")$nl
# nothing is compared yet, which is no level
comparisons='' outputs='' dated='' differs=no open=no compared=0 differing=0 all_empty=yes lowest=R7 lowest_rank=70
section=expected
# shellcheck source=/dev/null
. "$(list_of outputs/expected)"
name_extra_files
compare_exit_codes

[ -z "$dated" ] || say "note: files of such kinds often hold when they were written, so that their bytes differ each time; look into them: $dated"
if [ "$ended$differs" != sameno ]; then
  say "note: $out/run.log has what the job printed; 'sh run.sh --check' compares this machine with what the job used, and says what the record lacks."
  [ "$way_taken" = 'own root' ] || say "note: it ran without a root of its own, so that recorded paths inside of scripts and programs led nowhere: see README.txt."
fi

if [ "$ended" = otherwise ]; then
  write_report R1
  say "verify.sh: job ${job_id:-?} was not reproduced, level R1: it ended in another way than recorded."
  exit 1
fi
if [ "$differs" = yes ]; then
  write_report R2
  say "verify.sh: job ${job_id:-?} was not reproduced, level R2: $differing of $compared outputs are missing or differ."
  exit 1
fi
[ "$open" = no ] || give_up "equal as far as it can be told; some outputs are undecided (see above), so there is no level, and no report is written."
case $state in
  succeeded)
    [ "$compared" -gt 0 ] || give_up "nothing was compared: the record has no output that a rerun must make again. No level, no report."
    [ "$all_empty" = no ] || say "note: every output that was compared is empty, in the record and here."
    ;;
  failed | killed)
    check_failure
    lowest='R1='
    ;;
  *) give_up "the record does not say how the job ended (its state is ${state:-unknown}): no level, no report." ;;
esac
write_report "$lowest"
say "verify.sh: job ${job_id:-?} was reproduced, level $lowest"
exit 0
}
