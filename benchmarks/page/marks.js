// Put into the studio's page before its own scripts: notes when which picture and which mark of the sound is sent, and
// when it comes back. Pictures carry their number in blocks of black and white, sound carries short tones.

const BITS = 5, BLOCK = 24, WIDTH = 640; // of the film, in its pixels

window.marks = {
  peer: null,
  pictures: { sent: [], got: [] }, // [number, ms, how many were shown until then]
  tones: [[], []], // sent, got: [ms on the audio graph's clock, which is one for both, ms on the page's]
  clicked: 0, live: 0, shown: 0, // ms: start was pressed, the page said "Live", the first dubbed picture was there

  // From now on; `ear` is the text of tap.js.
  async watch(ear) {
    watchPictures(document.getElementById("original"), this.pictures.sent, (seen, now) => seen.captureTime ?? now);
    watchPictures(document.getElementById("dubbed"), this.pictures.got, (seen) => seen.expectedDisplayTime);
    const context = new AudioContext({ sampleRate: 48_000 });
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([ear], { type: "text/javascript" })));
    const node = new AudioWorkletNode(context, "tap", { numberOfInputs: 2, numberOfOutputs: 1 });
    node.port.onmessage = ({ data: [which, at] }) => this.tones[which].push([at, performance.now()]);
    node.connect(context.destination);
    const audio = this.peer.getTransceivers().find(({ receiver }) => receiver.track.kind === "audio");
    [audio.sender.track, audio.receiver.track].forEach((track, i) => {
      context.createMediaStreamSource(new MediaStream([track])).connect(node, 0, i);
    });
  },

  read,

  // What was seen so far.
  forget() { [this.pictures.sent, this.pictures.got, ...this.tones].forEach((list) => { list.length = 0; }); },

  // What came in as pictures, as the browser counts it.
  async received() {
    const report = await this.peer.getStats();
    return [...report.values()].find(({ type, kind }) => type === "inbound-rtp" && kind === "video");
  },
};

function watchPictures(video, list, when) {
  const seen = async (now, metadata) => {
    video.requestVideoFrameCallback(seen);
    const at = when(metadata, now);
    const number = await read(video);
    if (number !== null) list.push([number, at, metadata.presentedFrames]);
  };
  video.requestVideoFrameCallback(seen);
}

// The number in the blocks of a picture; only its first plane, the brightness, is looked at.
async function read(video) {
  if (!video.srcObject) return null;
  const frame = new VideoFrame(video);
  const size = frame.visibleRect.width / WIDTH * BLOCK;
  const rect = { x: 0, y: 0, width: 2 * Math.ceil(BITS * size / 2), height: 2 * Math.ceil(size / 2) };
  const pixels = new Uint8Array(frame.allocationSize({ rect }));
  const [{ offset, stride }] = await frame.copyTo(pixels, { rect });
  frame.close();
  const bright = (bit) => pixels[offset + stride * Math.round(size / 2) + Math.round((bit + 0.5) * size)] > 126;
  return Array.from({ length: BITS }, (_, bit) => bright(bit) << bit).reduce((sum, value) => sum + value);
}

window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...given) {
    super(...given);
    window.marks.peer = this;
  }
};

document.addEventListener("DOMContentLoaded", () => {
  const note = (name) => { window.marks[name] ||= performance.now(); };
  document.getElementById("start").addEventListener("click", () => note("clicked"), { capture: true });
  document.getElementById("dubbed").addEventListener("loadeddata", () => note("shown"));
  const state = document.getElementById("state");
  new MutationObserver(() => state.dataset.state === "live" && note("live")).observe(state, { attributes: true });
});
