// SPDX-License-Identifier: Apache-2.0
// Kinds of plots: curves, stacked areas, histograms.

/** First and last index of the steps inside the range, with one on either side so that lines reach the edge. */
function visible(steps, [low, high]) {
  let begin = 0;
  let end = steps.length;
  while (begin < end && steps[begin] < low) {
    begin += 1;
  }
  while (end > begin && steps[end - 1] > high) {
    end -= 1;
  }
  return [Math.max(begin - 1, 0), Math.min(end + 1, steps.length)];
}

/** The range of curves over the steps shown, with a margin; fixed ends win. */
function rangeOf(curves, x, { scale = [null, null], log = false, zero = false } = {}) {
  let low = Infinity;
  let high = -Infinity;
  for (const curve of curves) {
    const [begin, end] = visible(curve.steps, x);
    for (let i = begin; i < end; i += 1) {
      for (const value of [curve.low?.[i] ?? curve.value[i], curve.high?.[i] ?? curve.value[i]]) {
        if (Number.isFinite(value) && (!log || value > 0)) {
          low = Math.min(low, value);
          high = Math.max(high, value);
        }
      }
    }
  }
  if (low > high) {
    return null;
  }
  if (log && high / low > 50) {  // a schedule that ends at 0 must not stretch the scale to the end of f32
    return { low: Math.max(low, high * 1e-6) / 1.15, high: high * 1.15, log: true };
  }
  low = zero ? Math.min(low, 0) : low;
  const margin = high > low ? 0.06 * (high - low) : Math.abs(high) * 0.1 || 1;
  return { low: scale[0] ?? (zero && low === 0 ? 0 : low - margin), high: scale[1] ?? high + margin };
}

function traceLine(plot, context, steps, values, [begin, end]) {
  let down = false;
  context.beginPath();
  for (let i = begin; i < end; i += 1) {
    const y = plot.pixelY(values[i]);
    if (!Number.isFinite(y)) {
      down = false;
    } else if (down) {
      context.lineTo(plot.pixelX(steps[i]), y);
    } else {
      context.moveTo(plot.pixelX(steps[i]), y);
      context.lineTo(plot.pixelX(steps[i]) + 0.01, y);  // a lone point shows
      down = true;
    }
  }
  context.stroke();
}

/** What lies between the smallest and the largest value of each bin. */
function fillBetween(plot, context, steps, low, high, [begin, end]) {
  const areas = [[]];
  for (let i = begin; i < end; i += 1) {
    const [top, bottom] = [plot.pixelY(high[i]), plot.pixelY(low[i])];
    if (Number.isFinite(top) && Number.isFinite(bottom)) {
      areas.at(-1).push([plot.pixelX(steps[i]), top, bottom]);
    } else {
      areas.push([]);
    }
  }
  context.beginPath();
  for (const area of areas.filter((each) => each.length > 1)) {
    area.forEach(([x, top], i) => (i === 0 ? context.moveTo(x, top) : context.lineTo(x, top)));
    area.reverse().forEach(([x, , bottom]) => context.lineTo(x, bottom));
    context.closePath();
  }
  context.fill();
}

/** A curve: {steps, value, low, high, color, dash, width, alpha, area: alpha of the range, 0 for none}. */
function drawCurve(plot, context, curve) {
  const shown = visible(curve.steps, plot.x);
  if (curve.area && curve.low && curve.low !== curve.value) {
    context.globalAlpha = curve.area;
    context.fillStyle = curve.color;
    fillBetween(plot, context, curve.steps, curve.low, curve.high, shown);
  }
  context.globalAlpha = curve.alpha ?? 1;
  context.strokeStyle = curve.color;
  context.lineWidth = curve.width ?? 1.8;
  context.setLineDash(curve.dash ?? []);
  if (curve.points) {
    drawPoints(plot, context, curve, shown);
  } else {
    traceLine(plot, context, curve.steps, curve.value, shown);
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function drawPoints(plot, context, curve, [begin, end]) {
  for (let i = begin; i < end; i += 1) {
    const y = plot.pixelY(curve.value[i]);
    if (Number.isFinite(y)) {
      context.beginPath();
      context.arc(plot.pixelX(curve.steps[i]), y, 3.6, 0, 2 * Math.PI);
      context.fillStyle = theme.card;
      context.fill();
      context.stroke();
    }
  }
}

/** A dashed line across, with its name at the right end. */
function drawLimit(plot, { value, label, above = true }) {
  const y = plot.pixelY(value);
  if (!(y > plot.frame.top && y < plot.frame.bottom)) {
    return;
  }
  const { context, frame } = plot;
  context.strokeStyle = theme.warn;
  context.lineWidth = 1;
  context.setLineDash([5, 4]);
  context.beginPath();
  context.moveTo(frame.left, y);
  context.lineTo(frame.right, y);
  context.stroke();
  context.setLineDash([]);
  context.font = SMALL_FONT;
  context.fillStyle = theme.warn;
  context.textAlign = "right";
  context.textBaseline = above ? "bottom" : "top";
  context.fillText(label, frame.right - 2, y + (above ? -2 : 3));
  context.font = FONT;
}

/** The values of curves at the logged steps nearest to where the pointer is. */
function hoverCurves(curves, x, format) {
  const listed = curves.filter((curve) => curve.label && curve.steps.length > 0);
  if (listed.length === 0) {
    return null;
  }
  const at = listed.map((curve) => ({ curve, index: nearest(curve.steps, x) }));
  const step = at[0].curve.steps[at[0].index];
  const lines = at.map(({ curve, index }) => {
    const between = curve.low && curve.low !== curve.value && curve.low[index] !== curve.high[index]
      ? ` (${format(curve.low[index])} to ${format(curve.high[index])})` : "";
    return { ...curve, value: format(curve.value[index]) + between };
  });
  const points = at.map(({ curve, index }) => ({ step: curve.steps[index], value: curve.value[index], color: curve.color }));
  return { step, title: `step ${whole(step)}`, lines: lines.slice(0, 16), points };
}

/** Curves over the steps. `build()` returns {curves, options, limits, marks, format, right, after, empty} when it is drawn. */
function curvePlot(host, label, build) {
  let built = { curves: [] };
  return new Plot(host, {
    label,
    paint(plot) {
      built = build();
      const x = shared.range;
      const y = x && rangeOf(built.curves, x, built.options);
      if (!y) {
        plot.nothing(built.empty ?? "nothing logged yet");
        return;
      }
      plot.axes(x, { ...y, format: built.axisFormat ?? built.format, ticks: y.log ? undefined : built.ticks }, { right: built.right ?? 10 });
      built.limits?.forEach((limit) => drawLimit(plot, limit));
      plot.clipped((context) => {
        built.marks?.forEach((mark) => drawMark(plot, context, mark));
        built.curves.forEach((curve) => drawCurve(plot, context, curve));
      });
      built.after?.(plot);
      plot.describe(`${label}: ${describeCurves(built.curves, built.format ?? plain)}`);
    },
    hover(plot, x) {
      const found = hoverCurves(built.curves, x, built.format ?? plain);
      const near = (built.marks ?? []).filter((mark) => Math.abs(plot.pixelX(mark.step) - plot.pixelX(x)) < 5);
      if (found && near.length > 0) {
        found.lines.push(...near.slice(0, 4).map((mark) => `${mark.event} at step ${whole(mark.step)}: ${mark.message}`));
      }
      return found;
    },
  });
}

function describeCurves(curves, format) {
  const listed = curves.filter((curve) => curve.label && curve.value.length > 0);
  return listed.map((curve) => `${curve.label} from ${format(curve.value[0])} to ${format(curve.value.at(-1))}`).join("; ");
}

/** Alarms are dashed lines, or short ones at the top where there are many; everything else is a short line at the bottom. */
function drawMark(plot, context, mark) {
  const x = plot.pixelX(mark.step);
  const { top, bottom } = plot.frame;
  const alarm = mark.event === "alarm";
  context.strokeStyle = mark.color;
  context.lineWidth = alarm ? 1.3 : 1.6;
  context.globalAlpha = alarm ? 0.85 : 1;
  context.setLineDash(alarm && !mark.short ? [4, 3] : []);
  context.beginPath();
  context.moveTo(x, alarm ? top - 4 : bottom - 7);
  context.lineTo(x, alarm && mark.short ? top + 6 : bottom);
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

/** Shares that add up to 1, from the lowest band up. `build()` returns {steps, shares, colors, labels} or null. */
function areaPlot(host, label, build) {
  let built = null;
  return new Plot(host, {
    label,
    paint(plot) {
      built = build();
      if (!built || built.steps.length === 0 || !shared.range) {
        plot.nothing("no head has an entropy");
        return;
      }
      plot.axes(shared.range, { low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1], format: (v) => `${Math.round(v * 100)} %` });
      plot.clipped((context) => {
        const shown = visible(built.steps, plot.x);
        let lower = new Float64Array(built.steps.length);
        built.shares.forEach((share, band) => {
          const upper = lower.map((value, i) => value + share[i]);
          context.fillStyle = built.colors[band];
          fillBetween(plot, context, built.steps, lower, upper, shown);
          context.strokeStyle = theme.card;
          context.lineWidth = 1;
          traceLine(plot, context, built.steps, upper, shown);
          lower = upper;
        });
      });
      const last = built.shares.map((share, band) => `${built.labels[band]} ${Math.round(100 * share.at(-1))} %`);
      plot.describe(`${label}, at the last step: ${last.join(", ")}`);
    },
    hover(plot, x) {
      if (!built || built.steps.length === 0) {
        return null;
      }
      const index = nearest(built.steps, x);
      const lines = built.shares.map((share, band) => ({
        label: built.labels[band], value: `${fixed(100 * share[index], 1)} %`, color: built.colors[band], area: true,
      }));
      return { step: built.steps[index], title: `step ${whole(built.steps[index])}`, lines: lines.reverse() };
    },
  });
}

/** Counts of values in equal bins from low to high; those outside go to the ends. */
function countBins(values, low, high, bins) {
  const counts = new Array(bins).fill(0);
  for (const value of values) {
    if (!Number.isNaN(value)) {
      const place = Math.floor(((value - low) / (high - low || 1)) * bins);
      counts[Math.min(Math.max(place, 0), bins - 1)] += 1;
    }
  }
  return counts;
}

/** Bars of the first set, outlines of the others (earlier steps, other runs). `build()` returns {sets: [{label, counts, color, dash, alpha}], low, high} or null. */
function histogramPlot(host, label, build) {
  let built = null;
  const plot = new Plot(host, {
    label,
    paint(self) {
      built = build();
      if (!built) {
        self.nothing("nothing logged yet");
        return;
      }
      const most = Math.max(...built.sets.flatMap((set) => set.counts), 1);
      const ticks = wholeTicks(0, most, 4);
      self.axes([built.low, built.high], { low: 0, high: most * 1.05, ticks, format: whole }, { xLabel: built.unit, xFormat: (v) => plain(v, 3) });
      built.sets.forEach((set, i) => (i === 0 ? drawBars(self, set, built) : drawOutline(self, set, built)));
      self.describe(`${label}: ${built.sets[0].counts.join(", ")} heads in equal parts from ${plain(built.low, 3)} to ${plain(built.high, 3)}`);
    },
    hover(self, x) {
      if (!built) {
        return null;
      }
      const bins = built.sets[0].counts.length;
      const size = (built.high - built.low) / bins;
      const bin = Math.min(Math.floor((x - built.low) / size), bins - 1);
      const [from, to] = [built.low + bin * size, built.low + (bin + 1) * size];
      const lines = built.sets.map((set) => ({ ...set, value: whole(set.counts[bin]) }));
      return { step: (from + to) / 2, title: `${plain(from, 3)} to ${plain(to, 3)}`, lines };
    },
  });
  const over = plot.drawOver;
  plot.drawOver = () => {  // its axis is no axis of steps: only the pointer is drawn
    const step = shared.step;
    shared.step = NaN;
    over();
    shared.step = step;
  };
  plot.release = () => { plot.drag = null; };
  return plot;
}

function drawBars(plot, set, { low, high }) {
  const { context, frame } = plot;
  const size = (high - low) / set.counts.length;
  set.counts.forEach((count, bin) => {
    const left = plot.pixelX(low + bin * size);
    const right = plot.pixelX(low + (bin + 1) * size);
    const top = plot.pixelY(count);
    context.fillStyle = set.colors?.[bin] ?? set.color;
    context.fillRect(left + 0.5, top, Math.max(right - left - 1, 1), frame.bottom - top);
  });
}

function drawOutline(plot, set, { low, high }) {
  const { context, frame } = plot;
  const size = (high - low) / set.counts.length;
  context.strokeStyle = set.color;
  context.globalAlpha = set.alpha ?? 1;
  context.lineWidth = set.width ?? 1.4;
  context.setLineDash(set.dash ?? []);
  context.beginPath();
  context.moveTo(plot.pixelX(low), frame.bottom);
  set.counts.forEach((count, bin) => {
    context.lineTo(plot.pixelX(low + bin * size), plot.pixelY(count));
    context.lineTo(plot.pixelX(low + (bin + 1) * size), plot.pixelY(count));
  });
  context.lineTo(plot.pixelX(high), frame.bottom);
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}
