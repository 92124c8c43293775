// Camera and microphone: opening them, naming them, and what to tell when they are not to be had.

import { ApiError } from "./api.js";
import { t } from "./texts.js";

// What getUserMedia throws, as advice; the same key with .do says what to do.
const ADVICE = {
  NotAllowedError: "media.denied",
  NotFoundError: "media.none",
  NotReadableError: "media.busy",
  OverconstrainedError: "media.gone",
};

function failure(error, name) {
  const key = ADVICE[error.name] ?? "media.failed", values = { thing: t(`thing.${name}`), error: error.name };
  return Object.assign(new ApiError(0, t(key, values), t(`${key}.do`, values)), { name: error.name });
}

export function requireDevices() {
  if (navigator.mediaDevices?.getUserMedia && window.isSecureContext) return;
  throw new ApiError(0, t("media.insecure"), t("media.insecure.do"));
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
export async function fillDevices(camera, microphone, speaker) {
  if (!navigator.mediaDevices?.enumerateDevices) return;
  const devices = await navigator.mediaDevices.enumerateDevices();
  fill(camera, devices.filter((device) => device.kind === "videoinput"), t("page.default_camera"));
  fill(microphone, devices.filter((device) => device.kind === "audioinput" && device.deviceId !== "default"), t("page.default_microphone"));
  fill(speaker, devices.filter((device) => device.kind === "audiooutput" && device.deviceId !== "default"), t("output.default"));
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
      bar.style.setProperty("--level", Math.round(100 * level) / 100);
      bar.setAttribute("aria-valuenow", Math.round(100 * level));
    }
  }
}
