#!/usr/bin/env bash
# Set up, render the small datasets, and compare no regularization, weight decay and weight rescaling
# on a detector and a segmentor. What is done already is not done again: a second call is instant.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup.sh
.venv/bin/wrs-mm data make mini
.venv/bin/wrs-mm bench run configs/benchmarks/mini.yaml --work-dir work_dirs/mini "$@"
.venv/bin/wrs-mm bench report work_dirs/mini > /dev/null
echo "The report: work_dirs/mini/report.html (the table alone: work_dirs/mini/table.md)"
