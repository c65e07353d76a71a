// Pages work without this script. It makes them quicker: the arrow keys turn pages.
"use strict";

addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, textarea, select")) return;
  const rel = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
  if (rel) document.querySelector(`a[rel=${rel}]`)?.click();
});

// A form for one photo is sent in place. Without the script it leads back to the same page.
const said = document.getElementById("said");
for (const form of document.querySelectorAll("form.inline")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await fetch(form.action, {
      method: "POST", body: new URLSearchParams(new FormData(form)), headers: { Accept: "application/json" },
    }).catch(() => null);
    if (!answer || answer.redirected || answer.status === 412) return form.submit();
    const content = await answer.json().catch(() => ({}));
    if (answer.ok) form.elements.version.value = content.version;
    said.textContent = answer.ok ? `${content.title}: ${said.dataset.saved}` : Object.values(content.errors ?? {}).flat().join(" ") || content.detail;
  });
}

// Photos are sent one after the other, with a bar that shows how far they are.
const upload = document.getElementById("upload");
upload?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [bar, files] = [upload.querySelector("progress"), [...upload.elements.photos.files]];
  const problems = [];
  bar.hidden = false;
  for (const [number, file] of files.entries()) {
    const body = new FormData();
    body.append("csrf_token", upload.elements.csrf_token.value);
    body.append("photos", file);
    const problem = await new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open("POST", upload.action);
      request.setRequestHeader("Accept", "application/json");
      request.upload.onprogress = ({ loaded, total }) => { bar.value = (number + loaded / total) / files.length; };
      request.onload = () => resolve(request.status < 300 ? null : `${file.name}: ${request.responseText.slice(0, 300)}`);
      request.onerror = () => resolve(file.name);
      request.send(body);
    });
    if (problem) problems.push(problem);
  }
  bar.hidden = true;
  said.textContent = problems.join(" ");
  if (problems.length < files.length) location.reload();
});

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
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
document.querySelectorAll("[data-job]").forEach(fill);
