// Plays recorded episodes: frame, path and decoded place on the map, vitals, traces.

const FRAME = 256;
const MAP = 520;

class Player {
  constructor(root, data, units) {
    this.data = data;
    this.part = name => root.querySelector(`[data-part="${name}"]`);
    this.traces = data.traces && units ? new Traces(data, units, (k, t) => this.jump(k, t)) : null;
    this.t = 0;
    this.timer = null;
    this.pictures = [];
    this.unit = null;
    const select = this.part('episode');
    data.episodes.forEach((x, k) => select.append(
      make('option', {value: k, textContent: titled(x)})));
    select.onchange = () => this.open(Number(select.value));
    this.part('time').oninput = () => this.seek(Number(this.part('time').value));
    this.part('play').onclick = () => (this.timer ? this.pause() : this.play());
    this.part('back').onclick = () => { this.pause(); this.seek(this.t - 1); };
    this.part('on').onclick = () => { this.pause(); this.seek(this.t + 1); };
    this.part('pick').onchange = () => this.follow(Number(this.part('pick').value));
    for (const note of data.notes) this.part('notes').append(make('p', {textContent: note}));
    if (this.traces) this.fill(units);
    else this.part('pick').parentElement.hidden = true;
  }

  async start() {
    this.terrain = await picture(this.data.world);
    await this.open(0);
  }

  fill(units) {
    const select = this.part('pick');
    for (const i of this.data.traces.rows) {
      const name = `${units.layers[units.layer[i]]} ${units.unit[i]}`;
      select.append(make('option', {value: i, textContent: name}));
    }
    this.unit = this.data.traces.rows[0];
  }

  // Shows the trace of a unit, if it is among those of the page.
  follow(unit) {
    if (!this.traces || !this.traces.has(unit)) return;
    this.unit = unit;
    this.part('pick').value = unit;
    if (this.episode) this.charts();
  }

  async open(k) {
    this.pause();
    this.k = k;
    this.part('episode').value = k;
    this.episode = this.data.episodes[k];
    const {length, pos, frames, seen} = this.episode;
    this.path = Array.from({length}, (_, t) => pos[2 * t] * this.data.area[1] + pos[2 * t + 1]);
    if (frames && !this.pictures[k]) this.pictures[k] = await picture(frames.file);
    this.part('time').max = length - 1;
    this.part('said').textContent = this.episode.decoded
      ? (seen ? 'The decoder was fitted to this episode: its error here is no test.'
        : 'The decoder never saw this episode.')
      : 'No decoder of this layer was saved, so no place is decoded.';
    this.charts();
    this.seek(0);
  }

  charts() {
    const {lines, length, unlocked} = this.episode;
    const x = Array.from({length}, (_, t) => t);
    const go = t => { this.pause(); this.seek(t); };
    const marks = unlocked.map(([t]) => t);
    const groups = [
      ['Vitals', ['health', 'food', 'drink', 'energy'], [0, 9.5]],
      ['Value expected', ['value'], null],
      ['Reward', ['reward'], null],
    ];
    const holders = [];
    this.lines = [];
    const panels = groups.filter(([, names]) => names.some(n => lines[n])).map(([title, names, range]) => {
      const holder = make('div', {className: 'line'});
      holders.push(() => timeline(holder, {x, marks, click: go, range,
        series: names.filter(n => lines[n]).map(n => [n, lines[n]])}));
      return make('div', {}, make('h4', {textContent: title}), holder);
    });
    if (this.traces && this.unit !== null) {
      const holder = make('div', {className: 'line'});
      const values = this.traces.of(this.unit, this.k);
      holders.push(() => timeline(holder, {x, click: go, series: [['activation', values]]}));
      panels.push(make('div', {}, make('h4',
        {textContent: `Activation of ${this.traces.name(this.unit)}`}), holder));
    }
    clear(this.part('charts'), ...panels);
    this.lines = holders.map(x => x());
    this.lines.forEach(line => line.at(this.t));
  }

  jump(k, t) {
    this.pause();
    const there = k === this.k ? Promise.resolve() : this.open(k);
    there.then(() => this.seek(t));
    this.part('frame').scrollIntoView({block: 'center', behavior: 'smooth'});
  }

  play() {
    if (this.t >= this.episode.length - 1) this.seek(0);
    this.part('play').textContent = 'Pause';
    const tick = () => {
      if (this.t >= this.episode.length - 1) return this.pause();
      this.seek(this.t + 1);
      this.timer = setTimeout(tick, 1000 / Number(this.part('speed').value));
    };
    this.timer = setTimeout(tick, 0);
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = null;
    this.part('play').textContent = 'Play';
  }

  seek(t) {
    this.t = Math.min(Math.max(t, 0), this.episode.length - 1);
    this.part('time').value = this.t;
    this.frame();
    this.map();
    this.words();
    this.lines.forEach(line => line.at(this.t));
  }

  frame() {
    const canvas = this.part('frame');
    const {frames} = this.episode;
    const sheet = this.pictures[this.k];
    canvas.hidden = !sheet;
    if (!sheet) return;
    const [w, h] = frames.size;
    const side = Math.min(FRAME, this.part('stage').clientWidth);
    const draw = sized(canvas, side, side * h / w);
    draw.imageSmoothingEnabled = false;
    draw.drawImage(sheet, (this.t % frames.across) * w,
      Math.floor(this.t / frames.across) * h, w, h, 0, 0, side, side * h / w);
  }

  map() {
    const {decoded} = this.episode;
    const canvas = this.part('map');
    const width = Math.min(MAP, this.part('stage').clientWidth);
    const all = [0, 0, ...this.data.area];
    const world = new World(canvas, this.data.area, this.terrain, all, width);
    world.begin();
    const row = this.t - 1;
    if (decoded && row >= 0) {
      const wide = decoded.tiles.shape[1];
      const part = list => list.subarray(row * wide, (row + 1) * wide);
      world.heat(part(decoded.tiles), part(decoded.p));
    }
    world.line(this.path.slice(0, this.t + 1), ink('real'));
    if (decoded && row >= 0) world.mark(decoded.named[row], ink('decoded'), true);
    world.mark(this.path[this.t], ink('real'));
  }

  words() {
    const {actions, lines, decoded, unlocked, length} = this.episode;
    const t = this.t;
    const [x, y] = this.tile(this.path[t]);
    const facts = [['step', `${t} of ${length - 1}`], ['place', `(${x}, ${y})`]];
    if (decoded && t > 0) {
      const named = decoded.named[t - 1];
      const [dx, dy] = this.tile(named);
      const wide = decoded.tiles.shape[1];
      const from = (t - 1) * wide;
      const at = decoded.tiles.subarray(from, from + wide).indexOf(named);
      const p = at < 0 ? '' : `, ${Math.round(decoded.p[from + at] / 2.55)} %`;
      facts.push(['decoded', `(${dx}, ${dy})${p}`]);
      facts.push(['error', `${Math.abs(dx - x) + Math.abs(dy - y)} tiles`]);
    }
    if (actions.length) facts.push(['action', actions[t]]);
    for (const name of ['value', 'reward', 'health', 'food', 'drink', 'energy', 'daylight']) {
      if (lines[name]) facts.push([name, shown(lines[name][t], 2)]);
    }
    const now = unlocked.filter(([at]) => at === t).map(([, name]) => name);
    if (now.length) facts.push(['first time', now.join(', ')]);
    clear(this.part('facts'), ...facts.flatMap(([k, v]) => [
      make('dt', {textContent: k}), make('dd', {textContent: v})]));
  }

  tile(tile) {
    return [Math.floor(tile / this.data.area[1]), tile % this.data.area[1]];
  }

  redraw() {
    this.charts();
    this.seek(this.t);
  }
}

// Activations of the traced units in the player's episodes.
class Traces {
  constructor(data, units, jump) {
    this.packed = data.traces;
    this.units = units;
    this.jump = jump;
    this.lengths = data.episodes.map(x => x.length);
    this.numbers = data.episodes.map(x => x.number);
    this.starts = this.lengths.map((_, k) => this.lengths.slice(0, k).reduce((a, b) => a + b, 0));
    this.place = new Map([...this.packed.rows].map((unit, i) => [unit, i]));
  }

  has(unit) { return this.place.has(unit); }

  name(unit) { return `${this.units.layers[this.units.layer[unit]]} ${this.units.unit[unit]}`; }

  of(unit, k) {
    const all = row(this.packed, this.place.get(unit));
    return all.slice(this.starts[k], this.starts[k] + this.lengths[k]);
  }

  // All episodes one after another, in the panel of a unit.
  draw(holder, unit) {
    const all = row(this.packed, this.place.get(unit));
    timeline(holder, {
      x: Array.from(all, (_, t) => t), series: [['activation', all]],
      marks: this.starts.slice(1), click: t => this.at(t),
    });
    holder.append(make('div', {className: 'key', textContent:
      `episodes ${this.numbers.join(', ')}, one after another; grey lines part them`}));
  }

  at(t) {
    const k = this.starts.findLastIndex(start => start <= t);
    this.jump(k, t - this.starts[k]);
  }
}

function titled(episode) {
  const cut = episode.length < episode.whole ? `the first ${episode.length} of ${episode.whole}` : episode.length;
  return `episode ${episode.number}, ${cut} steps`;
}
