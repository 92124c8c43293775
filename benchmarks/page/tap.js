// Hears the marks in two sounds, what the page sends and what comes back, on one clock: that of the audio graph.

const TONE_HZ = 7500, LEAST = 0.03; // of full scale; a voice that is cut off at 6 kHz stays far below
const QUIET_S = 0.3; // between two marks

class Tap extends AudioWorkletProcessor {
  #quiet = [QUIET_S, QUIET_S];

  process(inputs) {
    inputs.forEach((channels, i) => {
      const heard = channels.length > 0 && amplitude(channels[0]) > LEAST;
      if (heard && this.#quiet[i] >= QUIET_S) this.port.postMessage([i, 1000 * currentTime]);
      this.#quiet[i] = heard ? 0 : this.#quiet[i] + channels[0]?.length / sampleRate || this.#quiet[i];
    });
    return true;
  }
}

// Goertzel's algorithm: how much of the tone is in these samples.
function amplitude(samples) {
  const turn = 2 * Math.cos((2 * Math.PI * TONE_HZ) / sampleRate);
  let [last, before] = [0, 0];
  for (const sample of samples) [last, before] = [sample + turn * last - before, last];
  return (2 * Math.sqrt(Math.max(0, last * last + before * before - turn * last * before))) / samples.length;
}

registerProcessor("tap", Tap);
