// Pages work without this script. It makes them quicker: the arrow keys turn pages.
"use strict";

addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, textarea, select")) return;
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  if (rel) document.querySelector(`a[rel=${rel}]`)?.click();
});

// One line tells what has happened, also to screen readers.
const said = document.getElementById("said");
function say(sentence, isProblem = false) {
  said.className = isProblem ? "problems" : "";
  said.textContent = sentence;
}

async function send(form, action, options) {
  return fetch(action, { method: "POST", body: new URLSearchParams(new FormData(form)), ...options }).catch(() => null);
}

// A form for one photo is sent in place. Without the script it leads back to the same page.
for (const form of document.querySelectorAll("form.inline")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await send(form, form.action, { headers: { Accept: "application/json" } });
    if (!answer || answer.redirected || answer.status === 412) return form.submit();
    const content = await answer.json().catch(() => ({}));
    const errors = content.errors ?? {};
    for (const field of form.elements) {
      if (field.name in errors) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
    if (answer.ok) form.elements.version.value = content.version;
    if (answer.ok) say(`${content.title}: ${said.dataset.saved}`);
    else say(Object.values(errors).flat().join(" ") || content.detail || answer.statusText, true);
  });
}

// The arrows move a photo on the page, and keep the focus, so that one can press them again.
for (const form of document.querySelectorAll(".desk .moves")) {
  form.addEventListener("submit", async (event) => {
    const [button, tile] = [event.submitter, form.closest("li")];
    const other = { "←": tile.previousElementSibling, "→": tile.nextElementSibling }[button.textContent];
    if (other === undefined) return;
    event.preventDefault();
    if (other === null) return;
    const answer = await send(form, button.formAction, { redirect: "manual" });
    if (answer?.type !== "opaqueredirect") return location.reload();
    if (button.textContent === "←") other.before(tile);
    else other.after(tile);
    button.focus();
    const tiles = [...tile.parentElement.children];
    const title = tile.querySelector("[name=title]").value;
    say(`${title}: ${said.dataset.place} ${tiles.indexOf(tile) + 1} / ${tiles.length}`);
  });
}

// Photos are sent one after the other, with a bar that shows how far they are. The answer to one that is not taken has
// the reason.
const upload = document.getElementById("upload");
upload?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [bar, button, files] = [upload.querySelector("progress"), upload.querySelector("button"), [...upload.elements.photos.files]];
  const problems = [];
  bar.hidden = false;
  button.disabled = true;
  for (const [number, file] of files.entries()) {
    const body = new FormData();
    body.append("csrf_token", upload.elements.csrf_token.value);
    body.append("photos", file);
    const problem = await new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("POST", upload.action);
      request.setRequestHeader("Accept", "application/json");
      request.responseType = "json";
      request.upload.onprogress = ({ loaded, total }) => { bar.value = (number + loaded / total) / files.length; };
      request.onload = () => resolve(request.status < 300 ? null : `${file.name}: ${request.response?.detail ?? request.status}`);
      request.onerror = () => resolve(`${file.name}: –`);
      request.send(body);
    });
    if (problem) problems.push(problem);
  }
  bar.hidden = true;
  button.disabled = false;
  const came = files.length - problems.length;
  if (came) problems.unshift(came === 1 ? said.dataset.one : `${came} ${said.dataset.many}`);
  const [sentence, isProblem] = [problems.join("\n"), problems.length > (came ? 1 : 0)];
  if (!came) return say(sentence, isProblem);
  sessionStorage.setItem("said", JSON.stringify([sentence, isProblem]));
  location.reload();
});

// What an upload has to tell outlives the reload that shows the tiles.
const kept = sessionStorage.getItem("said");
if (said && kept) {
  sessionStorage.removeItem("said");
  say(...JSON.parse(kept));
}

// A tile without a picture asks for its job, and is answered when that has ended: with the picture, or with its state.
async function fill(tile) {
  for (;;) {
    const answer = await fetch(tile.dataset.job, { headers: { Prefer: "wait=20" } }).catch(() => null);
    if (answer?.headers.get("content-type")?.startsWith("image/")) {
      const picture = new Image();
      picture.src = answer.url;
      picture.alt = "";
      return tile.replaceWith(picture);
    }
    // A job that has not ended says when to ask again.
    if (answer?.ok && !answer.headers.has("retry-after")) return location.reload();
    // Nobody knows the job any more.
    if (answer?.status === 404) return;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
document.querySelectorAll("[data-job]").forEach(fill);
