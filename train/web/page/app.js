// SPDX-License-Identifier: Apache-2.0
// Puts the page together, and keeps it up to date where the runs are followed.

const plots = {};
let maps = [];
const training = new Map();  // name of a curve -> its plot
const otherHeads = new Map();  // name of a measure -> its plot

function small(host, title, note) {
  const plot = element("div", { className: "plot small" });
  const heading = element("h3", {}, title, note ? element("small", {}, note) : "");
  host.append(element("div", {}, heading, plot));
  return plot;
}

function buildPlots() {
  plots.loss = curvePlot(byId("loss"), "Loss", buildLoss);
  plots.head = curvePlot(byId("head"), "One head", () => buildHead(state.measure, true));
  plots.bands = areaPlot(byId("bands"), "Heads by health band", buildBands);
  plots.layers = curvePlot(byId("layers"), "Mean of each layer", buildLayers);
  plots.histogram = histogramPlot(byId("histogram"), "Heads at the step", buildHistogram);
}

/** Plots for new curves and measures; those that are there stay. */
function growPlots(measures) {
  for (const name of curveNames()) {
    if (!training.has(name)) {
      const { title, note } = curveInfo(name);
      training.set(name, curvePlot(small(byId("training"), title, note), title, () => buildCurve(name)));
    }
  }
  for (const name of measures) {
    if (!otherHeads.has(name)) {
      const { short, unit } = measureInfo(name);
      const host = small(byId("head-others"), short, short.includes(unit) || unit.length > 12 ? "" : unit);
      otherHeads.set(name, { host: host.parentElement, plot: curvePlot(host, `One head: ${short}`, () => buildHead(name, false)) });
    }
  }
  for (const [name, { host }] of otherHeads) {
    host.hidden = name === state.measure;
  }
}

const headChoice = { select: setHead, selected: () => ({ layer: state.layer, head: state.head }) };

function addMap(caption, label, build, empty) {
  const note = element("span");
  const figure = element("figure", {}, element("figcaption", {}, ...caption, note));
  byId("maps").append(figure);
  const noted = () => {
    const map = build();
    note.textContent = map && state.runs.length > 1 && map.step !== undefined && map.step !== shared.step ? `at step ${whole(map.step)}` : "";
    return map;
  };
  maps.push(new HeatMap(figure, { label, build: noted, empty, ...headChoice }));
}

/** One map a run that is shown, and the difference of two. */
function buildMaps() {
  maps.forEach((map) => map.remove());
  maps = [];
  const several = state.runs.length > 1;
  for (const run of shownRuns()) {
    addMap(several ? [swatch({ ...runStyle(run), width: 3 }), run.name] : [], `Heads of ${run.name}`, () => buildMap(run));
  }
  if (several) {
    const others = state.runs.filter((run) => run !== focusRun());
    const select = element("select", { "aria-label": "the run to subtract", onchange: () => { state.against = Number(select.value); redrawAll(); } },
      ...others.map((run) => element("option", { value: String(state.runs.indexOf(run)) }, run.name)));
    select.value = String(state.against);
    addMap(["Difference: ", element("b", {}, focusRun().name), " minus ", select], "Difference of two runs", buildDifference, "these runs have other heads");
  }
}

/** What follows the step. */
function drawFollowers() {
  for (const plot of [...Object.values(plots), ...training.values(), ...[...otherHeads.values()].map(({ plot }) => plot)]) {
    if (plot !== plots.histogram) {
      plot.drawOver();
    }
  }
  maps.forEach((map) => map.draw());
  plots.histogram.draw();
  drawCellText();
  if (byId("numbers").open) {
    drawTables();
  }
}

function drawTitles() {
  const run = focusRun();
  const info = measureInfo(state.measure);
  const several = state.runs.length > 1;
  document.body.classList.toggle("several", several);
  const names = state.runs.map((each) => each.name).join(", ");
  document.title = `${names} - Clausius`;
  byId("title").textContent = several ? `${state.runs.length} runs` : names || "Clausius";
  byId("subtitle").textContent = several ? names : run?.facts.directory ?? "";
  byId("map-title").textContent = info.title;
  byId("map-unit").textContent = info.unit;
  byId("head-title").textContent = `Layer ${state.layer}, head ${state.head}`;
  byId("head-unit").textContent = info.short;
  const own = shownRuns().map((each) => ({ ...runStyle(each), label: several ? each.name : "this head" }));
  fillLegend(byId("head-legend"), [...own, { color: theme.ghost, width: 1, label: `the layer's other heads${several ? ` (${run.name})` : ""}` }]);
  const of = several ? `of ${run?.name}` : "";
  byId("bands-unit").textContent = `share of heads ${of}`;
  byId("layers-unit").textContent = `${info.short} ${of}`;
  byId("histogram-unit").textContent = `number of heads ${of}`;
}

function stepsShown() {
  const last = Math.max(...shownRuns().map((run) => Math.max(run.samples.steps.at(-1) ?? 0, run.heads?.steps.at(-1) ?? 0)), 0);
  return state.range ?? (last > 0 ? [0, last] : null);
}

function draw() {
  drawRuns();
  growPlots(drawMeasures());
  drawTitles();
  drawTicks();
  shared.range = stepsShown();
  byId("unzoom").hidden = state.range === null;
  drawStep();
  const all = [...Object.values(plots), ...training.values(), ...[...otherHeads.values()].map(({ plot }) => plot)];
  all.filter((plot) => plot.host.offsetParent !== null).forEach((plot) => plot.draw());
  maps.forEach((map) => map.draw());
  drawCellText();
  drawTables();
}

/** Everything anew; `now`: before this returns (for paper). */
function redrawAll(now = false) {
  if (maps.length !== shownRuns().length + (state.runs.length > 1 ? 1 : 0)) {
    buildMaps();
  }
  if (now) {
    draw();
  } else {
    schedule(draw);
  }
}

shared.pick = setStep;
shared.zoom = (range) => {
  state.range = range;
  redrawAll();
};

/** A run that was sent: new, or more of one that is known. */
function takeRun(sent) {
  const index = state.runs.findIndex((run) => run.id === sent.id);
  const run = unpackRun(sent, state.runs[index]);
  if (index < 0) {
    state.runs.push(run);
    state.runs.sort((a, b) => a.id - b.id);
    state.against = Math.min(1, state.runs.length - 1);
  } else {
    state.runs[index] = run;
  }
}

// Live.

const have = (table) => (table ? `${table.epoch},${table.stride},${table.steps.length}` : "");

const live = { busy: false, again: false, instance: null };

function showConnection(text, kind) {
  const host = byId("connection");
  host.hidden = false;
  host.textContent = text;
  host.className = kind;
}

async function getJson(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) {
    throw new Error(`${path}: ${answer.status}`);
  }
  return answer.json();
}

async function updateRun({ id }) {
  const known = state.runs.find((run) => run.id === id);
  takeRun(await getJson(`api/run/${id}/series?samples=${have(known?.samples)}&heads=${have(known?.heads)}`));
}

/** Asks for what is new of all runs whose version has changed. */
async function update() {
  if (live.busy) {
    live.again = true;
    return;
  }
  live.busy = true;
  try {
    const list = await getJson("api/runs");
    if (list.instance !== live.instance) {  // another monitor: nothing that is known counts
      state.runs = [];
      live.instance = list.instance;
      maps.forEach((map) => map.remove());
      maps = [];
    }
    const changed = list.runs.filter((run) => state.runs.find((known) => known.id === run.id)?.version !== run.version);
    await Promise.all(changed.map(updateRun));
    list.runs.forEach(({ id, status, version }) => Object.assign(state.runs.find((run) => run.id === id), { status, version }));
    showConnection("live", "live");
    redrawAll();
  } catch (error) {
    showConnection("no connection to the monitor; trying again", "lost");
  } finally {
    live.busy = false;
    if (live.again) {
      live.again = false;
      update();
    }
  }
}

function follow() {
  state.live = true;
  const events = new EventSource("events");
  events.addEventListener("open", update);
  events.addEventListener("change", update);
  events.addEventListener("error", () => showConnection("no connection to the monitor; trying again", "lost"));
  setInterval(update, 15000);  // the states of runs that have gone silent
}

function start() {
  readTheme();
  startControls();
  buildPlots();
  const data = byId("data");
  if (data) {
    const report = JSON.parse(data.textContent);
    report.runs.forEach((run, id) => takeRun({ ...run, id }));
    byId("footer").textContent = `Clausius ${report.version}. Curves of long runs show one of several logged steps; the shaded range around a curve spans what lies between.`;
    redrawAll(true);
  } else {
    follow();
  }
  window.clausius = { state, shared, maps: () => maps, plots, setStep, viridis };
}

start();
