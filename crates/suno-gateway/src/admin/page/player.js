// A track to listen to. Its waveform is the slider.

import { clean, clock, h } from './dom.js';
import { draw, shape } from './wave.js';

/** The only one that plays. */
let playing = null;
const STEP = 5;

/** Returns `{ node, toggle, close }`. `url` is a path of the service. */
export function player({ url, title, seconds }) {
	const name = clean(title) || 'this track';
	const stop = new AbortController();
	let made = null;
	const audio = h('audio', { preload: 'none' });
	const icon = h('span', { class: 'icon', 'aria-hidden': 'true' });
	const button = h('button', { class: 'play', 'aria-label': `Play ${name}`, click: toggle }, icon);
	const canvas = h('canvas', { class: 'wave', 'aria-hidden': 'true' });
	const slider = h('div', { class: 'seek', role: 'slider', tabindex: 0, 'aria-label': `Position in ${name}`, 'aria-valuemin': 0,
		pointerdown: pressed, pointermove: dragged, keydown: stepped }, canvas);
	const shown = h('span', { class: 'clock' });
	const note = h('span', { class: 'sub', hidden: true, role: 'status' });
	const node = h('div', { class: 'player' }, button, slider, shown, note, audio);
	const length = () => (Number.isFinite(audio.duration) ? audio.duration : Number(seconds) || 0);

	function toggle() {
		if (button.disabled) return;
		if (!audio.src) audio.src = url;
		if (audio.paused) audio.play().catch(() => {});
		else audio.pause();
	}

	function seek(to) {
		if (!audio.src) audio.src = url;
		const at = Math.max(0, Math.min(length(), to));
		if (audio.readyState > 0) audio.currentTime = at;
		else {
			audio.preload = 'metadata';
			audio.load();
			audio.addEventListener('loadedmetadata', () => (audio.currentTime = at), { once: true });
		}
		paint(at);
	}

	function pressed(event) {
		if (event.button) return;
		slider.setPointerCapture(event.pointerId);
		dragged(event);
	}

	function dragged(event) {
		if (!event.buttons) return;
		const box = slider.getBoundingClientRect();
		seek(((event.clientX - box.left) / box.width) * length());
	}

	function stepped(event) {
		const to = { ArrowRight: audio.currentTime + STEP, ArrowUp: audio.currentTime + STEP, ArrowLeft: audio.currentTime - STEP,
			ArrowDown: audio.currentTime - STEP, Home: 0, End: length() }[event.key];
		if (event.key === ' ') toggle();
		else if (to === undefined) return;
		else seek(to);
		event.preventDefault();
		event.stopPropagation();
	}

	function paint(at = audio.currentTime) {
		const style = getComputedStyle(node);
		const end = length();
		draw(canvas, made, end ? at / end : 0, { played: style.getPropertyValue('--accent'), rest: style.getPropertyValue('--wave') });
		shown.textContent = `${clock(at)} / ${clock(end)}`;
		slider.setAttribute('aria-valuemax', Math.round(end));
		slider.setAttribute('aria-valuenow', Math.round(at));
		slider.setAttribute('aria-valuetext', `${clock(at)} of ${clock(end)}`);
	}

	function moving() {
		if (audio.paused || stop.signal.aborted) return;
		paint();
		// Thirty times a second while somebody looks; the clock alone would jump.
		if (matchMedia('(prefers-reduced-motion: no-preference)').matches) requestAnimationFrame(moving);
	}

	function told() {
		const isPlaying = !audio.paused && !audio.ended;
		node.classList.toggle('playing', isPlaying);
		button.setAttribute('aria-label', `${isPlaying ? 'Pause' : 'Play'} ${name}`);
		if (isPlaying) {
			if (playing && playing !== audio) playing.pause();
			playing = audio;
			moving();
		}
		paint();
	}

	for (const kind of ['play', 'pause', 'ended', 'seeked', 'loadedmetadata']) audio.addEventListener(kind, told);
	audio.addEventListener('timeupdate', () => paint());
	audio.addEventListener('error', () => {
		button.disabled = true;
		note.hidden = false;
		note.textContent = 'The file cannot be played: the provider may have deleted it.';
	});
	const sized = new ResizeObserver(() => paint());
	sized.observe(canvas);
	const themes = matchMedia('(prefers-color-scheme: dark)');
	const themed = () => paint();
	themes.addEventListener('change', themed);
	shape(url, seconds, stop.signal).then((found) => {
		made = found;
		node.dataset.wave = found ? 'peaks' : 'plain';
		paint();
	});

	return {
		node,
		toggle,
		close() {
			stop.abort();
			sized.disconnect();
			themes.removeEventListener('change', themed);
			audio.pause();
			audio.removeAttribute('src');
			audio.load();
			if (playing === audio) playing = null;
		},
	};
}
