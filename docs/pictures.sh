#!/usr/bin/env bash
# Makes the pictures of the README anew, from the agent that ships: about half an hour
# on 2 cores. What it printed last is quoted in README.md and the agent's card.
#
#   bash docs/pictures.sh
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=.venv/bin/python
agent=agents/crafter_small_size1m out=logdir/crafter_small_size1m
pair=(--data "$out/trajectories" --control "$out/trajectories_untrained")

$python dreamerv3/main.py --logdir $agent --script eval_trajectory
$python dreamerv3/main.py --logdir $agent --script replay_activations \
  --replay_activations.source_data $out/trajectories \
  --replay_activations.save_path $out/trajectories_untrained \
  --replay_activations.load_checkpoint False
$python dreamerv3/decode_position.py "${pair[@]}" --save $out/decoder_results \
  --save_model --n_jobs -1
$python dreamerv3/main.py --logdir $agent --script dream_decode \
  --dream_decode.decoder_model $out/decoder_results/classifier_deter.pkl \
  --dream_decode.num_episodes 12
$python dreamerv3/manifold_analysis.py "${pair[@]}" --save $out/manifold_results \
  --dream_data $out/dream_results/dream_results.pkl --n_shuffles 100
$python dreamerv3/decode_position.py "${pair[@]}" --mode layers \
  --save $out/layer_results --n_jobs -1
$python dreamerv3/tuning_curve.py "${pair[@]}" --save $out/tuning_results \
  --max_neurons 512 --n_jobs -1
$python dreamerv3/plot_training.py --logdir $agent
$python dreamerv3/plot_trajectories.py --data $out/trajectories --plot world \
  --max_episodes 5 --save $out/plots

cp $out/plots/training_progress.png $out/layer_results/layer_comparison.png \
  $out/tuning_results/layer_summary.png $out/dream_results/dream_vs_real.png \
  $out/manifold_results/dyn_deter_srsa.png docs/images/
cp $out/plots/world_overlay.png docs/images/
$python dreamerv3/summarize.py --logdir $agent --verdicts
