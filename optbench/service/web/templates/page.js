"use strict";
// Loads the page again every 5 s and puts its new main part in place, unless somebody is typing there.
const SECONDS = 5;

function busy() {
  const live = document.getElementById("live");
  const edited = [...live.querySelectorAll("input")].some((field) => field.value !== field.defaultValue);
  return document.hidden || edited || live.contains(document.activeElement);
}

async function refresh() {
  if (busy()) return;
  const answer = await fetch("/", { credentials: "same-origin" });
  if (answer.redirected) {
    location.reload(); // the login is over
    return;
  }
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const live = page.getElementById("live");
  if (live && !busy()) document.getElementById("live").replaceWith(live);
}

setInterval(() => refresh().catch(() => {}), SECONDS * 1000);
