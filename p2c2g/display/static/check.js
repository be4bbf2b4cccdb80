/**
 * Asks why this page is refused.  A plain script: browsers send a page's address with its
 * modules, and so those may be what is refused, behind a proxy that has a name of its own.
 */
(() => {
  const PATIENCE_MS = 5000;

  /**
   * Ask what is in the way, since a browser does not tell why a socket failed.
   * @returns {Promise<string>} one or two sentences; none where nothing answers
   */
  async function whyRefused() {
    let answer;
    let text;
    try {
      // A POST: only then is the page's own address sent along.
      const options = { method: "POST", signal: AbortSignal.timeout(PATIENCE_MS) };
      answer = await fetch(new URL("check", location.href), options);
      text = (await answer.text()).trim();
    } catch {
      return "";
    }
    if ([401, 403].includes(answer.status) && text.startsWith("This viewer ")) return text;
    if (!answer.ok || text !== "Welcome.") {
      return `What is between this page and the session answered ${answer.status} in its place.`;
    }
    return (
      "The session answers, but no WebSocket comes through: a proxy on the way has to pass " +
      "“Upgrade” and “Connection” on."
    );
  }

  globalThis.whyRefused = whyRefused;

  // Errors of loading do not bubble.
  window.addEventListener(
    "error",
    async ({ target }) => {
      if (!(target instanceof HTMLScriptElement)) return;
      const why = await whyRefused();
      document.getElementById("overlay-title").textContent = "Not connected";
      document.getElementById("overlay-text").textContent =
        why || "The session does not answer. Load this page again once it runs.";
    },
    true,
  );
})();
