// Keys, folding in place and polling. Without this file every page works by links and forms.
(() => {
  "use strict";
  const POLL_MS = 5000;
  const DRAFT = "desk-draft ";
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const say = (sentence) => { const place = one("#said"); if (place) place.textContent = sentence; };
  const rows = () => all("#cases > li");
  const links = () => rows().map((row) => one("a", row));

  // The head counts what this page has seen decided, also of cases that are further down than the list goes.
  const decided = new Set();
  const countOne = (step) => {
    const head = one(".list h1[data-open]");
    if (!head) return;
    const left = Math.max(0, Number(head.dataset.open) + step);
    head.dataset.open = left;
    head.textContent = left === 1 ? "1 case waits" : `${left.toLocaleString("en")} cases wait`;
  };
  // The list scrolls only when the case that is shown would be out of sight in it.
  const keepInSight = (row) => {
    const list = row.closest(".list").getBoundingClientRect();
    const at = row.getBoundingClientRect();
    if (!at.height || (at.top >= list.top && at.bottom <= Math.min(list.bottom, innerHeight))) return;
    row.closest(".list").scrollTop += at.top - innerHeight / 3;
  };

  // The list never moves: a case that was decided stays where it is, marked.
  const close = (id, outcome) => {
    if (!decided.has(id)) countOne(-1);
    decided.add(id);
    const row = rows().find((each) => each.dataset.case === id);
    if (!row || row.classList.contains("closed")) return;
    row.classList.add("closed");
    const place = one(".outcome", row);
    place.textContent = outcome;
    place.hidden = false;
  };
  const reopen = (id) => {
    if (decided.delete(id)) countOne(1);
    const row = rows().find((each) => each.dataset.case === id);
    if (!row) return;
    row.classList.remove("closed");
    one(".outcome", row).hidden = true;
  };
  const waitingAfter = (id) => {
    const found = rows();
    const at = found.findIndex((each) => each.dataset.case === id);
    const order = [...found.slice(at + 1), ...found.slice(0, Math.max(at, 0))];
    return order.find((each) => !each.classList.contains("closed") && each.dataset.case !== id);
  };
  const settle = () => {
    const pane = one("#pane");
    if (!pane) return;
    for (const done of all("[data-done]", pane)) {
      if (done.dataset.outcome === "open") reopen(done.dataset.done);
      else close(done.dataset.done, done.dataset.outcome);
    }
    const shown = one("article.case", pane)?.dataset.case;
    one(".desk")?.classList.toggle("has-case", Boolean(shown));
    for (const row of rows()) {
      row.classList.toggle("current", row.dataset.case === shown);
      one("a", row).toggleAttribute("aria-current", row.dataset.case === shown);
    }
    const current = rows().find((row) => row.classList.contains("current"));
    if (current) keepInSight(current);
    // The list on this page knows better than the server which case comes next here.
    const next = shown && waitingAfter(shown);
    if (next) {
      for (const field of all("[data-next]", pane)) field.value = next.dataset.case;
      const skip = one("a[data-key=s]", pane);
      if (skip) skip.href = one("a", next).href;
    }
    restore(pane);
  };

  // Text that was typed survives the end of a login and a lost connection.
  const drafts = "textarea[name], input[data-draft]";
  const draftKey = (field) => `${DRAFT}${document.body.dataset.staff} ${location.pathname} ${field.name}`;
  const restore = (within) => {
    for (const field of all(drafts, within)) {
      const kept = sessionStorage.getItem(draftKey(field));
      if (kept && !field.value && !field.readOnly) field.value = kept;
    }
  };
  document.addEventListener("input", (event) => {
    if (event.target.matches(drafts)) sessionStorage.setItem(draftKey(event.target), event.target.value);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const form = event.detail.elt;
    if (form.matches?.("form") && event.detail.successful) for (const field of all(drafts, form)) {
      sessionStorage.removeItem(`${DRAFT}${document.body.dataset.staff} ${form.dataset.page ?? location.pathname} ${field.name}`);
    }
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    const form = event.detail.elt;
    if (form.matches?.("form")) form.dataset.page = location.pathname;
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    settle();
    if (event.detail.target?.id === "pane" || event.detail.elt?.id === "pane") {
      one("#pane").focus({ preventScroll: true });
      if (!matchMedia("(min-width: 1100px)").matches) scrollTo(0, 0);
    }
  });
  document.addEventListener("htmx:sendError", () => say("The desk cannot be reached. Nothing was changed. Try again."));

  // Poll while the page is visible. A response that did not change is 304 and costs nothing.
  let tag = "";
  const poll = async () => {
    const list = one("#cases");
    if (document.hidden || !list) return;
    const ids = rows().filter((row) => !row.classList.contains("closed")).map((row) => row.dataset.case);
    const address = `/desk/waiting?since=${encodeURIComponent(list.dataset.since)}&ids=${ids.join(",")}`
      + `&watched=${one("#pane article.case")?.dataset.case ?? ""}`;
    try {
      const answer = await fetch(address, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store", redirect: "manual" });
      if (answer.status !== 200) return;
      tag = answer.headers.get("ETag") ?? "";
      const found = await answer.json();
      const bar = one("#newer");
      bar.hidden = !found.newer;
      bar.textContent = found.newer === 1 ? "1 new case waits. Show it" : `${found.newer} new cases wait. Show them`;
      const others = one("#pane .others");
      if (others) {
        others.hidden = !found.others.length;
        one("[data-others]", others).textContent = found.others.join(", ");
      }
      for (const [id, outcome] of Object.entries(found.closed)) close(id, outcome.replaceAll("_", " "));
    } catch { /* The next poll tries again. */ }
  };

  // Keys. No key works in a field, and one switch turns them off (WCAG 2.1.4).
  const writes = (target) => target.closest?.("input:not([type=checkbox]):not([type=radio]), textarea, select, dialog[open]");
  const press = (name) => {
    const found = all(`#pane [data-key="${name}"]`).find((each) => each.offsetParent !== null);
    if (!found) return false;
    if (found.matches("summary")) {
      const box = found.parentElement;
      box.open = true;
      one("textarea, input:not([type=hidden]), button", box)?.focus();
    } else found.click();
    return true;
  };
  let marked = -1;
  const move = (step) => {
    const found = links();
    if (!found.length) return;
    const now = document.activeElement;
    const current = found.findIndex((link) => link === now || (!found.includes(now) && link.hasAttribute("aria-current")));
    found[Math.min(found.length - 1, Math.max(0, current + step))].focus();
  };
  const nextMark = () => {
    const marks = all("#pane details[open] mark");
    if (!marks.length) return say("Nothing is marked in this text.");
    marked = (marked + 1) % marks.length;
    marks[marked].focus();
    marks[marked].scrollIntoView({ block: "center" });
  };
  const swapViews = () => {
    const [received, stored] = all("#pane details.view");
    if (!stored) return;
    const showStored = received.open;
    received.open = !showStored;
    stored.open = showStored;
  };
  const reject = (number) => {
    const box = one("#pane details[data-reasons]");
    if (box?.open) all("button[name=reason]", box)[number - 1]?.click();
  };
  const actions = {
    j: () => move(1), k: () => move(-1),
    o: () => { const link = links().find((each) => each === document.activeElement) ?? links()[0]; link?.click(); },
    l: nextMark, v: swapViews,
    ".": () => { if (!one("#newer")?.hidden) location.assign("/desk"); },
    "/": () => one("#find")?.focus(),
    "?": () => one("#help")?.showModal(),
  };
  for (const name of ["a", "r", "e", "u", "s", "x", "g", "c", "n", "!"]) actions[name] = () => press(name);
  for (let number = 1; number <= 9; number += 1) actions[number] = () => reject(number);
  const bindings = {};
  for (const [name, act] of Object.entries(actions)) {
    const guarded = (event) => {
      if (document.body.dataset.keys !== "on" || event.repeat || writes(event.target)) return;
      event.preventDefault();
      act();
    };
    bindings[name] = guarded;
    if (/[^a-z0-9]/.test(name)) bindings[`Shift+${name}`] = guarded;
  }
  bindings["$mod+k"] = (event) => { event.preventDefault(); one("#find")?.focus(); };
  bindings.Escape = () => { for (const box of all("#pane .actions details[open]")) box.open = false; document.activeElement?.blur(); };
  window.tinykeys.tinykeys(window, bindings);
  setInterval(poll, POLL_MS);
  settle();
})();
