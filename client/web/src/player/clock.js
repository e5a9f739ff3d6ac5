// SPDX-License-Identifier: MIT
// The relay's clock as seen from here. A sample is (sent, received, what the relay said); the one
// with the shortest way there and back is believed.

export function offsetOf(sample) {
  return sample.serverMs - (sample.sentMs + sample.receivedMs) / 2;
}

// {offsetMs, errorMs} or null. `resolutionMs`: how coarse the relay's word is.
export function bestOffset(samples) {
  let best = null;
  for (const sample of samples) {
    const errorMs = (sample.receivedMs - sample.sentMs) / 2 + sample.resolutionMs / 2;
    if (!best || errorMs < best.errorMs)
      best = { offsetMs: offsetOf(sample) + sample.resolutionMs / 2, errorMs };
  }
  if (!best) return null;
  // Within the doubt the clocks may as well agree, and between machines kept by NTP they do.
  if (Math.abs(best.offsetMs) <= best.errorMs) best.offsetMs = 0;
  return best;
}
