'use strict';

// The text of a compressed script element.
async function unpacked(element) {
  const bytes = Uint8Array.from(atob(element.textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Response(stream).text();
}

const canvases = [...document.querySelectorAll('.canvas')];
const drawn = new Map();

async function draw() {
  if (!('DecompressionStream' in window)) {
    for (const canvas of canvases) canvas.textContent = 'This browser is too old to draw plots; the tables are complete.';
    return;
  }
  const library = document.createElement('script');
  library.textContent = await unpacked(document.getElementById('plotly'));
  document.head.append(library);
  const narrow = window.matchMedia('(max-width: 600px)').matches;
  for (const canvas of canvases) {
    const figure = JSON.parse(canvas.nextElementSibling.textContent);
    if (narrow) {
      figure.layout.font.size = 11;
    }
    const places = figure.layout.meta?.narrow;
    if (narrow && places) {
      // It says itself how it is laid out where there is no room.
      Object.assign(figure.layout, places);
    } else if (narrow) {
      // Long headings within a plot may reach over its labels, not out of the page.
      const narrower = { x: 1, xanchor: 'right', font: { size: 10 } };
      for (const heading of figure.layout.annotations ?? []) Object.assign(heading, narrower);
    }
    const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ['lasso2d', 'select2d'] };
    if (narrow) config.displayModeBar = false;
    drawn.set(canvas, figure);
    await Plotly.newPlot(canvas, figure.data, figure.layout, config);
  }
  document.body.dataset.drawn = canvases.length;
  showArms();
}

// Hides the arms whose boxes are not ticked, in tables and plots.
function showArms() {
  const boxes = [...document.querySelectorAll('#arms input')];
  const hidden = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
  for (const element of document.querySelectorAll('[data-arm]')) element.hidden = hidden.has(element.dataset.arm);
  for (const [canvas, figure] of drawn) {
    const visible = figure.data.map((trace) => !hidden.has(trace.meta));
    if (visible.length) Plotly.restyle(canvas, { visible });
  }
}

// Sorts the rows of a table by one of its columns, each recipe's by themselves; rows without a number come last.
function sortBy(header) {
  const table = header.closest('table');
  const column = [...header.parentNode.children].indexOf(header);
  const number = header.classList.contains('number');
  const ascending = header.ariaSort ? header.ariaSort !== 'ascending' : !number;
  const value = (row) => row.cells[column].dataset.value;
  const order = (one, other) => {
    const a = number ? value(one) : one.cells[column].textContent;
    const b = number ? value(other) : other.cells[column].textContent;
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    const found = number ? a - b : a.localeCompare(b, undefined, { numeric: true });
    return ascending ? found : -found;
  };
  for (const cell of header.parentNode.children) cell.ariaSort = null;
  header.ariaSort = ascending ? 'ascending' : 'descending';
  for (const body of table.tBodies) body.append(...[...body.rows].filter((row) => row.dataset.arm !== undefined).sort(order));
}

for (const box of document.querySelectorAll('#arms input')) box.addEventListener('change', showArms);
for (const button of document.querySelectorAll('th button')) {
  button.addEventListener('click', () => sortBy(button.parentNode));
}
draw();
