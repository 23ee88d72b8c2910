// One unit: its map beside the control's, facing, models, scores, where it was active.

const FACINGS = [['right', 1, 0], ['left', -1, 0], ['up', 0, -1], ['down', 0, 1]];
const DETAILS = ['EVs', 'EV_best', 'SI', 'MI', 'stability', 'map_reliability', 'HD_info',
  'HD_info_given_place', 'SI_given_HD', 'field_r2', 'wall_r2', 'border_score', 'pf_peaks',
  'fieldsize', 'morans_i', 'mean'];

class UnitPanel {
  constructor(root, units) {
    this.root = root;
    this.units = units;
    this.by = Object.fromEntries(units.scores.map((x, i) => [x.name, i]));
    this.place = new Map([...units.rows].map((row, i) => [row, i]));
    this.about = {
      area: units.area, tiles: units.tiles, walkable: units.walkable,
      box: box(units.tiles, units.area),
    };
    this.traces = null;
  }

  value(name, i, control = false) {
    const score = this.units.scores[this.by[name]];
    if (!score) return NaN;
    if (!control) return score.values[i];
    return score.control ? score.control[i] : NaN;
  }

  show(i, name) {
    this.now = [i, name];
    const about = this.units.classes[this.units.class[i]];
    const swatch = make('i', {className: 'swatch'});
    swatch.style.background = about.color;
    const simple = this.units.classes[this.units.simple[i]].name;
    clear(this.root,
      make('h3', {textContent: name}),
      make('p', {className: 'class'}, swatch, make('b', {textContent: about.name}),
        this.units.tested ? ` by test; by thresholds alone ${simple}` : ''),
      this.maps(i), this.facing(i), this.models(i), this.trace(i), this.table(i));
    if (this.draw) this.draw();
  }

  maps(i) {
    const at = this.place.get(i);
    const {maps, maps_control: control} = this.units;
    if (at === undefined) {
      return make('p', {className: 'note',
        textContent: 'The map of this unit is not in this page; see the note above.'});
    }
    const lists = [['trained', row(maps, at)]];
    if (control) lists.push(['untrained', row(control, at)]);
    const room = this.root.clientWidth - 32; // its padding
    const width = Math.floor(Math.min(210, (room - 12 * (lists.length - 1)) / lists.length));
    const figures = lists.map(([title, values]) => {
      const canvas = make('canvas', {className: 'map', role: 'img',
        'aria-label': `map of mean activation, ${title}`});
      const range = rangeOf(values);
      if (values.every(Number.isNaN)) {
        return make('figure', {}, make('figcaption', {textContent: title}),
          make('p', {className: 'note', textContent: 'not measured'}));
      }
      drawMap(canvas, values, this.about, range, width);
      return make('figure', {}, make('figcaption', {textContent: title}), canvas,
        scaleBar(range, width));
    });
    return make('div', {}, make('h4', {textContent: 'Mean activation on each visited tile'}),
      make('div', {className: 'maps'}, ...figures));
  }

  facing(i) {
    const own = [...this.units.facing.subarray(4 * i, 4 * i + 4)];
    if (own.some(Number.isNaN)) return null;
    const other = this.units.facing_control
      ? [...this.units.facing_control.subarray(4 * i, 4 * i + 4)] : [];
    const all = [['trained', own]];
    if (other.length && !other.some(Number.isNaN)) all.push(['untrained', other]);
    const rows = FACINGS.map(([name], k) => make('tr', {}, make('th', {textContent: name}),
      ...all.flatMap(([, values]) => {
        const [low, high] = rangeOf(values, [0]);
        const bar = make('i');
        bar.style.width = `${100 * Math.abs(values[k]) / Math.max(Math.abs(low), Math.abs(high), 1e-9)}%`;
        if (values[k] < 0) bar.className = 'below';
        return [make('td', {className: 'bars'}, bar), make('td', {textContent: shownAlike(values)[k]})];
      })));
    const head = make('tr', {}, make('th'), ...all.map(([name]) => make('th', {colSpan: 2, textContent: name})));
    return make('div', {}, make('h4', {textContent: 'Mean activation by facing'}),
      make('table', {className: 'facing'}, make('thead', {}, head), make('tbody', {}, ...rows)));
  }

  models(i) {
    const found = this.units.scores.filter(x => /^EV_/.test(x.name) && x.name !== 'EV_best'
      && !Number.isNaN(x.values[i]));
    if (!found.length) return null;
    const best = this.units.model.names[this.units.model.index[i]];
    const rows = found.map(x => {
      const key = x.name.slice(3);
      const gain = this.value(`gain_${key}`, i);
      const bar = make('i');
      bar.style.width = `${100 * Math.max(0, Math.min(x.values[i], 1))}%`;
      return make('tr', {className: best.split('+').includes(key) ? 'best' : ''},
        make('th', {textContent: key.replaceAll('_', ' ')}),
        make('td', {className: 'bars'}, bar),
        make('td', {textContent: shown(x.values[i], 2)}),
        make('td', {textContent: shown(gain, 2)}));
    });
    const words = best ? best.replaceAll('_', ' ').replaceAll('+', ' + ') : 'nothing';
    const head = make('tr', {}, make('th', {textContent: 'covariate'}),
      make('th', {colSpan: 2, textContent: 'alone'}), make('th', {textContent: 'adds to place'}));
    return make('div', {}, make('h4', {textContent: 'What predicts it on held-out episodes'}),
      make('p', {textContent: `Best from ${words}: ${shown(this.value('EV_best', i), 2)} of its variance.`}),
      make('table', {className: 'models'}, make('thead', {}, head), make('tbody', {}, ...rows)));
  }

  table(i) {
    const compared = this.units.scores.some(x => x.control);
    const rows = DETAILS.filter(x => x in this.by).map(name => {
      const score = this.units.scores[this.by[name]];
      const wall = name === 'border_score' && this.units.wall.names[this.units.wall.index[i]];
      return make('tr', {},
        make('th', {textContent: full(score) + (wall ? ` (at ${wall})` : '')}),
        make('td', {textContent: shown(score.values[i])}),
        make('td', {textContent: score.tested ? chance(this.value(`p_${score.tested}`, i)) : ''}),
        compared ? make('td', {textContent: shown(this.value(name, i, true))}) : null);
    });
    const head = make('tr', {}, make('th', {textContent: 'score'}),
      make('th', {textContent: 'trained'}), make('th', {textContent: 'against chance'}),
      compared ? make('th', {textContent: 'untrained'}) : null);
    return make('div', {}, make('h4', {textContent: 'Scores'}),
      make('table', {className: 'scores'}, make('thead', {}, head), make('tbody', {}, ...rows)));
  }

  trace(i) {
    this.draw = null;
    const {traces} = this;
    if (!traces || !traces.has(i)) return null;
    const holder = make('div', {className: 'line'});
    this.draw = () => traces.draw(holder, i);
    return make('div', {}, make('h4', {textContent: 'Where in the episodes it was active'}),
      make('p', {className: 'note', textContent: 'Click to see that moment in the player.'}),
      holder);
  }

  // Traces come with the player's data, later than the units.
  follow(traces) {
    this.traces = traces;
    if (this.now) this.show(...this.now);
  }
}
