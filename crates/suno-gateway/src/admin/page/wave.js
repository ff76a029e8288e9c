// The shape of a track: its lowest and highest samples. The browser decodes one file at a time, and only
// files of a bounded size: decoding takes several times their memory.

export const BYTES_MAX = 25 * 1024 * 1024;
export const SECONDS_MAX = 12 * 60;
const SLICES = 800;
/** The shapes that are kept, 6 kB each. */
const KEPT_MAX = 32;
/** Enough for a picture of the loudness. */
const RATE = 8000;

const kept = new Map();
let last = Promise.resolve();

/** Returns `{ low, high }`, or null if the file is too large or cannot be decoded. */
export function shape(url, seconds, signal) {
	if (kept.has(url)) return Promise.resolve(kept.get(url));
	if (seconds > SECONDS_MAX) return Promise.resolve(null);
	const mine = last.then(() => (signal.aborted ? null : decode(url, signal))).catch(() => null);
	last = mine;
	return mine;
}

async function decode(url, signal) {
	const answer = await fetch(url, { signal, credentials: 'same-origin' });
	const length = Number(answer.headers.get('content-length') ?? 0);
	if (!answer.ok || length > BYTES_MAX) {
		await answer.body?.cancel();
		return null;
	}
	const bytes = await read(answer.body);
	if (!bytes) return null;
	const audio = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
	if (audio.duration > SECONDS_MAX) return null;
	const made = slices(audio.getChannelData(0));
	kept.set(url, made);
	if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value);
	return made;
}

/** Reads a body, or returns null beyond the bound: a length can be absent or wrong. */
async function read(body) {
	const parts = [];
	let size = 0;
	for (const reader = body.getReader(); ; ) {
		const { done, value } = await reader.read();
		if (done) return new Blob(parts).arrayBuffer();
		size += value.length;
		if (size > BYTES_MAX) {
			await reader.cancel();
			return null;
		}
		parts.push(value);
	}
}

export function slices(samples) {
	const [low, high] = [new Float32Array(SLICES), new Float32Array(SLICES)];
	const width = samples.length / SLICES;
	for (let slice = 0; slice < SLICES; slice += 1) {
		const end = Math.min(samples.length, Math.ceil((slice + 1) * width));
		for (let at = Math.floor(slice * width); at < end; at += 1) {
			const sample = samples[at];
			if (sample < low[slice]) low[slice] = sample;
			if (sample > high[slice]) high[slice] = sample;
		}
	}
	return { low, high };
}

/** Draws a shape as bars; what was played is in `played`, the rest in `rest`. */
export function draw(canvas, made, part, { played, rest }) {
	const ratio = devicePixelRatio || 1;
	const [width, height] = [canvas.clientWidth, canvas.clientHeight];
	if (!width) return;
	if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
		canvas.width = Math.round(width * ratio);
		canvas.height = Math.round(height * ratio);
	}
	const to = canvas.getContext('2d');
	to.setTransform(ratio, 0, 0, ratio, 0, 0);
	to.clearRect(0, 0, width, height);
	const middle = height / 2;
	if (!made) {
		to.fillStyle = rest;
		to.fillRect(0, middle - 1.5, width, 3);
		to.fillStyle = played;
		to.fillRect(0, middle - 1.5, width * part, 3);
		return;
	}
	const loudest = made.high.reduce((most, high, slice) => Math.max(most, high, -made.low[slice]), 0.001);
	const [bar, gap] = [2, 1];
	const bars = Math.floor(width / (bar + gap));
	for (let index = 0; index < bars; index += 1) {
		const from = Math.floor((index * SLICES) / bars);
		const until = Math.max(from + 1, Math.floor(((index + 1) * SLICES) / bars));
		let [low, high] = [0, 0];
		for (let slice = from; slice < until; slice += 1) {
			low = Math.min(low, made.low[slice]);
			high = Math.max(high, made.high[slice]);
		}
		const up = Math.max(0.75, (high / loudest) * (middle - 1));
		const down = Math.max(0.75, (-low / loudest) * (middle - 1));
		to.fillStyle = (index + 0.5) / bars <= part ? played : rest;
		to.beginPath();
		to.roundRect(index * (bar + gap), middle - up, bar, up + down, 1);
		to.fill();
	}
}
