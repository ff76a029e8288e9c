// The view of one task: a summary, its tracks, its story, and everything that arrived.

import * as api from './api.js';
import { bdi, clean, clock, count, facts, h, say, section, show, span, sub, time } from './dom.js';
import { differences, DIFFERENCES_MAX, split } from './diff.js';
import { json, visible } from './json.js';
import { pill } from './list.js';
import { player } from './player.js';
import { go } from './route.js';
import { course, story, summary } from './story.js';
import { knownBy, productOf, stageOf, stateOf, verifiedBy } from './words.js';

/** Lyrics longer than this are cut until somebody asks for all. */
const LYRICS_MAX = 4_000;
const VALUE_MAX = 600;
const REFRESH_MS = 3_000;
const SHOWN_ELSEWHERE = new Set(['stage', 'revision', 'task_id', 'content', 'body', 'headers', 'conflicts', 'conflict_records']);

export function open(taskId, { tell }) {
	const node = h('article', { class: 'task', 'aria-label': 'Task', 'aria-busy': 'true' }, h('p', { class: 'dim' }, 'Loading…'));
	const stop = new AbortController();
	let players = [];
	let shown = '';
	let heard = '';
	let tracks = null;

	async function read() {
		let task;
		try {
			task = await api.task(taskId, stop.signal);
		} catch (err) {
			if (err.status !== 404) throw err;
			show(node, back(), h('h1', null, 'Not here'), h('p', null, 'Nothing has arrived for it yet, or its events were purged.'));
			return;
		}
		const text = JSON.stringify(task);
		if (text === shown || stop.signal.aborted) return;
		shown = text;
		draw(task);
	}

	/** Draws all but the tracks anew. They are kept while they are the same, as one may play. */
	function draw(task) {
		const main = best(task);
		const audible = (main?.content?.tracks ?? []).map((track, index) => [track.id, track.audio_url || track.stream_audio_url, index]);
		const key = JSON.stringify([main?.id, audible]);
		if (key !== heard) {
			heard = key;
			players.forEach((one) => one.close());
			players = [];
			tracks = main ? trackList(task, main, players) : null;
		}
		const open = new Set([...node.querySelectorAll('details[open][data-key]')].map((one) => one.dataset.key));
		const focus = document.activeElement?.dataset?.focus;
		const parts = [back(), head(task, main), needs(task, act), steps(task), tracks, output(main), lyrics(main),
			timeline(task), deliveries(task, act)];
		// The tracks stay in the document: what plays would stop when it is taken out.
		const keep = tracks && node.contains(tracks) ? tracks : null;
		if (keep) {
			for (const child of [...node.childNodes]) if (child !== keep) child.remove();
			const at = parts.indexOf(keep);
			keep.before(...parts.slice(0, at).filter(Boolean));
			keep.after(...parts.slice(at + 1).flat().filter(Boolean));
		} else {
			show(node, parts);
		}
		node.removeAttribute('aria-busy');
		for (const one of node.querySelectorAll('details[data-key]')) if (open.has(one.dataset.key)) one.open = true;
		if (focus) node.querySelector(`[data-focus="${CSS.escape(focus)}"]`)?.focus();
		document.title = `${titleOf(task, main)} · suno`;
	}

	async function act(button, does, said) {
		button.disabled = true;
		try {
			await does();
			say(said);
			await read();
		} catch (err) {
			if (err.status === 409) {
				say(err.message);
				button.after(h('span', { class: 'warn', role: 'alert' }, ` ${err.message}`));
			} else {
				tell(err);
			}
		} finally {
			button.disabled = false;
		}
	}

	// The history is written a moment after what it tells.
	const timer = setInterval(() => document.hidden || read().catch(tell), REFRESH_MS);
	return {
		node,
		changed: (ids) => (ids === null || ids.includes(taskId) ? read() : null),
		closed() {
			stop.abort();
			clearInterval(timer);
			players.forEach((one) => one.close());
		},
		play() {
			const one = players.find(({ node: at }) => at.classList.contains('playing')) ?? players[0];
			one?.toggle();
			return Boolean(one);
		},
	};
}

const back = () =>
	h('a', { class: 'back', href: '#/tasks', 'aria-label': 'Close the task', click: (event) => { event.preventDefault(); go({ task: null }); } }, '×');

/** The event with the most results, and of those the latest. */
function best(task) {
	const worth = ({ content }) => (content?.tracks ?? []).reduce((sum, track) => sum + (track.audio_url ? 1000 : 1), 0);
	return [...task.events].sort((a, b) => worth(b) - worth(a) || b.id - a.id)[0] ?? null;
}

const firstTrack = (event) => event?.content?.tracks?.find((track) => track.title) ?? event?.content?.tracks?.[0] ?? null;
const titleOf = (task, main) => clean(firstTrack(main)?.title || task.title) || `${productOf(task.product)} ${clean(task.task_id)}`;

/** The cover, or a plain one where there is none. */
function cover(main, title) {
	const index = main?.content?.tracks?.findIndex((track) => track.image_url || track.source_image_url) ?? -1;
	const plain = () => h('div', { class: 'cover plain', 'aria-hidden': 'true' }, [...title][0]);
	if (index < 0) return plain();
	const image = h('img', { class: 'cover', src: api.media(main.id, index, 'image'), alt: '',
		error: () => image.replaceWith(plain()) });
	return image;
}

function head(task, main) {
	const title = titleOf(task, main);
	const track = firstTrack(main);
	const known = [productOf(task.product), track?.model_name, task.reference && `reference ${task.reference}`].filter(Boolean);
	const tags = String(track?.tags ?? '').split(',').map((tag) => clean(tag).trim()).filter(Boolean).slice(0, 12);
	return h('header', { class: 'head' },
		cover(main, title),
		h('div', null,
			h('h1', null, bdi(title)),
			h('p', { class: 'summary' }, summary(task)),
			tags.length ? h('ul', { class: 'tags', 'aria-label': 'Style' }, tags.map((tag) => h('li', null, bdi(tag)))) : null,
			h('p', { class: 'sub facts' }, known.map((fact) => [bdi(fact), ' · ']), h('code', null, bdi(task.task_id)))));
}

/** What waits for a person. */
function needs(task, act) {
	const all = task.events.filter((event) => event.state === 'dead');
	if (!all.length) return null;
	return h('section', { class: 'needs', 'aria-label': 'Needs a person' }, all.map((event) => {
		const button = h('button', { type: 'button', class: 'main', 'data-focus': `redrive ${event.id}`, click: () =>
			act(button, () => api.redrive(event.id), `${stageOf(event.stage)} is ready again`) }, 'Try again');
		return h('div', { class: 'need' }, h('p', null, h('strong', null, `${stageOf(event.stage)} is a dead letter`), ` after ${count(event.attempts, 'attempt')}. `,
			event.reason ? bdi(event.reason) : null), button);
	}));
}

/** The stages as a line. */
function steps(task) {
	const all = course(task);
	const first = all.find(({ event }) => event)?.event.received_at;
	return h('ol', { class: 'steps', 'aria-label': 'Stages' }, all.map(({ word, event }) => {
		const after = event && first ? new Date(event.received_at) - new Date(first) : 0;
		const state = event?.isSubmit ? 'done' : event?.state ?? 'none';
		const { word: said, mark } = stateOf(state);
		return h('li', { class: `step is-${state}${word === 'failed' ? ' is-failed' : ''}` },
			h('span', { class: 'knot', 'aria-hidden': 'true' }, event ? (word === 'failed' ? '✕' : mark) : ''),
			h('span', { class: 'step-name' }, stageOf(word)),
			sub(event ? [time(event.received_at), after > 0 ? ` +${span(after)}` : ''] : 'not yet'),
			event && !event.isSubmit ? sub(said) : null);
	}));
}

function trackList(task, main, players) {
	const tracks = main.content?.tracks ?? [];
	if (!tracks.length) return null;
	return section('tracks', count(tracks.length, 'track'),
		h('ol', null, tracks.map((track, index) => {
			const title = clean(track.title) || 'Untitled';
			const kind = track.audio_url ? 'audio' : track.stream_audio_url ? 'stream' : null;
			const one = kind && player({ url: api.media(main.id, index, kind), title: `${title}, track ${index + 1}`, seconds: track.duration });
			if (one) players.push(one);
			return h('li', { class: 'track' }, h('p', { class: 'track-name' }, bdi(title),
				sub([track.duration && clock(track.duration), kind === 'stream' && 'stream only'].filter(Boolean).join(' · '))),
			one ? one.node : h('p', { class: 'dim' }, 'Not ready yet.'));
		})));
}

/** What a product that is not a song has made. */
function output(main) {
	const made = main?.content?.output;
	if (!made) return null;
	const files = (made.stems ?? []).map((stem) => stem.name).concat(made.url ? ['1 file'] : [], made.images?.length ? [count(made.images.length, 'image')] : [],
		(made.instruments ?? []).map((one) => `${one.name ?? 'Instrument'}: ${count(one.notes?.length ?? 0, 'note')}`));
	if (!files.length && !made.lyrics?.length) return null;
	return section('made', 'Result',
		files.length ? h('ul', { class: 'plain-list' }, files.map((file) => h('li', null, bdi(file)))) : null,
		(made.lyrics ?? []).map((one) => h('div', null, one.title ? h('h3', null, bdi(one.title)) : null, verses(one.text ?? one.error_message ?? ''))));
}

function lyrics(main) {
	const track = main?.content?.tracks?.find((one) => one.prompt);
	if (!track) return null;
	return section('lyrics', 'Lyrics', verses(track.prompt));
}

function verses(text) {
	const all = clean(text);
	const verse = h('p', { class: 'lyrics', dir: 'auto', tabindex: 0 }, all.slice(0, LYRICS_MAX));
	if (all.length <= LYRICS_MAX) return verse;
	const more = h('button', { type: 'button', click: () => { verse.textContent = all; more.remove(); } }, `Show all ${all.length.toLocaleString('en')} characters`);
	return [verse, more];
}

function timeline(task) {
	const all = story(task);
	return section('story', 'What happened',
		h('ol', { class: 'line', reversed: true }, all.map(({ at, title, more, said, tone }) =>
			h('li', { class: tone }, time(at), h('div', null, h('span', { class: 'line-title' }, bdi(title)), more ? sub(bdi(more)) : null, said ? h('pre', { class: 'answer', tabindex: 0 }, clean(said)) : null)))));
}

function deliveries(task, act) {
	const events = [...task.events].reverse();
	if (!events.length) return null;
	return section('deliveries', 'Deliveries', events.map((event) => delivery(task, event, act)));
}

function delivery(task, event, act) {
	const again = (task.destinations ?? []).map((name) => {
		const button = h('button', { type: 'button', 'data-focus': `replay ${event.id} ${name}`, click: () =>
			act(button, () => api.replay(event.id, name), `Sent to ${name} again`) }, `Send again to ${name}`);
		return button;
	});
	const print = task.history?.find((one) => one.kind === 'delivery' && one.stage === event.stage)?.detail;
	const known = Object.entries({ ...event, 'content fingerprint': print?.content, 'body fingerprint': print?.body })
		.filter(([name, value]) => !SHOWN_ELSEWHERE.has(name) && value && value.length !== 0)
		.map(([name, value]) => [name.replaceAll('_', ' '), [value].flat().join(', ')]);
	const headers = Object.entries(event.headers ?? {});
	const conflicts = event.conflict_records ?? [];
	return h('details', { class: 'delivery', 'data-key': `event ${event.id}` },
		h('summary', null, h('span', { class: 'delivery-name' }, `${stageOf(event.stage)}${event.revision ? `, revision ${event.revision}` : ''}`), pill(event.state),
			time(event.received_at), conflicts.length ? h('span', { class: 'warn' }, count(conflicts.length, 'conflict')) : null),
		facts(known),
		headers.length ? [h('h3', null, 'Headers'), facts(headers, 'mono')] : null,
		conflicts.map((conflict, index) => difference(event, conflict, index)),
		h('h3', null, 'Body'), event.body ? json(event.body) : h('p', { class: 'dim' }, 'Purged: bodies are kept for 14 days.'),
		again.length ? h('p', { class: 'actions' }, again) : null);
}

/** What another delivery says otherwise. */
function difference(event, conflict, index) {
	const heading = h('h3', null, `Conflict ${index + 1}`, sub(' ', time(conflict.received_at), ` · ${knownBy(conflict.source)} · ${verifiedBy(conflict.verified_by)}`));
	let all;
	try {
		all = differences(JSON.parse(event.body), JSON.parse(conflict.body));
	} catch {
		return h('section', { class: 'conflict' }, heading, h('p', { class: 'dim' }, 'One of the two bodies is no JSON or was purged.'), conflict.body ? json(conflict.body) : null);
	}
	const said = all.length ? `It differs in ${count(all.length, 'place')}${all.length >= DIFFERENCES_MAX ? ' or more' : ''}.` : 'It says the same in other bytes.';
	return h('section', { class: 'conflict' }, heading, h('p', { class: 'sub' }, said),
		all.length ? h('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': `Differences of conflict ${index + 1}` },
			h('table', { class: 'diff' }, h('thead', null, h('tr', null, ['Where', 'This event', 'The other delivery'].map((text) => h('th', { scope: 'col' }, text)))),
				h('tbody', null, all.map(changes)))) : null);
}

function changes({ path, kind, before, after }) {
	const write = (value) => visible(typeof value === 'string' ? value : JSON.stringify(value) ?? '').slice(0, VALUE_MAX);
	const [old, now] = [write(before), write(after)];
	const [left, right] = kind === 'changed' ? split(old, now) : [['', old, ''], ['', now, '']];
	const marked = (name, [start, middle, end]) => [start.length > 60 ? `…${start.slice(-60)}` : start, middle ? h(name, null, middle) : null, end.length > 60 ? `${end.slice(0, 60)}…` : end];
	return h('tr', null, h('th', { scope: 'row' }, bdi(visible(path))),
		h('td', null, kind === 'added' ? h('span', { class: 'dim' }, 'absent') : marked('del', left)),
		h('td', null, kind === 'removed' ? h('span', { class: 'dim' }, 'absent') : marked('ins', right)));
}
