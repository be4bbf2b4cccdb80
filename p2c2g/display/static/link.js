/** The link to the session: a WebSocket that comes back by itself. */

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 4000;
/** Close codes with which a server says that it stops; anything else is a fault. */
const ENDED = new Set([1001, 1012]);

/**
 * @typedef {object} LinkHandlers
 * @property {() => void} open connected; picture numbers may start again
 * @property {(buffer: ArrayBuffer) => void} picture
 * @property {(stats: Record<string, unknown>) => void} stats
 * @property {(ended: boolean, reason: string) => void} closed
 */

export class Link {
  /**
   * @param {string} url
   * @param {LinkHandlers} handlers
   */
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers;
    this.failures = 0;
    this.timer = 0;
    /** @type {WebSocket | null} */
    this.socket = null;
  }

  /** Connect now. */
  connect() {
    clearTimeout(this.timer);
    if (this.socket && this.socket.readyState <= WebSocket.OPEN) return;
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      this.failures = 0;
      this.handlers.open();
    });
    socket.addEventListener("message", ({ data }) => {
      if (typeof data === "string") this.handlers.stats(JSON.parse(data));
      else this.handlers.picture(data);
    });
    socket.addEventListener("close", (event) => {
      const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.failures);
      this.failures += 1;
      this.timer = setTimeout(() => this.connect(), wait);
      this.handlers.closed(ENDED.has(event.code), event.reason);
    });
  }

  /**
   * Answer for a picture: the session sends no more than two without an answer.
   * @param {{shown: number} | {failed: number}} answer
   */
  answer(answer) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(answer));
  }
}
