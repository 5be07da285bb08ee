// What all pages share: waiting, and hearing.

const POLL = 20; // milliseconds
const QUIET = -60; // dB: below it, nothing is heard
const audio = new AudioContext();

const pause = (time) => new Promise((done) => setTimeout(done, time));

async function until(condition, what, seconds = 15) {
  for (const end = Date.now() + seconds * 1000; !condition(); await pause(POLL)) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
  }
}

// Notes in `heard` the strongest frequency of a stream that some element plays, 50 times a second.
async function listen(heard, stream) {
  await audio.resume();
  const analyser = audio.createAnalyser();
  analyser.fftSize = 2048;
  analyser.smoothingTimeConstant = 0;
  audio.createMediaStreamSource(stream).connect(analyser);
  const levels = new Float32Array(analyser.frequencyBinCount);
  const width = audio.sampleRate / analyser.fftSize;
  setInterval(() => {
    analyser.getFloatFrequencyData(levels);
    const peak = levels.reduce((best, level, bin) => (level > levels[best] ? bin : best), 0);
    if (levels[peak] > QUIET) heard.push(peak * width);
  }, POLL);
}
