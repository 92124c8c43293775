// Server-sent events, read with fetch: the browser's own EventSource cannot send the token.

import * as api from "./api.js";

const AGAIN_MS = 1000, TELL_MS = 3000;

// Calls `told` with each event's data, again and again after the stream has ended; `state` with "live" or
// "interrupted"; `refused` with an ApiError that no other try would change. Returns what ends it.
export function follow(path, { told, state, refused }) {
  const over = new AbortController();
  let before = -1, lost = 0;
  const handle = (text) => {
    const room = JSON.parse(text);
    if (room.error) throw gone(api.words(room)); // for good
    clearTimeout(lost);
    state("live");
    before = room.sequence;
    told(room);
  };
  const run = async () => {
    while (!over.signal.aborted) {
      try {
        await read(await api.stream(path, over.signal), handle);
      } catch (error) {
        if (over.signal.aborted) return;
        if ([401, 403, 404].includes(error.status)) return refused(error);
      }
      lost = setTimeout(() => state("interrupted"), TELL_MS); // one that ends by itself is back before
      await new Promise((done) => { setTimeout(done, before < 0 ? AGAIN_MS : AGAIN_MS / 5); });
      before = -1;
    }
  };
  run();
  return () => {
    clearTimeout(lost);
    over.abort();
  };
}

function gone(said) { return new api.ApiError(403, said.what, said.do); }

async function read(answer, handle) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
      if (data.length) handle(data.join("\n"));
    }
  }
}
