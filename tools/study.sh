#!/usr/bin/env bash
# Set up, make the small data sets that a plan of configs/benchmarks needs, run the plan, and draw its report:
#   bash tools/study.sh mini_transfer
# What is done already is not done again: a call that was stopped, or killed, is repeated.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
name="${1:-}"
plan="configs/benchmarks/$name.yaml"
if [ -z "$name" ] || [ ! -f "$plan" ]; then
  echo "study.sh: error: give the name of a plan, one of: $(cd configs/benchmarks && echo *.yaml | sed 's/\.yaml//g')" >&2
  exit 2
fi
shift
bash tools/setup.sh
# What a recipe trains on is in the folder that it is in.
for data in mini/=mini data/fresh=fresh real/=real pretrain/resnet18=shapes; do
  if grep -v '^ *#' "$plan" | grep -q "${data%=*}"; then .venv/bin/wrs-mm data make "${data#*=}"; fi
done
.venv/bin/wrs-mm bench run "$plan" --work-dir "work_dirs/$name" "$@"
.venv/bin/wrs-mm bench report "work_dirs/$name" > /dev/null
echo "The report: work_dirs/$name/report.html (the table alone: work_dirs/$name/table.md)"
