#!/bin/sh
# retry-job.sh [OPTION]... BUNDLE [OUTPUT]... - try a recorded job again: the recorded code, configuration, scripts, environment and
# inputs, from its bundle (a tar that is here, or an address to fetch it from), under the hook that lies beside this script.
# retry-job.sh [OPTION]... --list FILE - the same for the line of FILE whose number is $PROCESS, counted from 0: the fields are task,
# stage, campaign, unit, the job that is tried again, and its bundle, parted by tabs.
#   --output-dir PLACE   for outputs of which nothing says where the job's own stage-out put them: a folder, or an address
#   --home NAME          a folder here for what cannot be put where it belongs, and for all such outputs without --output-dir (outputs)
# The bundle lays everything out; its steps run one by one under the hook, so that the try has a record of its own: JOBPROV_UNIT,
# JOBPROV_RETRY_OF and their like in the environment say whose. Inputs that the bundle lacks are staged in. Every file that the steps
# make or change is brought home before the work folder goes; where that fails, the folder stays.
# JOBPROV_FETCH_COMMAND and JOBPROV_STORE_COMMAND, such as "ifdh cp {url} {file}" and "ifdh cp {file} {url}", reach what cp, xrdcp and
# http cannot. Exit codes: the job's own; 66 an input is missing, 70 the steps made nothing, 73 an output is not home, 125 not started.
# Needs a POSIX shell, tar and python3; git where the bundle holds code.
set -u
say() { printf 'retry-job.sh: %s\n' "$*" >&2; }
refuse() {
  say "$*"
  exit 125
}
usage="usage: sh retry-job.sh [--output-dir PLACE] [--home NAME] BUNDLE [OUTPUT]..., or --list FILE"
here=$(pwd -P)
output_dir='' home=outputs list=''
while [ $# -gt 0 ]; do
  case $1 in
    --output-dir | --home | --list)
      [ $# -gt 1 ] || refuse "$1 wants a value after it."
      case $1 in --output-dir) output_dir=$2 ;; --home) home=$2 ;; --list) list=$2 ;; esac
      shift 2
      ;;
    *) break ;;
  esac
done
if [ -n "$list" ]; then
  [ $# -eq 0 ] || refuse "$usage"
  file=$list
  [ -f "$file" ] || file=${CONDOR_DIR_INPUT:-$here}/$list
  line=$(sed -n "$((${PROCESS:-0} + 1))p" "$file")
  [ -n "$line" ] || refuse "$list has no line for process ${PROCESS:-0}."
  tab=$(printf '\t')
  field() { printf '%s\n' "$line" | cut -d "$tab" -f "$1"; }
  JOBPROV_TASK_ID=$(field 1) JOBPROV_STAGE=$(field 2) JOBPROV_CAMPAIGN=$(field 3)
  JOBPROV_UNIT=$(field 4) JOBPROV_RETRY_OF=$(field 5)
  export JOBPROV_TASK_ID JOBPROV_STAGE JOBPROV_CAMPAIGN JOBPROV_UNIT JOBPROV_RETRY_OF
  set -- "$(field 6)"
fi
[ $# -gt 0 ] || refuse "$usage"
bundle=$1
shift
case $home in /*) rescue=$home ;; *) rescue=$here/$home ;; esac
case $output_dir in '') output_dir=$rescue ;; /* | *://*) ;; *) output_dir=$here/$output_dir ;; esac
# First of all: a batch system that is to bring this folder back must find it, however this ends
mkdir -p "$rescue" || refuse "cannot write in $here."
beside=$here
[ -f "$beside/job-end-hook.pyz" ] || beside=${CONDOR_DIR_INPUT:-$here}
hook=$beside/job-end-hook.pyz
[ -f "$hook" ] || refuse "job-end-hook.pyz is not beside this script."
python=$(command -v python3) || refuse "python3 is not on the PATH, and the hook needs it."

case $bundle in
  http://* | https://*)
    "$python" - "$bundle" "$here/bundle.tar" <<'FETCH' || refuse "the bundle cannot be fetched from $bundle."
import os, shutil, sys, urllib.request
request = urllib.request.Request(sys.argv[1])
name = os.environ.get("JOBPROV_TOKEN_FILE")
if name and os.path.isfile(name):
    with open(name) as token:
        request.add_header("Authorization", "Bearer " + token.read().strip())
with urllib.request.urlopen(request, timeout=600) as answer, open(sys.argv[2], "wb") as tar:
    shutil.copyfileobj(answer, tar)
FETCH
    bundle=bundle.tar
    ;;
esac
place=$here/retry-$$
mkdir "$place" "$place/bundle" "$place/inputs" || refuse "cannot write in $here."
tar -x -f "$bundle" -C "$place/bundle" || refuse "$bundle is no bundle."
for root in "$place"/bundle/*; do :; done
[ -f "$root/data/run.sh" ] || refuse "$bundle holds no run.sh, so it is no bundle."
cat >"$place/retry_files.py" <<'FILES' || refuse "cannot write in $here."
@retry_files.py@
FILES

# What the record says of the files that it read, a `NAMESPACE:|PATH` a line, and of where those are that it made.
told() {
  "$python" - "$root/data/JOB.json" "$1" <<'TOLD'
import json, sys
with open(sys.argv[1], encoding="utf-8") as stream:
    record = json.load(stream)
inputs, outputs = record.get("inputs") or [], record.get("outputs") or []
namespaces = {file.get("namespace") or "" for file in outputs}
if sys.argv[2] == "namespace":
    print(*namespaces if len(namespaces) == 1 else [""])
    sys.exit()
has_any = any(file.get("namespace") for file in inputs + outputs)
for file in inputs:
    if file.get("role") not in ("configuration", "shared"):
        is_plain = has_any and ":" not in file["name"]
        prefix = "{}:".format(file.get("namespace") or "") if is_plain else ""
        print("{}|{}".format(prefix, file.get("path") or file["name"]))
TOLD
}
JOBPROV_INPUT=$(told inputs)
JOBPROV_NAMESPACE=${JOBPROV_NAMESPACE:-$(told namespace)}
JOBPROV_OUTPUT=$([ $# -eq 0 ] || printf '%s\n' "$@")
JOBPROV_ANNOUNCE=1
# Another try takes this bundle, too, for the record of this one has only paths of its work folder; it keeps this variable
# Where no ad names this batch job, the recorded environment would name the first try: one job for both
if [ -z "${_CONDOR_JOB_AD:-}${JOBPROV_JOB_ID:-}" ]; then
  JOBPROV_JOB_ID=$("$python" -c 'import uuid; print(uuid.uuid4())')
  export JOBPROV_JOB_ID
fi
RETRY_BUNDLE_OF=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["job_id"])' "$root/data/JOB.json")
# A record that cannot be sent stays here, not in a home that goes with the work folder
JOBPROV_SPOOL=${JOBPROV_SPOOL:-${_CONDOR_SCRATCH_DIR:-$here}/jobprov-spool}
export JOBPROV_INPUT JOBPROV_NAMESPACE JOBPROV_OUTPUT JOBPROV_ANNOUNCE JOBPROV_SPOOL RETRY_BUNDLE_OF
case ${JOBPROV_TOKEN_FILE:-/} in /*) ;; *) [ ! -f "$here/$JOBPROV_TOKEN_FILE" ] || export JOBPROV_TOKEN_FILE="$here/$JOBPROV_TOKEN_FILE" ;; esac

# A try that cannot begin has a record as well, which says why: of one step, whose words are in a file.
JOBPROV_SAID=$place/said
export JOBPROV_SAID
fail() { # STEP ROLE CODE
  cat "$JOBPROV_SAID" >&2
  # shellcheck disable=SC2016 # for the inner shell
  JOBPROV_SAID_CODE=$3 JOBPROV_INPUT='' JOBPROV_OUTPUT='' "$python" "$hook" run --name "$1" --role "$2" -- \
    sh -c 'cat "$JOBPROV_SAID" >&2; exit "$JOBPROV_SAID_CODE"' </dev/null >/dev/null 2>&1
  rm -rf "$place"
  exit "$3"
}

"$python" "$place/retry_files.py" stage-in "$root/data" "$place/inputs" --beside "$here" --places "$beside/retry-places.tsv" \
  2>"$JOBPROV_SAID" || fail stage_in stage_in "$?"

quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }
# Our own environment, for what is done here and is not the job's: credentials, and the PATH with xrdcp and its like.
export -p >"$place/environment"
# What the job's own shell does: run.sh gives it the recorded environment and none of ours.
{
  printf 'here=%s out=%s python=%s hook=%s place=%s beside=%s\n' "$(quoted "$root/data")" "$(quoted "$place/out")" \
    "$(quoted "$python")" "$(quoted "$hook")" "$(quoted "$place")" "$(quoted "$beside")"
  printf 'output_dir=%s rescue=%s\n' "$(quoted "$output_dir")" "$(quoted "$rescue")"
  # shellcheck disable=SC2016 # for the job's shell: the job's scratch folder, as recorded, is its work folder; the hook has ours
  printf '%s\n' 'job_scratch=${_CONDOR_SCRATCH_DIR-}'
  env | sed -n 's/^\(JOBPROV_[A-Z_]*\)=.*/\1/p;s/^\(_CONDOR_JOB_AD\|_CONDOR_MACHINE_AD\|_CONDOR_SCRATCH_DIR\|RETRY_BUNDLE_OF\)=.*/\1/p' | sort -u |
    while read -r name; do
      value=''
      eval "value=\$$name"
      printf 'export %s=%s\n' "$name" "$(quoted "$value")"
    done
  cat <<'STEPS'
. "$here/lib.sh"
name_folders "$out"
job=''
read_paths
files() { (. "$place/environment" && exec "$python" "$place/retry_files.py" "$@"); }
# The code as a checkout of its commit, so that the record of this try names it.
for folder in "$out"/git/*; do
  name=${folder##*/}
  [ -d "$folder/objects" ] && [ -d "$src/$name" ] || continue
  url=$(sed -n 's/^ "url": "\(.*\)",*$/\1/p' "$here/git/$name/ref.json")
  if [ -d "$src/$name/.git" ]; then # run.sh laid it out, without where it came from
    printf '[remote "origin"]\n\turl = %s\n' "$url" >>"$src/$name/.git/config"
    continue
  fi
  cp "$here/git/$name/shallow" "$folder/HEAD"
  printf '[core]\n\trepositoryformatversion = 0\n\tbare = false\n[remote "origin"]\n\turl = %s\n' "$url" >"$folder/config"
  printf 'gitdir: %s\n' "$folder" >"$src/$name/.git"
done
# Where the recorded outputs lie in this try: by a path below the working folder, or by an absolute one.
output_folders='' outputs=$JOBPROV_OUTPUT
output() { # NAME JSON_NAME REQUIRED SIZE SHA256 COMPARATOR CONTENT_DIGEST CHECKSUMS REFERENCE PLACE
  shift 9
  output_folders=$output_folders${1%/*}$nl
  outputs=$outputs$nl${1#"$work"/}
}
section=expected job='' total=0 number=0
. "$here/outputs/expected.sh"
# What run.sh would set for the steps, and what is the batch system's own here.
processors() { :; }
niceness() { :; }
stdin_closed() { :; }
# The first step is told what the job reads, the last what it makes; the others find out.
inputs=$JOBPROV_INPUT
unset JOBPROV_INPUT JOBPROV_OUTPUT
section=steps
step() { total=$((total + 1)); }
. "$here/command/steps.sh"
# Files, each as the arguments name it where they do: the hook takes one path for one file. Its namespace stays before it.
as_named() { # FILES [ARGUMENT]...
  files_named=$1
  shift
  printf '%s\n' "$files_named" | while IFS= read -r file; do
    namespace=''
    case $file in *'|'*) namespace=${file%%|*} file=${file#*|} ;; esac
    found=$file
    for word in "$@"; do
      case $word in "${file##*/}" | */"${file##*/}") found=$word ;; esac
    done
    printf '%s\n' "$namespace$found"
  done
}
code=0 stopped=no
try() { # NAME EXPECTED_CODE PROGRAM [ARGUMENT]...
  step_name=$1 number=$((number + 1))
  shift 2
  [ "$stopped" = no ] || return 0
  read='' made=''
  [ "$number" -ne 1 ] || read=$(as_named "$inputs" "$@")
  [ "$number" -ne "$total" ] || made=$(as_named "$outputs" "$@")
  _CONDOR_SCRATCH_DIR=${job_scratch:-${_CONDOR_SCRATCH_DIR-}} JOBPROV_INPUT=$read JOBPROV_OUTPUT=$made \
    "$python" "$hook" step --name "$step_name" --role payload -- "$@" </dev/null
  step_code=$?
  [ "$step_code" -eq 0 ] || { code=$step_code stopped=yes; }
}
cd "$work" || exit 125
set -f
IFS=$nl
# shellcheck disable=SC2086 # a folder a line
files look "$place/before.json" "$work" "$elsewhere" $output_folders || exit 125
unset IFS
set +f
# The job of the record: its only step; for many steps there is no other name than ours
start() { "$python" "$hook" start -- "$@" </dev/null; }
step() { # NAME EXPECTED_CODE PROGRAM [ARGUMENT]...
  shift 2
  [ "$total" -ne 1 ] || start "$@"
}
. "$here/command/steps.sh"
[ "$total" -eq 1 ] || start retry-job.sh
step() { try "$@"; }
. "$here/command/steps.sh"
# Before the record is closed: a try whose outputs are lost is no success
files bring-home --before "$place/before.json" --data "$here" --work "$work" --elsewhere "$elsewhere" \
  --output-dir "$output_dir" --rescue "$rescue" --places "$beside/retry-places.tsv" --brought "$place/brought.json" \
  --made "$place/made" --hook "$hook" --code "$code" >"$place/retry-outputs.txt" 2>"$JOBPROV_SAID"
home_code=$?
cat "$place/retry-outputs.txt" "$JOBPROV_SAID" >&2
made=$(cat "$place/made" 2>/dev/null)
if [ "$home_code" -ne 0 ] && [ "$code" -eq 0 ]; then
  code=$home_code
  JOBPROV_SAID_CODE=$code "$python" "$hook" step --name stage_out --role stage_out -- \
    sh -c 'cat "$JOBPROV_SAID" >&2; exit "$JOBPROV_SAID_CODE"' </dev/null >/dev/null 2>&1
fi
JOBPROV_OUTPUT=$made JOBPROV_LOG=$place/retry-outputs.txt "$python" "$hook" end --exit-code "$code" </dev/null
files bring-sidecars --brought "$place/brought.json" || home_code=$?
printf '%s\n' "$home_code" >"$out/home-code"
printf '%s\n' "$code" >"$out/code"
exit "$code"
STEPS
} >"$place/steps" || refuse "cannot write in $place."

from=--from-src
[ ! -d "$root/data/git" ] || ! command -v git >/dev/null 2>&1 || from=--from-git
# run.sh's shell thinks that somebody types, and would prompt before each line: one line is enough.
printf 'exec sh %s\n' "$(quoted "$place/steps")" |
  sh "$root/data/run.sh" "$from" --no-own-root --no-fetch --input-dir "$place/inputs" --input-dir "$here" --shell "$place/out" 2>"$place/words"
code=$?
cat "$place/words" >&2
if [ ! -f "$place/out/code" ]; then
  [ ! -f "$place/before.json" ] || {
    say "it was stopped half way; all that the steps made is in $place/out."
    exit "$code"
  }
  cp "$place/words" "$JOBPROV_SAID"
  fail lay_out setup "$code"
fi
code=$(cat "$place/out/code")
home_code=$(cat "$place/out/home-code")
case $home_code in
  0 | 70) rm -rf "$place" ;; # all is home, or there was nothing
  *)
    say "the work folder stays: $place/out"
    [ "$code" -ne 0 ] || code=$home_code
    ;;
esac
exit "$code"
