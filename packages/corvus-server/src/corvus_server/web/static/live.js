// Parts of a page that renew themselves: <body data-live-from="/live"> names the stream, and each
// element with data-live and an id is replaced by the one of a fresh page.
const from = document.body.dataset.liveFrom;
let waiting = false;
let again = false;

export async function refresh() {
  if (waiting) {
    again = true;
    return;
  }
  waiting = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Corvus-Live": "1" } });
    if (answer.ok && !answer.redirected) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const old of document.querySelectorAll("[data-live][id]")) {
        const fresh = page.getElementById(old.id);
        if (!fresh || fresh.innerHTML === old.dataset.was) continue;
        old.dataset.was = fresh.innerHTML;
        document.dispatchEvent(new CustomEvent("corvus:before", { detail: old }));
        old.replaceChildren(...fresh.childNodes);
        document.dispatchEvent(new CustomEvent("corvus:after", { detail: old }));
      }
      document.title = page.title;
    }
  } finally {
    waiting = false;
    if (again) {
      again = false;
      setTimeout(refresh, 250);
    }
  }
}

// A page that nobody looks at holds no stream: browsers allow six connections to one host.
let stream = null;

function listen() {
  if (stream || document.hidden) return;
  stream = new EventSource(from);
  stream.addEventListener("change", refresh);
}

function rest() {
  if (stream) stream.close();
  stream = null;
}

if (from) {
  for (const part of document.querySelectorAll("[data-live][id]")) part.dataset.was = part.innerHTML;
  listen();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return rest();
    listen();
    refresh();
  });
  addEventListener("pagehide", rest);
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}
