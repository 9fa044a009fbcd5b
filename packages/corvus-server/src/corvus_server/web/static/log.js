// The live log: lines come by themselves; pause holds the position and counts what came.
const box = document.querySelector("[data-log]");
const list = box.querySelector("ol");
const pause = document.querySelector("[data-log-pause]");
const words = document.querySelector("[data-log-state]");
const MOST = 2000;
let held = null;
let lost = 0;

function line(event) {
  const row = document.createElement("li");
  row.className = event.level;
  const at = document.createElement("span");
  at.className = "at";
  at.textContent = event.at;
  const what = document.createElement("span");
  what.className = "what";
  const name = document.createElement("strong");
  name.textContent = event.name;
  const facts = document.createElement("span");
  facts.className = "f";
  facts.textContent = event.facts;
  what.append(`${event.protocol} `, name, " ", facts);
  row.append(at, what);
  if (event.connection) {
    const link = document.createElement("a");
    link.href = `/logs?connection=${encodeURIComponent(event.connection)}`;
    link.textContent = event.connection;
    row.append(link);
  }
  return row;
}

function add(events) {
  const follow = box.scrollTop + box.clientHeight >= box.scrollHeight - 30;
  list.append(...events.map(line));
  while (list.children.length > MOST) list.firstChild.remove();
  if (follow) box.scrollTop = box.scrollHeight;
}

function say() {
  words.textContent = held
    ? `paused; ${held.length} came since`
    : `live${lost ? `; ${lost} were too fast to show` : ""}`;
  pause.textContent = held ? "Go on" : "Pause";
}

const query = new URLSearchParams(location.search);
query.set("after", box.dataset.after);
const stream = new EventSource(`/logs/stream?${query}`);
stream.addEventListener("log", (message) => {
  const event = JSON.parse(message.data);
  if (held) {
    held.push(event);
    if (held.length > MOST) held.shift();
    say();
  } else add([event]);
});
stream.addEventListener("lost", (message) => {
  lost += JSON.parse(message.data).count;
  say();
});
stream.addEventListener("open", say);
stream.addEventListener("error", () => {
  words.textContent = "the connection is lost; trying again";
});
addEventListener("pagehide", () => stream.close());
pause.hidden = false;
pause.addEventListener("click", () => {
  if (held) {
    const came = held;
    held = null;
    add(came);
  } else held = [];
  say();
});
box.scrollTop = box.scrollHeight;
