// SPDX-License-Identifier: Apache-2.0
// Colours that everyone can tell apart: viridis for values, a blue-orange scale for differences, Okabe and Ito's for runs.

// The anchors of train/plot/colors.cpp: a value has one colour in every picture of ours.
const VIRIDIS = [
  [68, 1, 84], [72, 40, 120], [62, 73, 137], [49, 104, 142], [38, 130, 142],
  [31, 158, 137], [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37],
];
const DIVERGING_LOW = [[5, 74, 145], [61, 129, 190], [150, 190, 222]];
const DIVERGING_HIGH = [[244, 180, 120], [217, 110, 30], [150, 60, 0]];

const RUN_COLORS = {
  light: ["#0072b2", "#d55e00", "#009e73", "#b5508c", "#8a6d00", "#3f8fc4", "#5b5b5b"],
  dark: ["#5ab4ef", "#ff8f42", "#34c79a", "#e59ac6", "#e0bd3a", "#9fd3f5", "#c2c2c2"],
};
const RUN_DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [1, 2], [12, 3]];

const theme = { dark: false };

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["page", "card", "ink", "soft", "line", "grid", "accent", "warn", "hatch", "ghost"]) {
    theme[name] = style.getPropertyValue(`--${name}`).trim();
  }
  theme.dark = document.documentElement.dataset.theme === "dark";
}

function mix(anchors, share) {
  const place = Math.min(Math.max(share, 0), 1) * (anchors.length - 1);
  const low = Math.min(Math.floor(place), anchors.length - 2);
  const part = place - low;
  return anchors[low].map((value, i) => Math.round(value * (1 - part) + anchors[low + 1][i] * part));
}

const css = ([r, g, b]) => `rgb(${r}, ${g}, ${b})`;

function viridis(share) {
  return css(mix(VIRIDIS, share));
}

/** For differences: -1 is blue, 1 is orange, 0 the colour of the page's middle. */
function diverging(share) {
  const middle = theme.dark ? [58, 63, 71] : [243, 244, 245];
  return css(mix([...DIVERGING_LOW, middle, ...DIVERGING_HIGH], (share + 1) / 2));
}

/** Black or white, whichever is easier to read on the colour. */
function inkOn(color) {
  const [r, g, b] = color.match(/\d+/g).map(Number);
  return 0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#15191e" : "#ffffff";
}

/** Lines of layers: viridis without the end that is too pale (or too dark) for the background. */
function layerColor(layer, layers) {
  const share = layers < 2 ? 0.4 : layer / (layers - 1);
  return viridis(theme.dark ? 0.25 + 0.75 * share : 0.86 * share);
}

function runColor(index) {
  const colors = theme.dark ? RUN_COLORS.dark : RUN_COLORS.light;
  return colors[index % colors.length];
}

function runDash(index) {
  return RUN_DASHES[(index + Math.floor(index / RUN_DASHES.length)) % RUN_DASHES.length];  // with the colours, 49 looks
}

/** Diagonal lines: there is no value here. */
function hatch(context, x, y, width, height) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = theme.hatch;
  context.lineWidth = 1;
  context.beginPath();
  for (let start = -height; start < width; start += 5) {
    context.moveTo(x + start, y + height);
    context.lineTo(x + start + height, y);
  }
  context.stroke();
  context.restore();
}
