// SPDX-License-Identifier: Apache-2.0
// Runs as the program sends them (RunView::document), unpacked; and questions about them.

function bytesOf(text) {
  const binary = atob(text);
  const result = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) {
    result[i] = binary.charCodeAt(i);
  }
  return result;
}

const f64 = (text) => new Float64Array(bytesOf(text).buffer);

/** Codes to numbers: 0 is no value, 1 the low end, the largest code the high end. */
function dequantize(codes, largest, [low, high]) {
  const values = new Float32Array(codes.length);
  const unit = (high - low) / (largest - 1);
  for (let i = 0; i < codes.length; i += 1) {
    values[i] = codes[i] === 0 ? NaN : low + (codes[i] - 1) * unit;
  }
  return values;
}

const u16 = (text, range) => dequantize(new Uint16Array(bytesOf(text).buffer), 65535, range);
const u8 = (text, range) => dequantize(bytesOf(text), 255, range);

/** The first `kept` numbers of `old`, then those of `fresh`. */
function joined(old, fresh, kept) {
  if (kept === 0 || !old) {
    return fresh;
  }
  const result = new fresh.constructor(kept + fresh.length);
  result.set(old.subarray(0, kept));
  result.set(fresh, kept);
  return result;
}

function unpackSamples(sent, old) {
  const samples = { epoch: sent.epoch, stride: sent.stride, rows: sent.rows, columns: {} };
  samples.steps = sent.first > 0 ? [...old.steps.slice(0, sent.first), ...sent.steps] : sent.steps;
  for (const [name, packed] of Object.entries(sent.columns)) {
    const before = sent.first > 0 ? old.columns[name] : undefined;
    const value = joined(before?.value, f64(packed.value), sent.first);
    const low = packed.low ? joined(before?.low, f64(packed.low), sent.first) : value;
    const high = packed.high ? joined(before?.high, f64(packed.high), sent.first) : value;
    samples.columns[name] = { value, low, high };
  }
  return samples;
}

function unpackMeasure(packed, before, first) {
  const { layers, heads, range } = packed;
  const kept = first * layers * heads;
  const value = joined(before?.value, u16(packed.value, range), kept);
  const low = packed.low ? joined(before?.low, u8(packed.low, range), kept) : value;
  const high = packed.high ? joined(before?.high, u8(packed.high, range), kept) : value;
  const ends = before && first > 0 ? [Math.min(before.range[0], range[0]), Math.max(before.range[1], range[1])] : range;
  return { layers, heads, range: ends, value, low, high };
}

function unpackHeads(sent, old) {
  const heads = { epoch: sent.epoch, stride: sent.stride, rows: sent.rows, perLayer: sent.heads_per_layer, measures: {} };
  heads.steps = sent.first > 0 ? [...old.steps.slice(0, sent.first), ...sent.steps] : sent.steps;
  for (const [name, packed] of Object.entries(sent.measures)) {
    heads.measures[name] = unpackMeasure(packed, sent.first > 0 ? old.measures[name] : undefined, sent.first);
  }
  return heads;
}

/** A run from what was sent and what was known; means of layers are worked out when asked for. */
function unpackRun(sent, old) {
  return {
    ...old, ...sent,
    samples: unpackSamples(sent.samples, old?.samples),
    heads: sent.heads ? unpackHeads(sent.heads, old?.heads) : null,
    means: new Map(),
  };
}

/** Index of the step nearest to `step` in an ascending list; -1 in an empty one. */
function nearest(steps, step) {
  let low = 0;
  let high = steps.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle] < step) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low > 0 && step - steps[low - 1] <= steps[low] - step ? low - 1 : Math.min(low, steps.length - 1);
}

/** One head of a measure over the steps: {value, low, high}. */
function headSeries(measure, layer, head) {
  const width = measure.layers * measure.heads;
  const place = layer * measure.heads + Math.min(head, measure.heads - 1);
  const pick = (source) => {
    const result = new Float32Array(source.length / width);
    for (let i = 0; i < result.length; i += 1) {
      result[i] = source[i * width + place];
    }
    return result;
  };
  const value = pick(measure.value);
  return measure.low === measure.value ? { value, low: value, high: value } : { value, low: pick(measure.low), high: pick(measure.high) };
}

/** The numbers of all heads at bin `index`, layer after layer. */
function headsAt(measure, index) {
  const width = measure.layers * measure.heads;
  return measure.value.subarray(index * width, (index + 1) * width);
}

function meanOf(values, begin, end) {
  let sum = 0;
  let count = 0;
  for (let i = begin; i < end; i += 1) {
    if (!Number.isNaN(values[i])) {
      sum += values[i];
      count += 1;
    }
  }
  return count > 0 ? sum / count : NaN;
}

/** Mean over the heads of each layer, over the steps. */
function layerMeans(run, name) {
  const known = run.means.get(name);
  if (known) {
    return known;
  }
  const { layers, heads, value } = run.heads.measures[name];
  const means = [];
  for (let layer = 0; layer < layers; layer += 1) {
    const series = new Float32Array(run.heads.steps.length);
    for (let i = 0; i < series.length; i += 1) {
      const begin = (i * layers + layer) * heads;
      series[i] = meanOf(value, begin, begin + heads);
    }
    means.push(series);
  }
  run.means.set(name, means);
  return means;
}

/** Shares of heads per band over the steps, lowest band first: as recorded, or counted here from the borders of the recipe. */
function bandShares(run) {
  const recorded = Object.keys(run.samples.columns).filter((name) => /^bands\.\d+$/.test(name));
  if (recorded.length > 1) {
    recorded.sort((a, b) => Number(a.slice(6)) - Number(b.slice(6)));
    return { steps: run.samples.steps, shares: recorded.map((name) => run.samples.columns[name].value) };
  }
  const measure = run.heads?.measures.entropy_normalized;
  if (!measure) {
    return null;
  }
  const shares = [...run.facts.bands, Infinity].map(() => new Float32Array(run.heads.steps.length));
  for (let i = 0; i < run.heads.steps.length; i += 1) {
    const known = headsAt(measure, i).filter((value) => !Number.isNaN(value));
    for (const value of known) {
      const band = run.facts.bands.findIndex((border) => value < border);
      shares[band < 0 ? shares.length - 1 : band][i] += 1 / known.length;
    }
  }
  return { steps: run.heads.steps, shares };
}

/** Whether this layer has this head at all. */
function hasHead(run, measure, layer, head) {
  return head < (run.heads.perLayer[layer] ?? measure.heads) || measure.heads === 1;
}
