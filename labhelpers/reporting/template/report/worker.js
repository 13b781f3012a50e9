"use strict";

// Runs in a worker: the trained networks on one picture of 32x32 pixels. Values of an image are in the order row, column,
// channel, as in Keras.
const SIDE = 32;

function bytes(text) {
  const raw = atob(text);
  return Int8Array.from(raw, character => character.charCodeAt(0));
}

// Weights are decoded when a network is first asked.
function unpack(layer) {
  if (layer.kind !== "conv" || layer.weights) return;
  layer.weights = Float32Array.from(bytes(layer.kernel), (weight, i) => weight * layer.scales[i % layer.outputs]);
  delete layer.kernel;
}

const LAYERS = {
  conv(x, side, { side: size, same, inputs, outputs, weights, bias }) {
    if (size === 1) side = 1; // a dense layer
    const result = same ? side : side - size + 1;
    const before = same ? (size - 1) >> 1 : 0;
    const y = new Float32Array(result * result * outputs);
    for (let row = 0; row < result; row++) for (let column = 0; column < result; column++) {
      const at = (row * result + column) * outputs;
      y.set(bias, at);
      for (let i = 0; i < size; i++) for (let j = 0; j < size; j++) {
        const [r, c] = [row + i - before, column + j - before];
        if (r < 0 || c < 0 || r >= side || c >= side) continue;
        for (let input = 0; input < inputs; input++) {
          const value = x[(r * side + c) * inputs + input];
          const from = ((i * size + j) * inputs + input) * outputs;
          for (let output = 0; output < outputs; output++) y[at + output] += value * weights[from + output];
        }
      }
    }
    return [y, result];
  },
  pool(x, side, { side: size }) {
    const result = Math.floor(side / size);
    const channels = x.length / (side * side);
    const y = new Float32Array(result * result * channels).fill(-Infinity);
    for (let row = 0; row < result * size; row++) for (let column = 0; column < result * size; column++) {
      const to = (Math.floor(row / size) * result + Math.floor(column / size)) * channels;
      const from = (row * side + column) * channels;
      for (let channel = 0; channel < channels; channel++) y[to + channel] = Math.max(y[to + channel], x[from + channel]);
    }
    return [y, result];
  },
  relu: (x, side) => [x.map(value => Math.max(value, 0)), side],
  gelu: (x, side) => [x.map(value => 0.5 * value * (1 + erf(value / Math.SQRT2))), side],
};

// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: within 1.5e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

// The logits for a picture, and what the first convolution gives after its activation.
function ask({ scale, offset, layers }, pixels) {
  let [x, side] = [Float32Array.from(pixels, (value, i) => value * scale[i % 3] + offset[i % 3]), SIDE];
  let maps;
  layers.forEach((layer, i) => {
    unpack(layer);
    [x, side] = LAYERS[layer.kind](x, side, layer);
    if (i === 1) maps = x;
  });
  return { logits: [...x], maps, channels: layers[0].outputs };
}

let networks;
onmessage = ({ data }) => {
  if (data.networks) { networks = JSON.parse(data.networks); return; }
  networks.forEach((network, index) => {
    const start = performance.now();
    const answer = ask(network, data.pixels);
    postMessage({ id: data.id, index, milliseconds: performance.now() - start, ...answer });
  });
};
