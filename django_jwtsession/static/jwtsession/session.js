// Warns before the session ends, extends it, shows the login page once over:
// see docs/sessions-pages.md.
(() => {
  const { url, text, stay, warn = 120, login = "" } = document.currentScript.dataset;
  const add = (parent, name) => parent.appendChild(document.createElement(name));
  const dialog = add(document.body, "dialog");
  const words = add(dialog, "p");
  const button = add(dialog, "button");
  dialog.className = "jwtsession-end";
  dialog.role = "alertdialog";
  button.type = "button";
  button.onclick = () => (fixed ? dialog.close() : ask(true));
  let timer, known, told, fixed;

  const tell = (exp, left, extend) => {
    if (told === exp && !extend) return;
    fixed = told === exp; // nothing extends it any more
    told = exp;
    button.textContent = fixed ? "OK" : stay;
    const at = new Date(Date.now() + left * 1000);
    const time = at.toLocaleTimeString([], { timeStyle: "short" });
    dialog.ariaLabel = words.textContent = text.replace("{time}", time);
    if (!dialog.open) dialog.showModal();
  };
  // Only a click extends.
  const ask = async (extend) => {
    clearTimeout(timer);
    let wait = 10;
    try {
      const headers = extend ? {} : { "X-Session-Passive": "1" };
      const got = await fetch(extend ? url + "?extend" : url, { headers, cache: "no-store" });
      const { authenticated, exp } = await got.json();
      if (!authenticated) {
        const to = new URL(login, location);
        if (login) to.searchParams.set("next", location.pathname + location.search);
        if (known) location.assign(to);
        return;
      }
      if (!exp) return;
      known = true;
      const left = exp - (Date.parse(got.headers.get("Date")) || Date.now()) / 1000;
      if (left > warn) dialog.close();
      else tell(exp, left, extend);
      wait = left > warn ? left - warn : Math.min(left + 1, 10);
    } catch {} // offline
    timer = setTimeout(ask, Math.min(wait, 86400) * 1000);
  };
  document.addEventListener("visibilitychange", () => document.hidden || ask());
  ask();
})();
