"use strict";
// Loads the page again every 5 s and brings its main part up to date. What somebody types stays as it is. While the
// server or its database does not answer, a line at the top says since when.
const PAUSE = 5000; // ms
const PATIENCE = 20000; // ms that the server has to answer
let seen = new Date(); // when the page last was up to date

function isBusy(node) {
  const fields = [node, ...node.querySelectorAll("input, button, a")];
  return fields.some((one) => one === document.activeElement || (one.matches("input") && one.value !== one.defaultValue));
}

function counterpart(parent, node) {
  const same = (one) => ["tagName", "id", "className"].every((key) => one[key] === node[key]);
  return [...parent.children].find((one) => same(one) && one.dataset.title === node.dataset.title);
}

// Replaces everything but the fields that somebody uses, and what these are in: they are never taken off the page.
function update(held, fresh) {
  if (!isBusy(held)) {
    held.replaceWith(fresh);
    return;
  }
  if (held.matches("form")) return;
  const pairs = [...held.children].filter(isBusy).map((child) => [counterpart(fresh, child), child]);
  const kept = new Map(pairs.filter(([other]) => other));
  const staying = new Set(kept.values());
  [...held.childNodes].filter((child) => !staying.has(child)).forEach((child) => child.remove());
  let next = null;
  for (const node of [...fresh.childNodes].reverse()) {
    const mine = kept.get(node);
    if (mine) update(mine, node);
    else held.insertBefore(node, next);
    next = mine || node;
  }
}

function show(problem) {
  const line = document.getElementById("outage");
  if (line.textContent !== problem) line.textContent = problem;
  line.hidden = !problem;
  document.getElementById("live").classList.toggle("outdated", Boolean(problem));
}

async function reason(answer) {
  const { error } = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
  const since = `${seen.toISOString().slice(11, 19)} UTC`;
  if (answer.status === 503 && /^the database/.test(error)) {
    return `The database has not answered since ${since}; this is what it held then.`;
  }
  return `This page has not changed since ${since}: ${error}.`;
}

async function refresh() {
  const headers = { Accept: "text/html;q=0.9, application/json" };
  const answer = await fetch("/", { credentials: "same-origin", headers, signal: AbortSignal.timeout(PATIENCE) });
  if (answer.redirected) {
    location.reload(); // the login is over
    return;
  }
  if (!answer.ok) {
    show(await reason(answer));
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const live = page.getElementById("live");
  if (!live) throw new Error("this is another page");
  seen = new Date();
  show("");
  update(document.getElementById("live"), live);
}

async function goOn() {
  if (!document.hidden) {
    await refresh().catch(() => {
      show(`The server has not answered since ${seen.toISOString().slice(11, 19)} UTC; this is what it showed then.`);
    });
  }
  setTimeout(goOn, PAUSE);
}

setTimeout(goOn, PAUSE);
