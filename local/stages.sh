# Stages that run one after the other, for run.sh and run_voxceleb.sh, which define STAGES (their
# names), functions stage_0, stage_1 ..., and `again`, the command that starts them again.
script_name=${0##*/}
current_stage=

die() {
  echo "$script_name: $*" >&2
  exit 1
}

refuse() {
  echo "$script_name: $* (./$script_name -h shows what there is)" >&2
  exit 2
}

check_stage() {
  local last=$((${#STAGES[@]} - 1))
  [[ $2 =~ ^[0-9]$ && $2 -le $last ]] || refuse "$1 takes a number from 0 to $last, not '$2'"
}

say_where_to_restart() {
  local code=$?
  [[ $code -eq 0 || -z $current_stage ]] ||
    echo "$script_name: stage $current_stage (${STAGES[$current_stage]}) did not finish;" \
      "to start again there: $again --stage $current_stage" >&2
}

run_stages() {
  trap say_where_to_restart EXIT
  for ((current_stage = $1; current_stage <= $2; current_stage++)); do
    echo "== stage $current_stage: ${STAGES[$current_stage]}"
    "stage_$current_stage"
  done
  current_stage=
}
