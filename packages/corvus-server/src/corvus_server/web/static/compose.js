// Writing: the draft is kept as one types, files are taken when they are dropped, people are completed.
import { say } from "./page.js";

const form = document.querySelector("[data-compose]");
const saved = form.querySelector("[data-saved]");
const chips = form.querySelector("[data-attachments]");
const files = form.querySelector("[data-files]");
let timer = 0;
let busy = false;
let dirty = false;
let leaving = false;

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

async function save() {
  if (busy || leaving) {
    dirty = true;
    return;
  }
  busy = true;
  dirty = false;
  saved.textContent = "saving …";
  const data = new FormData(form);
  data.set("action", "save");
  files.value = "";
  try {
    const answer = await fetch("/compose", {
      method: "POST", body: data, headers: { Accept: "application/json" },
    });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    form.elements.draft.value = said.draft;
    history.replaceState(null, "", `/compose?draft=${said.draft}`);
    show(said.attachments);
    saved.textContent = `saved ${clock(said.at)}`;
  } catch (error) {
    saved.textContent = `not saved: ${error.message}`;
  } finally {
    busy = false;
    if (dirty) later();
  }
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(save, 1500);
}

function show(attachments) {
  chips.replaceChildren(...attachments.map((each) => {
    const chip = document.createElement("label");
    chip.className = "chip";
    const box = document.createElement("input");
    Object.assign(box, { type: "checkbox", name: "keep", value: each.number, checked: true });
    const words = document.createElement("span");
    words.className = "words";
    const name = document.createElement("span");
    name.textContent = each.name;
    const size = document.createElement("small");
    size.textContent = each.size;
    words.append(name, size);
    chip.append(box, words);
    return chip;
  }));
}

form.addEventListener("input", (event) => {
  if (event.target !== files) later();
});
files.addEventListener("change", save);
form.addEventListener("submit", (event) => {
  clearTimeout(timer);
  if (busy) {
    // The draft that is being kept must have its number first, or there would be two.
    event.preventDefault();
    const button = event.submitter;
    setTimeout(() => form.requestSubmit(button), 100);
    return;
  }
  leaving = true;
});

for (const name of ["dragover", "dragleave", "drop"]) {
  form.addEventListener(name, (event) => {
    if (!event.dataTransfer || ![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    form.classList.toggle("drop-here", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) {
      files.files = event.dataTransfer.files;
      save();
    }
  });
}

form.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
    form.querySelector('[value="send"]').click();
  }
});

// People: the piece behind the last comma is completed.
const list = document.createElement("ul");
list.className = "suggest";
list.id = "suggest";
list.setAttribute("role", "listbox");
list.hidden = true;
document.body.append(list);
let field = null;
let chosen = -1;
let asked = 0;

function close() {
  list.hidden = true;
  chosen = -1;
  if (field) field.setAttribute("aria-expanded", "false");
}

function choose(step) {
  const all = [...list.children];
  chosen = (chosen + step + all.length) % all.length;
  all.forEach((each, i) => each.setAttribute("aria-selected", i === chosen));
}

function take(text) {
  const head = field.value.replace(/[^,;]*$/, "");
  field.value = `${head}${head && !head.endsWith(" ") ? " " : ""}${text}, `;
  close();
  field.focus();
  later();
}

async function suggest() {
  const piece = field.value.split(/[,;]/).pop().trim();
  const number = ++asked;
  if (piece.length < 2) return close();
  const answer = await fetch(`/people?q=${encodeURIComponent(piece)}`, { headers: { Accept: "application/json" } });
  if (!answer.ok || number !== asked) return;
  const people = await answer.json();
  if (!people.length) return close();
  list.replaceChildren(...people.map((text) => {
    const line = document.createElement("li");
    line.setAttribute("role", "option");
    line.textContent = text;
    line.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      take(text);
    });
    return line;
  }));
  const box = field.getBoundingClientRect();
  list.style.left = `${box.left}px`;
  list.style.top = `${box.bottom + scrollY}px`;
  list.hidden = false;
  chosen = -1;
  choose(1);
  field.setAttribute("aria-expanded", "true");
  say(`${people.length} suggestions`);
}

for (const input of form.querySelectorAll("[data-people]")) {
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", "suggest");
  input.setAttribute("aria-expanded", "false");
  input.addEventListener("input", () => {
    field = input;
    suggest();
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") choose(event.key === "ArrowDown" ? 1 : -1);
    else if (event.key === "Enter" || event.key === "Tab") take(list.children[chosen].textContent);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  });
}
