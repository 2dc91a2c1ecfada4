#!/usr/bin/env bash
# Fine-tunes Higgs Audio v2 with LoRA: the name and the options that guides for this model use, for swift_plugins.launch.
#
#   scripts/train_higgs_audio.sh --model DIR --dataset_path rows.jsonl --output_dir OUT [any argument of `swift sft`]
#
# Several processes: NPROC_PER_NODE=2 scripts/train_higgs_audio.sh …; several machines: NNODES, NODE_RANK, MASTER_ADDR too.
set -euo pipefail

project="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
python="${PYTHON:-$project/.venv/bin/python}"
[ -x "$(command -v "$python")" ] || python=python

arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
    --dataset_path) arguments+=(--dataset) ;;
    --dataset_path=*) arguments+=("--dataset=${1#*=}") ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
set -- "${arguments[@]}"

# The project is found from any folder, and what lies in that folder is not taken for a module.
export PYTHONPATH="$project${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1
# Used unless given: the last one counts, and what is given comes last.
exec "$python" -m swift_plugins.launch sft \
  --lora_rank 32 --lora_alpha 64 --learning_rate 5e-5 --warmup_ratio 0.05 --num_train_epochs 3 \
  --per_device_train_batch_size 2 --gradient_accumulation_steps 8 --logging_steps 5 --save_steps 200 \
  "$@"
