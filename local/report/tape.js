// What a microphone hears, to the page: blocks of samples of 16 bits.
registerProcessor("tape", class extends AudioWorkletProcessor {
  process([[samples]]) {
    const to16Bits = (value) => 32767 * Math.max(-1, Math.min(value, 1));
    if (samples) this.port.postMessage(Int16Array.from(samples, to16Bits));
    return true;
  }
});
