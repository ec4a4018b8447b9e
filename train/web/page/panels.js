// SPDX-License-Identifier: Apache-2.0
// The panels: what each shows of the runs, at the step and for the head that are chosen.

const state = {
  runs: [], hidden: new Set(), focus: 0, measure: "entropy_normalized", layer: 0, head: 0,
  step: Infinity,  // Infinity: the last one, also of a run that goes on
  range: null,     // steps shown; null: all
  against: 0,      // the run that the difference map subtracts
  live: false,
};

const shownRuns = () => state.runs.filter((run) => !state.hidden.has(run.id));
const focusRun = () => state.runs[state.focus];
const measureOf = (run, name = state.measure) => run?.heads?.measures[name];
const runStyle = (run) => ({ color: runColor(run.id), dash: state.runs.length > 1 ? runDash(run.id) : [] });

/** Steps of the heads of a run, or of its samples where there are none. */
const stepsOf = (run) => run?.heads?.steps ?? run?.samples.steps ?? [];

/** The steps that the slider runs over: those of the run that has come furthest, the chosen one if it is among them. */
function sliderSteps() {
  const end = (run) => stepsOf(run).at(-1) ?? -1;
  const furthest = Math.max(...shownRuns().map(end));
  return stepsOf([focusRun(), ...shownRuns()].find((run) => run && end(run) >= furthest) ?? focusRun());
}

/** The scale of a measure: fixed ends, or over all steps of all runs, so that colours mean the same at every step. */
function scaleOf(name) {
  const [low, high] = measureInfo(name).scale;
  const ranges = state.runs.map((run) => measureOf(run, name)?.range).filter(Boolean);
  const least = low ?? Math.min(...ranges.map((range) => range[0]));
  const most = high ?? Math.max(...ranges.map((range) => range[1]));
  if (low !== null && high !== null) {
    return { low, high };
  }
  const ticks = niceTicks(least, most, 5);
  const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
  return { low: low ?? Math.floor(least / step) * step, high: high ?? (Math.ceil(most / step) * step || 1) };
}

/** Centred means over about a fortieth of the points: they do not lag. */
function smoothed(values) {
  const sums = new Float64Array(values.length + 1);
  const counts = new Float64Array(values.length + 1);
  values.forEach((value, i) => {
    sums[i + 1] = sums[i] + (Number.isFinite(value) ? value : 0);
    counts[i + 1] = counts[i] + (Number.isFinite(value) ? 1 : 0);
  });
  return values.map((_, i) => {
    const reach = Math.min(Math.floor(values.length / 80), i, values.length - 1 - i);
    return (sums[i + reach + 1] - sums[i - reach]) / (counts[i + reach + 1] - counts[i - reach]);
  });
}

// Loss.

const MOST_ALARM_LINES = 12;
const isRaised = ([, event, message]) => event === "alarm" && !message.startsWith("cleared");

function marksOf(run) {
  const several = state.runs.length > 1;
  const alarms = run.events.filter(isRaised);
  const short = several || alarms.length > MOST_ALARM_LINES;
  const others = run === focusRun() ? run.events.filter(([, event]) => event !== "alarm") : [];
  const colors = { checkpoint: theme.ghost, end: theme.ink };
  return [
    ...others.map(([step, event, message]) => ({ step, event, message, color: colors[event] ?? theme.accent })),
    ...alarms.map(([step, event, message]) => ({ step, event, message, short, color: several ? runColor(run.id) : theme.warn })),
  ];
}

function buildLoss() {
  const curves = [];
  for (const run of shownRuns()) {
    const loss = run.samples.columns.loss;
    const style = runStyle(run);
    const name = state.runs.length > 1 ? `${run.name}: ` : "";
    if (loss) {
      curves.push({ ...style, dash: [], steps: run.samples.steps, ...loss, width: 1, alpha: 0.35, area: 0.13 });
      curves.push({ ...style, steps: run.samples.steps, value: smoothed(loss.value), width: 2 });
      curves.push({ ...style, steps: run.samples.steps, ...loss, alpha: 0, label: `${name}training` });
    }
    const validation = run.evaluations.columns.val_loss;
    if (validation) {
      const color = state.runs.length > 1 ? style.color : runColor(1);
      curves.push({ color, steps: run.evaluations.steps, value: validation.map((v) => v ?? NaN), points: true, label: `${name}validation` });
    }
  }
  const marks = shownRuns().flatMap(marksOf);
  fillLegend(byId("loss-legend"), lossLegend(marks));
  return { curves, marks, format: (v) => plain(v, 5), axisFormat: (v) => plain(v, 4), empty: "no sampled step yet" };
}

function lossLegend(marks) {
  const one = state.runs.length === 1;
  const entries = one ? [{ color: runColor(0), label: "training" }] : shownRuns().map((run) => ({ ...runStyle(run), label: run.name }));
  if (shownRuns().some((run) => run.evaluations.steps.length > 0)) {
    entries.push({ color: one ? runColor(1) : theme.soft, label: "validation", circle: true });
  }
  if (marks.some((mark) => mark.event === "alarm")) {
    entries.push({ color: theme.warn, dash: [4, 3], label: one ? "alarm raised" : "at the top: alarms" });
  }
  if (marks.some((mark) => mark.event !== "alarm")) {
    entries.push({ color: theme.ghost, label: "at the foot: checkpoints, events" });
  }
  return entries;
}

// Heat maps.

function buildMap(run) {
  const measure = measureOf(run);
  if (!measure || run.heads.steps.length === 0) {
    return null;
  }
  const info = measureInfo(state.measure);
  const { low, high } = scaleOf(state.measure);
  const index = nearest(run.heads.steps, shared.step);
  const values = headsAt(measure, index);
  return {
    layers: measure.layers, heads: measure.heads, values, low, high, step: run.heads.steps[index],
    exists: (layer, head) => !(run.heads.perLayer[layer] > 0) || hasHead(run, measure, layer, head),
    color: (value) => viridis((value - low) / (high - low || 1)),
    format: (value, long) => fixed(value, long ? info.digits : high > 20 ? 0 : high > 10 ? 1 : 2),
    describe: `Step ${run.heads.steps[index]}, mean ${fixed(meanOf(values, 0, values.length), info.digits)}.`,
  };
}

/** The largest difference over all steps, so that the colours stay put; worked out once for each state of both runs. */
function largestDifference(a, b) {
  const key = `difference ${state.measure} ${a.id} ${a.heads.rows}`;
  if (b.means.has(key)) {
    return b.means.get(key);
  }
  let most = 0;
  b.heads.steps.forEach((step, index) => {
    const before = headsAt(measureOf(a), nearest(a.heads.steps, step));
    headsAt(measureOf(b), index).forEach((value, i) => {
      most = Math.max(most, Math.abs(value - before[i]) || 0);
    });
  });
  b.means.set(key, most);
  return most;
}

function buildDifference() {
  const [a, b] = [state.runs[state.against], focusRun()];
  const [before, after] = [measureOf(a), measureOf(b)];
  if (a === b || !before || !after || before.layers !== after.layers || before.heads !== after.heads) {
    return null;
  }
  const most = largestDifference(a, b) || 1;
  const old = headsAt(before, nearest(a.heads.steps, shared.step));
  const values = headsAt(after, nearest(b.heads.steps, shared.step)).map((value, i) => value - old[i]);
  return {
    layers: after.layers, heads: after.heads, values, low: -most, high: most,
    exists: (layer, head) => hasHead(b, after, layer, head),
    color: (value) => diverging(value / most),
    format: (value, long) => (value > 0 ? "+" : "") + fixed(value, long ? 3 : most > 20 ? 0 : most > 1 ? 1 : 2),
    describe: `${b.name} minus ${a.name}.`,
  };
}

// One head.

function buildHead(name, isMain) {
  const info = measureInfo(name);
  const curves = [];
  const focus = focusRun();
  for (const run of shownRuns()) {
    const measure = measureOf(run, name);
    if (!measure || state.layer >= measure.layers) {
      continue;
    }
    if (isMain && run === focus) {
      for (let head = 0; head < Math.min(measure.heads, 64); head += 1) {
        const { value } = headSeries(measure, state.layer, head);
        curves.push({ steps: run.heads.steps, value, color: theme.ghost, width: 0.8, alpha: 0.45 });
      }
    }
    const label = state.runs.length > 1 ? run.name : info.short;
    curves.push({ ...runStyle(run), steps: run.heads.steps, ...headSeries(measure, state.layer, state.head), area: 0.2, width: 2, label });
    const floor = name === "entropy_nats" && measureOf(run, "entropy_floor");
    if (floor) {
      const { value } = headSeries(floor, state.layer, state.head);
      curves.push({ color: theme.warn, steps: run.heads.steps, value, width: 1.2, dash: [2, 2], label: `${label}: floor` });
    }
  }
  const { low, high } = curves.length > 0 ? scaleOf(name) : { low: 0, high: 1 };
  return { curves, limits: limitsOf(name), options: { scale: isMain && info.scale[1] !== null ? [low, high] : info.scale }, format: (v) => fixed(v, info.digits),
    axisFormat: (v) => plain(v, 3), empty: "this head has no values" };
}

function limitsOf(name) {
  const facts = focusRun()?.facts;
  if (name !== "entropy_normalized" || !facts) {
    return [];
  }
  return [{ value: facts.collapse_below, label: "collapse" }, { value: facts.overload_above, label: "overload", above: false }];
}

// Bands, layers, histogram.

function buildBands() {
  const run = focusRun();
  const bands = run && bandShares(run);
  if (!bands) {
    return null;
  }
  const borders = [0, ...run.facts.bands, 1];
  const count = bands.shares.length;
  const colors = bands.shares.map((_, band) => viridis((band + 0.5) / count));
  const labels = bands.shares.map((_, band) => (borders.length === count + 1 ? `${plain(borders[band], 3)} to ${plain(borders[band + 1], 3)}` : `band ${band + 1}`));
  fillLegend(byId("bands-legend"), labels.map((label, band) => ({ label, color: colors[band], area: true })).reverse());
  return { ...bands, colors, labels };
}

function buildLayers() {
  const run = focusRun();
  const measure = measureOf(run);
  const info = measureInfo(state.measure);
  if (!measure) {
    return { curves: [], empty: "no head has values" };
  }
  const means = layerMeans(run, state.measure);
  const curves = means.map((value, layer) => ({
    steps: run.heads.steps, value, label: `layer ${layer}`, color: layerColor(layer, measure.layers),
    width: layer === state.layer ? 3 : 1.6,
  })).filter((curve) => curve.value.some((value) => !Number.isNaN(value)));
  return { curves, limits: limitsOf(state.measure), right: 58, format: (v) => fixed(v, info.digits), axisFormat: (v) => plain(v, 3),
    options: { scale: info.scale[1] === 1 ? info.scale : [null, null] }, after: labelLayers, empty: "no head has values" };
}

/** At the right end of the lines, pushed apart where they would overlap; with many layers some of them. */
function labelLayers(plot) {
  const { layers } = measureOf(focusRun());
  const means = layerMeans(focusRun(), state.measure);
  const steps = focusRun().heads.steps;
  const last = Math.min(visible(steps, plot.x)[1], steps.length) - 1;
  const every = Math.ceil(layers / 14);
  let labels = means.map((series, layer) => ({ layer, y: plot.pixelY(series[last]) }))
    .filter(({ layer, y }) => Number.isFinite(y) && (layer % every === 0 || layer === layers - 1))
    .sort((a, b) => a.y - b.y);
  let lowest = plot.frame.top;
  labels = labels.map((label) => {
    const y = Math.max(label.y, lowest);
    lowest = y + 13;
    return { ...label, y };
  });
  let highest = plot.frame.bottom;
  for (const label of labels.reverse()) {
    label.y = Math.min(label.y, highest);
    highest = label.y - 13;
    plot.context.fillStyle = layerColor(label.layer, layers);
    plot.context.font = SMALL_FONT;
    plot.context.textAlign = "left";
    plot.context.textBaseline = "middle";
    plot.context.fillText(`layer ${label.layer}`, plot.frame.right + 5, label.y);
  }
  plot.context.font = FONT;
}

/** Earlier checkpoints before the step, the nearest three; without checkpoints a half, a quarter and an eighth of the way. */
function ghostSteps(run, step) {
  const saved = run.events.filter(([at, event]) => event === "checkpoint" && at < step).map(([at]) => at);
  const steps = saved.length > 0 ? saved : [step / 8, step / 4, step / 2];
  return [...new Set(steps)].slice(-3);
}

function buildHistogram() {
  const run = focusRun();
  const measure = measureOf(run);
  if (!measure || run.heads.steps.length === 0) {
    return null;
  }
  const { low, high } = scaleOf(state.measure);
  const bins = 20;
  const index = nearest(run.heads.steps, shared.step);
  const colors = Array.from({ length: bins }, (_, bin) => viridis((bin + 0.5) / bins));
  const sets = [{ label: `step ${whole(run.heads.steps[index])}`, counts: countBins(headsAt(measure, index), low, high, bins), colors, color: colors[10], area: true }];
  const others = shownRuns().filter((each) => each !== run && measureOf(each));
  const ghosts = others.length > 0 ? [] : [...new Set(ghostSteps(run, shared.step).map((step) => nearest(run.heads.steps, step)))].filter((at) => at !== index);
  ghosts.reverse().forEach((at, age) => {
    sets.push({ label: `step ${whole(run.heads.steps[at])}`, counts: countBins(headsAt(measure, at), low, high, bins), color: theme.ink,
      alpha: 0.75 - 0.25 * age, dash: RUN_DASHES[age], width: 1.3 });
  });
  for (const other of others) {
    const at = nearest(other.heads.steps, shared.step);
    sets.push({ ...runStyle(other), label: other.name, counts: countBins(headsAt(measureOf(other), at), low, high, bins), width: 2 });
  }
  fillLegend(byId("histogram-legend"), sets);
  return { sets, low, high, unit: measureInfo(state.measure).short.toLowerCase() };
}

// Training.

const NOT_CURVES = /^(loss|tokens|samples|wall_time|bands\.\d+)$/;

/** Lists (`norms.0`, `norms.1`, ..) and objects (`gammas.layers.0.q`, ..) of a line are one chart; auxiliary losses have one each. */
const chartOf = (column) => (column.includes(".") && !column.startsWith("aux_losses.") ? `${column.split(".")[0]}.*` : column);

/** The charts there are, in order. */
function curveNames() {
  const found = new Set();
  for (const run of state.runs) {
    Object.keys(run.samples.columns).filter((column) => !NOT_CURVES.test(column)).forEach((column) => found.add(chartOf(column)));
  }
  const known = Object.keys(CURVES).filter((name) => found.has(name));
  return [...known, ...[...found].filter((name) => !CURVES[name]).sort()];
}

function listCurves(run, name) {
  const columns = Object.keys(run.samples.columns).filter((column) => chartOf(column) === name);
  columns.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
  return columns.map((column, i) => {
    const own = column.slice(column.indexOf(".") + 1);
    const byLayer = /^\d+$/.test(own);
    return { steps: run.samples.steps, ...run.samples.columns[column], label: byLayer ? `layer ${own}` : own, color: layerColor(i, columns.length),
      width: byLayer && Number(own) === state.layer ? 2.8 : 1.3 };
  });
}

function buildCurve(name) {
  const info = curveInfo(name);
  let curves = [];
  if (name.endsWith(".*")) {
    curves = focusRun() ? listCurves(focusRun(), name) : [];
  } else {
    for (const run of shownRuns().filter((each) => each.samples.columns[name])) {
      const column = { steps: run.samples.steps, ...run.samples.columns[name] };
      if (state.runs.length === 1) {
        curves.push({ ...runStyle(run), ...column, label: info.title, area: 0.2, width: 1.6 });
      } else {
        curves.push({ ...runStyle(run), ...column, label: run.name, dash: [], alpha: 0.25, width: 1 });
        curves.push({ ...runStyle(run), steps: column.steps, value: smoothed(column.value), width: 1.6 });
      }
    }
  }
  return { curves, options: { log: info.log, zero: info.zero }, format: info.format, ticks: info.ticks };
}
