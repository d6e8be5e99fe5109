#!/bin/sh
# retry-job.sh BUNDLE [OUTPUT]... - try a recorded job again: the recorded code, configuration, scripts, environment and inputs, from
# its bundle (a tar that is here, or an address to fetch it from), under the hook that lies beside this script.
# The bundle lays everything out; its steps run one by one under the hook, so that the try has a record of its own: JOBPROV_UNIT,
# JOBPROV_RETRY_OF and their like in the environment say whose. Outputs are brought to the folder that this was started in.
# Needs a POSIX shell, tar and python3; git where the bundle holds code.
set -u
[ $# -gt 0 ] || { echo "usage: sh retry-job.sh BUNDLE [OUTPUT]..." >&2 && exit 125; }
bundle=$1
shift
refuse() {
  echo "retry-job.sh: $*" >&2
  exit 125
}
here=$(pwd -P)
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

quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"; }
# What the job's own shell does: run.sh gives it the recorded environment and none of ours.
{
  printf 'exec 2>&1\nhere=%s out=%s python=%s hook=%s\n' "$(quoted "$root/data")" "$(quoted "$place/out")" \
    "$(quoted "$python")" "$(quoted "$beside/job-end-hook.pyz")"
  env | sed -n 's/^\(JOBPROV_[A-Z_]*\)=.*/\1/p;s/^\(_CONDOR_JOB_AD\|_CONDOR_MACHINE_AD\|_CONDOR_SCRATCH_DIR\)=.*/\1/p' | sort -u |
    while read -r name; do
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
code=0 stopped=no
step() { # NAME EXPECTED_CODE PROGRAM [ARGUMENT]...
  step_name=$1
  shift 2
  [ "$stopped" = no ] || return 0
  "$python" "$hook" step --name "$step_name" --role payload -- "$@" </dev/null
  step_code=$?
  [ "$step_code" -eq 0 ] || { code=$step_code stopped=yes; }
}
cd "$work" || exit 125
"$python" "$hook" start </dev/null
section=steps
job=''
. "$here/command/steps.sh"
"$python" "$hook" end --exit-code "$code" </dev/null
printf '%s\n' "$code" >"$out/code"
exit "$code"
STEPS
} >"$place/steps" || refuse "cannot write in $place."

from=--from-src
[ ! -d "$root/data/git" ] || ! command -v git >/dev/null 2>&1 || from=--from-git
sh "$root/data/run.sh" "$from" --input-dir "$here" --shell "$place/out" <"$place/steps"
code=$?
[ -f "$place/out/code" ] || exit "$code" # it was not started; run.sh said why
code=$(cat "$place/out/code")
for output in "$@"; do
  for file in "$place/out/work/$output" "$place/out/work/$output.json"; do
    [ ! -f "$file" ] || mv -f "$file" "$here/${file##*/}"
  done
done
rm -rf "$place"
exit "$code"
