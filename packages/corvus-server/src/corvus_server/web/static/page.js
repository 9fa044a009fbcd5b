// What every page does: menus that close, values that are copied, toasts that go, keys, live parts.
import "./keys.js";
import "./live.js";

document.documentElement.classList.add("js");

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy);
  say("Copied");
  const icon = button.querySelector("use");
  const was = icon.getAttribute("href");
  icon.setAttribute("href", was.replace(/#.*/, "#good"));
  setTimeout(() => icon.setAttribute("href", was), 1500);
}

// Words for those who cannot see what changed.
export function say(words) {
  let region = document.getElementById("said");
  if (!region) {
    region = document.createElement("div");
    region.id = "said";
    region.className = "hidden";
    region.setAttribute("aria-live", "polite");
    document.body.append(region);
  }
  region.textContent = words;
}

const toast = document.querySelector("[data-toast]");
if (toast) setTimeout(() => toast.remove(), 10000);

// The frame of a mail is as high as the mail.
for (const frame of document.querySelectorAll("[data-frame]")) {
  const fit = () => {
    const page = frame.contentDocument;
    if (page && page.documentElement) frame.style.height = `${page.documentElement.scrollHeight}px`;
  };
  const watch = () => {
    fit();
    if (frame.contentDocument) new ResizeObserver(fit).observe(frame.contentDocument.body);
  };
  frame.addEventListener("load", watch);
  if (frame.contentDocument && frame.contentDocument.readyState === "complete") watch();
}

if (document.querySelector("[data-list]")) import("./list.js");
if (document.querySelector("[data-compose]")) import("./compose.js");
if (document.querySelector("[data-log]")) import("./log.js");
