// SPDX-License-Identifier: Apache-2.0
// Numbers for people, and what measures and curves are called.

const MINUS = "\u2212";
const DASH = "\u2013";

const signed = (text) => text.replace(/^-/, MINUS);

/** Up to `digits` significant digits; very large and small numbers with an exponent. */
function plain(value, digits = 4) {
  if (!Number.isFinite(value)) {
    return Number.isNaN(value) || value === undefined ? DASH : value > 0 ? "\u221e" : `${MINUS}\u221e`;
  }
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) {
    return signed(value.toExponential(Math.min(digits - 1, 2)).replace(/\.?0+e/, "e").replace("e+", "e"));
  }
  return signed(String(Number(value.toPrecision(digits))));
}

const fixed = (value, digits) => (Number.isFinite(value) ? signed(value.toFixed(digits)) : plain(value));
const whole = (value) => (Number.isFinite(value) ? signed(Math.round(value).toLocaleString("en-US")) : DASH);

function scaled(value, base, units) {
  if (!Number.isFinite(value)) {
    return plain(value);
  }
  let power = 0;
  while (Math.abs(value) >= base && power < units.length - 1) {
    value /= base;
    power += 1;
  }
  return `${plain(value, Math.abs(value) >= 100 ? 4 : 3)}${units[power]}`;
}

const si = (value) => (Math.abs(value) < 1 ? plain(value, 3) : scaled(value, 1000, ["", "k", "M", "G", "T", "P"]));
const bytes = (value) => scaled(value, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]);

function duration(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= 2 * size) {
      return `${Math.round(seconds / size)} ${unit}`;
    }
  }
  return `${Math.max(Math.round(seconds), 0)} s`;
}

// What measures of heads are called, in what unit, and the fixed ends of their scale (null: from the data).
const MEASURES = {
  entropy_normalized: { title: "Entropy, share of the attainable", short: "Entropy (share)", unit: "0: one key, 1: all visible keys alike", scale: [0, 1], digits: 3 },
  entropy_nats: { title: "Entropy in nats", short: "Entropy (nats)", unit: "nats", scale: [0, null], digits: 3 },
  max_logit: { title: "Largest attention logit", short: "Largest logit", unit: "", scale: [null, null], digits: 2 },
  max_logit_capped: { title: "Largest attention logit after the cap", short: "Largest capped logit", unit: "", scale: [null, null], digits: 2 },
  entropy_floor: { title: "Entropy floor of the spectral bound", short: "Entropy floor", unit: "nats", scale: [0, null], digits: 3 },
  low_rows: { title: "Rows below 0.01 nats", short: "Rows without entropy", unit: "share of the rows", scale: [0, 1], digits: 3 },
  sink_mass: { title: "Attention on the first token", short: "Mass on the first token", unit: "share", scale: [0, 1], digits: 3 },
};
const SHARE_NAME = /(normalized|share|mass|fraction|probability)$/;

/** What there is to know of a measure; those that nobody has named here are called by their name. */
function measureInfo(name) {
  const words = name.replaceAll("_", " ");
  const title = words.charAt(0).toUpperCase() + words.slice(1);
  const scale = SHARE_NAME.test(name) ? [0, 1] : /nats|norm|count|rows/.test(name) ? [0, null] : [null, null];
  const unit = /nats/.test(name) ? "nats" : "";
  return MEASURES[name] ?? { title, short: title, unit, scale, digits: 3 };
}

// The curves of training that are known, in the order of the page: title, unit, how numbers are written.
const CURVES = {
  lr: { title: "Learning rate", format: (v) => plain(v, 3) },
  grad_norm: { title: "Gradient norm", note: "before clipping", format: (v) => plain(v, 4), log: true },
  update_norm: { title: "Update norm", format: (v) => plain(v, 4), log: true },
  tokens_per_second: { title: "Speed", note: "tokens per second", format: si, zero: true },
  peak_memory_bytes: { title: "Memory", note: "peak", format: bytes, ticks: byteTicks, zero: true },
  step_ms: { title: "Time of a step", note: "ms", format: (v) => plain(v, 4), zero: true },
  model_tflops: { title: "Arithmetic", note: "TFLOP/s of the model", format: (v) => plain(v, 3), zero: true },
  fraction_of_peak: { title: "Share of the machine's peak", format: (v) => plain(v, 3), zero: true },
  collapsed_heads: { title: "Collapsed heads", format: whole, ticks: wholeTicks, zero: true },
  "activation_norms.*": { title: "Activation norms", note: "by layer", format: (v) => plain(v, 4), log: true },
  "gradient_norms.*": { title: "Gradient norms", note: "by layer", format: (v) => plain(v, 4), log: true },
  "update_norms.*": { title: "Update norms", note: "by layer", format: (v) => plain(v, 4), log: true },
  "gammas.*": { title: "Gammas", note: "by matrix", format: (v) => plain(v, 4) },
  "spectral_norms.*": { title: "Spectral norms", note: "by matrix", format: (v) => plain(v, 4) },
};

function curveInfo(name) {
  const words = name.replace(/^aux_losses\./, "").replace(/\.\*$/, "").replaceAll("_", " ").replaceAll(".", " ");
  const title = words.charAt(0).toUpperCase() + words.slice(1);
  const note = name.startsWith("aux_losses.") ? "auxiliary loss, weighted" : "";
  return CURVES[name] ?? { title, note, format: (v) => plain(v, 4) };
}

/** About `count` round numbers from `low` to `high`. */
function niceTicks(low, high, count) {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span)) {
    return [low];
  }
  const rough = span / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.72);
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) {
    ticks.push(Number((k * step).toPrecision(12)));
  }
  return ticks;
}

/** Round numbers of bytes: of KiB, MiB or GiB. */
function byteTicks(low, high, count) {
  const unit = 1024 ** Math.max(Math.floor(Math.log(Math.max(high, 1)) / Math.log(1024)), 0);
  return niceTicks(low / unit, high / unit, count).map((tick) => tick * unit);
}

function wholeTicks(low, high, count) {
  return niceTicks(low, high, count).filter(Number.isInteger);
}

/** Powers of ten, every second or third where there are many, with 2 and 5 between where there are few. */
function logTicks(low, high, count) {
  const ticks = [];
  const powers = Math.log10(high / low);
  const every = Math.max(Math.ceil(powers / Math.max(count, 2)), 1);
  for (let exponent = Math.floor(Math.log10(low)); exponent <= Math.ceil(Math.log10(high)); exponent += 1) {
    for (const factor of powers < 2.2 ? [1, 2, 5] : [1]) {
      const tick = Number((factor * 10 ** exponent).toPrecision(3));
      if (tick >= low && tick <= high && exponent % every === 0) {
        ticks.push(tick);
      }
    }
  }
  return ticks;
}
