"use strict";
// What every page of ours draws with: figures as autotune/report/format.py writes them, colours of the page.
const drawing = (() => {
const $ = (id) => document.getElementById(id);

// --- figures, written as autotune/report/format.py writes them

const number = (value, digits = 4) => {
  if (value === 0) return "0";
  const rounded = Number(even(value, digits));
  if (Math.abs(rounded) >= 10 ** (digits - 1)) return whole(value);
  return rounded.toFixed(10).replace(/0+$/, "").replace(/\.$/, "");
};
const whole = (value) => {
  const below = Math.floor(value), rest = value - below;
  return String(rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below);
};
const even = (value, digits) => {  // half to even where the binary value lies exactly between
  const up = value.toPrecision(digits);
  const unit = 10 ** (Math.floor(Math.log10(Math.abs(value))) - digits + 1);
  const isHalf = Math.abs(Number(up) - value) === unit / 2;
  return isHalf && Math.round(Number(up) / unit) % 2 !== 0 ? (Number(up) - unit).toPrecision(digits) : up;
};
const escaped = (text) => text.replace(/&/g, "&amp;").replace(/<(?!br>)/g, "&lt;");

// --- drawing

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const colored = (value) => {
  if (typeof value === "string" && value.startsWith("var:")) return color(value.slice(4));
  if (Array.isArray(value)) return value.map(colored);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, colored(inner)]));
  return value;
};
const isTouch = matchMedia("(pointer: coarse)").matches;
const axis = (given = {}) => ({
  ...(given.type === "log" && given.tickformat === undefined ? ticks() : {}),
  gridcolor: color("grid"), zerolinecolor: color("grid"), linecolor: color("edge"), automargin: true, ...given,
});
const ticks = () => {  // 1, 2, 5 of each decade, in full
  const values = [...Array(14).keys()].flatMap((at) => [1, 2, 5].map((digit) => Number(`${digit}e${at - 5}`)));
  return { tickmode: "array", tickvals: values, ticktext: values.map((value) => number(value, 1)) };
};
const layoutOf = (given = {}) => ({
  margin: { l: 56, r: 16, t: 12, b: 48 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
  font: { color: color("ink"), size: 13 }, dragmode: isTouch ? false : "zoom", hovermode: "closest",
  hoverlabel: { align: "left" }, ...given, xaxis: axis(given.xaxis), yaxis: axis(given.yaxis),
});
const config = { responsive: true, displaylogo: false, displayModeBar: false };
const draw = (id, figure) => {
  const place = $(id);
  if (place === null) return null;
  if (figure.layout.height) place.style.minHeight = `${figure.layout.height}px`;
  return Plotly.react(place, colored(figure.data), colored(layoutOf(figure.layout)), config);
};
return { number, whole, escaped, color, layoutOf, config, draw };
})();
