// A list of mails: choosing, the bar of acts, dragging to a folder, j and k.
import { say } from "./page.js";

let at = -1;

const form = () => document.querySelector("[data-list]");
const rows = () => [...document.querySelectorAll(".mail")];
const boxes = () => [...document.querySelectorAll('.mail input[name="uid"]')];

function show() {
  const chosen = boxes().filter((box) => box.checked).length;
  form().classList.toggle("selecting", chosen > 0);
  const words = form().querySelector("[data-chosen]");
  if (words) words.textContent = chosen ? `${chosen} chosen` : "";
}

function go(step) {
  const all = rows();
  if (!all.length) return;
  at = Math.max(0, Math.min(all.length - 1, at + step));
  mark();
  all[at].scrollIntoView({ block: "nearest" });
}

function mark() {
  rows().forEach((row, i) => row.classList.toggle("focus", i === at));
}

function press(action) {
  const button = form().querySelector(`.selection [value="${action}"], .panel [value="${action}"]`);
  if (button) button.click();
}

document.addEventListener("change", (event) => event.target.name === "uid" && show());
document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-unselect]")) return;
  for (const box of boxes()) box.checked = false;
  show();
});

const ACTS = { e: "archive", "#": "delete", s: "flag", U: "unread" };

document.addEventListener("corvus:key", (event) => {
  const key = event.detail;
  const reading = document.querySelector(".panes.reading");
  const row = rows()[at];
  if (reading && !form().classList.contains("selecting") && key !== "x") return;
  if (key === "j" || key === "k") go(key === "j" ? 1 : -1);
  else if (key === "Enter" && row) row.querySelector("a.subject").click();
  else if (key === "x" && row) {
    const box = row.querySelector("input");
    box.checked = !box.checked;
    show();
  } else if (ACTS[key] || key === "!") {
    if (row && !boxes().some((box) => box.checked)) row.querySelector("input").checked = true;
    if (boxes().some((box) => box.checked)) {
      press(key === "!" ? (form().querySelector('[value="notjunk"]') ? "notjunk" : "junk") : ACTS[key]);
    }
  } else return;
  event.preventDefault();
});

// Long press chooses, where there is no pointer to hover with.
let timer = 0;
document.addEventListener("pointerdown", (event) => {
  const row = event.target.closest(".mail");
  if (!row || event.pointerType !== "touch") return;
  timer = setTimeout(() => {
    row.querySelector("input").checked = true;
    show();
    say("Chosen");
  }, 500);
});
for (const name of ["pointerup", "pointermove", "pointercancel"]) {
  document.addEventListener(name, () => clearTimeout(timer));
}

// Drag what is chosen (or the one row) to a folder.
document.addEventListener("dragstart", (event) => {
  const row = event.target.closest && event.target.closest(".mail");
  if (!row) return;
  const box = row.querySelector("input");
  if (!box.checked) {
    for (const each of boxes()) each.checked = false;
    box.checked = true;
    show();
  }
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", `${boxes().filter((each) => each.checked).length} mails`);
});
document.addEventListener("dragover", (event) => {
  const folder = event.target.closest && event.target.closest("[data-folder]");
  if (!folder) return;
  event.preventDefault();
  folder.classList.add("drop");
});
document.addEventListener("dragleave", (event) => {
  const folder = event.target.closest && event.target.closest("[data-folder]");
  if (folder) folder.classList.remove("drop");
});
document.addEventListener("drop", (event) => {
  const folder = event.target.closest && event.target.closest("[data-folder]");
  if (!folder) return;
  event.preventDefault();
  press(`move:${CSS.escape(folder.dataset.folder)}`);
});

// A fresh list keeps what was chosen and where one stood.
let kept = new Set();
let stood = "";
document.addEventListener("corvus:before", (event) => {
  if (event.detail.id !== "mails") return;
  kept = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  stood = rows()[at] ? rows()[at].dataset.uid : "";
});
document.addEventListener("corvus:after", (event) => {
  if (event.detail.id !== "mails") return;
  for (const box of boxes()) box.checked = kept.has(box.value);
  at = rows().findIndex((row) => row.dataset.uid === stood);
  mark();
  show();
});
document.documentElement.dataset.keys = "ready";
