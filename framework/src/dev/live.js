// Put into pages by a program that `kirsch dev` has started: asks what is new, and shows it.
(() => {
  const made = new URL(document.currentScript.src).searchParams;
  const page = made.get("page");
  let seen = made.get("seen"), styles = Number(made.get("styles"));
  const sleep = time => new Promise(done => setTimeout(done, time));
  const visible = () => new Promise(done => document.hidden
    ? document.addEventListener("visibilitychange", () => done(), { once: true }) : done());

  // A page that answers a form is asked for by its address, so that nothing is sent twice. A reload that brings the same
  // page again, from some cache, is not repeated.
  const reload = to => {
    if (sessionStorage.getItem("kirsch-dev") === to + location.href) return;
    sessionStorage.setItem("kirsch-dev", to + location.href);
    if (made.get("get") === "1") location.reload(); else location.replace(location.pathname + location.search);
  };

  const exchangeStyles = number => {
    for (const old of document.querySelectorAll("link[rel=stylesheet]")) {
      const address = new URL(old.href);
      if (address.origin !== location.origin) continue;
      address.searchParams.set("kirsch-dev", number);
      const fresh = old.cloneNode();
      fresh.href = address.href;
      fresh.onload = () => old.remove();
      old.after(fresh);
    }
  };

  const sign = document.createElement("div");
  sign.setAttribute("role", "status");
  sign.style.cssText = "position:fixed;right:1rem;bottom:1rem;z-index:2147483647;padding:.4rem .8rem;border-radius:.4rem;"
    + "font:14px/1.4 system-ui,sans-serif;color:#fff;background:#333;opacity:.92";
  const show = text => {
    sign.textContent = text;
    if (text) document.body.append(sign); else sign.remove();
  };

  const watch = async () => {
    for (let pause = 100; ; ) {
      await visible();
      try {
        const answer = await fetch("/__kirsch/live?seen=" + seen, { cache: "no-store", credentials: "omit" });
        if (!answer.ok) throw new Error(answer.status);
        const news = await answer.json();
        seen = news.version;
        pause = 100;
        if (news.page !== page) reload(news.page);
        if (news.styles !== styles) exchangeStyles(styles = news.styles);
        show(news.phase === "building" ? "Building …" : "");
      } catch {
        await sleep(pause);
        pause = Math.min(pause * 2, 5000);
        seen = 0;
      }
    }
  };
  watch();
})();
