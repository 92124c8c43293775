// One peer connection to the server with the directions of a role: its tracks, its control channel, its candidates.

const DIRECTIONS = {
  studio: { video: "sendrecv", audio: "sendrecv" },
  interpreter: { video: "recvonly", audio: "sendrecv" }, // what comes is the original
  viewer: { video: "recvonly", audio: "recvonly" },
};
const POLL_S = 0.1;

export class Link {
  #pc; #directions; #tracks; #video; #audio; #on;
  #waiting = []; // candidates, for the answer: before it the server has nothing that they could belong to

  // `on` has what is called: `message` with a text, `closed` where the other side closes, `stream` with what is shown,
  // `candidate` with one of ours, `state` with the connection's.
  constructor(iceServers, tracks, role, on) {
    [this.#tracks, this.#directions, this.#on] = [tracks, DIRECTIONS[role], on];
    const pc = this.#pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    const control = pc.createDataChannel("control");
    const stream = new MediaStream();
    control.onmessage = (event) => on.message(event.data);
    control.onclose = () => on.closed();
    this.#video = this.#transceiver("video");
    this.#audio = this.#transceiver("audio");
    pc.ontrack = (event) => {
      stream.addTrack(event.track);
      on.stream(stream);
    };
    pc.onicecandidate = (event) => this.#candidate(event.candidate);
    pc.onconnectionstatechange = () => on.state(pc.connectionState);
  }

  get state() { return this.#pc.connectionState; }

  get peer() { return this.#pc; }

  async offer() {
    await this.#pc.setLocalDescription();
    return { sdp: this.#pc.localDescription.sdp, type: "offer" };
  }

  async answered(sdp) {
    this.#waiting.splice(0).forEach((candidate) => this.#on.candidate(candidate));
    this.#waiting = null;
    await this.#pc.setRemoteDescription({ type: "answer", sdp });
  }

  replaceVideo(track) { return this.#video.sender.replaceTrack(track); }

  replaceAudio(track) { return this.#audio.sender.replaceTrack(track); }

  // Whether it is connected before `seconds` are over.
  async connects(seconds) {
    const until = performance.now() + 1000 * seconds;
    while (this.state !== "connected") {
      if (["failed", "closed"].includes(this.state) || performance.now() > until) return false;
      await new Promise((done) => { setTimeout(done, 1000 * POLL_S); });
    }
    return true;
  }

  close() { this.#pc.close(); }

  #transceiver(kind) { return this.#pc.addTransceiver(this.#tracks[kind] ?? kind, { direction: this.#directions[kind] }); }

  #candidate(candidate) {
    if (this.#waiting) this.#waiting.push(candidate);
    else this.#on.candidate(candidate);
  }
}
