// A scatter of any number of units: uPlot draws axes and zooms, the points are pixels.

const MARGIN = 0.04;

class Cloud {
  // pick(i) is called for a clicked unit.
  constructor(holder, pick) {
    this.holder = holder;
    this.pick = pick;
    this.layer = document.createElement('canvas');
    this.chosen = -1;
    this.plot = null;
  }

  // x, y: Float32Array (N); color: Uint8Array (N) into palette; mask: Uint8Array (N).
  show({x, y, labels, color, palette, mask}) {
    Object.assign(this, {x, y, color, mask});
    this.palette = palette.map(rgba);
    this.order = drawingOrder(color, palette.length);
    this.extent = [spread(x), spread(y)];
    this.build(labels);
  }

  build(labels) {
    if (this.plot) this.plot.destroy();
    const width = this.holder.clientWidth;
    const height = Math.round(Math.min(Math.max(width * 0.7, 260), 460));
    const axis = (label, size) => ({
      label, size, labelSize: 20, stroke: ink('text'), grid: {stroke: ink('grid'), width: 1},
      ticks: {stroke: ink('grid'), width: 1}, font: '12px system-ui', labelFont: '13px system-ui',
      values: (_, ticks) => ticks.map(value => shown(value)),
    });
    const [ex, ey] = this.extent;
    this.plot = new uPlot({
      width, height,
      legend: {show: false},
      scales: {
        x: {time: false, auto: false, min: ex[0], max: ex[1]},
        y: {auto: false, min: ey[0], max: ey[1]},
      },
      axes: [axis(labels[0], 36), axis(labels[1], 52)],
      series: [{}, {}],
      cursor: {
        points: {show: false},
        drag: {x: true, y: true, uni: 20},
        bind: {dblclick: () => () => { this.reset(); return null; }},
      },
      hooks: {
        draw: [() => this.paint()],
        setCursor: [() => this.hover()],
      },
    }, [ex, [null, null]], this.holder);
    clicks(this.plot.over, event => this.clicked(event));
  }

  reset() {
    const [[x0, x1], [y0, y1]] = this.extent;
    this.plot.batch(() => {
      this.plot.setScale('x', {min: x0, max: x1});
      this.plot.setScale('y', {min: y0, max: y1});
    });
  }

  filter(mask) {
    this.mask = mask;
    this.plot.redraw(false);
  }

  choose(i) {
    this.chosen = i;
    if (this.plot) this.plot.redraw(false);
  }

  // Screen place of a value: a + b value, in pixels of the canvas.
  frame() {
    const {left, top, width, height} = this.plot.bbox;
    const {x, y} = this.plot.scales;
    const bx = width / (x.max - x.min);
    const by = height / (y.max - y.min);
    return {left, top, width, height, bx, ax: -x.min * bx, by: -by, ay: height + y.min * by};
  }

  paint() {
    const {ctx} = this.plot;
    const f = this.frame();
    const [w, h] = [Math.round(f.width), Math.round(f.height)];
    if (w < 1 || h < 1) return;
    this.layer.width = w;
    this.layer.height = h;
    const draw = this.layer.getContext('2d');
    const image = draw.createImageData(w, h);
    this.stamp(new Uint32Array(image.data.buffer), w, h, f);
    draw.putImageData(image, 0, 0);
    ctx.drawImage(this.layer, Math.round(f.left), Math.round(f.top));
    const i = this.chosen;
    if (i < 0 || Number.isNaN(this.x[i]) || Number.isNaN(this.y[i])) return;
    const [px, py] = [f.left + f.ax + f.bx * this.x[i], f.top + f.ay + f.by * this.y[i]];
    if (px < f.left || px > f.left + w || py < f.top || py > f.top + h) return;
    ctx.save();
    ctx.lineWidth = 2 * devicePixelRatio;
    for (const [size, style] of [[9, ink('paper')], [7, ink('text')]]) {
      ctx.beginPath();
      ctx.strokeStyle = style;
      ctx.arc(px, py, size * devicePixelRatio, 0, 2 * Math.PI);
      ctx.stroke();
    }
    ctx.restore();
  }

  stamp(pixels, w, h, f) {
    const {x, y, mask, color, palette, order} = this;
    const disc = discOf(order.length, w);
    for (let k = 0; k < order.length; k++) {
      const i = order[k];
      if (!mask[i]) continue;
      const px = Math.round(f.ax + f.bx * x[i]);
      const py = Math.round(f.ay + f.by * y[i]);
      if (!(px >= 0 && px < w && py >= 0 && py < h)) continue;
      const value = palette[color[i]];
      for (let d = 0; d < disc.length; d += 2) {
        const [qx, qy] = [px + disc[d], py + disc[d + 1]];
        if (qx >= 0 && qx < w && qy >= 0 && qy < h) pixels[qy * w + qx] = value;
      }
    }
  }

  // The unit nearest to a place, at most 12 css pixels away; -1 for none.
  nearest(left, top) {
    if (left < 0) return -1;
    const ratio = devicePixelRatio;
    const f = this.frame();
    let [best, at] = [(12 * ratio) ** 2, -1];
    for (let i = 0; i < this.x.length; i++) {
      if (!this.mask[i]) continue;
      const dx = f.ax + f.bx * this.x[i] - left * ratio;
      const dy = f.ay + f.by * this.y[i] - top * ratio;
      const far = dx * dx + dy * dy;
      if (far < best) [best, at] = [far, i];
    }
    return at;
  }

  clicked(event) {
    // Not the plot's cursor, which follows the mouse a frame later.
    const frame = this.plot.over.getBoundingClientRect();
    const i = this.nearest(event.clientX - frame.left, event.clientY - frame.top);
    if (i >= 0) this.pick(i);
  }

  hover() {
    const {left, top} = this.plot.cursor;
    this.plot.over.style.cursor = this.nearest(left, top) >= 0 ? 'pointer' : 'crosshair';
  }

  // Where a unit is on the screen [css pixels of the window].
  place(i) {
    const f = this.frame();
    const over = this.plot.over.getBoundingClientRect();
    return [
      over.left + (f.ax + f.bx * this.x[i]) / devicePixelRatio,
      over.top + (f.ay + f.by * this.y[i]) / devicePixelRatio,
    ];
  }
}

function rgba(hex) {
  const value = parseInt(hex.slice(1), 16);
  // Pixels are little endian: alpha, blue, green, red.
  return (0xff000000 | ((value & 255) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
}

// Common classes below, rare ones above, so that no few are hidden by many.
function drawingOrder(color, classes) {
  const counts = new Uint32Array(classes);
  for (const c of color) counts[c]++;
  const ranks = [...counts.keys()].sort((a, b) => counts[b] - counts[a] || a - b);
  const starts = new Uint32Array(classes);
  let total = 0;
  for (const c of ranks) { starts[c] = total; total += counts[c]; }
  const order = new Uint32Array(color.length);
  for (let i = 0; i < color.length; i++) order[starts[color[i]]++] = i;
  return order;
}

// Offsets of the pixels of a point; smaller for many.
function discOf(count, width) {
  const ratio = devicePixelRatio || 1;
  const share = (90 / Math.sqrt(Math.max(count, 1))) * (width / ratio / 500);
  const radius = ratio * Math.min(Math.max(share, 1.1), 4);
  const found = [];
  const most = Math.ceil(radius);
  for (let dx = -most; dx <= most; dx++) {
    for (let dy = -most; dy <= most; dy++) {
      if (dx * dx + dy * dy <= radius * radius) found.push(dx, dy);
    }
  }
  return found;
}

// From the lowest to the highest value, with a margin.
function spread(values) {
  const [low, high] = rangeOf(values);
  const room = (high - low || Math.abs(high) || 1) * MARGIN;
  return [low - room, high + room];
}
