// Maps of the world, north up: values of tiles, paths, and a bar with numbers.

// Seven points of viridis (CC0, by S. van der Walt and N. Smith), between them lines.
const VIRIDIS = [
  [68, 1, 84], [70, 50, 126], [54, 92, 141], [39, 127, 142],
  [31, 161, 135], [74, 193, 109], [253, 231, 37],
];

function viridis(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const i = Math.min(Math.floor(place), VIRIDIS.length - 2);
  const rest = place - i;
  return VIRIDIS[i].map((x, k) => Math.round(x + (VIRIDIS[i + 1][k] - x) * rest));
}

// The part of the world around tiles that are shown: [x, y, w, h], a margin included.
function box(tiles, area, margin = 1) {
  let [x0, y0, x1, y1] = [area[0], area[1], 0, 0];
  for (const tile of tiles) {
    const [x, y] = [Math.floor(tile / area[1]), tile % area[1]];
    x0 = Math.min(x0, x); x1 = Math.max(x1, x);
    y0 = Math.min(y0, y); y1 = Math.max(y1, y);
  }
  x0 = Math.max(x0 - margin, 0); y0 = Math.max(y0 - margin, 0);
  x1 = Math.min(x1 + margin, area[0] - 1); y1 = Math.min(y1 + margin, area[1] - 1);
  return [x0, y0, x1 - x0 + 1, y1 - y0 + 1];
}

// A value per visited tile; unvisited ones stay empty, walls are hatched dark.
function drawMap(canvas, values, about, range, width) {
  const [x0, y0, w, h] = about.box;
  const unit = width / w;
  const draw = sized(canvas, width, Math.ceil(h * unit));
  draw.fillStyle = ink('empty');
  draw.fillRect(0, 0, width, h * unit);
  if (about.walkable) {
    draw.fillStyle = ink('wall');
    for (let x = x0; x < x0 + w; x++) {
      for (let y = y0; y < y0 + h; y++) {
        if (!about.walkable[x * about.area[1] + y]) {
          draw.fillRect((x - x0) * unit, (y - y0) * unit, unit + 0.5, unit + 0.5);
        }
      }
    }
  }
  const span = range[1] > range[0] ? range[1] - range[0] : 1;
  about.tiles.forEach((tile, i) => {
    if (Number.isNaN(values[i])) return;
    const [x, y] = [Math.floor(tile / about.area[1]) - x0, (tile % about.area[1]) - y0];
    draw.fillStyle = `rgb(${viridis((values[i] - range[0]) / span)})`;
    draw.fillRect(x * unit, y * unit, unit + 0.5, unit + 0.5);
  });
  canvas.onmousemove = event => {
    const frame = canvas.getBoundingClientRect();
    const x = Math.floor((event.clientX - frame.left) / unit) + x0;
    const y = Math.floor((event.clientY - frame.top) / unit) + y0;
    const at = about.tiles.indexOf(x * about.area[1] + y);
    const value = at < 0 ? 'not visited' : shown(values[at]);
    canvas.title = `tile (${x}, ${y}): ${value}`;
  };
}

// The colours of a map with the numbers at both ends and in the middle.
function scaleBar(range, width) {
  const canvas = make('canvas');
  const draw = sized(canvas, width, 10);
  for (let x = 0; x < width; x++) {
    draw.fillStyle = `rgb(${viridis(x / (width - 1))})`;
    draw.fillRect(x, 0, 1, 10);
  }
  const middle = (range[0] + range[1]) / 2;
  const ends = make('div', {className: 'ends'},
    ...shownAlike([range[0], middle, range[1]]).map(textContent => make('span', {textContent})));
  ends.style.width = `${width}px`;
  return make('div', {className: 'bar'}, canvas, ends);
}

// Lowest and highest of some values, NaN left out.
function rangeOf(...lists) {
  let [low, high] = [Infinity, -Infinity];
  for (const list of lists) {
    for (const x of list) {
      if (x < low) low = x;
      if (x > high) high = x;
    }
  }
  return low <= high ? [low, high] : [0, 1];
}

// Terrain, then paths and marks of tiles, for the player and for dreams.
class World {
  constructor(canvas, area, terrain, frame, width) {
    this.area = area;
    [this.x0, this.y0, this.w, this.h] = frame;
    this.unit = width / this.w;
    this.draw = sized(canvas, width, Math.ceil(this.h * this.unit));
    this.terrain = terrain;
    this.width = width;
  }

  begin() {
    const {draw, unit} = this;
    draw.globalAlpha = 1;
    draw.fillStyle = ink('empty');
    draw.fillRect(0, 0, this.width, this.h * unit);
    if (!this.terrain) return;
    const px = this.terrain.naturalWidth / this.area[0];
    draw.imageSmoothingEnabled = false;
    draw.globalAlpha = 0.55;
    draw.drawImage(this.terrain, this.x0 * px, this.y0 * px, this.w * px, this.h * px,
      0, 0, this.width, this.h * unit);
    draw.globalAlpha = 1;
  }

  at(tile) {
    return [
      (Math.floor(tile / this.area[1]) - this.x0 + 0.5) * this.unit,
      ((tile % this.area[1]) - this.y0 + 0.5) * this.unit,
    ];
  }

  line(tiles, color, dashed = false) {
    const {draw} = this;
    for (const [wide, style] of [[4, ink('paper')], [2, color]]) {
      draw.beginPath();
      draw.setLineDash(dashed ? [4, 3] : []);
      draw.lineWidth = wide;
      draw.strokeStyle = style;
      draw.lineJoin = 'round';
      tiles.forEach((tile, i) => draw[i ? 'lineTo' : 'moveTo'](...this.at(tile)));
      draw.stroke();
    }
    draw.setLineDash([]);
  }

  // Tiles filled by their probability, the largest at full strength.
  heat(tiles, p) {
    const {draw, unit} = this;
    const most = Math.max(...p, 1);
    tiles.forEach((tile, i) => {
      if (!p[i]) return;
      const [x, y] = this.at(tile);
      draw.globalAlpha = 0.15 + 0.75 * (p[i] / most);
      draw.fillStyle = ink('decoded');
      draw.fillRect(x - unit / 2, y - unit / 2, unit, unit);
    });
    draw.globalAlpha = 1;
  }

  mark(tile, color, square = false) {
    const {draw} = this;
    const size = Math.max(this.unit * 0.36, 4);
    const [x, y] = this.at(tile);
    draw.beginPath();
    if (square) draw.rect(x - size, y - size, 2 * size, 2 * size);
    else draw.arc(x, y, size, 0, 2 * Math.PI);
    draw.lineWidth = 2;
    draw.fillStyle = color;
    draw.strokeStyle = ink('paper');
    draw.fill();
    draw.stroke();
  }
}
