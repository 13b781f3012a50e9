"use strict";

// On wide windows the contents are open beside the text, on narrow ones folded above it.
const contents = document.querySelector("nav");
const folded = contents.querySelector("details");
const wide = matchMedia("(min-width: 70rem)");
const fold = () => { folded.open = wide.matches; };
wide.addEventListener("change", fold);
fold();
folded.addEventListener("click", event => { if (event.target.closest("a")) fold(); });

// They mark the current heading: the last one that is not below the top of the window, or where a jump leads.
const entries = [...contents.querySelectorAll("a")];
const headings = entries.map(entry => document.getElementById(entry.hash.slice(1)));
function follow() {
  const current = headings.findLastIndex(heading => heading.closest("details")?.open !== false && heading.getBoundingClientRect().top < 100);
  entries.forEach((entry, i) => i === current ? entry.setAttribute("aria-current", "location") : entry.removeAttribute("aria-current"));
  // Not scrollIntoView(): it would move the place from which the tab key continues.
  const { top, bottom } = entries[Math.max(current, 0)].getBoundingClientRect();
  if (wide.matches && (top < 0 || bottom > innerHeight)) contents.scrollTop += top - innerHeight / 2;
}
let waiting = false;
addEventListener("scroll", () => {
  if (!waiting) requestAnimationFrame(() => { waiting = false; follow(); });
  waiting = true;
}, { passive: true });
follow();

// A link to a place within a folded notebook opens it.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folds = [];
  for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) folds.push(fold);
  if (folds.every(fold => fold.open)) return;
  folds.forEach(fold => { fold.open = true; });
  target.scrollIntoView();
}
addEventListener("hashchange", unfold);
unfold();

// Only boxes that can scroll are stops of the tab key.
const boxes = new ResizeObserver(changed => changed.forEach(({ target }) => {
  target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
}));
document.querySelectorAll(".scroll, pre").forEach(box => boxes.observe(box));

// They are hidden without this script, which fills them.
document.querySelectorAll(".told").forEach(told => { told.hidden = false; });

// Rows of buttons are one stop of the tab key; arrow keys move inside them.
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
function arrows(rows) {
  const buttons = rows.flat();
  buttons.forEach((button, i) => {
    button.tabIndex = i ? -1 : 0;
    button.addEventListener("focus", () => buttons.forEach(other => { other.tabIndex = other === button ? 0 : -1; }));
    button.addEventListener("keydown", event => {
      if (!STEPS[event.key]) return;
      event.preventDefault();
      const [down, right] = STEPS[event.key];
      const row = rows.findIndex(others => others.includes(button));
      rows[row + down]?.[rows[row].indexOf(button) + right]?.focus();
    });
  });
}

// A cell of the confusion matrix shows its images.
document.querySelectorAll(".matrix").forEach(matrix => {
  const cells = JSON.parse(matrix.querySelector("script").textContent);
  const told = matrix.querySelector(".told");
  const rows = [...matrix.querySelectorAll("tbody tr")].map(row => [...row.querySelectorAll("button")]);
  const buttons = rows.flat();
  arrows(rows);
  function example({ webp, text }) {
    const item = document.createElement("li");
    const image = document.createElement("img");
    image.src = `data:image/webp;base64,${webp}`;
    image.alt = "";
    item.append(image, text);
    return item;
  }
  matrix.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    const { description, images } = cells[button.dataset.key];
    const list = document.createElement("ul");
    list.append(...images.map(example));
    told.replaceChildren(description, ...(images.length ? [list] : []));
    buttons.forEach(other => other.setAttribute("aria-pressed", other === button));
  });
});

// A dot among the verdicts shows its run. A slider over them all, large enough for a finger, moves from dot to dot.
document.querySelectorAll(".strip").forEach(strip => {
  const slider = strip.querySelector("input");
  if (!slider) return;
  const dots = [...strip.querySelectorAll(".dot")];
  function choose(chosen) {
    slider.value = dots.indexOf(chosen);
    slider.setAttribute("aria-valuetext", chosen.dataset.description);
    dots.forEach(dot => dot.classList.toggle("chosen", dot === chosen));
    strip.querySelector(".told").textContent = chosen.dataset.description;
  }
  for (const cause of ["focus", "input"]) slider.addEventListener(cause, () => choose(dots[slider.value]));
  slider.addEventListener("pointerdown", event => {
    event.preventDefault();
    slider.focus({ preventScroll: true });
    const away = dot => {
      const { x, y, width } = dot.getBoundingClientRect();
      return Math.hypot(x + width / 2 - event.clientX, y + width / 2 - event.clientY);
    };
    choose(dots.reduce((nearest, dot) => away(dot) < away(nearest) ? dot : nearest));
  });
});
