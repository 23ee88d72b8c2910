#!/usr/bin/env bash
# Makes the pictures of the README anew, from the agent that ships: about three quarters
# of an hour on 2 cores. What it printed last is quoted in README.md and the agent's card.
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
into=(--configs crafter_small size1m --seed 1 --env.crafter.random_spawn True
  --run.envs 16 --run.train_ratio 64 --agent.opt.lr 1e-4 --agent.opt.warmup 50
  --agent.imag_loss.actent 2e-3 --run.steps 6000 --run.log_every 10
  --run.report_every 0)
$python dreamerv3/main.py "${into[@]}" --logdir logdir/other_world \
  --run.from_checkpoint $agent
$python dreamerv3/main.py "${into[@]}" --logdir logdir/from_scratch
$python dreamerv3/plot_training.py --no_achievements --smooth 10 \
  --logdir logdir/other_world:"from the agent that ships" \
  --compare logdir/from_scratch:"from scratch"

cp $out/plots/training_progress.png $out/layer_results/layer_comparison.png \
  $out/tuning_results/layer_summary.png $out/dream_results/dream_vs_real.png \
  $out/manifold_results/dyn_deter_srsa.png docs/images/
cp $out/plots/world_overlay.png docs/images/
cp logdir/other_world/plots/training_progress.png docs/images/going_on.png
$python dreamerv3/summarize.py --logdir $agent --verdicts
