// A QR code as the server makes it: rows of 0 and 1, dark is 1. Black on white in any theme: cameras want it so.

const MODULE = 8; // pixels

export function draw(canvas, rows) {
  canvas.width = canvas.height = MODULE * rows.length;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = "#000";
  rows.forEach((row, y) => [...row].forEach((module, x) => {
    if (module === "1") pen.fillRect(MODULE * x, MODULE * y, MODULE, MODULE);
  }));
}
