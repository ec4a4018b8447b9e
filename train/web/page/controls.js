// SPDX-License-Identifier: Apache-2.0
// The controls: table of runs, slider, measure, keys, theme; and the tables of numbers, events, recipes.

/** The collapsed heads at the last step, and their mean; null without entropies. */
function headSummary(run) {
  const measure = measureOf(run, "entropy_normalized");
  if (!measure || run.heads.steps.length === 0) {
    return null;
  }
  const values = headsAt(measure, run.heads.steps.length - 1);
  const known = values.filter((value) => !Number.isNaN(value));
  return { mean: meanOf(values, 0, values.length), collapsed: known.filter((v) => v < run.facts.collapse_below).length, heads: known.length };
}

const STATES = {
  waiting: "waiting for its first line", running: "running", ended: "ended", stopped: "stopped by a signal",
};

function stateText(run) {
  if (run.status !== "silent") {
    return STATES[run.status] ?? "";
  }
  return state.live ? `no news for ${duration(Date.now() / 1000 - run.last_wall_time)}` : "not ended";
}

function runCells(run) {
  const { samples, evaluations, facts } = run;
  const last = (name) => samples.columns[name]?.value.at(-1) ?? NaN;
  const heads = headSummary(run);
  const total = facts.total_steps >= (samples.steps.at(-1) ?? 0) && facts.total_steps > 0 ? ` of ${whole(facts.total_steps)}` : "";
  return [
    ["step", samples.steps.length > 0 ? whole(samples.steps.at(-1)) + total : DASH],
    ["loss", plain(last("loss"), 5)],
    ["validation", plain(evaluations.columns.val_loss?.at(-1) ?? NaN, 5)],
    ["tokens", si(last("tokens"))],
    ["tokens/s", si(last("tokens_per_second"))],
    ["mean entropy", heads ? fixed(heads.mean, 3) : DASH],
    ["collapsed", heads ? `${heads.collapsed} of ${heads.heads}` : DASH],
    ["alarms now", run.alarms.length > 0 ? String(run.alarms.length) : "none"],
  ];
}

function drawRuns() {
  const header = state.runs.length > 0 ? runCells(state.runs[0]).map(([name]) => name) : [];
  const rows = state.runs.map((run, index) => {
    const box = element("input", { type: "checkbox", checked: !state.hidden.has(run.id), "aria-label": `show ${run.name}`,
      onchange: () => toggleRun(run) });
    const name = element("button", { type: "button", className: "name", title: run.facts.directory, onclick: () => setFocus(index) },
      swatch({ ...runStyle(run), width: 3 }), run.name);
    const cells = runCells(run).map(([key, text]) => element("td", {
      className: key === "alarms now" && run.alarms.length > 0 ? "alarmed" : "", title: key === "alarms now" ? run.alarms.join("\n") : "", "data-key": key }, text));
    const row = element("tr", { className: index === state.focus && state.runs.length > 1 ? "focus" : "", "data-run": String(run.id) },
      element("td", {}, state.runs.length > 1 ? box : ""), element("td", {}, name), element("td", { className: `state ${run.status}` }, stateText(run)), ...cells);
    return row;
  });
  const head = element("thead", {}, element("tr", {}, ...["", "run", "state", ...header].map((text) => element("th", { scope: "col" }, text))));
  keepFocus(byId("runs"), () => byId("runs").replaceChildren(head, element("tbody", {}, ...rows)));
  drawProblems();
}

/** Redraws the inside of `host`; what had the keyboard's focus has it again. */
function keepFocus(host, redraw) {
  const all = () => [...host.querySelectorAll("input, button, select")];
  const place = all().indexOf(document.activeElement);
  redraw();
  if (place >= 0) {
    all()[place]?.focus();
  }
}

function drawProblems() {
  const texts = state.runs.flatMap((run) => [
    ...(run.problem ? [`${run.name}: ${run.problem}`] : []),
    ...(run.bad_lines > 0 ? [`${run.name}: ${run.bad_lines} lines of metrics.jsonl could not be read and were passed over`] : []),
  ]);
  byId("problems").hidden = texts.length === 0;
  byId("problems").textContent = texts.join("; ");
}

function toggleRun(run) {
  if (!state.hidden.delete(run.id)) {
    state.hidden.add(run.id);
  }
  redrawAll();
}

function setFocus(index) {
  state.focus = index;
  if (state.against === index) {
    state.against = index === 0 ? 1 : 0;
  }
  buildMaps();
  redrawAll();
}

// Step.

/** `Infinity` follows the last step. */
function setStep(step) {
  const steps = sliderSteps();
  const index = nearest(steps, step);
  state.step = index === steps.length - 1 ? Infinity : steps[index] ?? Infinity;
  drawStep();
}

function moveStep(by) {
  const steps = sliderSteps();
  const index = Math.min(Math.max(nearest(steps, shared.step) + by, 0), steps.length - 1);
  setStep(steps[index]);
}

/** Everything that follows the step, and nothing else: this runs at every movement of the slider. */
function drawStep() {
  const steps = sliderSteps();
  const index = nearest(steps, state.step);
  shared.step = steps[index] ?? 0;
  const slider = byId("slider");
  slider.max = String(Math.max(steps.length - 1, 0));
  slider.value = String(Math.max(index, 0));
  slider.setAttribute("aria-valuetext", `step ${shared.step}`);
  byId("step").textContent = byId("paper-step").textContent = `step ${whole(shared.step)}`;
  schedule(drawFollowers);
}

const play = { on: false, place: 0, last: 0 };

function setPlaying(on) {
  const steps = sliderSteps();
  play.on = on && steps.length > 1;
  byId("play").textContent = play.on ? "Pause" : "Play";
  byId("play").setAttribute("aria-pressed", String(play.on));
  if (play.on) {
    const index = nearest(steps, shared.step);
    play.place = index >= steps.length - 1 ? 0 : index;
    play.last = performance.now();
    requestAnimationFrame(playOn);
  }
}

/** All of a run takes twelve seconds, a short one less. */
function playOn(now) {
  if (!play.on) {
    return;
  }
  const steps = sliderSteps();
  play.place += ((now - play.last) / 1000) * Math.max(steps.length / 12, 8);
  play.last = now;
  const index = Math.min(Math.floor(play.place), steps.length - 1);
  setStep(steps[index]);
  if (index >= steps.length - 1) {
    setPlaying(false);
  } else {
    requestAnimationFrame(playOn);
  }
}

/** Alarms of the run, as small marks under the slider. */
function drawTicks() {
  const steps = sliderSteps();
  const raised = [...new Set((focusRun()?.events ?? []).filter(isRaised).map(([step]) => nearest(steps, step)))];
  byId("ticks").replaceChildren(...raised.slice(0, 400).map((index) => {
    const tick = element("i");
    tick.style.left = `${(100 * index) / Math.max(steps.length - 1, 1)}%`;
    return tick;
  }));
}

// Measure, head.

function drawMeasures() {
  const names = [...new Set(state.runs.flatMap((run) => Object.keys(run.heads?.measures ?? {})))];
  const rank = (name) => (Object.keys(MEASURES).indexOf(name) + 1 || 99);
  names.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
  if (names.length > 0 && !names.includes(state.measure)) {
    state.measure = names[0];
  }
  const select = byId("measure");
  const listed = [...select.options].map((option) => option.value);
  if (listed.join() !== names.join()) {
    select.replaceChildren(...names.map((name) => element("option", { value: name }, measureInfo(name).title)));
  }
  select.value = state.measure;
  select.disabled = names.length === 0;
  return names;
}

function setMeasure(name) {
  state.measure = name;
  redrawAll();
}

function setHead(layer, head) {
  const measure = measureOf(focusRun());
  if (measure) {
    state.layer = Math.min(Math.max(layer, 0), measure.layers - 1);
    state.head = Math.min(Math.max(head, 0), Math.max(measure.heads - 1, 0));
    redrawAll();
  }
}

/** In words: the chosen head at the chosen step, in every measure. */
function drawCellText() {
  const run = focusRun();
  const parts = Object.keys(run?.heads?.measures ?? {}).map((name) => {
    const measure = measureOf(run, name);
    const place = state.layer * measure.heads + Math.min(state.head, measure.heads - 1);
    const value = headsAt(measure, nearest(run.heads.steps, shared.step))[place];
    return `${measureInfo(name).short.toLowerCase()} ${fixed(value, measureInfo(name).digits)}`;
  });
  byId("cell").textContent = parts.length > 0 ? `Layer ${state.layer}, head ${state.head}: ${parts.join(", ")}` : "";
}

// Theme, keys.

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  readTheme();
  byId("theme").textContent = theme.dark ? "Light" : "Dark";
}

function startTheme() {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  setTheme(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => {
    setTheme(dark.matches ? "dark" : "light");
    redrawAll();
  });
  const toggle = () => {
    setTheme(theme.dark ? "light" : "dark");
    redrawAll();
  };
  byId("theme").addEventListener("click", toggle);
  let before = null;
  window.addEventListener("beforeprint", () => {
    before = theme.dark ? "dark" : "light";
    setTheme("light");
    redrawAll(true);
  });
  window.addEventListener("afterprint", () => {
    setTheme(before);
    redrawAll();
  });
  return toggle;
}

function nextMeasure() {
  const options = [...byId("measure").options].map((option) => option.value);
  if (options.length > 0) {
    setMeasure(options[(options.indexOf(state.measure) + 1) % options.length]);
  }
}

function startKeys(toggleTheme) {
  const far = (event) => (event.shiftKey ? 10 : 1);
  const keys = {
    ArrowLeft: (event) => moveStep(-far(event)), ArrowRight: (event) => moveStep(far(event)),
    Home: () => setStep(-Infinity), End: () => setStep(Infinity), " ": () => setPlaying(!play.on),
    j: () => setHead(state.layer + 1, state.head), k: () => setHead(state.layer - 1, state.head),
    h: () => setHead(state.layer, state.head - 1), l: () => setHead(state.layer, state.head + 1),
    m: nextMeasure, r: () => setFocus((state.focus + 1) % Math.max(state.runs.length, 1)),
    d: toggleTheme, "?": () => byId("help").showModal(), Escape: () => shared.zoom(null),
  };
  document.addEventListener("keydown", (event) => {
    const takesKeys = event.target.closest("select, button, summary, dialog, input[type=checkbox]");
    const ownKey = takesKeys && (/^(Arrow|Home|End| |Enter)/.test(event.key) || takesKeys.matches("select, dialog"));
    if (keys[event.key] && !ownKey && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      keys[event.key](event);
    }
  });
}

function startControls() {
  const toggleTheme = startTheme();
  startKeys(toggleTheme);
  byId("slider").addEventListener("input", () => setStep(sliderSteps()[Number(byId("slider").value)]));
  byId("play").addEventListener("click", () => setPlaying(!play.on));
  byId("measure").addEventListener("change", () => setMeasure(byId("measure").value));
  byId("keys").addEventListener("click", () => byId("help").showModal());
  byId("unzoom").addEventListener("click", () => shared.zoom(null));
  for (const id of ["numbers", "events", "recipe"]) {
    byId(id).addEventListener("toggle", drawTables);
  }
}

// Tables.

function numbersTable(run) {
  const measure = measureOf(run);
  if (!measure || run.heads.steps.length === 0) {
    return element("p", { className: "note" }, `${run.name}: no head has values`);
  }
  const index = nearest(run.heads.steps, shared.step);
  const values = headsAt(measure, index);
  const { digits, title } = measureInfo(state.measure);
  const columns = [...Array(measure.heads).keys()];
  const head = element("tr", {}, element("th", { scope: "col" }, "layer"), ...columns.map((i) => element("th", { scope: "col" }, `head ${i}`)));
  const rows = [...Array(measure.layers).keys()].map((layer) => element("tr", {}, element("th", { scope: "row" }, String(layer)),
    ...columns.map((i) => element("td", { "data-head": `${run.id} ${layer} ${i}` }, fixed(values[layer * measure.heads + i], digits)))));
  return element("table", {}, element("caption", {}, `${run.name}, step ${whole(run.heads.steps[index])}: ${title}`), element("thead", {}, head), element("tbody", {}, ...rows));
}

function eventsTable() {
  const rows = shownRuns().flatMap((run) => run.events.map(([step, event, message]) => ({ step, event, message, run })));
  rows.sort((a, b) => a.step - b.step);
  const left = shownRuns().reduce((sum, run) => sum + run.num_events - run.events.length, 0);
  const body = rows.map(({ step, event, message, run }) => element("tr", {},
    element("td", {}, element("button", { type: "button", title: "go to this step", onclick: () => setStep(step) }, whole(step))),
    element("td", {}, state.runs.length > 1 ? run.name : ""), element("td", {}, event), element("td", {}, message)));
  return element("table", {}, element("caption", {}, left > 0 ? `the last ones; ${whole(left)} earlier ones are left out` : `${rows.length} events`),
    element("tbody", {}, ...body));
}

/** Only what is open: they are large. */
function drawTables() {
  if (byId("numbers").open) {
    byId("numbers-table").replaceChildren(...shownRuns().map(numbersTable));
  }
  if (byId("events").open) {
    keepFocus(byId("events-table"), () => byId("events-table").replaceChildren(eventsTable()));
  }
  if (byId("recipe").open) {
    byId("recipe-text").replaceChildren(element("p", { className: "note" }, focusRun()?.name ?? ""), element("pre", { tabIndex: 0 }, focusRun()?.facts.recipe || "no recipe.resolved.yaml"));
  }
}
