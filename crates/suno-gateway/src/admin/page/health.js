// The view of the gateway's health: what needs a person, and the last hour.

import * as api from './api.js';
import { chart } from './chart.js';
import { bdi, count, facts, h, number, say, show, span } from './dom.js';
import { go } from './route.js';

const REFRESH_MS = 5_000;
/** An event that waits longer than this is worth a sentence. */
const OLD_SECONDS = 300;
const REDRIVEN_MAX = 10_000;

export function open(_, { tell }) {
	const needs = h('section', { 'aria-label': 'What needs a person', class: 'needs-list' });
	const charts = h('div', { class: 'charts' });
	const counts = h('div');
	const node = h('article', { class: 'health', 'aria-label': 'Health' }, h('h1', null, 'Health'), needs, counts, charts);
	let isBusy = false;

	async function read() {
		const [stats, { destinations }, series] = await Promise.all([api.stats(), api.destinations(), api.series().catch(() => null)]);
		if (!isBusy) show(needs, sentences(stats, destinations, act));
		show(counts, cells(stats));
		show(charts, series ? pictures(series) : h('p', { class: 'dim' }, 'Without metrics, the gateway keeps no samples for charts.'));
	}

	/** Does something that can take a while; `does(tell)` says how far it is. */
	async function act(button, does) {
		isBusy = true;
		button.disabled = true;
		const said = h('span', { class: 'sub', role: 'status' });
		button.after(said);
		try {
			const done = await does((text) => (said.textContent = ` ${text}`));
			say(done);
		} catch (err) {
			tell(err);
		} finally {
			isBusy = false;
			await read().catch(tell);
		}
	}

	const timer = setInterval(() => document.hidden || read().catch(tell), REFRESH_MS);
	return { node, changed: (ids) => (ids === null ? read() : null), closed: () => clearInterval(timer) };
}

/** The counts by name, and what is pending in all. */
function numbers({ events, quarantined, dropped, oldest_pending_seconds: oldest }) {
	const pending = events.ready + events.claimed + events.waiting;
	return { ...events, pending, quarantined, dropped, oldest: oldest ?? 0 };
}

function sentences(stats, all, act) {
	const n = numbers(stats);
	const found = [];
	const need = (text, ...actions) => found.push(h('div', { class: 'need' }, h('p', null, text), h('p', { class: 'actions' }, actions)));
	const button = (text, does) => {
		const one = h('button', { type: 'button', class: 'main', click: () => act(one, does) }, text);
		return one;
	};
	for (const place of all.filter(({ state }) => state !== 'closed')) {
		const said = place.state === 'paused' ? 'is paused, because it refuses every event' : 'is down';
		need([h('strong', null, bdi(place.name), ` ${said}.`), ' Its events wait and lose no attempts.'],
			button('Try it now', async () => { await api.resume(place.name); return `${place.name} is tried`; }));
	}
	if (n.dead) need([h('strong', null, `${count(n.dead, 'dead letter')}.`), ' Nothing tries them again until you do.'],
		button('Try all again', redriveAll), h('button', { type: 'button', click: () => go({ view: 'tasks', task: null, filter: { state: 'dead' } }) }, 'Show them'));
	if (n.quarantined) need([h('strong', null, `${count(n.quarantined, 'delivery', 'deliveries')} in quarantine.`), ' The sender was trusted, but this version does not understand them.'],
		button('Read them again', retryQuarantine));
	if (n.oldest > OLD_SECONDS) need([h('strong', null, `The oldest event has waited ${span(n.oldest * 1000)}.`), ' Its destination fails or the handlers are too slow.'],
		h('button', { type: 'button', click: () => go({ view: 'tasks', task: null, filter: { state: 'waiting' } }) }, 'Show what waits'));
	if (!found.length) return h('p', { class: 'calm' }, h('span', { class: 'mark', 'aria-hidden': 'true' }, '✓'), `Nothing needs a person. ${all.map(({ name }) => `${name} works.`).join(' ')}`);
	return found;
}

async function redriveAll(tell) {
	let [done, refused, after] = [0, 0, undefined];
	while (done + refused < REDRIVEN_MAX) {
		const page = await api.dead(after);
		for (const { id } of page.events) {
			try {
				await api.redrive(id);
				done += 1;
			} catch (err) {
				if (err.status !== 409 && err.status !== 404) throw err;
				refused += 1;
			}
			tell(`${number(done)} ready again…`);
		}
		if (!page.more) break;
		after = page.cursor;
	}
	return `${count(done, 'event is', 'events are')} ready again`;
}

async function retryQuarantine(tell) {
	const page = await api.quarantine();
	let [read, kept] = [0, 0];
	for (const { id } of page.entries) {
		const answer = await api.retryQuarantined(id);
		if (answer?.accepted && answer.accepted !== 'quarantined') read += 1;
		else kept += 1;
		tell(`${read} understood, ${kept} not`);
	}
	return `${read} understood now, ${kept} still in quarantine`;
}

function cells(stats) {
	const n = numbers(stats);
	const all = [['Waiting', n.pending], ['Handled', n.done], ['Dead letters', n.dead], ['Superseded', n.superseded], ['Quarantine', n.quarantined], ['Dropped', n.dropped]];
	return facts(all.map(([name, value]) => [name, number(value)]), 'counts');
}

function pictures({ interval_s: step, samples }) {
	const minutes = Math.max(1, Math.round((samples.length * step) / 60));
	const of = (name, by = (value) => value) => samples.map((sample) => (sample[name] === null || sample[name] === undefined ? null : by(Number(sample[name]))));
	const few = (value) => (value < 10 ? String(Math.round(value * 10) / 10) : number(Math.round(value)));
	const all = [
		{ title: 'Throughput', about: 'events a minute', write: few, lines: [{ name: 'accepted', values: of('accepted', (n) => (n * 60) / step) }, { name: 'handled', values: of('handled', (n) => (n * 60) / step) }] },
		{ title: 'Accept latency', about: 'before the answer', write: (ms) => span(ms), lines: [{ name: 'median', values: of('accept_ms_p50') }, { name: '99 %', values: of('accept_ms_p99') }] },
		{ title: 'Backlog', about: 'events that are not handled yet', write: few, lines: [{ name: '', values: of('pending') }] },
		{ title: 'Age of the oldest', about: 'event in the backlog', write: (s) => span(s * 1000), lines: [{ name: '', values: of('oldest_s') }] },
		{ title: 'Dead letters', about: 'nothing tries them again', write: few, lines: [{ name: '', values: of('dead') }] },
		{ title: 'Quarantine', about: 'trusted, not understood', write: few, lines: [{ name: '', values: of('quarantined') }] },
	];
	const known = all.map((one) => ({ ...one, minutes, lines: one.lines.filter(({ values }) => values.some((value) => value !== null)) })).filter(({ lines }) => lines.length);
	return known.map(chart);
}
