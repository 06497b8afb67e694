"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const trials = data.trials, count = trials.number.length, goal = data.goal;
const TICK_MS = 1e-4, PAGE = 50;
const $ = (id) => document.getElementById(id);
const { number, whole, escaped, color, layoutOf, config, draw } = drawing;

const perSecond = (value) => (value === null ? "-" : `${number(value)}/s`);
const milliseconds = (value) => (value === null ? "-" : `${number(value, 3)} ms`);
const percent = (value) => {
  if (value === null) return "-";
  const shown = 100 * value;
  return Math.abs(shown) >= 10 || shown === 0 ? `${whole(shown)} %` : `${number(shown, 2)} %`;
};
const times = (value) => `${value.toFixed(2)}x`;
const memory = (value) => {
  if (value === null) return "-";
  return value >= 2 ** 30 ? `${number(value / 2 ** 30, 3)} GiB` : `${number(value / 2 ** 20, 3)} MiB`;
};
const ascending = (a, b) => (a === null) - (b === null) || (a < b ? -1 : a > b ? 1 : 0);

// --- verdicts for any cap

const own = () => ({ percentile: goal.percentile, cap: goal.cap_ms, limits: { ...goal.limits } });
const state = { ...own(), limits: { ...data.asked } };
let found = { chosen: null, hint: null };  // the answer to it
const sameLimits = () => data.limits.every(({ name }) => (state.limits[name] ?? null) === (goal.limits[name] ?? null));
const isOwn = () => state.percentile === goal.percentile && state.cap === goal.cap_ms && sameLimits();
const quantity = ({ units }, value) => {  // as report/format.py has it
  if (value === null) return "-";
  const { text, scale } = units.find((unit) => value >= 0.9995 * unit.scale) ?? units[units.length - 1];
  return text === "/s" ? `${number(value)}/s` : `${number(value / scale, 3)} ${text}`.trimEnd();
};
const limitVerdict = (column, i, limit) => {
  const low = column.low[i], high = column.high[i];
  if (low === null || high === null) return "unclear";
  if (column.floor) return low >= limit ? "met" : high < limit ? "missed" : "unclear";
  return high <= limit ? "met" : low > limit ? "missed" : "unclear";
};
const isFree = () => state.cap === null && asked().length === 0;
const asked = () => data.limits.filter(({ name }) => (state.limits[name] ?? null) !== null);
const latency = (i) => {
  const at = data.caps[state.percentile].at[i];
  return at === null ? null : at * TICK_MS;
};
const slaVerdict = (i) => {
  const { met, missed } = data.caps[state.percentile];
  const cap = Math.floor((state.cap / TICK_MS) * (1 + 1e-12));
  if (state.cap === null || (met[i] !== null && cap >= met[i])) return "met";
  return missed[i] !== null && cap < missed[i] ? "missed" : "unclear";
};
const limitsOf = (i) => asked().map((column) => limitVerdict(column, i, state.limits[column.name]));
const verdict = (i) => {  // of the SLA and all limits together
  if (trials.rate[i] === null) return null;
  const all = [slaVerdict(i), ...limitsOf(i)];
  return all.includes("missed") ? "missed" : all.includes("unclear") ? "unclear" : "met";
};
const claim = (i) => trials.low[i] ?? 0;
const most = (indices, merit) =>
  indices.reduce((best, i) => (best === null || merit(i) > merit(best) ? i : best), null);
const measured = [...Array(count).keys()].filter((i) => trials.rate[i] !== null);
const hints = [...new Map(measured.filter((i) => trials.hint[i]).map((i) => [trials.words[i], i])).values()];
const merit = (i) => {
  if (data.worth) return data.worth.low[i] ?? 0;
  return isOwn() && goal.objective === "latency" ? -latency(i) : claim(i);
};
const gainOf = (i, hint) => data.worth ? data.worth.mean[i] / data.worth.mean[hint] : trials.rate[i] / trials.rate[hint];

const answer = () => {
  const able = measured.filter((i) => verdict(i) === "met" && (!data.worth || data.worth.mean[i] !== null));
  const chosen = isOwn() && data.is_raced ? trials.number.indexOf(data.chosen) : most(able, merit) ?? -1;
  const hint = most(hints.filter((i) => verdict(i) === "met"), merit) ?? most(hints, merit);
  return { chosen: chosen >= 0 ? chosen : null, hint };
};
const inTheRace = (i) => {  // what the race, held for the study's own cap, says at another one
  const seen = data.raced[trials.number[i]], won = data.raced[data.chosen];
  if (state.percentile !== goal.percentile || state.cap === null || !sameLimits()) return "";
  const its = seen ? ` In the race it had ${perSecond(seen.rate)} at ${milliseconds(seen.latency)}${seen.upper === null ? "" : `, at most ${milliseconds(seen.upper)}`}.` : "";
  const isCertified = data.status === "certified" && won && won.upper !== null && won.upper <= state.cap;
  if (!isCertified || trials.number[i] === data.chosen) return its;
  return `${its} Trial ${data.chosen} is certified for this cap too, with at most ${milliseconds(won.upper)}.`;
};
const inWords = ({ chosen, hint }) => {
  const parts = [
    ...(state.cap === null ? [] : [`p${state.percentile} <= ${number(state.cap, 3)}ms`]),
    ...asked().map((one) => `${one.label} ${one.floor ? ">=" : "<="} ${quantity(one, state.limits[one.name])}`),
  ];
  const wanted = parts.length ? `${parts.join(", ")}: ` : "";
  if (chosen === null) {
    const nearest = most(measured.filter((i) => latency(i) !== null), (i) => -latency(i));
    if (nearest === null) return `${wanted}nothing was measured.`;
    const near = `the nearest is trial ${trials.number[nearest]}, ${trials.words[nearest]}: ${milliseconds(latency(nearest))}`;
    const needed = data.needed[state.percentile], seen = Math.max(...measured.map((i) => trials.seen[i]));
    const few = seen < needed ? ` p${state.percentile} needs at least ${needed} requests, and no trial has more than ${seen}.` : "";
    const each = asked().map((one) => {
      const known = measured.filter((i) => one.value[i] !== null);
      const best = most(known, (i) => (one.floor ? one.value[i] : -one.value[i]));
      return best === null ? "" : ` Of ${one.label} the nearest is trial ${trials.number[best]} with ${quantity(one, one.value[best])}.`;
    });
    return `${wanted}no configuration was shown to meet ${parts.length > 1 ? "all of it" : "it"}; ${near}.${few}${each.join("")}`;
  }
  const i = chosen, unit = data.worth ? ` in items per ${goal.resource}` : "";
  const gain = hint === null ? "" : `, ${times(gainOf(i, hint))} the better hint${unit}`;
  const beside = asked().map((one) => `, ${one.label} ${quantity(one, one.value[i])}`).join("");
  const low = trials.low[i], between = low === null ? "" : ` (95 %: ${perSecond(low)} to ${perSecond(trials.high[i])})`;
  const proof = isOwn() && data.is_raced
    ? `Chosen by the race, ${data.status}; these are the search's figures.`
    : `From the search, in one process; not raced for this ${sameLimits() ? "cap" : "goal"}.${inTheRace(i)}`;
  return `${wanted}trial ${trials.number[i]}, ${trials.words[i]}: ${perSecond(trials.rate[i])}${between}, ` +
    `p${state.percentile} ${milliseconds(latency(i))}${beside}${gain}. ${proof}`;
};

// --- drawing

const filled = ({ of, able, ...trace }) => of === undefined ? trace : {  // a trace of trials, see charts.py
  y: of.map((i) => trials.rate[i]), ...trace,
  text: of.map((i) => escaped(`trial ${trials.number[i]}: ${trials.words[i]}`)),
  marker: {
    ...trace.marker, color: able.map((one) => ["var:missed", "var:met", "var:unclear"][one]),
    symbol: able.map((one) => ["x-thin-open", "circle", "triangle-up"][one]),
  },
};
const front = () => {
  // By rising latency, whatever keeps the other limits and beats all before it by more than the noise.
  const order = measured.filter((i) => trials.own[i] && !trials.again[i] && latency(i) !== null && limitsOf(i).every((one) => one === "met"))
    .sort((a, b) => latency(a) - latency(b) || trials.rate[b] - trials.rate[a]);
  let best = 0;
  return order.filter((i) => {
    if (trials.rate[i] <= best * (1 + data.noise)) return false;
    best = trials.rate[i];
    return true;
  });
};
const lossOf = (i) => {  // of accuracy, where a guard looks at answers
  const column = data.limits.find(({ name }) => name === "max_drop");
  return column && column.value[i] !== null ? `, ${column.label} ${quantity(column, column.value[i])}` : "";
};
const drawMap = ({ chosen }) => {
  const shown = measured.filter((i) => trials.own[i] && latency(i) !== null);
  const hover = (i) => `trial ${trials.number[i]}: ${trials.words[i]}<br>${perSecond(trials.rate[i])}, ` +
    `p${state.percentile} ${milliseconds(latency(i))}${lossOf(i)}<br>${isFree() ? "" : verdict(i)}`;
  const points = (name, indices, marker) => ({
    type: "scatter", mode: "markers", name, x: indices.map(latency), y: indices.map((i) => trials.rate[i]),
    text: indices.map(hover).map(escaped), hovertemplate: "%{text}<extra></extra>",
    marker: { size: 9, opacity: 0.85, ...marker },
  });
  const of = (kind) => shown.filter((i) => !trials.hint[i] && verdict(i) === kind);
  const line = front();
  const ring = chosen === null || latency(chosen) === null ? [] : [chosen];
  const traces = [
    { type: "scatter", mode: "lines", name: "front", x: line.map(latency), y: line.map((i) => trials.rate[i]),
      line: { shape: "hv", width: 1.5, color: color("line") }, hoverinfo: "skip" },
    points("misses", of("missed"), { symbol: "x", color: color("missed"), size: 8 }),
    points("unclear", of("unclear"), { symbol: "triangle-up", color: color("unclear") }),
    points("meets", of("met"), { symbol: "circle", color: color("met") }),
    points("hints", shown.filter((i) => trials.hint[i]),
      { symbol: "star", size: 15, color: color("hint"), line: { color: color("paper"), width: 1 } }),
    points("answer", ring, { symbol: "circle-open", size: 21, color: color("cap"), line: { width: 3 }, opacity: 1 }),
  ];
  const shapes = state.cap === null ? [] : [{ type: "line", yref: "paper", y0: 0, y1: 1, x0: state.cap, x1: state.cap,
    line: { color: color("cap"), width: 2, dash: "dash" } }];
  const layout = layoutOf({
    showlegend: false, shapes, uirevision: state.percentile,
    xaxis: { title: { text: `p${state.percentile} request latency, ms` }, type: "log" },
    yaxis: { title: { text: "items per second" }, rangemode: "tozero" },
  });
  return Plotly.react($("map"), traces, layout, config);
};

// --- controls

const range = () => {
  const all = measured.map(latency).filter((value) => value !== null && value > 0);
  return [Math.min(...all) * 0.8, Math.max(...all) * 1.2];
};
const capAt = (position) => {
  const [low, high] = range();
  return Number((low * (high / low) ** (position / 1000)).toPrecision(3));
};
const positionOf = (cap) => {
  const [low, high] = range();
  return Math.round((1000 * Math.log(cap / low)) / Math.log(high / low));
};
let waiting = false;
const update = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    found = answer();
    $("cap-text").textContent = state.cap === null ? "none" : `${number(state.cap, 3)} ms`;
    $("cap").setAttribute("aria-valuetext", $("cap-text").textContent);
    $("live").textContent = inWords(found);
    $("live").dataset.trial = found.chosen === null ? "" : String(trials.number[found.chosen]);
    $("reset").disabled = isOwn();
    drawMap(found);
    table.show();
  });
};
// A number and its unit for each limit of which there are readings; an empty one asks nothing.
const showLimits = () => {
  for (const column of data.limits) {
    const value = state.limits[column.name] ?? null, box = $(`limit-${column.name}`);
    const unit = box.nextElementSibling;
    if (value !== null && unit?.tagName === "SELECT")
      unit.value = String((column.units.find(({ scale }) => value >= 0.9995 * scale) ?? column.units[column.units.length - 1]).scale);
    box.value = value === null ? "" : String(Number((value / scaleOf(column)).toPrecision(6)));
  }
};
const scaleOf = (column) => Number($(`limit-${column.name}`).dataset.scale ?? $(`unit-${column.name}`).value);
const beginLimits = () => {
  for (const column of data.limits) {
    const label = document.createElement("label"), box = document.createElement("input");
    label.append(`${column.label} ${column.floor ? "at least" : "at most"} `, box);
    Object.assign(box, { type: "number", id: `limit-${column.name}`, min: "0", step: "any", inputMode: "decimal", placeholder: "any" });
    const read = () => {
      const value = Number(box.value);
      state.limits[column.name] = box.value.trim() === "" || !(value > 0) ? null : value * scaleOf(column);
      update();
    };
    box.addEventListener("input", read);
    if (column.units.length === 1) { box.dataset.scale = String(column.units[0].scale); label.append(` ${column.units[0].text}`); }
    else {
      const unit = document.createElement("select");
      unit.id = `unit-${column.name}`;
      unit.setAttribute("aria-label", `unit of ${column.label}`);
      for (const { text, scale } of column.units) unit.add(new Option(text, String(scale)));
      const typical = most(measured.filter((i) => column.value[i] !== null), (i) => -column.value[i]);
      unit.value = String((column.units.find(({ scale }) => column.value[typical] >= 0.9995 * scale) ?? column.units[column.units.length - 1]).scale);
      unit.addEventListener("change", read);
      label.append(unit);
    }
    $("limits").append(label);
  }
  $("more").hidden = data.limits.length === 0;
  $("more").open = asked().length > 0;
  showLimits();
};
const begin = () => {
  const select = $("percentile");
  for (const name of Object.keys(data.caps).sort((a, b) => a - b)) {
    const option = document.createElement("option");
    option.value = name;
    option.textContent = `p${name}`;
    option.selected = name === state.percentile;
    select.append(option);
  }
  const slide = () => { $("cap").value = String(state.cap === null ? 1000 : positionOf(state.cap)); };
  $("cap").addEventListener("input", () => { state.cap = capAt(Number($("cap").value)); update(); });
  select.addEventListener("change", () => { state.percentile = select.value; slide(); update(); });
  $("reset").addEventListener("click", () => {
    Object.assign(state, own());
    select.value = state.percentile;
    slide();
    showLimits();
    update();
  });
  beginLimits();
  for (const id of ["controls", "table-controls"])
    $(id).addEventListener("submit", (event) => event.preventDefault());
  slide();
};

// --- the table

const CELLS = {
  trial: { of: (i) => trials.number[i] },
  configuration: { of: (i) => trials.words[i] },
  rate: { of: (i) => trials.rate[i], text: (i) => perSecond(trials.rate[i]) },
  low: { of: (i) => trials.low[i], text: (i) => perSecond(trials.low[i]) },
  latency: { of: latency, text: (i) => milliseconds(latency(i)) },
  verdict: { of: (i) => (isFree() ? null : verdict(i)), isVerdict: true },
  seen: { of: (i) => trials.seen[i] },
  padding: { of: (i) => trials.padding[i], text: (i) => percent(trials.padding[i]) },
  preparation: { of: (i) => trials.preparation[i], text: (i) => milliseconds(trials.preparation[i]) },
  cpu: { of: (i) => trials.cpu[i], text: (i) => milliseconds(trials.cpu[i]) },
  memory: { of: (i) => trials.memory[i], text: (i) => memory(trials.memory[i]) },
  origin: { of: (i) => trials.origin[i] },
  remarks: { of: (i) => trials.failure[i] ?? (trials.own[i] ? trials.flags[i] : "as another trial") },
};
const COLUMNS = data.columns.map((column) => ({ ...column, ...CELLS[column.key] }));  // see columns.py
for (const column of data.limits)
  if (!["max_memory", "max_cpu_per_item", "min_throughput"].includes(column.name))  // which have columns of their own
    COLUMNS.splice(-2, 0, { key: column.name, name: column.label, number: true,
      of: (i) => column.value[i], text: (i) => quantity(column, column.value[i]) });
const CSV = {
  trial: (i) => trials.number[i], configuration: (i) => trials.words[i], origin: (i) => trials.origin[i],
  streams: (i) => trials.streams[i], threads_per_stream: (i) => trials.threads[i], num_requests: (i) => trials.requests[i],
  batch_size: (i) => trials.batch[i], throughput_per_s: (i) => trials.rate[i], throughput_low_per_s: (i) => trials.low[i],
  throughput_high_per_s: (i) => trials.high[i], latency_ms: latency, requests: (i) => trials.seen[i],
  verdict: (i) => (isFree() ? null : verdict(i)), peak_rss_bytes: (i) => trials.peak[i], memory_bytes: (i) => trials.memory[i],
  cpu_ms_per_item: (i) => trials.cpu[i],
  ...(trials.padding && { padding_share: (i) => trials.padding[i] }),
  ...(trials.preparation && { prepare_ms: (i) => trials.preparation[i] }),
  flags: (i) => trials.flags[i], failure: (i) => trials.failure[i],
};
const SIGNS = { met: "●", unclear: "▲", missed: "✕" };
const table = {
  by: 0, falling: false, page: 0,
  rows() {
    const wanted = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const column = COLUMNS[this.by], sign = this.falling ? -1 : 1;
    const text = (i) => `${trials.words[i]} ${trials.origin[i]} ${verdict(i) ?? ""} ${trials.failure[i] ?? ""} ${trials.flags[i] ?? ""}`.toLowerCase();
    const kept = [...Array(count).keys()].filter((i) => wanted.length === 0 || wanted.every((word) => text(i).includes(word)));
    const key = kept.map((i) => column.of(i));
    return kept.map((i, at) => [i, key[at]])
      .sort(([a, x], [b, y]) => (x === null || y === null ? ascending(x, y) : sign * ascending(x, y)) || a - b)
      .map(([i]) => i);
  },
  show() {
    const rows = this.rows(), pages = Math.max(1, Math.ceil(rows.length / PAGE));
    this.page = Math.min(this.page, pages - 1);
    const body = document.createElement("tbody");
    for (const i of rows.slice(this.page * PAGE, (this.page + 1) * PAGE)) {
      const row = body.insertRow();
      row.classList.toggle("chosen", i === found.chosen);
      for (const column of COLUMNS) {
        const cell = row.insertCell(), value = column.of(i);
        cell.classList.toggle("number", Boolean(column.number));
        if (column.isVerdict && value) {
          const sign = document.createElement("span");
          sign.className = value;
          sign.setAttribute("aria-hidden", "true");
          sign.textContent = `${SIGNS[value]} `;
          cell.append(sign, value);
        } else cell.textContent = column.text ? column.text(i) : (value ?? "-");
      }
    }
    $("trials").tBodies[0].replaceWith(body);
    $("page").textContent = `${rows.length} of ${count} trials, page ${this.page + 1} of ${pages}`;
    $("before").disabled = this.page === 0;
    $("after").disabled = this.page >= pages - 1;
    COLUMNS.forEach((_, at) => {
      const head = $("trials").tHead.rows[0].cells[at];
      head.setAttribute("aria-sort", at !== this.by ? "none" : this.falling ? "descending" : "ascending");
    });
  },
  begin() {
    COLUMNS.forEach((column, at) => {
      const head = document.createElement("th"), button = document.createElement("button");
      head.scope = "col";
      head.classList.toggle("number", Boolean(column.number));
      button.type = "button";
      button.textContent = column.name;
      button.addEventListener("click", () => {
        this.falling = this.by === at ? !this.falling : Boolean(column.number) && at > 0;
        this.by = at;
        this.page = 0;
        this.show();
      });
      head.append(button);
      $("trials").tHead.rows[0].append(head);
    });
    const turn = (by) => () => { this.page += by; this.show(); };
    $("before").addEventListener("click", turn(-1));
    $("after").addEventListener("click", turn(1));
    $("filter").addEventListener("input", () => { this.page = 0; this.show(); });
    $("csv").addEventListener("click", () => this.download());
  },
  text() {
    const cell = (value) => {
      if (value === null || value === undefined) return "";
      const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
      return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
    };
    const lines = this.rows().map((i) => Object.values(CSV).map((of) => cell(of(i))).join(","));
    return [Object.keys(CSV).join(","), ...lines, ""].join("\r\n");
  },
  download() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([this.text()], { type: "text/csv" }));
    link.download = "trials.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  },
};

// --- begin

const drawAll = () => {
  if (measured.length && $("map")) update();
  const names = Object.keys(data.figures);
  const next = () => {
    const name = names.shift();
    if (name === undefined) { document.documentElement.dataset.drawn = "yes"; return; }
    const figure = data.figures[name];
    draw(name, { ...figure, data: figure.data.map(filled) });
    setTimeout(next, 0);
  };
  setTimeout(next, 0);
};
if (count) { table.begin(); begin(); if (!measured.length) table.show(); }
drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
