"use strict";
// Two recordings, chosen, dropped or made here, to what the server says of them.

const field = (id) => document.getElementById(id);
const clips = [...document.querySelectorAll("fieldset")].map((place) => {
  const [input, button, player, remark] = place.querySelectorAll("input, button, audio, .remark");
  return { input, button, player, remark, file: null };
});
let stop = null; // ends the recording that is being made
let newest = 0; // counts what is shown; an answer to anything older is out of date

function show(problem, parts = [], pictures = []) {
  field("problem").textContent = problem;
  field("result").replaceChildren(...parts);
  field("pictures").replaceChildren(...pictures);
  return ++newest;
}

function take(clip, file) {
  URL.revokeObjectURL(clip.player.src);
  Object.assign(clip.player, { src: URL.createObjectURL(file), hidden: false });
  clip.file = file;
  show("");
}

// Blocks of samples of 16 bits as a WAV file of one channel.
function wav(blocks, rate) {
  const size = 2 * blocks.length * blocks[0].length;
  // "RIFF", a size, "WAVE", "fmt ", its size, PCM of one channel, rates, sizes, "data", its size.
  const header = [0x46464952, 36 + size, 0x45564157, 0x20746d66, 16, 0x10001, rate, 2 * rate];
  return new Blob([Uint32Array.from([...header, 0x100002, 0x61746164, size]), ...blocks]);
}

async function record(clip) {
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false };
  const stream = await navigator.mediaDevices.getUserMedia({ audio });
  const context = new AudioContext();
  await context.audioWorklet.addModule("tape.js");
  const tape = new AudioWorkletNode(context, "tape", { channelCountMode: "explicit", channelCount: 1 });
  const blocks = [];
  tape.port.onmessage = ({ data }) => {
    const seconds = (blocks.push(data) * data.length) / context.sampleRate;
    clip.remark.textContent = `Recorded: ${seconds.toFixed(1)} s`;
  };
  // It plays nothing, but some browsers pass over what leads nowhere.
  context.createMediaStreamSource(stream).connect(tape).connect(context.destination);
  stop?.(); // another one, if both were begun before the microphone was there
  Object.assign(clip.button, { textContent: "Stop", className: "on" });
  stop = () => {
    stop = tape.port.onmessage = null;
    stream.getTracks().forEach((track) => track.stop());
    context.close();
    Object.assign(clip.button, { textContent: "Record", className: "" });
    clip.input.value = "";
    if (blocks.length) take(clip, wav(blocks, context.sampleRate));
  };
}

function element(name, properties, ...parts) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...parts);
  return made;
}

async function compare() {
  const [first, second] = clips.map(({ file }) => file);
  if (!first || !second) return show("Give two recordings first.");
  const asked = show("", [element("p", { className: "says" }, "Comparing …")]);
  const headers = { "First-Bytes": first.size };
  const found = await fetch("compare", { method: "POST", body: new Blob([first, second]), headers })
    .then((answer) => answer.json())
    .catch(() => ({ problem: "No answer: does recipes/try_voices.py still run?" }));
  if (asked !== newest) return;
  if (found.problem) return show(found.problem);
  const tiles = Object.entries(found.values).map(([name, text]) => element("span", { className: "tile" },
    element("span", { className: "role" }, name), element("strong", {}, text)));
  const cautions = found.cautions.map((text) => element("p", { className: "warning" }, text));
  const pictures = found.pictures.map(({ heading, alt, address }) =>
    element("figure", {}, element("figcaption", {}, heading), element("img", { src: address, alt })));
  show("", [element("p", { className: "says" }, found.says), ...tiles, ...cautions], pictures);
}

for (const clip of clips) {
  clip.input.addEventListener("change", ({ target: { files: [file] } }) => {
    clip.remark.textContent = "";
    if (file) take(clip, file);
  });
  clip.button.addEventListener("click", () => {
    const isOwn = clip.button.textContent === "Stop";
    stop?.();
    if (!isOwn) record(clip).catch(({ message }) => show(`The microphone can't be used: ${message}`));
  });
}
field("compare").addEventListener("click", compare);
