"""All figures of a folder on one sheet, each with its name, for looking.

python docs/contact_sheet.py logdir/figures logdir/figures/sheet.png
"""

import pathlib
import sys

from PIL import Image, ImageDraw

WIDE, GAP, ACROSS = 900, 24, 3  # pixels of a figure and between two; columns


def main() -> None:
  """Writes the sheet."""
  folder, out = (pathlib.Path(x) for x in sys.argv[1:3])
  paths = sorted(x for x in folder.rglob('*.png') if x != out)
  if not paths:
    sys.exit(f'{folder} has no figures.')
  columns: list[list[tuple[pathlib.Path, Image.Image]]] = [[] for _ in range(ACROSS)]
  heights = [0] * ACROSS
  for path in paths:  # into the shortest column
    picture = Image.open(path).convert('RGB')
    picture = picture.resize((WIDE, max(picture.height * WIDE // picture.width, 1)))
    k = heights.index(min(heights))
    columns[k].append((path, picture))
    heights[k] += picture.height + 2 * GAP
  sheet = Image.new('RGB', (ACROSS * (WIDE + GAP), max(heights)), 'white')
  pen = ImageDraw.Draw(sheet)
  for k, column in enumerate(columns):
    top = 0
    for path, picture in column:
      pen.text((k * (WIDE + GAP), top + 6), str(path.relative_to(folder)), fill='black')
      sheet.paste(picture, (k * (WIDE + GAP), top + GAP))
      top += picture.height + 2 * GAP
  sheet.save(out)
  print(f'{out}: {len(paths)} figures')


if __name__ == '__main__':
  main()
