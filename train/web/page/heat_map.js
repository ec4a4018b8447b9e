// SPDX-License-Identifier: Apache-2.0
// Layers by heads at one step: one cell a head, its colour on a fixed scale.

class HeatMap {
  /**
   * `build()` returns {layers, heads, values, exists(layer, head), color(value), low, high, format, layerName, describe} or null;
   * `select(layer, head)` is called for clicks and keys; `selected()` tells which cell is chosen; `empty` is said where there is nothing.
   */
  constructor(host, { label, build, select, selected, empty }) {
    Object.assign(this, { host, label, build, select, selected, empty });
    this.canvas = element("canvas", { tabIndex: 0, role: "application", "aria-roledescription": "heat map", "aria-label": label });
    host.append(this.canvas);
    this.draw = this.draw.bind(this);
    this.watcher = new ResizeObserver(() => schedule(this.draw));
    this.watcher.observe(host);
    this.listen();
  }

  remove() {
    this.watcher.disconnect();
    this.host.remove();
  }

  draw() {
    const width = this.host.clientWidth;
    if (width === 0) {
      return;
    }
    this.map = this.build();
    this.place(width);
    this.canvas.style.height = `${this.height}px`;
    this.context = prepare(this.canvas, width, this.height);
    if (!this.map) {
      this.nothing(width);
      return;
    }
    for (let layer = 0; layer < this.map.layers; layer += 1) {
      for (let head = 0; head < this.map.heads; head += 1) {
        this.drawCell(layer, head);
      }
    }
    this.drawLabels();
    this.drawColorBar();
    this.drawSelected();
    this.canvas.setAttribute("aria-label", `${this.label}. ${this.map.describe ?? ""} Arrow keys choose a head.`);
  }

  nothing(width) {
    const { context, height } = this;
    const text = this.empty ?? "no head has values";
    hatch(context, 0, 0, width, height);
    context.textAlign = "center";
    context.textBaseline = "middle";
    const wide = context.measureText(text).width + 24;
    context.fillStyle = theme.card;
    context.fillRect((width - wide) / 2, height / 2 - 15, wide, 30);
    context.fillStyle = theme.soft;
    context.fillText(text, width / 2, height / 2);
    this.canvas.setAttribute("aria-label", `${this.label}: ${text}`);
  }

  /** Where the cells lie: squares as far as the space allows. */
  place(width) {
    const { layers, heads } = this.map ?? { layers: 4, heads: 12 };
    const left = 34;
    const right = 62;
    const column = Math.max((width - left - right) / heads, 2);
    const row = Math.min(Math.max(Math.min(column, 460 / layers), 7), 68);
    Object.assign(this, { left, top: 2, column: Math.min(column, 6 * row), row, width });
    this.height = Math.ceil(this.top + row * layers + 36);
  }

  /** In pixels of the page, for the drawing and for whoever wants to look at a cell. */
  cellBox(layer, head) {
    const gap = Math.min(this.column, this.row) > 10 ? 1 : 0;
    return {
      x: this.left + head * this.column + gap, y: this.top + layer * this.row + gap,
      width: Math.max(this.column - 2 * gap, 1), height: Math.max(this.row - 2 * gap, 1),
    };
  }

  value(layer, head) {
    return this.map.values[layer * this.map.heads + head];
  }

  drawCell(layer, head) {
    const { context, map } = this;
    if (!map.exists(layer, head)) {
      return;
    }
    const { x, y, width, height } = this.cellBox(layer, head);
    const value = this.value(layer, head);
    if (Number.isNaN(value)) {
      hatch(context, x, y, width, height);
      return;
    }
    const color = map.color(value);
    context.fillStyle = color;
    context.fillRect(x, y, width, height);
    const text = map.format(value);
    context.font = SMALL_FONT;
    if (height >= 16 && context.measureText(text).width + 5 <= width) {
      context.fillStyle = inkOn(color);
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(text, x + width / 2, y + height / 2 + 0.5);
    }
    context.font = FONT;
  }

  /** Every label where there is room, else every second, fifth, .. */
  drawLabels() {
    const { context, map } = this;
    const every = (pixels, room) => [1, 2, 5, 10, 20, 50, 100].find((step) => pixels * step >= room) ?? 100;
    context.fillStyle = theme.soft;
    context.font = SMALL_FONT;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (let layer = 0; layer < map.layers; layer += every(this.row, 13)) {
      context.fillText(String(layer), this.left - 6, this.top + (layer + 0.5) * this.row);
    }
    context.textAlign = "center";
    context.textBaseline = "top";
    const bottom = this.top + map.layers * this.row;
    for (let head = 0; head < map.heads; head += every(this.column, 22)) {
      context.fillText(String(head), this.left + (head + 0.5) * this.column, bottom + 5);
    }
    context.fillText(map.heads > 1 ? "head" : "whole layer", this.left + (map.heads * this.column) / 2, bottom + 20);
    context.save();
    context.translate(7, this.top + (map.layers * this.row) / 2);
    context.rotate(-Math.PI / 2);
    context.textBaseline = "middle";
    context.fillText("layer", 0, 0);
    context.restore();
    context.font = FONT;
  }

  drawColorBar() {
    const { context, map } = this;
    const x = this.left + map.heads * this.column + 14;
    const height = map.layers * this.row;
    for (let pixel = 0; pixel < height; pixel += 1) {
      context.fillStyle = map.color(map.high - ((pixel + 0.5) / height) * (map.high - map.low));
      context.fillRect(x, this.top + pixel, 11, 1.5);
    }
    context.fillStyle = theme.soft;
    context.font = SMALL_FONT;
    context.textAlign = "left";
    context.textBaseline = "middle";
    for (const tick of niceTicks(map.low, map.high, Math.min(height / 34, 5))) {
      const y = this.top + height * (1 - (tick - map.low) / (map.high - map.low || 1));
      context.fillText(plain(tick, 3), x + 16, Math.min(Math.max(y, this.top + 6), this.top + height - 5));
    }
    context.font = FONT;
  }

  drawSelected() {
    const { layer, head } = this.selected();
    if (layer >= this.map.layers || (head >= this.map.heads && this.map.heads > 1)) {
      return;
    }
    const { context } = this;
    const { x, y, width, height } = this.cellBox(layer, this.map.heads > 1 ? head : 0);
    context.lineWidth = 4;
    context.strokeStyle = theme.card;
    context.strokeRect(x, y, width, height);
    context.lineWidth = 2;
    context.strokeStyle = theme.ink;
    context.strokeRect(x, y, width, height);
  }

  cellAt(event) {
    if (!this.map) {
      return null;
    }
    const box = this.canvas.getBoundingClientRect();
    const head = Math.floor((event.clientX - box.left - this.left) / this.column);
    const layer = Math.floor((event.clientY - box.top - this.top) / this.row);
    const inside = layer >= 0 && layer < this.map.layers && head >= 0 && head < this.map.heads && this.map.exists(layer, head);
    return inside ? { layer, head } : null;
  }

  listen() {
    this.canvas.addEventListener("click", (event) => {
      const cell = this.cellAt(event);
      if (cell) {
        this.select(cell.layer, cell.head);
      }
    });
    this.canvas.addEventListener("pointermove", (event) => {
      const cell = this.cellAt(event);
      if (!cell) {
        tooltip.hide();
        return;
      }
      const value = this.value(cell.layer, cell.head);
      const text = Number.isNaN(value) ? "no value: this layer has no probabilities, or nothing was visible" : this.map.format(value, true);
      tooltip.show(event, `layer ${cell.layer}, head ${cell.head}`, [text, "click: its curves"]);
    });
    this.canvas.addEventListener("pointerleave", () => tooltip.hide());
    this.canvas.addEventListener("keydown", (event) => {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (move && this.map && !event.ctrlKey && !event.altKey && !event.metaKey) {
        event.preventDefault();
        event.stopPropagation();
        const { layer, head } = this.selected();
        this.select(Math.min(Math.max(layer + move[0], 0), this.map.layers - 1), Math.min(Math.max(head + move[1], 0), this.map.heads - 1));
      }
    });
  }
}
