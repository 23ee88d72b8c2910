"""What could a card do at most? From its maker's data sheets, found by its name.

  find('NVIDIA H200').tflops

Products of matrices of bfloat16 without sparsity, sums in float32 (data sheets often
print the number with sparsity, which is twice as large), and bytes of its memory.
Sources: NVIDIA's data sheets of H200, H100, A100, L40S and L4, and its white paper
"NVIDIA Ada GPU Architecture" (tensor cores with sums in float32) for RTX cards.
"""

from typing import NamedTuple


class Card(NamedTuple):
  """Peak TFLOP/s of dense bfloat16 products, and TB/s of memory; 0 if unknown."""

  tflops: float
  tbytes: float


# Words that a card's name must hold; the first row that fits counts.
CARDS = (
  (('H200', 'NVL'), Card(835, 4.8)),
  (('H200',), Card(989, 4.8)),
  (('H100', 'NVL'), Card(835, 3.9)),
  (('H100', 'PCIe'), Card(756, 2.0)),
  (('H100',), Card(989, 3.35)),
  (('A100', '80GB'), Card(312, 2.0)),
  (('A100',), Card(312, 1.555)),
  (('L40S',), Card(362, 0.864)),
  (('L40',), Card(181, 0.864)),
  (('L4',), Card(121, 0.3)),
  (('RTX', '4090'), Card(165, 1.008)),
  (('RTX', '3090'), Card(71, 0.936)),
)
# Words of a card that is less, or more, than the one it is named after.
OTHERS = {'MIG', 'Laptop', 'D', 'Ti'}


def find(name: str, tflops: float = 0.0, tbytes: float = 0.0) -> Card:
  """A card's peaks by the name that JAX gives it.

  Args:
    name: as of `device_kind`: 'NVIDIA H100 80GB HBM3'.
    tflops, tbytes: what counts instead, if not 0.
  """
  words = name.replace('-', ' ').split()
  known = next((x for need, x in CARDS if {*need} <= {*words}), Card(0, 0))
  known = known if OTHERS.isdisjoint(words) else Card(0, 0)
  return Card(tflops or known.tflops, tbytes or known.tbytes)
