// What happened to a task, as one list. Plain functions of the service's answer.

import { span } from './dom.js';
import { acceptedAs, knownBy, stageOf, stateOf, verifiedBy } from './words.js';

/** What an attempt came to, in one phrase. */
export function outcomeOf(attempt) {
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
export function actionOf(attempt) {
  if (attempt.retry_in_ms) return `again in ${span(attempt.retry_in_ms)}`;
  return ACTIONS[attempt.action] ?? '';
}

export const isFine = (attempt) => {
  const { kind, status, code } = attempt.outcome ?? {};
  return kind === 'answered' ? status >= 200 && status < 300 : kind === 'exited' ? code === 0 : attempt.outcome === 'done';
};

const text = (kept) => kept?.text ?? (typeof kept === 'string' ? kept : '');

/** What a destination said, for people. */
export const answerOf = ({ outcome = {} }) => text(outcome.body) || text(outcome.detail) || text(outcome.stderr) || text(outcome.stdout);

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
      return make(`${of} sent to ${detail.destination ?? 'its destination'}`, [outcomeOf(detail), `in ${span(detail.duration_ms)}`, !fine && actionOf(detail)], fine ? 'good' : 'warn');
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
  if (task.due_at) all.push({ at: task.due_at, title: 'The provider will be asked', more: 'if no callback has arrived by then', tone: 'dim', isAhead: new Date(task.due_at) > new Date() });
  // Of two at one time, the later one of the history is newer.
  return all.reverse().sort((a, b) => new Date(b.at) - new Date(a.at));
}

/** The stages that a task goes through, each with its time or null. */
export function course(task) {
  const at = (word) => task.events?.find((event) => event.stage === word) ?? null;
  const isSong = !task.product || task.product.startsWith('song');
  const words = isSong ? ['text', 'first', 'complete'] : ['complete'];
  if (at('failed') && !at('complete')) words[words.length - 1] = 'failed';
  for (const event of task.events ?? []) if (!words.includes(event.stage)) words.push(event.stage);
  const steps = words.map((word) => ({ word, event: at(word) }));
  if (task.submitted_at) steps.unshift({ word: 'submitted', event: { received_at: task.submitted_at, state: 'done', isSubmit: true } });
  return steps;
}

/** One sentence about a task. */
export function summary(task) {
  const events = task.events ?? [];
  const stages = new Set(events.map((event) => event.stage));
  const first = task.submitted_at ?? events.at(0)?.received_at;
  const end = events.find((event) => event.stage === 'complete') ?? events.find((event) => event.stage === 'failed');
  const took = first && end ? new Date(end.received_at) - new Date(first) : 0;
  const dead = events.filter((event) => event.state === 'dead').length;
  const waiting = events.filter((event) => event.state === 'waiting').length;
  const open = events.filter((event) => ['ready', 'claimed'].includes(event.state)).length;
  let said;
  if (stages.has('complete')) said = took > 500 ? `Complete ${span(took)} after ${task.submitted_at ? 'the submit' : 'the first callback'}` : 'Complete';
  else if (stages.has('failed')) said = 'Failed at the provider';
  else said = events.length ? `In progress: ${stageOf(events.at(-1).stage).toLowerCase()} has arrived` : 'Submitted; nothing has arrived yet';
  if (dead) return `${said}; ${dead === 1 ? 'one event is a dead letter' : `${dead} events are dead letters`}.`;
  if (waiting) return `${said}; ${waiting === 1 ? 'one event will be tried again' : `${waiting} events will be tried again`}.`;
  if (open) return `${said}; being handed on.`;
  return events.length ? `${said}; everything that arrived was ${events.every((event) => event.state === 'done') ? 'handled' : `settled (${[...new Set(events.map((event) => stateOf(event.state).word.toLowerCase()))].join(', ')})`}.` : `${said}.`;
}
