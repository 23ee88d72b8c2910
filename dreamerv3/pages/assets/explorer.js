// All units: a scatter of two scores, filters, a list, and the unit that was chosen.

const LISTED = 100;

class Explorer {
  constructor(root, units) {
    this.units = units;
    this.count = units.unit.length;
    this.scores = [...units.scores, ...units.scores.filter(x => x.control).map(untrained)];
    this.mask = new Uint8Array(this.count).fill(1);
    this.chosen = -1;
    this.part = name => root.querySelector(`[data-part="${name}"]`);
    this.classes = new Set(units.classes.keys());
    this.panel = new UnitPanel(this.part('unit'), units);
    this.build();
    this.cloud = new Cloud(this.part('cloud'), i => this.choose(i));
    this.draw();
    this.filter();
    const best = this.rows().reduce((a, b) => (this.better(b, a) ? b : a), -1);
    if (best >= 0) this.choose(best);
  }

  build() {
    const {units} = this;
    for (const [name, first] of [['x', 0], ['y', 1], ['score', 1]]) {
      const select = this.part(name);
      this.scores.forEach((score, i) => select.append(
        make('option', {value: i, textContent: full(score)})));
      select.value = Math.min(first, this.scores.length - 1);
      select.onchange = () => (name === 'score' ? this.filter() : this.axes());
    }
    const layer = this.part('layer');
    layer.append(make('option', {value: -1, textContent: `all ${units.layers.length}`}));
    units.layers.forEach((name, i) => layer.append(
      make('option', {value: i, textContent: name})));
    layer.onchange = () => this.filter();
    for (const name of ['least', 'most']) this.part(name).oninput = () => this.filter();
    this.buildClasses();
    this.part('search').onsubmit = event => {
      event.preventDefault();
      this.search(this.part('number').value);
    };
    this.part('csv').onclick = () => this.export();
    this.part('previous').onclick = () => this.step(-1);
    this.part('next').onclick = () => this.step(1);
    for (const note of units.notes) {
      this.part('notes').append(make('p', {textContent: note}));
    }
  }

  buildClasses() {
    const counts = new Uint32Array(this.units.classes.length);
    for (const x of this.units.class) counts[x]++;
    this.part('kind').textContent = this.units.tested
      ? 'Class by test against chance' : 'Class by thresholds alone (nothing was tested)';
    this.units.classes.forEach((about, i) => {
      if (!counts[i]) return;
      const swatch = make('i');
      swatch.style.background = about.color;
      const button = make('button',
        {type: 'button', className: 'chip', data: {class: i}}, swatch,
        `${about.name} ${counts[i].toLocaleString('en')}`);
      button.setAttribute('aria-pressed', 'true');
      button.onclick = () => this.toggle(i, button);
      button.ondblclick = () => this.only(i);
      this.part('classes').append(button);
    });
  }

  toggle(i) {
    if (!this.classes.delete(i)) this.classes.add(i);
    this.press();
  }

  only(i) {
    this.classes = new Set([i]);
    this.press();
  }

  press() {
    for (const button of this.part('classes').children) {
      button.setAttribute('aria-pressed', this.classes.has(Number(button.dataset.class)));
    }
    this.filter();
  }

  axes() {
    this.draw();
    this.list();
  }

  draw() {
    const [x, y] = this.axisScores();
    this.cloud.show({
      x: x.values, y: y.values, labels: [full(x), full(y)], color: this.units.class,
      palette: this.units.classes.map(c => c.color), mask: this.mask,
    });
    this.cloud.choose(this.chosen);
  }

  axisScores() {
    return ['x', 'y'].map(k => this.scores[Number(this.part(k).value)]);
  }

  filter() {
    const layer = Number(this.part('layer').value);
    const {values} = this.scores[Number(this.part('score').value)];
    const [low, high] = ['least', 'most'].map(k => parseFloat(this.part(k).value));
    const kinds = Uint8Array.from(this.units.classes, (_, i) => this.classes.has(i));
    let left = 0;
    for (let i = 0; i < this.count; i++) {
      const stays = kinds[this.units.class[i]] && (layer < 0 || this.units.layer[i] === layer)
        && !(values[i] < low) && !(values[i] > high)
        && (!Number.isNaN(values[i]) || (Number.isNaN(low) && Number.isNaN(high)));
      this.mask[i] = stays ? 1 : 0;
      left += this.mask[i];
    }
    this.left = left;
    this.part('count').textContent =
      `${left.toLocaleString('en')} of ${this.count.toLocaleString('en')} units`;
    this.cloud.filter(this.mask);
    this.list();
  }

  better(a, b) {
    const [, y] = this.axisScores();
    return b < 0 || y.values[a] > y.values[b] || Number.isNaN(y.values[b]);
  }

  // Units that pass the filter.
  rows() {
    const found = [];
    for (let i = 0; i < this.count; i++) if (this.mask[i]) found.push(i);
    return found;
  }

  // Sorted by the score of the vertical axis, the largest first; all, or the first ones.
  sorted(most = Infinity) {
    const [, {values}] = this.axisScores();
    const key = i => (Number.isNaN(values[i]) ? -Infinity : values[i]);
    let rows = this.rows();
    if (rows.length > most) {
      const keys = Float32Array.from(rows, key).sort();
      const least = keys[keys.length - most];
      rows = rows.filter(i => key(i) >= least);
    }
    return rows.sort((a, b) => key(b) - key(a) || a - b).slice(0, most);
  }

  list() {
    const [x, y] = this.axisScores();
    clear(this.part('list'), ...this.sorted(LISTED).map(i => {
      const about = this.units.classes[this.units.class[i]];
      const swatch = make('i', {className: 'swatch'});
      swatch.style.background = about.color;
      const line = make('tr', {data: {row: i}},
        make('td', {}, make('button', {type: 'button', textContent: this.name(i)})),
        make('td', {}, swatch, about.name),
        make('td', {textContent: shown(x.values[i])}),
        make('td', {textContent: shown(y.values[i])}));
      line.onclick = () => this.choose(i);
      return line;
    }));
    this.part('head-x').textContent = full(x);
    this.part('head-y').textContent = full(y);
    this.part('more').textContent = this.left > LISTED
      ? `The first ${LISTED} by the vertical axis; the csv has all ${this.left.toLocaleString('en')}.`
      : '';
    this.mark();
  }

  mark() {
    for (const line of this.part('list').children) {
      line.classList.toggle('chosen', Number(line.dataset.row) === this.chosen);
    }
  }

  name(i) {
    return `${this.units.layers[this.units.layer[i]]} ${this.units.unit[i]}`;
  }

  choose(i) {
    this.chosen = i;
    this.cloud.choose(i);
    this.panel.show(i, this.name(i));
    this.mark();
  }

  step(by) {
    const order = this.sorted();
    if (!order.length) return;
    const at = order.indexOf(this.chosen);
    this.choose(order[at < 0 ? 0 : (at + by + order.length) % order.length]);
  }

  // "12", "deter 12" or "dyn/deter 12"; the layer of the filter where none is named.
  search(text) {
    const match = text.trim().match(/^(.*?)[\s#:]*(\d+)$/);
    const say = line => { this.part('found').textContent = line; };
    if (!match) return say('Type the number of a unit, with a layer before it if you like.');
    const [, part, number] = match;
    const only = Number(this.part('layer').value);
    const fits = i => this.units.unit[i] === Number(number)
      && (part ? this.units.layers[this.units.layer[i]].includes(part)
        : only < 0 || this.units.layer[i] === only);
    for (let i = 0; i < this.count; i++) {
      if (fits(i)) { this.choose(i); return say(`${this.name(i)}`); }
    }
    return say(`No unit ${number}${part ? ` in a layer with "${part}"` : ''} was measured.`);
  }

  export() {
    const {units} = this;
    const head = ['layer', 'unit', units.tested ? 'class_tested' : 'class',
      ...this.scores.map(x => x.name)];
    const rows = this.sorted().map(i => [units.layers[units.layer[i]], units.unit[i],
      units.classes[units.class[i]].name,
      ...this.scores.map(x => Number(x.values[i].toPrecision(4)))]);
    save('units.csv', csv(head, rows));
  }
}

// The same score of the untrained network, for axes, filters and lists.
function untrained(score) {
  return {...score, name: `${score.name}_untrained`, label: `untrained: ${score.label}`,
    values: score.control};
}

function full(score) {
  return score.unit ? `${score.label} [${score.unit}]` : score.label;
}
