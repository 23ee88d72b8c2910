"""How colours look to dichromats, and how far apart two of them are.

Protanopia, deuteranopia and tritanopia by the matrices of Machado, Oliveira and
Fernandes (2009, doi:10.1109/TVCG.2009.113) for linear RGB at severity 1; distances by
CIEDE2000 (Sharma, Wu and Dalal 2005, doi:10.1002/col.20070).
"""

import numpy as np

SEEN_BY: dict = {
  'trichromats': [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  'protanopia': [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  'deuteranopia': [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
  ],
  'tritanopia': [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.303900],
  ],
}
TO_XYZ = [
  [0.4124564, 0.3575761, 0.1804375],
  [0.2126729, 0.7151522, 0.0721750],
  [0.0193339, 0.1191920, 0.9503041],
]
WHITE = (0.95047, 1.0, 1.08883)


def lab(rgb, seen_by='trichromats'):
  """CIELAB (N, 3) of sRGB colours (N, 3) in [0, 1], as someone sees them."""
  rgb = np.asarray(rgb)
  linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
  linear = np.clip(linear @ np.transpose(SEEN_BY[seen_by]), 0, 1)
  xyz = linear @ np.transpose(TO_XYZ) / WHITE
  f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
  x, y, z = np.moveaxis(f, -1, 0)
  return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def ciede2000(first, second):
  """Colour difference of CIELAB colours (..., 3)."""
  (l1, a1, b1), (l2, a2, b2) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
  mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
  g = 0.5 * (1 - np.sqrt(mean**7 / (mean**7 + 25.0**7)))
  a1, a2 = a1 * (1 + g), a2 * (1 + g)
  c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
  h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
  grey = c1 * c2 == 0
  dh = np.where(grey, 0, (h2 - h1 + 180) % 360 - 180)
  dl, dc = l2 - l1, c2 - c1
  dh_ = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(dh / 2))
  l, c = (l1 + l2) / 2, (c1 + c2) / 2
  h = np.where(grey, h1 + h2, (h1 + dh / 2) % 360)
  t = 1 - 0.17 * _cos(h - 30) + 0.24 * _cos(2 * h)
  t += 0.32 * _cos(3 * h + 6) - 0.2 * _cos(4 * h - 63)
  sl = 1 + 0.015 * (l - 50) ** 2 / np.sqrt(20 + (l - 50) ** 2)
  sc, sh = 1 + 0.045 * c, 1 + 0.015 * c * t
  turn = np.sin(np.radians(60 * np.exp(-(((h - 275) / 25) ** 2))))
  rt = -2 * np.sqrt(c**7 / (c**7 + 25.0**7)) * turn
  parts = (dl / sl) ** 2 + (dc / sc) ** 2 + (dh_ / sh) ** 2
  return np.sqrt(parts + rt * dc / sc * dh_ / sh)


def _cos(degrees):
  return np.cos(np.radians(degrees))
