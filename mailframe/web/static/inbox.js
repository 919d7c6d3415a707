// Shows new mail as it arrives. Without this script the page is the same, and reloaded by hand.
"use strict";

async function watch() {
  // The first question does not wait: something may have come since the page was made.
  for (let wait = 0; ; wait = 55) {
    const asked = new URLSearchParams(location.search);
    asked.set("wait", String(wait));
    asked.set("limit", "50");
    try {
      const answer = await fetch(`/api/messages?${asked}`);
      const newest = (await answer.json()).messages[0];
      const link = document.querySelector("a.subject");
      if (newest && (!link || link.getAttribute("href") !== newest.url)) {
        location.reload();
        return;
      }
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

watch();
