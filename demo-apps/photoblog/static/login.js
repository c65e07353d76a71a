// Logs in to the Atom interface with Basic (RFC 7617) or Digest (RFC 7616), as a program without a login form does it.
"use strict";

const form = document.getElementById("by-script");
const utf8 = (text) => new TextEncoder().encode(text);

async function sha256(text) {
  const hash = await crypto.subtle.digest("SHA-256", utf8(text));
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function basic(name, password) {
  return `Basic ${btoa(String.fromCharCode(...utf8(`${name}:${password}`)))}`;
}

// The first answer has the offers. Browsers join them with commas, so the one of SHA-256 is searched for.
async function digest(name, password, path) {
  const refused = await fetch(path, { credentials: "omit" });
  const offer = /Digest (?=[^]*?SHA-256)([^]*?)(?=, (?:Digest|Basic) |$)/.exec(refused.headers.get("www-authenticate"))[1];
  const value = (key) => new RegExp(`${key}="([^"]*)"`).exec(offer)[1];
  const [realm, nonce, cnonce, nc] = [value("realm"), value("nonce"), crypto.randomUUID(), "00000001"];
  const [proof, request] = await Promise.all([sha256(`${name}:${realm}:${password}`), sha256(`GET:${path}`)]);
  const response = await sha256(`${proof}:${nonce}:${nc}:${cnonce}:auth:${request}`);
  return `Digest username="${name}", realm="${realm}", nonce="${nonce}", uri="${path}", algorithm=SHA-256, `
    + `qop=auth, nc=${nc}, cnonce="${cnonce}", response="${response}"`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [name, password, path] = [form.elements.name.value, form.elements.password.value, form.dataset.service];
  const scheme = { basic, digest }[event.submitter?.value ?? "basic"];
  const authorization = await scheme(name, password, path);
  // `omit`: the browser adds no credentials of its own, and opens no window when they are wrong.
  const answer = await fetch(path, { credentials: "omit", headers: { authorization } });
  form.querySelector("[role=status]").textContent = answer.ok ? await answer.text() : `${answer.status} ${answer.statusText}`;
});
