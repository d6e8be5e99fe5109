#!/bin/sh
# shellcheck disable=SC2317,SC2034 # many functions are words that the sourced lists use
# verify.sh - compare a rerun with the record, or a bundle with its own manifests.
# Bytes are compared by the shell alone; the content of ROOT files by verify.py, where a Python with uproot is at hand.
set -u
PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}
export PATH
case $0 in */*) lib=${0%/*}/lib.sh ;; *) lib=./lib.sh ;; esac
# shellcheck source=lib.sh
. "$lib"

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

complain() {
  say "$*"
  complaints=$((complaints + 1))
}
check_manifest() { # MANIFEST BITS: every file that it lists
  [ -f "$1" ] || { complain "MISSING $1" && return; }
  whole=no
  # sha256sum takes digits in capitals too: the lists of lists are compared letter by letter
  case $1 in
    tagmanifest-*) ;;
    *) if [ "$sha_tool" = sha256sum ] && "sha${2}sum" -c "$1" >/dev/null 2>&1; then whole=yes; fi ;;
  esac
  # a list of lists is in no list: its last line end is looked for here
  while IFS= read -r line || { [ -n "$line" ] && complain "CHANGED $1 (its last line is cut)"; }; do
    file=${line#*  }
    if [ "$whole" = yes ]; then
      continue
    elif is_unfetched "$file"; then
      say "not fetched: $file (fetch.txt says from where)"
    elif [ ! -f "$file" ]; then
      complain "MISSING $file (listed in $1)"
    elif [ "$(digest_of "$2" "$file")" != "${line%%  *}" ]; then
      complain "CHANGED $file (by $1)"
    fi
  done <"$1"
}
# Without a digest tool: POSIX's own checksum finds damage, though no forgery.
check_cksums() {
  [ -f posix-cksum.txt ] || { complain "MISSING posix-cksum.txt" && return; }
  while read -r sum bytes file; do
    if [ ! -f "$file" ]; then
      complain "MISSING $file (listed in posix-cksum.txt)"
    else
      actual=$(cksum <"$file") || actual=
      [ "$actual" = "$sum $bytes" ] || complain "CHANGED $file (by posix-cksum.txt)"
    fi
  done <posix-cksum.txt
}
# The names in the lists, one a line.
names_in_manifests() {
  for list in manifest-sha256.txt manifest-sha512.txt tagmanifest-sha256.txt tagmanifest-sha512.txt; do
    [ -f "$list" ] || continue
    while IFS= read -r line || [ -n "$line" ]; do printf '%s\n' "${line#*  }"; done <"$list"
    printf '%s\n' tagmanifest-sha256.txt tagmanifest-sha512.txt
  done
}
names_in_cksums() {
  while read -r _ _ file; do printf '%s\n' "$file"; done <posix-cksum.txt
  printf '%s\n' *.txt
}
# The paths that fetch.txt lists: a file that is not there was not fetched yet.
read_fetch_list() {
  unfetched=$nl
  [ -f fetch.txt ] || return 0
  while read -r _ _ file; do unfetched=$unfetched$file$nl; done <fetch.txt
}
is_unfetched() { # FILE
  case $unfetched in *"$nl$1$nl"*) [ ! -e "$1" ] ;; *) return 1 ;; esac
}
check_bundle() {
  cd "$here/.." || give_up "cannot enter the bundle's folder."
  complaints=0
  read_fetch_list
  if [ -n "$sha_tool" ]; then
    for kind in tagmanifest manifest; do
      check_manifest "$kind-sha256.txt" 256
      # of inputs that are to be fetched no other digest is known
      [ -f fetch.txt ] || check_manifest "$kind-sha512.txt" 512
    done
    names_known=names_in_manifests
  else
    command -v cksum >/dev/null 2>&1 || give_up "without a digest tool and cksum the bundle cannot be checked here."
    say "verify.sh: compared by cksum alone, which finds damage but no forgery."
    check_cksums
    names_known=names_in_cksums
  fi
  odd=0
  visit() { print_name "${1#./}"; }
  for tool in sort uniq; do
    command -v "$tool" >/dev/null 2>&1 || give_up "without $tool the bundle cannot be checked here."
  done
  extra=$({ "$names_known" && "$names_known" && walk .; } | only_once) || give_up "the bundle's files could not be listed."
  if [ -n "$extra" ]; then
    printf '%s\n' "$extra" | while IFS= read -r line; do say "EXTRA $line (no manifest lists it)"; done
    complaints=$((complaints + $(printf '%s\n' "$extra" | wc -l)))
  fi
  [ "$complaints" -eq 0 ] || { say "verify.sh: the bundle is not as it was made: $complaints findings." && exit 1; }
  say "verify.sh: the bundle is as it was made."
  exit 0
}
[ "$act" = bundle ] && check_bundle

# --- words of outputs/job.sh and outputs/expected.sh ----------------------------------------------------------------

job() { job_id=$1 revision=$2 state=$3 expected_codes=$4; }

output() { # NAME JSON_NAME REQUIRED SIZE SHA256 COMPARATOR CONTENT_DIGEST CHECKSUMS REFERENCE PLACE
  name=$1 json_name=$2 required=$3 size=$4 sha256=$5 comparator=$6 content=$7 checksums=$8
  shift 8
  reference=$1 place=$2
  outputs=$outputs${place#"$work"/}$nl
  if [ ! -f "$place" ]; then
    [ "$required" = no ] || conclude MISSING R2 none "$name"
  elif has_same_bytes; then
    conclude IDENTICAL R7 sha256 "$name"
  else
    compare_content
  fi
}
has_same_bytes() {
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
rank_of() { # LEVEL: sets rank; R5~ stands between R4 and R5
  case $1 in *'~') rank=${1#R} && rank=${rank%'~'}0 && rank=$((rank - 5)) ;; *) rank=${1#R}0 ;; esac
}
conclude() { # VERDICT LEVEL COMPARATOR NAME
  printf '%s %s\n' "$1" "$4"
  if [ "$required" = yes ]; then
    case $1 in DIFFERENT | MISSING) differs=yes ;; esac
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
  codes='' ended=same unknown=no
  while IFS= read -r line; do codes="$codes${codes:+ }$line"; done <"$out/exit-codes.txt"
  expected=$expected_codes actual=$codes
  while [ -n "$expected$actual" ]; do
    one=${expected%% *} other=${actual%% *}
    [ "$one" = - ] && [ -n "$other" ] && unknown_code
    [ "$one" = "$other" ] || ended=otherwise
    case $expected in *' '*) expected=${expected#* } ;; *) expected='' ;; esac
    case $actual in *' '*) actual=${actual#* } ;; *) actual='' ;; esac
  done
  [ "$unknown" = no ] || case $state in
    succeeded | '') ;;
    *) case $codes in *[1-9]*) ;; *) ended=otherwise ;; esac ;; # it did not fail at all
  esac
  if [ "$ended" = same ]; then
    say "exit code: $codes, as recorded"
  else
    say "exit code: $codes, recorded was $expected_codes, of a job that is recorded as ${state:-ended}"
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
if [ ! -s "$out/exit-codes.txt" ]; then
  comparisons=''
  write_report R0
  give_up "no job ran in $out; run 'sh run.sh OUT' with a new folder."
fi
find_interpreter
comparisons='' outputs='' differs=no open=no lowest=R7 lowest_rank=70
section=expected
# shellcheck source=/dev/null
. "$(list_of outputs/expected)"
name_extra_files
compare_exit_codes

if [ "$ended" = otherwise ]; then
  write_report R1
  exit 1
fi
if [ "$differs" = yes ]; then
  write_report R2
  exit 1
fi
[ "$open" = no ] || give_up "equal as far as it can be told; some outputs are undecided (a Python with uproot decides), so no report is written."
case $state in succeeded | '') ;; *) lowest='R1=' ;; esac
write_report "$lowest"
say "verify.sh: job ${job_id:-?} was reproduced, level $lowest"
exit 0
