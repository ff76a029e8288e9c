// Elements without any HTML text: everything that strangers wrote becomes a text node.

/** Creates an element. `props` are attributes; functions are listeners, and null or false is left out. */
export function h(name, props, ...children) {
	return fill(document.createElement(name), props, children);
}

/** Creates an SVG element. */
export function svg(name, props, ...children) {
	return fill(document.createElementNS('http://www.w3.org/2000/svg', name), props, children);
}

function fill(node, props, children) {
	for (const [key, value] of Object.entries(props ?? {})) {
		if (value === null || value === undefined || value === false) continue;
		if (typeof value === 'function') node.addEventListener(key, value);
		else node.setAttribute(key, value === true ? '' : value);
	}
	append(node, children);
	return node;
}

function append(node, children) {
	for (const child of children) {
		if (Array.isArray(child)) append(node, child);
		else if (child !== null && child !== undefined && child !== false) node.append(child);
	}
}

/** Control characters, and those that change the direction of the text around them. */
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** What is said beside something. */
export const sub = (...children) => h('span', { class: 'sub' }, ...children);

/** Text of a stranger, for people: without characters that could change what is around it. */
export const clean = (text) => String(text ?? '').replace(UNSEEN, '');

/** Text of a stranger in an element of its own, so that its direction stays inside. */
export const bdi = (text) => h('bdi', null, clean(text));

/** A list of names and values. A value that is null was not kept. */
export const facts = (all, kind = '') => h('dl', { class: `facts ${kind}` }, all.map(([name, value]) => h('div', null, h('dt', null, name), h('dd', null, value === null ? h('i', null, 'not kept') : bdi(value)))));

/** A section with a heading. */
export const section = (id, title, ...more) => h('section', { 'aria-labelledby': id }, h('h2', { id }, title), ...more);

/** Replaces what is in an element. */
export function show(node, ...children) {
	node.replaceChildren();
	append(node, children);
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });

/** A time: the clock for today, the day as well for earlier days. */
export function time(value, now = new Date()) {
	const at = new Date(value);
	if (Number.isNaN(at.getTime())) return h('span', null, '–');
	const isToday = at.toDateString() === now.toDateString();
	const text = isToday ? CLOCK.format(at) : `${DAY.format(at)}, ${CLOCK.format(at)}`;
	return h('time', { datetime: at.toISOString(), title: FULL.format(at) }, text);
}

/** A duration in milliseconds, in one unit or two. */
export function span(ms) {
	if (!Number.isFinite(ms)) return '–';
	if (ms < 1000) return `${Math.round(ms)} ms`;
	const s = Math.round(ms / 1000);
	if (s < 60) return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${s} s`;
	if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 ? ` ${s % 60} s` : ''}`;
	if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
	return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/** Minutes and seconds of a track. */
export function clock(seconds) {
	const s = Math.max(0, Math.floor(Number(seconds) || 0));
	return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`;
}

export const number = (value) => Number(value ?? 0).toLocaleString('en').replaceAll(',', '\u2009');

/** Says "1 task" or "2 tasks". */
export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

/** Shows the beginning of a text that may be long, with a button for the rest. `draw` shows a text in the node. */
export function cut(text, most, node, draw) {
	draw(text.slice(0, most));
	if (text.length <= most) return node;
	const more = h('button', { click: () => { draw(text); more.remove(); } }, `Show all ${number(text.length)} characters`);
	return [node, more];
}

/** Says something to people who cannot see the page. */
export function say(text) {
	document.getElementById('said').textContent = text;
}
