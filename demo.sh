#!/usr/bin/env bash
# What the agent that ships knows about space: all analyses beside the untrained network
# on the same path, then a minute of further training.
#
#   make demo          or, in an environment of your own:   bash demo.sh
#
# Called again, it goes on with what is there. `make demo-train` begins from scratch.
set -euo pipefail

SELF=demo.sh
ROOT=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
# shellcheck source=slurm/common.sh
source "$ROOT/slurm/common.sh"

# Settings
LOGDIR=${LOGDIR:-}                    # folder of a run; empty: the agent that ships
NUM_EPISODES=${NUM_EPISODES:-60}      # episodes to record
SECONDS_MORE=${SECONDS_MORE:-60}      # of further training; 0: none

AGENT=${LOGDIR:-${HERE}agents/crafter_small_size1m}
OUT=logdir/$(basename "$AGENT")
MAIN="${HERE}dreamerv3/main.py"
LAYERS=(enc/tokens dyn/stoch dyn/deter pol/mlp/linear2)
PAIR=(--data "$OUT/trajectories" --control "$OUT/trajectories_untrained")

quietly() {  # what a command prints goes into a log
  if [ "$DRY_RUN" = 1 ]; then
    run "$@"
    return
  fi
  mkdir -p "$OUT"
  echo "+ $*"
  "$@" >"$OUT/demo.log" 2>&1 || { tail -5 "$OUT/demo.log" >&2; exit 1; }
}

quietly "$PYTHON" "$MAIN" --logdir "$AGENT" --script eval_trajectory \
  --eval_trajectory.num_episodes "$NUM_EPISODES" --eval_trajectory.all_episodes False
quietly "$PYTHON" "$MAIN" --logdir "$AGENT" --script replay_activations \
  --replay_activations.source_data "$OUT/trajectories" \
  --replay_activations.save_path "$OUT/trajectories_untrained" \
  --replay_activations.load_checkpoint False --replay_activations.all_episodes False
quietly "$PYTHON" "${HERE}dreamerv3/decode_position.py" "${PAIR[@]}" --repr deter \
  --save "$OUT/decoder_results" --save_model --n_jobs -1
quietly "$PYTHON" "${HERE}dreamerv3/decode_position.py" "${PAIR[@]}" --mode layers \
  --layers "${LAYERS[@]}" --save "$OUT/layer_results" --n_jobs -1
quietly "$PYTHON" "${HERE}dreamerv3/tuning_curve.py" "${PAIR[@]}" \
  --layers enc/tokens dyn/deter --max_neurons 256 --save "$OUT/tuning_results" --n_jobs -1
quietly "$PYTHON" "$MAIN" --logdir "$AGENT" --script dream_decode \
  --dream_decode.decoder_model "$OUT/decoder_results/classifier_deter.pkl" \
  --dream_decode.num_episodes 12
quietly "$PYTHON" "${HERE}dreamerv3/manifold_analysis.py" "${PAIR[@]}" \
  --max_wake_samples 2500 --n_shuffles 100 --save "$OUT/manifold_results" \
  --dream_data "$OUT/dream_results/dream_results.pkl"
quietly "$PYTHON" "${HERE}dreamerv3/plot_trajectories.py" --data "$OUT/trajectories" \
  --plot trajectories --save "$OUT/plots"
quietly "$PYTHON" "${HERE}dreamerv3/plot_training.py" --logdir "$AGENT"
quietly "$PYTHON" "${HERE}dreamerv3/report.py" --logdir "$AGENT" --save "$OUT/report.html"
if [ "$SECONDS_MORE" != 0 ]; then
  quietly "$PYTHON" "$MAIN" --configs crafter_small size1m --logdir logdir/demo_further \
    --run.from_checkpoint "$AGENT" --env.crafter.random_spawn True \
    --batch_size 8 --batch_length 32 --agent.opt.lr 1e-4 --run.envs 16 \
    --run.train_ratio 64 --run.duration "$SECONDS_MORE" --run.log_every 10 \
    --run.report_every 0
  quietly "$PYTHON" "${HERE}dreamerv3/plot_training.py" --logdir logdir/demo_further
fi
echo
run "$PYTHON" "${HERE}dreamerv3/summarize.py" --logdir "$AGENT" --verdicts
echo "Further training: logdir/demo_further/plots. The one page to open: $OUT/report.html"
