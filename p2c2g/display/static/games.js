/**
 * The gamer's list of games: what is here, what is captured, and another in its place.
 *
 * It asks on a socket of its own, with the token of the controls; while it is open, nothing plays.
 */

/** @typedef {{name: string, title: string, kind: string, how: string, captured: boolean}} Game */
/**
 * @typedef {object} List
 * @property {string} source what is captured
 * @property {Game[]} games
 * @property {{title: string, launcher: string}[]} theirs
 * @property {number} more of launchers that are not listed
 * @property {string} ends the game that ends with this session
 * @property {string} fixed why nothing else can be captured
 * @property {string} trouble why what was chosen could not be
 * @property {boolean} chosen another is on its way, for which this session ends
 */

const HOW = { "in front": "In front", runs: "Runs", installed: "Installed" };
const WINDOW = "p2c2g-capture run --source screen:window=TITLE";

const byId = (id) => document.getElementById(id);

/**
 * @param {string} name
 * @param {string} [text]
 * @param {Record<string, string>} [attributes]
 */
function made(name, text = "", attributes = {}) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  return element;
}

export class Games {
  /** @param {import("./input.js").Player} player */
  constructor(player) {
    this.player = player;
    this.panel = /** @type {HTMLDialogElement} */ (byId("games-panel"));
    /** @type {WebSocket | null} */
    this.socket = null;
    /** @type {Game | null} what was chosen, until it is captured */
    this.chosen = null;
    this.refusal = "";
    /** What is drawn of the last list: the same one again takes nobody's focus, and no question away. */
    this.drawn = "";
    byId("games-close").addEventListener("click", () => this.panel.close());
    this.panel.addEventListener("close", () => this.closed());
    this.panel.addEventListener("click", (event) => {
      if (event.target === this.panel) this.panel.close(); // beside it
    });
  }

  get isOpen() {
    return this.panel.open;
  }

  /** Show the list.  Keys are for it then, and not for the game. */
  open() {
    if (this.isOpen) return;
    if (this.player.link) this.player.give();
    this.chosen = null;
    this.panel.showModal();
    this.ask();
  }

  closed() {
    if (this.isOpen) return; // again: of the one before it is told a moment later
    this.socket?.close();
    this.socket = null;
  }

  /** The page is connected, perhaps to the session of what was chosen. */
  sessionBegan() {
    if (this.isOpen) this.ask();
  }

  ask() {
    this.socket?.close();
    const address = new URL("games", location.href);
    address.protocol = location.protocol.replace("http", "ws");
    address.hash = address.search = "";
    const socket = new WebSocket(address);
    this.socket = socket;
    if (!this.chosen) this.say("Looking for games.");
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ token: this.player.token }));
      socket.send(JSON.stringify({ list: true }));
    });
    socket.addEventListener("message", ({ data }) => {
      if (this.socket === socket) this.heard(JSON.parse(data));
    });
    socket.addEventListener("close", ({ reason }) => {
      if (this.socket !== socket) return;
      this.socket = null;
      // The session that is chosen from ends, and the next one is on its way.
      if (!this.chosen) this.say(reason || "The session does not answer.");
    });
  }

  /** @param {List | {refused: string} | {chosen: string}} said */
  heard(said) {
    if ("games" in said) {
      this.show(said);
    } else if ("refused" in said) {
      this.chosen = null;
      this.refusal = said.refused;
      this.socket?.send(JSON.stringify({ list: true }));
    }
  }

  /** @param {List} list */
  show(list) {
    const { chosen } = this;
    if (chosen && list.source === `game:${chosen.name}`) {
      this.panel.close();
      byId("play").focus();
      return;
    }
    // A session on its way out may be found once more; what came of it the next one says.
    if (chosen && list.chosen) return;
    this.chosen = null;
    const known = list.games.some(({ captured }) => captured);
    const says = [
      this.refusal,
      list.trouble,
      list.fixed,
      known ? "" : `Captured now: ${list.source}.`,
      list.games.length ? "" : "No game of a profile is here.",
    ];
    this.say(says.filter(Boolean).join(" "));
    this.refusal = "";
    const drawn = JSON.stringify([list.games, list.theirs, list.more, list.fixed, list.ends]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const rows = made("ul");
    rows.append(...list.games.map((game) => this.row(game, list)));
    const parts = [rows];
    if (list.theirs.length) {
      const theirs = made("ul");
      theirs.append(
        ...list.theirs.map(({ title, launcher }) => {
          const row = made("li");
          const name = made("span", title);
          name.append(made("small", launcher));
          row.append(name);
          return row;
        }),
      );
      const how = made("p", "Start one there, then capture its window by ");
      how.append(made("code", WINDOW), list.more ? `. ${list.more} more are not shown.` : ".");
      parts.push(made("h3", "In launchers"), how, theirs);
    }
    const place = byId("games-list");
    const held = place.contains(document.activeElement) && document.activeElement?.getAttribute("aria-label");
    place.replaceChildren(...parts);
    if (held) place.querySelector(`[aria-label="${CSS.escape(held)}"]`)?.focus();
  }

  /**
   * @param {Game} game
   * @param {List} list
   */
  row(game, list) {
    const row = made("li", "", game.captured ? { "aria-current": "true" } : {});
    const name = made("span", game.title);
    if (game.kind) name.append(made("small", game.kind));
    row.append(name, made("em", game.captured ? "Captured now" : HOW[game.how]));
    if (game.captured) return row;
    if (list.fixed) {
      row.append(made("code", `p2c2g-capture run --source game:${game.name}`));
      return row;
    }
    const starts = game.how === "installed";
    const label = `${starts ? "Start" : "Capture"} ${game.title}`;
    const button = made("button", starts ? "Start" : "Capture", { type: "button", "aria-label": label });
    button.addEventListener("click", () => {
      if (list.ends) this.confirm(row, button, game, label, list.ends);
      else this.choose(game);
    });
    row.append(button);
    return row;
  }

  /**
   * Ask once more: a game that the session started ends with it.
   * @param {HTMLElement} row
   * @param {HTMLElement} button
   * @param {Game} game
   * @param {string} label
   * @param {string} ends
   */
  confirm(row, button, game, label, ends) {
    if (row.querySelector(".ask")) return;
    const ask = made("div", "", { class: "ask", role: "group", "aria-label": label });
    const yes = made("button", label, { type: "button", class: "starts" });
    const no = made("button", "Stay", { type: "button" });
    yes.addEventListener("click", () => this.choose(game));
    no.addEventListener("click", () => {
      ask.remove();
      button.hidden = false;
      button.focus();
    });
    ask.append(made("p", `${ends} ends, with what is not saved in it.`, { role: "status" }), no, yes);
    button.hidden = true;
    row.append(ask);
    yes.focus();
  }

  /** @param {Game} game */
  choose(game) {
    if (this.socket?.readyState !== WebSocket.OPEN) {
      this.ask();
      return;
    }
    this.chosen = game;
    this.socket.send(JSON.stringify({ choose: game.name }));
    byId("games-list").replaceChildren();
    this.drawn = "";
    this.say(`${game.title} is on its way. This takes some seconds.`);
  }

  /** @param {string} text */
  say(text) {
    if (byId("games-says").textContent !== text) byId("games-says").textContent = text;
  }
}
