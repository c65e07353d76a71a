// Lines for a shell name this server as the browser reaches it.
for (const pre of document.querySelectorAll(".shell"))
  pre.textContent = pre.textContent.replaceAll("http://127.0.0.1:8080", location.origin);
