"use strict";
(() => {
const { figures } = JSON.parse(document.getElementById("data").textContent);
const drawAll = () => {
  for (const [name, figure] of Object.entries(figures)) drawing.draw(name, figure);
  document.documentElement.dataset.drawn = "yes";
};
drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
