// What happened to a task, as one list. Plain functions of the service's answer.

import { count, span } from './dom.js';
import { acceptedAs, knownBy, polledAs, stageOf, stateOf, verifiedBy } from './words.js';

/** What an attempt came to, in one phrase. */
function outcomeOf(attempt) {
	const outcome = attempt.outcome ?? {};
	if (typeof outcome === 'string') return outcome;
	if (outcome.kind === 'answered') return `Answered ${outcome.status}`;
	if (outcome.kind === 'not_answered') return `No answer: ${String(outcome.failure ?? '').replaceAll('_', ' ')}`;
	if (outcome.kind === 'exited')
		return outcome.is_timed_out ? 'Ended at its time limit' : outcome.signal ? `Ended by signal ${outcome.signal}` : `Exit code ${outcome.code}`;
	return 'Ended';
}

const ACTIONS = { retry: 'will be tried again', bad_event: 'the event is at fault', abandon: 'given up', pause: 'the destination is paused' };

/** What follows an attempt. */
function actionOf(attempt) {
	if (attempt.retry_in_ms) return `again in ${span(attempt.retry_in_ms)}`;
	return ACTIONS[attempt.action] ?? '';
}

const isFine = (attempt) => {
	const { kind, status, code } = attempt.outcome ?? {};
	return kind === 'answered' ? status >= 200 && status < 300 : kind === 'exited' ? code === 0 : attempt.outcome === 'done';
};

const text = (kept) => kept?.text ?? (typeof kept === 'string' ? kept : '');

/** What a destination said, for people. */
const answerOf = ({ outcome = {} }) => ['body', 'detail', 'stderr', 'stdout'].map((name) => text(outcome[name])).find(Boolean);

function entry({ at, kind, stage, revision, detail }) {
	detail ??= {};
	const of = stage ? `${stageOf(stage)}${revision ? ` (revision ${revision})` : ''}` : '';
	const make = (title, more = [], tone = '', rest = {}) => ({ at, kind, title, more: more.filter(Boolean).join(' · '), tone, ...rest });
	switch (kind) {
		case 'delivery': {
			const accepted = detail.accepted;
			const tone = ['conflict', 'quarantined', 'dropped'].includes(accepted) ? 'warn' : accepted === 'duplicate' ? 'dim' : 'good';
			return make(of || 'Delivery', [`${knownBy(detail.source)}: ${acceptedAs(accepted).toLowerCase()}`, verifiedBy(detail.verified_by), detail.unconfirmed && 'waits for confirmation', detail.reason,
				detail.headers_omitted && `${count(detail.headers_omitted, 'header')} left out`],
				tone, { headers: detail.headers });
		}
		case 'attempt': {
			const fine = isFine(detail);
			const ahead = detail.outcome?.clock_ahead_seconds;
			return make(`${of} sent to ${detail.destination ?? 'its destination'}`, [outcomeOf(detail), `attempt ${detail.number}`, `in ${span(detail.duration_ms)}`, !fine && actionOf(detail),
				detail.is_probe && 'probe', detail.is_resent && 'sent twice', ahead && `its clock is ${Math.abs(ahead)} s ${ahead > 0 ? 'ahead' : 'behind'}`], fine ? 'good' : 'warn', { said: answerOf(detail) });
		}
		case 'handled':
			return make(`${of}: handler ended`, [detail.outcome, `attempt ${detail.attempt}`, `in ${span(detail.duration_ms)}`], detail.outcome === 'done' ? 'good' : 'warn');
		case 'dead_letter':
			return make(`${of}: dead letter`, [detail.reason, detail.attempts && `after ${detail.attempts} attempts`], 'bad');
		case 'redrive':
			return make(`${of}: made ready again by a person`);
		case 'replay':
			return make(`${of}: sent again by a person`, [detail.destination && `to ${detail.destination}`]);
		case 'submitted':
			return make('Submitted', [detail.reference]);
		case 'poll':
			return make('Provider polled', [polledAs(detail.outcome), detail.status, detail.reason], '', { polls: 1, outcome: detail.outcome });
		default:
			return make(`${of} ${String(kind).replaceAll('_', ' ')}`.trim());
	}
}

/** Makes one entry of polls in a row that came to the same: the latest one, with their number. */
function folded(entries) {
	const kept = [];
	for (const one of entries) {
		const last = kept.at(-1);
		if (one.polls && last?.polls && one.outcome === last.outcome) Object.assign(last, { polls: last.polls + 1, since: one.at });
		else kept.push(one);
	}
	for (const one of kept) if (one.since) one.title += ` ${one.polls} times in ${span(new Date(one.at) - new Date(one.since))}`;
	return kept;
}

/** The whole story, newest first. Where no history is kept, it is made from the events. */
export function story({ history, events, submitted_at, due_at, reference }) {
	const known = history ?? [];
	const all = known.map(entry);
	const has = (kind, stage) => known.some((one) => one.kind === kind && one.stage === stage);
	for (const { stage, revision, received_at: at, source, verified_by, unconfirmed } of events)
		if (!has('delivery', stage)) all.push(entry({ at, kind: 'delivery', stage, revision, detail: { accepted: 'new', source, verified_by, unconfirmed } }));
	if (submitted_at && !has('submitted')) all.push(entry({ at: submitted_at, kind: 'submitted', detail: { reference } }));
	if (due_at) all.push({ at: due_at, title: 'Next poll', more: 'if the task has not ended by then', tone: 'dim' });
	// Of two at one time, the later one of the history is newer.
	return folded(all.reverse().sort((a, b) => new Date(b.at) - new Date(a.at)));
}

/** The stages that a task goes through: `{ word, event, kind, mark, said }`, where `event` is the latest of its stage, if there is one. */
export function course({ product, submitted_at, events }) {
	const known = new Map(events.map((event) => [event.stage, event]));
	const usual = product === 'song' ? ['text', 'first', 'complete'] : ['complete'];
	if (known.has('failed') && !known.has('complete')) usual.splice(-1, 1, 'failed');
	const steps = [...new Set([...usual, ...known.keys()])].map((word) => {
		const event = known.get(word);
		if (!event) return { word, kind: 'none', mark: '', said: 'not yet' };
		const { word: said, mark } = stateOf(event.state);
		return word === 'failed' ? { word, event, kind: 'failed', mark: '✕', said } : { word, event, kind: event.state, mark, said };
	});
	if (submitted_at) steps.unshift({ word: 'submitted', event: { received_at: submitted_at }, kind: 'sent', mark: '↑', said: 'sent' });
	return steps;
}

/** One sentence about a task. */
export function summary({ events, submitted_at }) {
	const of = (...states) => events.filter(({ state }) => states.includes(state)).length;
	const end = events.find(({ stage }) => stage === 'complete') ?? events.find(({ stage }) => stage === 'failed');
	const took = end ? new Date(end.received_at) - new Date(submitted_at ?? events[0].received_at) : 0;
	const reached = end ? (end.stage === 'failed' ? 'Failed at the provider' : `Complete${took > 500 ? ` after ${span(took)}` : ''}`)
		: events.length ? `${stageOf(events.at(-1).stage)} has arrived` : 'No callback has arrived yet';
	if (of('dead')) return `${reached}; ${count(of('dead'), 'dead letter')}.`;
	if (of('waiting')) return `${reached}; ${count(of('waiting'), 'event')} will be tried again.`;
	if (of('ready', 'claimed')) return `${reached}; being handed on.`;
	return `${reached}${end ? '; everything is settled' : ''}.`;
}
