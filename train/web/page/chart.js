// SPDX-License-Identifier: Apache-2.0
// A plot: two canvases (the picture, and over it what follows the pointer and the step), axes, zoom, tooltip.

const FONT = "12px system-ui, -apple-system, \"Segoe UI\", \"DejaVu Sans\", Arial, sans-serif";
const SMALL_FONT = FONT.replace("12px", "11px");

/** An element with properties, attributes (data-, aria-, role) and children. */
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "scope") {
      made.setAttribute(key, value);
    } else {
      made[key] = value;
    }
  }
  made.append(...children);
  return made;
}

const byId = (id) => document.getElementById(id);

/** The canvas's context, its pixels those of the screen, cleared. */
function prepare(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const pixels = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) {
    [canvas.width, canvas.height] = pixels;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  context.lineJoin = "round";
  return context;
}

/** A short piece of a line, a square or a circle, for legends and tooltips. */
function swatch({ color, dash = [], area = false, circle = false, width = 2 }) {
  const canvas = element("canvas", { "aria-hidden": "true" });
  const [wide, high] = [area ? 12 : 22, 12];
  canvas.style.width = `${wide}px`;
  canvas.style.height = `${high}px`;
  const context = prepare(canvas, wide, high);
  if (area) {
    context.fillStyle = color;
    context.fillRect(0, 1, 11, 10);
  } else {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.beginPath();
    if (circle) {
      context.arc(11, 6, 3.6, 0, 2 * Math.PI);
    } else {
      context.moveTo(0, 6);
      context.lineTo(22, 6);
    }
    context.stroke();
  }
  return canvas;
}

function fillLegend(host, entries) {
  host.replaceChildren(...entries.map((entry) => element("span", {}, swatch(entry), entry.label)));
}

const tooltip = {
  /** Lines are texts, or {label, value, color..}. */
  show(event, title, lines) {
    const host = byId("tooltip");
    const rows = lines.map((line) => (typeof line === "string" ? element("div", {}, line)
      : element("div", {}, swatch(line), line.label, element("span", {}, line.value))));
    host.replaceChildren(element("b", {}, title), ...rows);
    host.hidden = false;
    const box = host.getBoundingClientRect();
    const left = event.clientX + 16 + box.width > window.innerWidth ? event.clientX - box.width - 12 : event.clientX + 16;
    const top = Math.min(event.clientY + 14, window.innerHeight - box.height - 6);
    host.style.transform = `translate(${Math.max(left, 4)}px, ${Math.max(top, 4)}px)`;
  },
  hide() {
    byId("tooltip").hidden = true;
  },
};

/** Things to draw before the next frame, each once. */
const pending = new Set();
function schedule(draw) {
  if (pending.size === 0) {
    requestAnimationFrame(() => {
      const all = [...pending];
      pending.clear();
      all.forEach((each) => each());
    });
  }
  pending.add(draw);
}

/** All plots share the steps shown, the step chosen, and what a click or a drag means. */
const shared = { step: 0, range: null, pick() {}, zoom() {} };

class Plot {
  /** `paint(plot)` draws into plot.context; `hover(plot, x)` returns {title, lines, points} for a step. */
  constructor(host, { label, paint, hover }) {
    Object.assign(this, { host, label, paint, hover, pointer: null, drag: null });
    this.base = element("canvas", { role: "img", "aria-label": label });
    this.over = element("canvas", { "aria-hidden": "true" });
    host.append(this.base, this.over);
    this.draw = this.draw.bind(this);
    this.drawOver = this.drawOver.bind(this);
    new ResizeObserver(() => schedule(this.draw)).observe(host);
    this.listen();
  }

  /** Says what the picture shows, for those who do not see it. */
  describe(text) {
    this.base.setAttribute("aria-label", text);
  }

  draw() {
    this.width = this.host.clientWidth;
    this.height = this.host.clientHeight;
    if (this.width === 0) {
      return;
    }
    this.context = prepare(this.base, this.width, this.height);
    this.frame = { left: 8, top: 8, right: this.width - 10, bottom: this.height - 24 };
    this.paint(this);
    this.drawOver();
  }

  /** Fits the frame to the labels of the vertical axis and draws both axes. `y`: {low, high, log, format, ticks}. */
  axes(x, y, { right = 10, xLabel = "step", xFormat = si } = {}) {
    Object.assign(this, { x, y });
    const room = this.frame.bottom - this.frame.top;
    const ticksOf = y.ticks ?? (y.log ? logTicks : niceTicks);
    const yTicks = Array.isArray(ticksOf) ? ticksOf : ticksOf(y.low, y.high, room / 40);
    const format = y.format ?? ((v) => plain(v, 4));
    const labels = yTicks.map(format);
    const widest = Math.max(...labels.map((text) => this.context.measureText(text).width), 8);
    this.frame.left = Math.ceil(widest) + 12;
    this.frame.right = this.width - right;
    this.drawHorizontal(yTicks, labels);
    this.drawVertical(xLabel, xFormat);
  }

  drawHorizontal(ticks, labels) {
    const { context, frame } = this;
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.lineWidth = 1;
    ticks.forEach((tick, i) => {
      const y = Math.round(this.pixelY(tick)) + 0.5;
      context.strokeStyle = theme.grid;
      context.beginPath();
      context.moveTo(frame.left, y);
      context.lineTo(frame.right, y);
      context.stroke();
      context.fillStyle = theme.soft;
      context.fillText(labels[i], frame.left - 7, y);
    });
  }

  drawVertical(label, format) {
    const { context, frame } = this;
    const [low, high] = this.x;
    context.strokeStyle = theme.line;
    context.beginPath();
    context.moveTo(frame.left, frame.bottom + 0.5);
    context.lineTo(frame.right, frame.bottom + 0.5);
    context.stroke();
    context.fillStyle = theme.soft;
    context.textBaseline = "top";
    const end = frame.right - context.measureText(label).width - 8;
    for (const tick of niceTicks(low, high, (frame.right - frame.left) / 80)) {
      const x = this.pixelX(tick);
      const text = format(tick);
      const half = context.measureText(text).width / 2;
      context.beginPath();
      context.moveTo(Math.round(x) + 0.5, frame.bottom);
      context.lineTo(Math.round(x) + 0.5, frame.bottom + 4);
      context.stroke();
      if (x + half < end) {
        context.textAlign = "center";
        context.fillText(text, Math.max(x, half + 1), frame.bottom + 7);
      }
    }
    context.textAlign = "right";
    context.fillText(label, frame.right, frame.bottom + 7);
  }

  /** A message where there is nothing to draw. */
  nothing(text) {
    const { context, width, height } = this;
    this.x = null;
    hatch(context, 1, 1, width - 2, height - 2);
    context.textAlign = "center";
    context.textBaseline = "middle";
    const wide = context.measureText(text).width + 24;
    context.fillStyle = theme.card;
    context.fillRect((width - wide) / 2, height / 2 - 15, wide, 30);
    context.fillStyle = theme.soft;
    context.fillText(text, width / 2, height / 2);
    this.describe(`${this.label}: ${text}`);
  }

  pixelX(step) {
    const [low, high] = this.x;
    return this.frame.left + ((step - low) / (high - low || 1)) * (this.frame.right - this.frame.left);
  }

  pixelY(value) {
    const { low, high, log } = this.y;
    const share = log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low || 1);
    return this.frame.bottom - share * (this.frame.bottom - this.frame.top);
  }

  stepAt(pixel) {
    const [low, high] = this.x;
    const share = (pixel - this.frame.left) / (this.frame.right - this.frame.left);
    return low + Math.min(Math.max(share, 0), 1) * (high - low);
  }

  /** Draws inside the frame only. */
  clipped(draw) {
    const { context, frame } = this;
    context.save();
    context.beginPath();
    context.rect(frame.left - 5, frame.top - 4, frame.right - frame.left + 10, frame.bottom - frame.top + 5);
    context.clip();
    draw(context);
    context.restore();
  }

  drawOver() {
    if (!this.width) {
      return;
    }
    const context = prepare(this.over, this.width, this.height);
    if (!this.x || this.still) {
      return;
    }
    if (shared.step >= this.x[0] && shared.step <= this.x[1]) {
      this.upright(context, this.pixelX(shared.step), theme.accent, 1.5, []);
    }
    if (this.drag && Math.abs(this.drag.to - this.drag.from) > 6) {
      context.fillStyle = theme.dark ? "rgba(99, 179, 240, 0.2)" : "rgba(11, 98, 164, 0.12)";
      context.fillRect(Math.min(this.drag.from, this.drag.to), this.frame.top, Math.abs(this.drag.to - this.drag.from), this.frame.bottom - this.frame.top);
    } else if (this.pointer !== null) {
      this.drawHover(context);
    }
  }

  drawHover(context) {
    const found = this.hover?.(this, this.stepAt(this.pointer.x));
    if (!found) {
      tooltip.hide();
      return;
    }
    this.upright(context, this.pixelX(found.step), theme.soft, 1, [3, 3]);
    for (const { step, value, color } of found.points ?? []) {
      const y = this.pixelY(value);
      if (Number.isFinite(y)) {
        context.fillStyle = color;
        context.strokeStyle = theme.card;
        context.lineWidth = 1.5;
        context.beginPath();
        context.arc(this.pixelX(step), y, 4, 0, 2 * Math.PI);
        context.fill();
        context.stroke();
      }
    }
    tooltip.show(this.pointer.event, found.title, found.lines);
  }

  upright(context, x, color, width, dash) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(x, this.frame.top - 4);
    context.lineTo(x, this.frame.bottom);
    context.stroke();
    context.setLineDash([]);
  }

  listen() {
    const place = (event) => event.clientX - this.over.getBoundingClientRect().left;
    this.over.addEventListener("pointerdown", (event) => {
      if (this.x && event.button === 0) {
        this.over.setPointerCapture(event.pointerId);
        this.drag = { from: place(event), to: place(event) };
      }
    });
    this.over.addEventListener("pointermove", (event) => {
      this.pointer = { x: place(event), event };
      if (this.drag) {
        this.drag.to = place(event);
        tooltip.hide();
      }
      schedule(this.drawOver);
    });
    this.over.addEventListener("pointerup", () => this.release());
    this.over.addEventListener("pointercancel", () => { this.drag = null; });
    this.over.addEventListener("pointerleave", () => {
      this.pointer = null;
      tooltip.hide();
      schedule(this.drawOver);
    });
    this.over.addEventListener("dblclick", () => shared.zoom(null));
  }

  release() {
    const drag = this.drag;
    this.drag = null;
    if (!drag || this.still) {
      return;
    }
    const [from, to] = [drag.from, drag.to].sort((a, b) => a - b);
    if (to - from > 6) {
      shared.zoom([this.stepAt(from), this.stepAt(to)]);
    } else {
      shared.pick(this.stepAt(drag.to));
    }
  }
}
