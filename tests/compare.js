// How far the dubbed picture is from the camera's of the same number: mean difference of brightness in 32x24 fields, over
// `count` pictures. Needs marks.js in the page.
async (count) => {
  const [width, height, held] = [32, 24, new Map()];
  const pen = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d", { willReadFrequently: true });
  const fields = (video) => {
    pen.drawImage(video, 0, 0, width, height);
    const { data } = pen.getImageData(0, 0, width, height);
    return Array.from({ length: width * height }, (_, i) => (data[4 * i] + data[4 * i + 1] + data[4 * i + 2]) / 3);
  };
  const sums = new Array(width * height).fill(0);
  let compared = 0;
  const [original, dubbed] = ["original", "dubbed"].map((id) => document.getElementById(id));
  const keep = async () => {
    if (compared >= count) return;
    const seen = fields(original);
    held.set(await marks.read(original), seen);
    original.requestVideoFrameCallback(keep);
  };
  original.requestVideoFrameCallback(keep);
  return new Promise((done) => {
    const compare = async () => {
      const seen = fields(dubbed);
      const sent = held.get(await marks.read(dubbed));
      if (sent) {
        seen.forEach((value, i) => { sums[i] += Math.abs(value - sent[i]); });
        compared += 1;
      }
      if (compared < count) dubbed.requestVideoFrameCallback(compare);
      else done(sums.map((sum) => sum / count));
    };
    dubbed.requestVideoFrameCallback(compare);
  });
}
