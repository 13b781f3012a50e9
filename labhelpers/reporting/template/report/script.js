"use strict";

// The contents stand beside the text where there is room, and are folded above it where there is not.
const folded = document.querySelector("nav details");
const wide = matchMedia("(min-width: 70rem)");
const fold = () => { folded.open = wide.matches; };
wide.addEventListener("change", fold);
fold();
folded.addEventListener("click", event => { if (event.target.closest("a")) fold(); });

// They follow the reader: the current heading is the last one above the upper third of the window.
const entries = [...document.querySelectorAll("nav a")];
const headings = entries.map(entry => document.getElementById(entry.hash.slice(1)));
function follow() {
  const current = headings.findLastIndex(heading => heading.getBoundingClientRect().top < innerHeight / 3);
  entries.forEach((entry, i) => i === current ? entry.setAttribute("aria-current", "location") : entry.removeAttribute("aria-current"));
  if (wide.matches) entries[current]?.scrollIntoView({ block: "nearest" });
}
const watcher = new IntersectionObserver(follow, { rootMargin: "0px 0px -67% 0px" });
headings.forEach(heading => watcher.observe(heading));

// Only what does scroll takes a place among the stops of the tab key.
const boxes = new ResizeObserver(changed => changed.forEach(({ target }) => {
  target.tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
}));
document.querySelectorAll(".scroll, pre").forEach(box => boxes.observe(box));
