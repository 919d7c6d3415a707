// Shows new mail as it arrives, and keys for people who read a lot of it. Without this script the
// pages are the same, and reloaded by hand.
"use strict";

const list = document.getElementById("list");
const news = document.getElementById("news");

// ---- the list

async function watch() {
  // The first question does not wait: something may have come since the page was made.
  for (let state = "none"; ; ) {
    try {
      const answer = await fetch(`/api/messages?wait=55&limit=1&state=${state}`);
      if (!answer.ok) throw new Error(String(answer.status));
      const now = await answer.json();
      if (String(now.state) !== state) await refresh();
      state = String(now.state);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

// The list as the server has it now; what was ticked and where the focus was stays.
async function refresh() {
  const answer = await fetch(location.href);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("list");
  if (!answer.ok || !fresh || fresh.innerHTML === list.innerHTML) return;
  const known = new Set(subjects().map((link) => link.getAttribute("href")));
  const ticked = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
  const focused = document.activeElement?.getAttribute("href");
  list.replaceChildren(...fresh.childNodes);
  document.title = page.title;
  for (const box of boxes()) box.checked = ticked.has(box.value);
  if (focused) subjects().find((link) => link.getAttribute("href") === focused)?.focus();
  const count = subjects().filter((link) => !known.has(link.getAttribute("href"))).length;
  if (count) news.textContent = count === 1 ? "1 new message" : `${count} new messages`;
}

const boxes = () => [...document.querySelectorAll('#list input[name="id"]')];
const subjects = () => [...document.querySelectorAll("#list a.subject")];

// Deleting all asks once; deleting what somebody has ticked does not.
document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (button?.value === "delete-all" && !confirm(`${button.textContent}?`)) event.preventDefault();
});

// ---- keys

const help = document.getElementById("help");
const switched = document.getElementById("keys");
if (help) help.hidden = false;
if (switched) {
  switched.checked = localStorage.getItem("keys") !== "off";
  switched.addEventListener("change", () => {
    localStorage.setItem("keys", switched.checked ? "on" : "off");
  });
}

// On a keyboard without Latin letters the place of the key counts.
function keyOf(event) {
  if (/^[\x20-\x7e]$/.test(event.key)) return event.key;
  const place = /^Key([A-Z])$/.exec(event.code);
  return place ? place[1].toLowerCase() : event.key;
}

function move(step) {
  const links = subjects();
  const at = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const next = at < 0 ? 0 : Math.min(Math.max(at + step, 0), links.length - 1);
  links[next]?.focus();
}

function remove() {
  const current = boxes().find((box) => box.closest("tr").contains(document.activeElement));
  if (current && !boxes().some((box) => box.checked)) current.checked = true;
  if (list && !boxes().some((box) => box.checked)) return;
  document.querySelector('button[name="action"][value="delete"]')?.click();
}

const keys = {
  j: () => move(1),
  k: () => move(-1),
  x: () => boxes().find((box) => box.closest("tr").contains(document.activeElement))?.click(),
  u: () => list || location.assign("/"),
  "#": remove,
  "/": () => document.getElementById("q").focus(),
  "?": () => help && (help.open = !help.open),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input:not([type=checkbox]), textarea, select");
  if (typing || event.ctrlKey || event.altKey || event.metaKey) return;
  if (localStorage.getItem("keys") === "off") return;
  const act = keys[keyOf(event)];
  if (!act) return;
  event.preventDefault();
  act();
});

if (list?.dataset.live === "yes") watch();
