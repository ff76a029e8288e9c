// The view of the gateway's health: what needs a person, and the last hour.

import * as api from './api.js';
import { chart } from './chart.js';
import { bdi, count, facts, h, number, say, show, span } from './dom.js';
import { go } from './route.js';

const REFRESH_MS = 5_000;
/** An event or a submit that waits longer than this is worth a sentence. */
const OLD_SECONDS = 300;
const REDRIVEN_MAX = 10_000;

export function open(_, { tell }) {
	const needs = h('section', { 'aria-label': 'What needs a person', class: 'needs' });
	const charts = h('div', { class: 'charts' });
	const counts = h('div');
	const node = h('article', { class: 'health', 'aria-label': 'Health' }, h('h1', null, 'Health'), needs, counts, charts);
	let isBusy = false;

	async function read() {
		const [stats, { destinations }, { total: expected }, series] = await Promise.all([
			api.stats(), api.destinations(), api.tasks({ state: 'expected' }, undefined, 1), api.series().catch(() => null)]);
		if (!isBusy) show(needs, sentences(stats, destinations, act));
		show(counts, cells(stats, expected));
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

/** A count of which only the beginning may be known. */
const many = ({ count: known, more }) => number(known) + (more ? ' or more' : '');

function sentences(stats, all, act) {
	const { events, quarantined, oldest_pending_seconds: oldest, open_intents: open } = stats;
	const found = [];
	const need = (text, ...actions) => found.push(h('div', { class: 'need' }, h('p', null, text), h('p', { class: 'actions' }, actions)));
	const button = (text, does) => {
		const one = h('button', { class: 'main', click: () => act(one, does) }, text);
		return one;
	};
	const list = (text, state) => h('button', { click: () => go({ view: 'tasks', task: null, filter: { state } }) }, text);
	for (const place of all.filter(({ state }) => state !== 'closed')) {
		const said = place.state === 'paused' ? 'is paused, because it refuses every event' : 'is down';
		need([h('strong', null, bdi(place.name), ` ${said}.`), ' Its events wait and lose no attempts.'],
			button('Try it now', async () => { await api.resume(place.name); return `${place.name} is tried`; }));
	}
	if (events.dead) need([h('strong', null, `${count(events.dead, 'dead letter')}.`), ' Nothing tries them again until you do.'],
		button('Try all again', redriveAll), list('Show them', 'dead'));
	if (quarantined) need([h('strong', null, `${count(quarantined, 'delivery', 'deliveries')} in quarantine.`), ' The sender was trusted, but this version does not understand them.'],
		button('Read them again', retryQuarantine));
	if (open.oldest_seconds > OLD_SECONDS) need([h('strong', null, `${many(open)} ${open.count === 1 ? 'submit has' : 'submits have'} no known result, the oldest for ${span(open.oldest_seconds * 1000)}.`),
		' Each may have made a task that was paid for, and its first callback makes it known. ', h('code', null, 'suno inbox export'), ' lists them: look for them at the provider before you submit again.']);
	if (oldest > OLD_SECONDS) need([h('strong', null, `The oldest event has waited ${span(oldest * 1000)}.`), ' Its destination fails or the handlers are too slow.'],
		list('Show what waits', 'waiting'));
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

function cells({ events, quarantined, dropped }, expected) {
	const { ready, claimed, waiting, done, dead, superseded } = events;
	const all = { Expected: number(expected), Waiting: number(ready + claimed + waiting), Handled: number(done), 'Dead letters': number(dead),
		Superseded: number(superseded), Quarantine: number(quarantined), Dropped: number(dropped) };
	return facts(Object.entries(all), 'counts');
}

function pictures({ interval_s: step, samples }) {
	const minutes = Math.max(1, Math.round((samples.length * step) / 60));
	const of = (name, by = 1) => samples.map((sample) => (sample[name] ?? NaN) * by);
	const few = (value) => (value < 10 ? String(Math.round(value * 10) / 10) : number(Math.round(value)));
	const all = [
		{ title: 'Throughput', about: 'events a minute', write: few, lines: [{ name: 'accepted', values: of('accepted', 60 / step) }, { name: 'handled', values: of('handled', 60 / step) }] },
		{ title: 'Accept latency', about: 'before the answer', write: (ms) => span(ms), lines: [{ name: 'median', values: of('accept_ms_p50') }, { name: '99 %', values: of('accept_ms_p99') }] },
		{ title: 'Backlog', about: 'not handled yet', write: few, lines: [{ name: '', values: of('pending') }] },
		{ title: 'Age of the oldest', about: 'in the backlog', write: (s) => span(s * 1000), lines: [{ name: '', values: of('oldest_s') }] },
		{ title: 'Dead letters', about: 'until you try again', write: few, lines: [{ name: '', values: of('dead') }] },
		{ title: 'Quarantine', about: 'trusted, not understood', write: few, lines: [{ name: '', values: of('quarantined') }] },
	];
	const known = all.map((one) => ({ ...one, minutes, lines: one.lines.filter(({ values }) => values.some(Number.isFinite)) })).filter(({ lines }) => lines.length);
	return known.map(chart);
}
