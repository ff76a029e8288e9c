// What happened to a task, as one list. Plain functions of the service's answer.

import { span } from './dom.js';
import { acceptedAs, knownBy, stageOf, verifiedBy } from './words.js';

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

function entry({ at, kind, stage, revision, detail = {} }) {
	const of = stage ? `${stageOf(stage)}${revision ? ` (revision ${revision})` : ''}` : '';
	const make = (title, more, tone = '') => ({ at, title, more: more.filter(Boolean).join(' · '), tone });
	switch (kind) {
		case 'delivery': {
			const accepted = detail.accepted;
			const tone = ['conflict', 'quarantined', 'dropped'].includes(accepted) ? 'warn' : accepted === 'duplicate' ? 'dim' : 'good';
			return make(of || 'Delivery', [`${knownBy(detail.source)}: ${acceptedAs(accepted).toLowerCase()}`, verifiedBy(detail.verified_by), detail.unconfirmed && 'waits for confirmation', detail.reason], tone);
		}
		case 'attempt': {
			const fine = isFine(detail);
			const ahead = detail.outcome?.clock_ahead_seconds;
			return { ...make(`${of} sent to ${detail.destination ?? 'its destination'}`, [outcomeOf(detail), `attempt ${detail.number}`, `in ${span(detail.duration_ms)}`, !fine && actionOf(detail),
				detail.is_probe && 'probe', detail.is_resent && 'sent twice', ahead && `its clock is ${Math.abs(ahead)} s ${ahead > 0 ? 'ahead' : 'behind'}`], fine ? 'good' : 'warn'), said: answerOf(detail) };
		}
		case 'handled':
			return make(`${of}: handler ended`, [detail.outcome, `attempt ${detail.attempt}`, `in ${span(detail.duration_ms)}`], detail.outcome === 'done' ? 'good' : 'warn');
		case 'dead_letter':
			return make(`${of}: dead letter`, [detail.reason, detail.attempts && `after ${detail.attempts} attempts`], 'bad');
		case 'redrive':
			return make(`${of}: made ready again by a person`, [], '');
		case 'replay':
			return make(`${of}: sent again by a person`, [detail.destination && `to ${detail.destination}`], '');
		case 'submitted':
			return make('Submitted', [detail.reference], '');
		case 'poll':
			return make('Provider asked', [detail.status, detail.reason], '');
		default:
			return make(`${of} ${String(kind).replaceAll('_', ' ')}`.trim(), [], '');
	}
}

/** The whole story, newest first. Where no history is kept, it is made from the events. */
export function story(task) {
	const all = (task.history ?? []).map(entry);
	const has = (kind, stage) => (task.history ?? []).some((one) => one.kind === kind && one.stage === stage);
	for (const event of task.events ?? []) {
		if (has('delivery', event.stage)) continue;
		all.push(entry({ at: event.received_at, kind: 'delivery', stage: event.stage, revision: event.revision,
			detail: { accepted: 'new', source: event.source, verified_by: event.verified_by, unconfirmed: event.unconfirmed } }));
	}
	if (task.submitted_at && !has('submitted')) all.push(entry({ at: task.submitted_at, kind: 'submitted', detail: { reference: task.reference } }));
	if (task.due_at) all.push({ at: task.due_at, title: 'The provider will be asked', more: 'if no callback has arrived by then', tone: 'dim' });
	// Of two at one time, the later one of the history is newer.
	return all.reverse().sort((a, b) => new Date(b.at) - new Date(a.at));
}

/** The stages that a task goes through, each with its time or null. */
export function course(task) {
	const at = (word) => task.events.find((event) => event.stage === word);
	const words = task.product === 'song' ? ['text', 'first', 'complete'] : ['complete'];
	if (at('failed') && !at('complete')) words[words.length - 1] = 'failed';
	for (const event of task.events ?? []) if (!words.includes(event.stage)) words.push(event.stage);
	const steps = words.map((word) => ({ word, event: at(word) }));
	if (task.submitted_at) steps.unshift({ word: 'submitted', event: { received_at: task.submitted_at, state: 'done', isSubmit: true } });
	return steps;
}

/** One sentence about a task. */
export function summary(task) {
	const { events } = task;
	const of = (...states) => events.filter((event) => states.includes(event.state)).length;
	const end = events.find(({ stage }) => stage === 'complete') ?? events.find(({ stage }) => stage === 'failed');
	const took = end ? new Date(end.received_at) - new Date(task.submitted_at ?? events[0].received_at) : 0;
	const course = end ? (end.stage === 'failed' ? 'Failed at the provider' : `Complete${took > 500 ? ` after ${span(took)}` : ''}`)
		: events.length ? `${stageOf(events.at(-1).stage)} has arrived` : 'Nothing has arrived yet';
	const some = (n, one, many) => (n === 1 ? `one event ${one}` : `${n} events ${many}`);
	if (of('dead')) return `${course}; ${some(of('dead'), 'is a dead letter', 'are dead letters')}.`;
	if (of('waiting')) return `${course}; ${some(of('waiting'), 'will be tried again', 'will be tried again')}.`;
	if (of('ready', 'claimed')) return `${course}; being handed on.`;
	return `${course}${events.length ? '; everything is settled' : ''}.`;
}
