// Camera and microphone: opening them, naming them, and what to tell when they are not to be had.

import { ApiError } from "./api.js";

// What getUserMedia throws, as advice. `thing` is "camera" or "microphone".
const ADVICE = {
  NotAllowedError: (thing) => [`The ${thing} is not allowed.`, `Allow the ${thing} with the site button left of the address, then try again.`],
  NotFoundError: (thing) => [`No ${thing} was found.`, `Plug in a ${thing}, or switch it on, then try again.`],
  NotReadableError: (thing) => [`The ${thing} is in use.`, `Close the other program or tab that uses the ${thing}, then try again.`],
  OverconstrainedError: (thing) => [`The chosen ${thing} is gone.`, `Choose another ${thing} in the settings, then try again.`],
};

function failure(error, thing) {
  const known = ADVICE[error.name] ?? (() => [`The ${thing} could not be opened.`, `Choose another ${thing}, or reload the page (${error.name}).`]);
  return Object.assign(new ApiError(0, ...known(thing)), { name: error.name });
}

export function requireDevices() {
  if (navigator.mediaDevices?.getUserMedia && window.isSecureContext) return;
  throw new ApiError(0, "This address may not use a camera.",
    "Browsers give cameras to https and to localhost alone: start the server with --tls-cert and --tls-key, or open it through an SSH tunnel to localhost.");
}

export async function openCamera(deviceId, { width, height, fps }) {
  const picture = { width: { ideal: width }, height: { ideal: height }, frameRate: { ideal: fps, max: Math.max(fps, 30) } };
  const choice = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: "user" };
  return open({ video: { ...picture, ...choice } }, "camera");
}

// With `processing` off, music and other voices reach the server as they are.
export async function openMicrophone(deviceId, processing) {
  const audio = { echoCancellation: processing, noiseSuppression: processing, autoGainControl: processing };
  if (deviceId) audio.deviceId = { exact: deviceId };
  return open({ audio }, "microphone");
}

async function open(constraints, thing) {
  requireDevices();
  try {
    return (await navigator.mediaDevices.getUserMedia(constraints)).getTracks()[0];
  } catch (error) {
    throw failure(error, thing);
  }
}

// Devices have no names before the first permission: the lists are filled again after it.
export async function fillDevices(camera, microphone) {
  if (!navigator.mediaDevices?.enumerateDevices) return;
  const devices = await navigator.mediaDevices.enumerateDevices();
  fill(camera, devices.filter((device) => device.kind === "videoinput"), "Default camera");
  fill(microphone, devices.filter((device) => device.kind === "audioinput" && device.deviceId !== "default"), "Default microphone");
}

function fill(select, devices, first) {
  const chosen = select.value;
  const named = devices.filter((device) => device.deviceId && device.label);
  const stays = [...select.querySelectorAll("[data-stays]")]; // what is no device
  select.replaceChildren(new Option(first, ""), ...named.map((device) => new Option(device.label, device.deviceId)), ...stays);
  select.value = chosen;
  if (select.selectedIndex < 0) select.value = ""; // it was unplugged
}

export class Meter {
  #bars; #context = null; #timer = 0;

  constructor(...bars) { this.#bars = bars; }

  // Shows the level of `track`; null ends it.
  watch(track) {
    this.stop();
    if (!track) return;
    this.#context = new AudioContext();
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 1024;
    this.#context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#timer = setInterval(() => this.#show(analyser, samples), 120);
  }

  stop() {
    clearInterval(this.#timer);
    this.#context?.close();
    this.#context = null;
    this.#draw(0);
  }

  // -60 dB is empty and 0 dB full.
  #show(analyser, samples) {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    const level = Math.min(1, Math.max(0, 1 + Math.log10(power + 1e-6) / 6));
    this.#draw(level);
  }

  #draw(level) {
    for (const bar of this.#bars) {
      bar.style.setProperty("--level", level.toFixed(2));
      bar.setAttribute("aria-valuenow", Math.round(100 * level));
    }
  }
}
