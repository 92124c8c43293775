// What this browser measures itself, from RTCPeerConnection.getStats: rates, losses, the sync of what is played.

export class NetworkSampler {
  #pc; #before = null;

  constructor(pc) { this.#pc = pc; }

  // {in_kbps, out_kbps, loss_in, loss_out (percent), rtt_ms, buffer_ms, av_offset_ms, fps}; null where not known yet.
  // The offset is positive where the picture comes later than its sound, as the server counts it.
  async sample() {
    const totals = this.#totals(await this.#pc.getStats());
    const before = this.#before ?? totals;
    this.#before = totals;
    const seconds = (totals.at - before.at) / 1000;
    const rate = (key) => (seconds > 0 ? (8 * (totals[key] - before[key])) / 1000 / seconds : null);
    const emitted = totals.emitted - before.emitted;
    return {
      in_kbps: rate("received"),
      out_kbps: rate("sent"),
      loss_in: lossPercent(totals.lost - before.lost, totals.packets - before.packets),
      loss_out: totals.lossOut,
      rtt_ms: totals.rtt,
      buffer_ms: emitted > 0 ? (1000 * (totals.buffered - before.buffered)) / emitted : null,
      av_offset_ms: totals.playing.video && totals.playing.audio ? totals.playing.audio - totals.playing.video : null,
      fps: totals.fps,
    };
  }

  #totals(report) {
    const totals = { at: performance.now(), received: 0, sent: 0, lost: 0, packets: 0, buffered: 0, emitted: 0, lossOut: null, rtt: null, fps: null, playing: {} };
    for (const entry of report.values()) {
      if (entry.type === "inbound-rtp") this.#received(entry, totals);
      if (entry.type === "outbound-rtp") totals.sent += entry.bytesSent;
      if (entry.type === "remote-inbound-rtp") this.#remote(entry, totals);
    }
    return totals;
  }

  #received(entry, totals) {
    totals.received += entry.bytesReceived;
    totals.lost += entry.packetsLost;
    totals.packets += entry.packetsReceived;
    totals.playing[entry.kind] = entry.estimatedPlayoutTimestamp;
    if (entry.kind !== "video") return;
    totals.buffered += entry.jitterBufferDelay ?? 0;
    totals.emitted += entry.jitterBufferEmittedCount ?? 0;
    totals.fps = entry.framesPerSecond ?? null;
  }

  #remote(entry, totals) {
    if (entry.fractionLost !== undefined) totals.lossOut = Math.max(totals.lossOut ?? 0, 100 * entry.fractionLost);
    if (entry.roundTripTime !== undefined) totals.rtt = 1000 * entry.roundTripTime;
  }
}

// A retransmission that came after all makes the count of the lost fall: that is no gain.
function lossPercent(lost, received) {
  const expected = Math.max(0, lost) + received;
  return expected > 0 ? (100 * Math.max(0, lost)) / expected : null;
}
