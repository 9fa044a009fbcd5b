// The keyboard: an element with data-key is clicked by that key; lists and help have keys of their own.
const HELP = [
  ["j / k", "next, previous mail"], ["Enter", "open"], ["u", "back to the list"], ["x", "choose"],
  ["e", "archive"], ["#", "delete"], ["!", "junk, or not"], ["s", "flag"], ["U", "mark unread"],
  ["r", "reply"], ["a", "reply to all"], ["f", "forward"], ["c", "write"], ["z", "undo"],
  ["/", "search"], ["g i", "inbox"], ["g s", "sent"], ["g d", "drafts"], ["?", "this help"],
];
const PLACES = { i: "inbox", s: "sent", d: "drafts", a: "archive", t: "trash", j: "junk" };
let went = 0;

function help() {
  let dialog = document.getElementById("keys");
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.id = "keys";
    const title = document.createElement("h2");
    title.textContent = "Keyboard";
    const grid = document.createElement("div");
    grid.className = "keys";
    for (const [key, words] of HELP) {
      const line = document.createElement("div");
      const label = document.createElement("span");
      label.textContent = words;
      const cap = document.createElement("kbd");
      cap.textContent = key;
      line.append(label, cap);
      grid.append(line);
    }
    const close = document.createElement("form");
    close.method = "dialog";
    const button = document.createElement("button");
    button.textContent = "Close";
    close.append(button);
    dialog.append(title, grid, close);
    document.body.append(dialog);
  }
  dialog.showModal();
}

function writing(target) {
  return target.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog");
}

function place(icon) {
  const link = [...document.querySelectorAll("[data-folder]")].find((each) =>
    each.querySelector("use").getAttribute("href").endsWith(`#${icon}`));
  if (link) link.click();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (writing(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (went && Date.now() - went < 1500 && PLACES[event.key]) {
    went = 0;
    event.preventDefault();
    place(PLACES[event.key]);
    return;
  }
  if (event.key === "g") {
    went = Date.now();
  } else if (event.key === "?") {
    event.preventDefault();
    help();
  } else if (event.key === "/") {
    const search = document.querySelector("[data-search]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  } else {
    const taken = new CustomEvent("corvus:key", { detail: event.key, cancelable: true });
    if (!document.dispatchEvent(taken)) {
      event.preventDefault();
      return;
    }
    const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (target) {
      event.preventDefault();
      target.click();
    }
  }
});

const button = document.querySelector("[data-help]");
if (button) {
  button.hidden = false;
  button.addEventListener("click", help);
}
