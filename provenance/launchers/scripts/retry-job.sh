#!/bin/sh
# retry-job.sh BUNDLE [OUTPUT]... - try a recorded job again: the recorded code, configuration, scripts, environment and inputs, from
# its bundle (a tar that is here, or an address to fetch it from), under the hook that lies beside this script.
# retry-job.sh --list FILE - the same for the line of FILE whose number is $PROCESS, counted from 0: the fields are task, stage,
# campaign, unit, the job that is tried again, and its bundle, parted by tabs.
# The bundle lays everything out; its steps run one by one under the hook, so that the try has a record of its own: JOBPROV_UNIT,
# JOBPROV_RETRY_OF and their like in the environment say whose. Outputs are brought to the folder that this was started in.
# Needs a POSIX shell, tar and python3; git where the bundle holds code.
set -u
refuse() {
  echo "retry-job.sh: $*" >&2
  exit 125
}
[ $# -gt 0 ] || refuse "usage: sh retry-job.sh BUNDLE [OUTPUT]..., or --list FILE"
here=$(pwd -P)
if [ "$1" = --list ]; then
  [ $# -eq 2 ] || refuse "--list wants a file after it."
  list=$2
  [ -f "$list" ] || list=${CONDOR_DIR_INPUT:-$here}/$2
  line=$(sed -n "$((${PROCESS:-0} + 1))p" "$list")
  [ -n "$line" ] || refuse "$2 has no line for process ${PROCESS:-0}."
  tab=$(printf '\t')
  field() { printf '%s\n' "$line" | cut -d "$tab" -f "$1"; }
  JOBPROV_TASK_ID=$(field 1) JOBPROV_STAGE=$(field 2) JOBPROV_CAMPAIGN=$(field 3)
  JOBPROV_UNIT=$(field 4) JOBPROV_RETRY_OF=$(field 5)
  export JOBPROV_TASK_ID JOBPROV_STAGE JOBPROV_CAMPAIGN JOBPROV_UNIT JOBPROV_RETRY_OF
  set -- "$(field 6)"
fi
bundle=$1
shift
beside=$here
[ -f "$beside/job-end-hook.pyz" ] || beside=${CONDOR_DIR_INPUT:-$here}
[ -f "$beside/job-end-hook.pyz" ] || refuse "job-end-hook.pyz is not beside this script."
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
mkdir "$place" "$place/bundle" || refuse "cannot write in $here."
tar -x -f "$bundle" -C "$place/bundle" || refuse "$bundle is no bundle."
for root in "$place"/bundle/*; do :; done
[ -f "$root/data/run.sh" ] || refuse "$bundle holds no run.sh, so it is no bundle."

# What the record says of the files that it read and made; names of more outputs may have been given.
told() {
  "$python" - "$root/data/JOB.json" "$1" <<'TOLD'
import json, sys
with open(sys.argv[1], encoding="utf-8") as record:
    files = json.load(record).get(sys.argv[2]) or []
roles = ("configuration", "shared")
print("\n".join(file.get("path") or file["name"] for file in files if file.get("role") not in roles))
TOLD
}
JOBPROV_INPUT=$(told inputs)
JOBPROV_OUTPUT=$({ [ $# -eq 0 ] || printf '%s\n' "$@"; told outputs; } | sort -u)
JOBPROV_ANNOUNCE=1
export JOBPROV_INPUT JOBPROV_OUTPUT JOBPROV_ANNOUNCE
case ${JOBPROV_TOKEN_FILE:-/} in /*) ;; *) [ ! -f "$here/$JOBPROV_TOKEN_FILE" ] || export JOBPROV_TOKEN_FILE="$here/$JOBPROV_TOKEN_FILE" ;; esac

quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }
# What the job's own shell does: run.sh gives it the recorded environment and none of ours.
{
  printf 'here=%s out=%s python=%s hook=%s\n' "$(quoted "$root/data")" "$(quoted "$place/out")" \
    "$(quoted "$python")" "$(quoted "$beside/job-end-hook.pyz")"
  env | sed -n 's/^\(JOBPROV_[A-Z_]*\)=.*/\1/p;s/^\(_CONDOR_JOB_AD\|_CONDOR_MACHINE_AD\|_CONDOR_SCRATCH_DIR\)=.*/\1/p' | sort -u |
    while read -r name; do
      value=''
      eval "value=\$$name"
      printf 'export %s=%s\n' "$name" "$(quoted "$value")"
    done
  cat <<'STEPS'
. "$here/lib.sh"
name_folders "$out"
# The code as a checkout of its commit, so that the record of this try names it.
for folder in "$out"/git/*; do
  name=${folder##*/}
  [ -d "$folder/objects" ] && [ -d "$src/$name" ] || continue
  url=$(sed -n 's/^ "url": "\(.*\)",*$/\1/p' "$here/git/$name/ref.json")
  cp "$here/git/$name/shallow" "$folder/HEAD"
  printf '[core]\n\trepositoryformatversion = 0\n\tbare = false\n[remote "origin"]\n\turl = %s\n' "$url" >"$folder/config"
  printf 'gitdir: %s\n' "$folder" >"$src/$name/.git"
done
# The first step is told what the job reads, the last what it makes; the others find out.
inputs=$JOBPROV_INPUT outputs=$JOBPROV_OUTPUT
unset JOBPROV_INPUT JOBPROV_OUTPUT
section=steps job='' total=0 number=0
step() { total=$((total + 1)); }
. "$here/command/steps.sh"
# The inputs, each as the arguments name it where they do: the hook takes one path for one file.
as_named() { # [ARGUMENT]...
  printf '%s\n' "$inputs" | while IFS= read -r input; do
    found=$input
    for word in "$@"; do
      case $word in "${input##*/}" | */"${input##*/}") found=$word ;; esac
    done
    printf '%s\n' "$found"
  done
}
code=0 stopped=no
step() { # NAME EXPECTED_CODE PROGRAM [ARGUMENT]...
  step_name=$1 number=$((number + 1))
  shift 2
  [ "$stopped" = no ] || return 0
  read='' made=''
  [ "$number" -ne 1 ] || read=$(as_named "$@")
  [ "$number" -ne "$total" ] || made=$outputs
  JOBPROV_INPUT=$read JOBPROV_OUTPUT=$made "$python" "$hook" step --name "$step_name" --role payload -- "$@" </dev/null
  step_code=$?
  [ "$step_code" -eq 0 ] || { code=$step_code stopped=yes; }
}
cd "$work" || exit 125
"$python" "$hook" start </dev/null
. "$here/command/steps.sh"
"$python" "$hook" end --exit-code "$code" </dev/null
printf '%s\n' "$code" >"$out/code"
exit "$code"
STEPS
} >"$place/steps" || refuse "cannot write in $place."

from=--from-src
[ ! -d "$root/data/git" ] || ! command -v git >/dev/null 2>&1 || from=--from-git
# run.sh's shell thinks that somebody types, and would prompt before each line: one line is enough.
printf 'exec sh %s\n' "$(quoted "$place/steps")" |
  sh "$root/data/run.sh" "$from" --input-dir "$here" --shell "$place/out"
code=$?
[ -f "$place/out/code" ] || exit "$code" # it was not started; run.sh said why
code=$(cat "$place/out/code")
printf '%s\n' "$JOBPROV_OUTPUT" | while IFS= read -r output; do
  case $output in '' | /*) continue ;; esac
  for file in "$place/out/work/$output" "$place/out/work/$output.json"; do
    [ ! -f "$file" ] || mv -f "$file" "$here/${file##*/}"
  done
done
rm -rf "$place"
exit "$code"
