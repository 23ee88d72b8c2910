// Dreams beside what really followed, step by step.

const COLORS = {
  policy: 'decoded', replay: 'line1', observed: 'line3', permuted: 'line4', untrained: 'muted',
};
const FIRST = ['policy', 'replay'];

class Dreams {
  constructor(root, data) {
    this.data = data;
    this.part = name => root.querySelector(`[data-part="${name}"]`);
    this.shownPaths = new Set(FIRST);
    [this.count, this.steps] = data.valid.shape;
    const select = this.part('dream');
    for (let i = 0; i < this.count; i++) {
      const episode = data.episode[i] > 1e6 ? `fresh episode ${data.episode[i] - 1e6}` : `episode ${data.episode[i]}`;
      select.append(make('option', {value: i, textContent: `${i + 1}: ${episode}, from step ${data.t[i]}`}));
    }
    select.onchange = () => this.open(Number(select.value));
    this.part('step').oninput = () => this.seek(Number(this.part('step').value));
    for (const [name, label] of Object.entries(data.labels)) {
      const swatch = make('i', {className: 'swatch'});
      swatch.dataset.ink = COLORS[name];
      const input = make('input', {type: 'checkbox', checked: this.shownPaths.has(name)});
      input.onchange = () => {
        if (!this.shownPaths.delete(name)) this.shownPaths.add(name);
        this.redraw();
      };
      this.part('paths').append(make('label', {}, input, swatch, label));
    }
    for (const note of data.notes) this.part('notes').append(make('p', {textContent: note}));
  }

  async start() {
    this.terrain = await picture(this.data.world);
    this.open(0);
  }

  open(i) {
    this.i = i;
    this.part('dream').value = i;
    this.length = 0;
    for (let h = 0; h < this.steps; h++) this.length += this.data.valid[i * this.steps + h];
    this.part('step').max = this.length - 1;
    this.seek(this.length - 1);
  }

  path(list, steps = this.steps) {
    return list.subarray(this.i * steps, (this.i + 1) * steps);
  }

  seek(h) {
    this.h = Math.min(Math.max(h, 0), this.length - 1);
    this.part('step').value = this.h;
    this.redraw();
  }

  redraw() {
    const {data, h} = this;
    const width = Math.min(MAP, this.part('stage').clientWidth);
    const [w, y] = data.area;
    const world = new World(this.part('map'), data.area, this.terrain, [0, 0, w, y], width);
    world.begin();
    if (h > 0 && this.shownPaths.has('policy')) {
      const wide = data.tiles.shape[2];
      const from = (this.i * (this.steps - 1) + h - 1) * wide;
      world.heat(data.tiles.subarray(from, from + wide), data.p.subarray(from, from + wide));
    }
    world.line(this.path(data.past, data.past.shape[1]), ink('muted'), true);
    const real = this.path(data.real);
    const there = Object.keys(data.paths).filter(x => this.shownPaths.has(x));
    for (const name of there) {
      world.line(this.path(data.paths[name]).slice(0, h + 1), ink(COLORS[name]), true);
    }
    world.line(real.slice(0, h + 1), ink('real'));
    for (const name of there) world.mark(this.path(data.paths[name])[h], ink(COLORS[name]), true);
    world.mark(real[h], ink('real'));
    for (const swatch of this.part('paths').querySelectorAll('.swatch')) {
      swatch.style.background = ink(swatch.dataset.ink);
    }
    this.words(real);
  }

  words(real) {
    const {data, h} = this;
    const far = tile => {
      const [a, b] = [this.tile(tile), this.tile(real[h])];
      return Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1]);
    };
    const rows = Object.entries(data.labels).map(([name, label]) => {
      const tile = this.path(data.paths[name])[h];
      return make('tr', {}, make('th', {textContent: label}),
        make('td', {textContent: `(${this.tile(tile).join(', ')})`}),
        make('td', {textContent: `${far(tile)}`}));
    });
    this.part('now').textContent =
      `Step ${h} of ${this.length - 1}; really at (${this.tile(real[h]).join(', ')})`;
    clear(this.part('errors'), ...rows);
  }

  tile(tile) {
    return [Math.floor(tile / this.data.area[1]), tile % this.data.area[1]];
  }
}
