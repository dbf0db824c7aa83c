// Server-sent events over fetch, since EventSource cannot send an Authorization header.

import { ServiceError, request } from "./api.js";

const FIRST_DELAY_MS = 500;
const LAST_DELAY_MS = 10_000;

/** Split a stream of text into events {id, type, data}. */
export async function* parse(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parseBlock(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parseBlock(block) {
  const event = { id: null, type: "message", data: "" };
  for (const line of block.split("\n")) {
    if (line.startsWith("id: ")) event.id = line.slice(4);
    else if (line.startsWith("event: ")) event.type = line.slice(7);
    else if (line.startsWith("data: ")) event.data += line.slice(6);
  }
  return event.data ? event : null;
}

const pause = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});

/**
 * Follow a session until the signal aborts, coming back after every break right where it was.
 * onEvent(data), onLive(boolean): whether the connection stands. Throws when the session is gone.
 */
export async function follow(path, after, { signal, onEvent, onLive }) {
  let cursor = String(after);
  let delay = FIRST_DELAY_MS;
  while (!signal.aborted) {
    try {
      const response = await request(path, { headers: { Accept: "text/event-stream", "Last-Event-ID": cursor }, signal });
      onLive(true);
      for await (const event of parse(response.body)) {
        delay = FIRST_DELAY_MS;
        if (event.id) cursor = event.id;
        if (event.type === "problem") throw new ServiceError(JSON.parse(event.data));
        onEvent(JSON.parse(event.data));
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ServiceError && [404, 422].includes(error.status)) throw error;
    }
    if (signal.aborted) return;
    onLive(false);
    await pause(delay, signal);
    delay = Math.min(delay * 2, LAST_DELAY_MS);
  }
}
