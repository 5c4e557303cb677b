// The table of statistics: a column for each participant.

import { byId, setText } from "./dom.js";
import { quality } from "./statistics.js";
import { strings } from "./strings.js";

const words = strings.statistics;
const NONE = { numbers: {} };

const ROWS = {
  heard: {
    quality: (numbers) => words.qualities[quality(numbers)],
    concealed: ({ concealed }) => words.percent(concealed),
    loss: ({ loss }) => words.percent(loss),
    buffer: ({ bufferDelay }) => words.milliseconds(bufferDelay),
    received: ({ receiveRate }) => words.rate(receiveRate),
  },
  said: {
    reported: ({ reportedLoss }) => words.percent(reportedLoss),
    sent: ({ sendRate }) => words.rate(sendRate),
  },
  way: {
    roundTrip: ({ roundTrip }) => words.milliseconds(roundTrip),
    way: ({ relayed, protocol }) => words.ways(relayed, protocol),
  },
};

/** `numbers` of participants by id, from a StatisticsWindow each. */
export function showStatistics(room, numbers) {
  if (!byId("statistics").open) return;
  const people = [...room.participants.values()].map(({ id, name }) => ({
    name,
    numbers: numbers.get(id) ?? {},
  }));
  if (people.length === 0) people.push({ ...NONE, name: words.nobody });
  const texts = [["", ...people.map(({ name }) => name)]];
  for (const [group, rows] of Object.entries(ROWS)) {
    texts.push([words.groups[group]]);
    for (const [row, read] of Object.entries(rows)) {
      texts.push([words.rows[row], ...people.map((person) => read(person.numbers) ?? words.none)]);
    }
  }
  fill(byId("statistics-table"), texts);
}

// The table is made once for its size and then only its texts change.
function fill(table, texts) {
  const shape = texts.map((row) => row.length).join();
  if (table.dataset.shape !== shape) {
    table.dataset.shape = shape;
    table.replaceChildren(...texts.map((row, index) => makeRow(row.length, texts[0].length, index)));
  }
  texts.forEach((row, y) => row.forEach((text, x) => setText(table.rows[y].cells[x], text)));
}

function makeRow(length, width, index) {
  const row = document.createElement("tr");
  for (let column = 0; column < length; column++) {
    const heading = (index === 0) !== (column === 0);
    const cell = document.createElement(heading ? "th" : "td");
    if (heading) cell.scope = length === 1 ? "rowgroup" : index === 0 ? "col" : "row";
    if (length === 1) cell.colSpan = width;
    row.append(cell);
  }
  row.classList.toggle("group", length === 1);
  return row;
}
