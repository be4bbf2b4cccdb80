/** The link to the session: a WebSocket that comes back by itself. */

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 4000;
/**
 * Statistics come twice a second: after so many seconds in a row without a word, the way to the
 * session is gone, even where nobody said so.  A connection that is being made may take longer.
 */
const SILENT_TURNS = 4;
const CONNECTING_TURNS = 8;
const TURN_MS = 1000;
/** Close codes with which a server says that it stops; anything else is a fault. */
const ENDED = new Set([1001, 1012]);

/**
 * @typedef {object} LinkHandlers
 * @property {() => void} open connected; picture numbers may start again
 * @property {(buffer: ArrayBuffer) => void} picture
 * @property {(stats: Record<string, unknown>) => void} stats
 * @property {(terms: import("./composer.js").Terms) => void} terms of the pictures that follow
 * @property {(figures: import("./readout.js").Watching) => void} watching from an open pool's page
 * @property {(ended: boolean, reason: string) => void} closed
 * @property {(why: string) => void} refused something is in the way, and will stay there
 */

export class Link {
  /**
   * @param {string | URL} url
   * @param {LinkHandlers} handlers
   */
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers;
    this.failures = 0;
    this.timer = 0;
    /** Turns without a word.  Turns, not times: a page that sleeps or is busy has fewer. */
    this.silent = 0;
    /** @type {WebSocket | null} the one that counts; an earlier one is not listened to */
    this.socket = null;
    setInterval(() => this.turn(), TURN_MS);
    window.addEventListener("online", () => this.retry());
  }

  /** Connect again, unless connected. */
  retry() {
    const { socket } = this;
    if (socket?.readyState === WebSocket.OPEN) return;
    this.socket = null;
    socket?.close();
    this.connect();
  }

  connect() {
    clearTimeout(this.timer);
    const socket = new WebSocket(this.url);
    this.socket = socket;
    this.silent = 0;
    let opened = false;
    const listen = (kind, heard) =>
      socket.addEventListener(kind, (event) => {
        if (this.socket === socket) heard(event);
      });
    socket.binaryType = "arraybuffer";
    listen("open", () => {
      opened = true;
      this.failures = 0;
      this.silent = 0;
      this.handlers.open();
    });
    listen("message", ({ data }) => {
      this.silent = 0;
      if (typeof data !== "string") return this.handlers.picture(data);
      const said = JSON.parse(data);
      if (said.terms) this.handlers.terms(said.terms);
      else if (said.watching && Object.keys(said).length === 1) this.handlers.watching(said.watching);
      else this.handlers.stats(said);
    });
    listen("close", ({ code, reason }) => this.lost(ENDED.has(code), reason, opened));
  }

  /** Give up a connection of which nothing has been heard for too long. */
  turn() {
    if (!this.socket) return;
    const isOpen = this.socket.readyState === WebSocket.OPEN;
    this.silent += 1;
    if (this.silent <= (isOpen ? SILENT_TURNS : CONNECTING_TURNS)) return;
    const { socket } = this;
    this.lost(false, "Nothing has come from the session for some seconds.", true);
    socket.close();
  }

  /**
   * @param {boolean} ended the session said so
   * @param {string} reason
   * @param {boolean} opened whether it had been connected
   */
  async lost(ended, reason, opened) {
    this.socket = null;
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.failures);
    this.failures += 1;
    this.timer = setTimeout(() => this.connect(), wait);
    const why = opened || ended || reason ? "" : await globalThis.whyRefused();
    if (this.socket?.readyState === WebSocket.OPEN) return; // connected meanwhile
    if (why) this.handlers.refused(why);
    else this.handlers.closed(ended, reason);
  }

  /**
   * Say what is wanted, or answer for a picture: the session sends no more than two without an
   * answer.
   * @param {{draws: boolean, base: boolean} | {shown: number, after_ms: number} | {failed: number}}
   *   message
   */
  say(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}
