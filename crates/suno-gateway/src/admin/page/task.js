// The view of one task: a summary, its tracks, its story, and everything that arrived.

import * as api from './api.js';
import { bdi, clean, clock, count, cut, facts, h, say, section, show, span, sub, time } from './dom.js';
import { differences, DIFFERENCES_MAX, split } from './diff.js';
import { json, visible } from './json.js';
import { pill, poll } from './list.js';
import { player } from './player.js';
import { go } from './route.js';
import { course, story, summary } from './story.js';
import { knownBy, productOf, stageOf, verifiedBy } from './words.js';

/** Lyrics longer than this are cut until somebody asks for all. */
const LYRICS_MAX = 4_000;
const VALUE_MAX = 600;
const REFRESH_MS = 3_000;
const SHOWN_ELSEWHERE = new Set(['stage', 'revision', 'task_id', 'content', 'body', 'conflicts', 'conflict_records']);

export function open(taskId, { tell }) {
	const node = h('article', { class: 'task', 'aria-label': 'Task', 'aria-busy': 'true' }, h('p', { class: 'dim' }, 'Loading…'));
	// What plays stays in the document as long as its tracks are the same; what is around it is drawn anew.
	const [above, songs, below] = [h('div'), h('div'), h('div')];
	const stop = new AbortController();
	let players = [];
	let shown = '';
	let heard = '';
	let picture;

	async function read() {
		let task;
		try {
			task = await api.task(taskId, stop.signal);
		} catch (err) {
			if (err.status !== 404) throw err;
			shown = '';
			return show(node, back(), h('h1', null, 'Not here'), h('p', null, 'The gateway does not know this task yet, or its events were purged.'));
		}
		const text = JSON.stringify(task);
		if (text === shown || stop.signal.aborted) return;
		shown = text;
		draw(task);
	}

	function draw(task) {
		const main = best(task);
		const key = JSON.stringify([main?.id, audible(main)]);
		if (key !== heard) {
			heard = key;
			players.forEach((one) => one.close());
			players = [];
			show(songs, main && trackList(main, players));
			picture = cover(main, titleOf(task, main));
		}
		const open = new Set([...node.querySelectorAll('details[open]')].map((one) => one.dataset.key));
		const focus = document.activeElement?.dataset?.focus;
		if (!above.isConnected) show(node, back(), above, songs, below);
		show(above, head(task, main, picture), needs(task, act), steps(task));
		show(below, output(main), lyrics(main), timeline(task), deliveries(task, act));
		node.removeAttribute('aria-busy');
		for (const one of node.querySelectorAll('details')) one.open = open.has(one.dataset.key);
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
			if (err.status === 409) button.after(h('span', { class: 'warn', role: 'alert' }, ` ${err.message}`));
			else tell(err);
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

/** What the players depend on: they are made anew when it changes. */
const audible = (event) => event?.content?.tracks?.map((track) => [track.id, track.audio_url || track.stream_audio_url]);
const firstTrack = (event) => event?.content?.tracks?.find((track) => track.title) ?? event?.content?.tracks?.[0] ?? null;
const titleOf = (task, main) => clean(firstTrack(main)?.title || task.title) || `${productOf(task.product)} ${clean(task.task_id)}`.trim();

/** The cover, above the first letter of the title, which is seen where there is none. */
function cover(main, title) {
	const index = main?.content?.tracks?.findIndex((track) => track.image_url || track.source_image_url) ?? -1;
	const image = index < 0 ? null : h('img', { src: api.media(main.id, index, 'image'), alt: '', error: () => image.remove() });
	return h('div', { class: 'cover', 'aria-hidden': 'true' }, [...title][0], image);
}

function head(task, main, picture) {
	const track = firstTrack(main);
	const known = [productOf(task.product), track?.model_name, task.reference && `reference ${task.reference}`, task.polls > 0 && count(task.polls, 'poll')].filter(Boolean);
	const tags = String(track?.tags ?? '').split(',').map((tag) => clean(tag).trim()).filter(Boolean).slice(0, 12);
	return h('header', { class: 'head' },
		picture,
		h('div', null,
			h('h1', null, bdi(titleOf(task, main))),
			h('p', { class: 'summary' }, summary(task)),
			tags.length ? h('ul', { class: 'tags', 'aria-label': 'Style' }, tags.map((tag) => h('li', null, bdi(tag)))) : null,
			h('p', { class: 'sub facts' }, known.map((fact) => [bdi(fact), ' · ']), h('code', null, bdi(task.task_id)))));
}

/** What waits for a person. */
function needs(task, act) {
	const all = task.events.filter((event) => event.state === 'dead');
	if (!all.length) return null;
	return h('section', { class: 'needs', 'aria-label': 'Needs a person' }, all.map((event) => {
		const button = h('button', { class: 'main', 'data-focus': `redrive ${event.id}`, click: () =>
			act(button, () => api.redrive(event.id), `${stageOf(event.stage)} is ready again`) }, 'Try again');
		return h('div', { class: 'need' }, h('p', null, h('strong', null, `${stageOf(event.stage)} is a dead letter`), ` after ${count(event.attempts, 'attempt')}. `,
			event.reason ? bdi(event.reason) : null), button);
	}));
}

/** The stages as a line. The first one that is missing says when the provider is asked. */
function steps(task) {
	const all = course(task);
	const first = all.find(({ event }) => event)?.event.received_at;
	const next = all.find(({ event }) => !event);
	return h('ol', { class: 'steps', 'aria-label': 'Stages' }, all.map((step) => {
		const { word, event, kind, mark, said } = step;
		const after = event ? new Date(event.received_at) - new Date(first) : 0;
		return h('li', { class: `step is-${kind}` },
			h('span', { class: 'knot', 'aria-hidden': 'true' }, mark),
			h('span', { class: 'step-name' }, stageOf(word)),
			event ? sub(time(event.received_at), after > 0 ? ` +${span(after)}` : '') : null,
			kind === 'sent' ? null : sub(step === next && poll(task.due_at) || said));
	}));
}

function trackList(main, players) {
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
	const verse = h('p', { class: 'lyrics', dir: 'auto', tabindex: 0 });
	return cut(clean(text), LYRICS_MAX, verse, (part) => show(verse, part));
}

/** What is opened by those who want it, and stays open when it is drawn anew. */
function folded(key, summary, ...more) {
	return h('details', { 'data-key': key }, h('summary', { 'data-focus': key }, summary), more);
}

function timeline(task) {
	const all = story(task);
	return section('story', 'What happened',
		h('ol', { class: 'line', reversed: true }, all.map(({ at, title, more, said, tone, headers }) =>
			h('li', { class: tone }, time(at), h('div', null, h('span', { class: 'line-title' }, bdi(title)), more ? sub(bdi(more)) : null, said ? h('pre', { class: 'answer', tabindex: 0 }, clean(said)) : null,
				headers?.length ? folded(`headers ${at} ${title}`, count(headers.length, 'header'), facts(headers, 'mono')) : null)))));
}

function deliveries(task, act) {
	const events = [...task.events].reverse();
	if (!events.length) return null;
	return section('deliveries', 'Deliveries', h('div', { class: 'cards' }, events.map((event) => delivery(task, event, act))));
}

function delivery(task, event, act) {
	const again = (task.destinations ?? []).map((name) => {
		const button = h('button', { 'data-focus': `replay ${event.id} ${name}`, click: () =>
			act(button, () => api.replay(event.id, name), `Sent to ${name} again`) }, `Send again to ${name}`);
		return button;
	});
	const came = task.history?.find(({ kind, stage, revision }) => kind === 'delivery' && stage === event.stage && (revision ?? 0) === event.revision)?.detail;
	const known = Object.entries({ ...event, 'content fingerprint': came?.content, 'body fingerprint': came?.body })
		.filter(([name, value]) => !SHOWN_ELSEWHERE.has(name) && value && value.length !== 0)
		.map(([name, value]) => [name.replaceAll('_', ' '), [value].flat().join(', ')]);
	const conflicts = event.conflict_records ?? [];
	return folded(`event ${event.id}`, [h('span', { class: 'delivery-name' }, `${stageOf(event.stage)}${event.revision ? `, revision ${event.revision}` : ''}`), pill(event.state),
		time(event.received_at), conflicts.length ? h('span', { class: 'warn' }, count(conflicts.length, 'conflict')) : null],
		facts(known),
		came?.headers?.length ? [h('h3', null, 'Headers'), facts(came.headers, 'mono')] : null,
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
