"""The bytes of an update and of an action are told without computing them."""

import pytest

from bench import transfers


def test_bytes_of_a_small_agent(capsys):
  argv = ['--presets', 'debug', '--batch', '2', '--length', '4', '--envs', '3']
  assert transfers.main(argv) == 0
  names, values = (x.split()[1:] for x in capsys.readouterr().out.splitlines())
  row = {k: float(v) for k, v in zip(names, values, strict=True)}
  assert 2 * 5 * 64 * 64 * 3 / 1e6 < row['sent'] < 0.13
  latents = 2 * 4 * (2 * 8 + 2)
  assert latents + 2 * 4 * 20 < 1e6 * row['fetched'] < latents + 2 * 4 * 20 + 200
  assert 1e6 * (row['vectors'] - row['fetched']) == pytest.approx(2 * 4 * 2 * 7)
  assert row['act_sent'] == pytest.approx(3 * (64 * 64 * 3 + 1 + 8) / 1e6, rel=1e-3)
