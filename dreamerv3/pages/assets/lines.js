// Lines over time, with uPlot.

const LINES = ['line1', 'line2', 'line3', 'line4'];

// Clicks that are no end of a drag.
function clicks(element, call) {
  let from = null;
  element.addEventListener('mousedown', event => { from = event; });
  element.addEventListener('click', event => {
    const far = from ? Math.hypot(event.clientX - from.clientX, event.clientY - from.clientY) : 0;
    if (far < 4) call(event);
  });
}

// series: [[label, values]]; marks: timesteps of vertical lines.
function timeline(holder, {x, series, height = 110, marks = [], click = null, range = null}) {
  holder.replaceChildren();
  const plot = new uPlot({
    width: Math.max(holder.clientWidth, 120), height,
    legend: {show: false},
    scales: {x: {time: false}, y: range ? {range: () => range} : {}},
    axes: [
      {stroke: ink('text'), grid: {show: false}, size: 26, font: '11px system-ui'},
      {stroke: ink('text'), grid: {stroke: ink('grid'), width: 1}, size: 44, font: '11px system-ui',
        space: 24, values: (_, ticks) => ticks.map(v => shown(v))},
    ],
    series: [{}, ...series.map(([label], i) => ({
      label, stroke: ink(LINES[i % LINES.length]), width: 1.5, points: {show: false},
    }))],
    cursor: {
      y: false, points: {show: false}, drag: {x: false, y: false},
    },
    hooks: {draw: [self => {
      for (const at of [...marks, holder.now].filter(t => t !== undefined)) {
        const px = self.valToPos(at, 'x', true);
        self.ctx.save();
        self.ctx.strokeStyle = ink(at === holder.now ? 'accent' : 'grid');
        self.ctx.lineWidth = (at === holder.now ? 2 : 1) * devicePixelRatio;
        self.ctx.beginPath();
        self.ctx.moveTo(px, self.bbox.top);
        self.ctx.lineTo(px, self.bbox.top + self.bbox.height);
        self.ctx.stroke();
        self.ctx.restore();
      }
    }]},
  }, [x, ...series.map(([, values]) => Array.from(values, v => (Number.isNaN(v) ? null : v)))], holder);
  if (click) {
    clicks(plot.over, event => {
      const left = event.clientX - plot.over.getBoundingClientRect().left;
      click(plot.posToIdx(left));
    });
  }
  if (series.length > 1) {
    holder.append(make('div', {className: 'key'}, ...series.map(([label], i) => {
      const swatch = make('i', {className: 'swatch'});
      swatch.style.background = ink(LINES[i % LINES.length]);
      return make('span', {}, swatch, label);
    })));
  }
  return {
    at(t) { holder.now = t; plot.redraw(false, false); },
  };
}
