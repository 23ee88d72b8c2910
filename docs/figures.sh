#!/usr/bin/env bash
# Every figure on a fixed small input, the first 16 episodes of the agent that ships, and
# all of them on one sheet: some minutes. Rough numbers; for looking at the drawing.
#
#   bash docs/figures.sh            # or WIDTH=single, double, slide
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=.venv/bin/python
agent=agents/crafter_small_size1m out=logdir/figures width=${WIDTH:-auto}
pair=(--data "$out/trajectories" --control "$out/untrained")

$python dreamerv3/main.py --logdir $agent --script eval_trajectory \
  --eval_trajectory.num_episodes 16 --eval_trajectory.layers 'deter,stoch,tokens' \
  --eval_trajectory.save_path $out/trajectories
$python dreamerv3/main.py --logdir $agent --script replay_activations \
  --replay_activations.source_data $out/trajectories \
  --replay_activations.save_path $out/untrained \
  --replay_activations.layers 'deter,stoch,tokens' \
  --replay_activations.load_checkpoint False
$python dreamerv3/decode_position.py "${pair[@]}" --save $out/decoded --repr deter \
  --save_model --n_iters 0 --no-perception --width "$width"
$python dreamerv3/decode_position.py "${pair[@]}" --save $out/layers --mode layers \
  --n_iters 0 --no-perception --width "$width"
$python dreamerv3/tuning_curve.py "${pair[@]}" --save $out/tuned --layers deter tokens \
  --max_neurons 64 --n_shuffles 20 --no_intervals --width "$width"
$python dreamerv3/main.py --logdir $agent --script dream_decode \
  --dream_decode.decoder_model $out/decoded/classifier_deter.pkl \
  --dream_decode.save_path $out/dreamed --dream_decode.num_batches 2 \
  --dream_decode.width "$width"
$python dreamerv3/manifold_analysis.py "${pair[@]}" --save $out/manifold \
  --dream_data $out/dreamed/dream_results.pkl --max_wake_samples 800 --n_shuffles 20 \
  --n_boot 50 --width "$width"
$python dreamerv3/plot_training.py --logdir $agent --save $out/training --width "$width"
for plot in trajectories heatmap activation spatial world fullworld world_only; do
  $python dreamerv3/plot_trajectories.py --data $out/trajectories --save $out/paths \
    --plot $plot --width "$width"
done
$python docs/contact_sheet.py $out $out/sheet.png
