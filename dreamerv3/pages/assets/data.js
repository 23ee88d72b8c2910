// Data of the page: packed by packing.py, opened here when a part of the page needs it.

const KINDS = {
  uint8: Uint8Array, uint16: Uint16Array, int32: Int32Array, float32: Float32Array,
};
const UNKNOWN = 255;
const STEPS = 254;

// The content of <script type="text/plain" id="data-NAME">, null where there is none.
async function opened(name) {
  const holder = document.getElementById(`data-${name}`);
  if (!holder) return null;
  const text = atob(holder.textContent.trim());
  holder.remove();
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return unpack(await new Response(stream).arrayBuffer());
}

function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true);
  const head = new TextDecoder().decode(new Uint8Array(buffer, 4, size));
  return JSON.parse(head, (_, value) => {
    if (!value || !value.kind || !value.shape) return value;
    const count = value.shape.reduce((a, b) => a * b, 1);
    const array = new KINDS[value.kind](buffer, 4 + size + value.at, count);
    array.shape = value.shape;
    return array;
  });
}

// Row i of quantised values as numbers.
function row(packed, i) {
  const wide = packed.codes.shape[1];
  const [low, high] = [packed.low[i], packed.high[i]];
  return Float32Array.from(
    packed.codes.subarray(i * wide, (i + 1) * wide),
    code => (code === UNKNOWN ? NaN : low + (code / STEPS) * (high - low)),
  );
}

async function picture(bytes) {
  if (!bytes) return null;
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([bytes], {type: 'image/webp'}));
  await image.decode();
  return image;
}

function shown(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(1);
  return String(Number(value.toPrecision(digits)));
}

// Numbers that stand beside each other, with the decimals that the largest one needs.
function shownAlike(values, digits = 3) {
  const size = Math.max(...values.map(Math.abs));
  if (!(size >= 1e-3 && size < 1e5)) return values.map(x => shown(x, digits));
  const places = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return values.map(x => x.toFixed(places));
}

// p values of a finite number of pairings are never 0.
function chance(p) {
  if (p === null || p === undefined || Number.isNaN(p)) return '';
  return p < 0.001 ? 'p < 0.001' : `p ${p.toFixed(3)}`;
}

// An element; text never becomes markup.
function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(options)) {
    if (key === 'data') Object.assign(element.dataset, value);
    else if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter(x => x !== null));
  return element;
}

function clear(element, ...children) {
  element.replaceChildren(...children.filter(x => x !== null));
}

function save(name, text) {
  const url = URL.createObjectURL(new Blob([text], {type: 'text/csv'}));
  const link = make('a', {href: url, download: name});
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

// A cell of a csv; spreadsheets must not take a name for a formula.
function cell(value) {
  const text = typeof value === 'number' ? (Number.isNaN(value) ? '' : String(value))
    : String(value).replace(/^[=+\-@\t]/, "'$&");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv(head, rows) {
  return [head, ...rows].map(x => x.map(cell).join(',')).join('\n') + '\n';
}

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// A canvas for W x H css pixels at the sharpness of the screen.
function sized(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
