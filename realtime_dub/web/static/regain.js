// A camera or a microphone that was taken away is opened again as soon as it is there.

const LOOK_MS = 2000; // not every browser tells of a device that came

// Calls `open` until it has come about; gives up as soon as `wanted` says no. True where it came about.
export async function regain(open, wanted) {
  while (wanted()) {
    try {
      await open();
      return true;
    } catch {
      await aDeviceCame();
    }
  }
  return false;
}

function aDeviceCame() {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      navigator.mediaDevices.removeEventListener("devicechange", end);
      done();
    };
    const timer = setTimeout(end, LOOK_MS);
    navigator.mediaDevices.addEventListener("devicechange", end);
  });
}
