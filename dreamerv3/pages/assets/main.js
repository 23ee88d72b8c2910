// Opens the parts of the page, and redraws them when its look or width changes.

const page = {timings: {}, parts: {}};
window.page = page;

function looks() {
  const root = document.documentElement;
  const button = document.getElementById('look');
  const names = ['auto', 'light', 'dark'];
  const apply = name => {
    if (name === 'auto') delete root.dataset.look;
    else root.dataset.look = name;
    button.textContent = `Look: ${name}`;
    redraw();
  };
  let now = 0;
  button.onclick = () => { now = (now + 1) % names.length; apply(names[now]); };
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw);
  button.textContent = 'Look: auto';
}

function redraw() {
  const {explorer, player, dreams} = page.parts;
  if (explorer) {
    explorer.draw();
    if (explorer.chosen >= 0) explorer.choose(explorer.chosen);
  }
  if (player && player.episode) player.redraw();
  if (dreams && dreams.i !== undefined) dreams.redraw();
}

function later(call, wait = 150) {
  let timer = null;
  return () => { clearTimeout(timer); timer = setTimeout(call, wait); };
}

async function begin() {
  looks();
  const units = await opened('units');
  if (units) {
    page.parts.explorer = new Explorer(document.getElementById('explorer'), units);
  }
  page.timings.explorer = performance.now();
  const episodes = await opened('player');
  if (episodes) {
    const player = new Player(document.getElementById('player'), episodes, units);
    page.parts.player = player;
    await player.start();
    connect(page.parts.explorer, player);
  }
  const dreams = await opened('dreams');
  if (dreams) {
    page.parts.dreams = new Dreams(document.getElementById('dreams'), dreams);
    await page.parts.dreams.start();
  }
  page.timings.all = performance.now();
  let width = innerWidth;
  addEventListener('resize', later(() => {
    if (innerWidth !== width) { width = innerWidth; redraw(); }
  }));
}

// A unit that is chosen in the explorer is followed in the player.
function connect(explorer, player) {
  if (!explorer || !player.traces) return;
  explorer.panel.follow(player.traces);
  const choose = explorer.choose.bind(explorer);
  explorer.choose = i => { choose(i); player.follow(i); };
  player.follow(explorer.chosen);
}

page.ready = begin().then(() => { document.documentElement.dataset.ready = 'yes'; },
  error => {
    document.documentElement.dataset.ready = 'failed';
    const notice = document.getElementById('failed');
    notice.hidden = false;
    notice.textContent = `The page could not open its data: ${error.message}. `
      + 'It needs a browser of 2023 or later (Chrome 103, Firefox 113, Safari 16.4).';
    throw error;
  });
