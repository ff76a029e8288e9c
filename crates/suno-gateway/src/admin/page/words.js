// The words of the service, in the words of people. An unknown word is shown as it is.

export const STATES = {
	ready: { word: 'Ready', mark: '○' },
	claimed: { word: 'In progress', mark: '◐' },
	waiting: { word: 'Will retry', mark: '↻' },
	done: { word: 'Handled', mark: '✓' },
	dead: { word: 'Dead letter', mark: '!', about: 'It is not tried again until you do it' },
	superseded: { word: 'Superseded', mark: '–', about: 'A later stage was handed on instead' },
	expected: { word: 'Expected', mark: '…', about: 'It was submitted; nothing has arrived yet' },
};

export const STAGES = {
	submitted: 'Submitted',
	text: 'Text',
	first: 'First track',
	complete: 'Complete',
	failed: 'Failed',
};

export const PRODUCTS = {
	song: 'Song', lyrics: 'Lyrics', wav: 'WAV file', mp4: 'Video', stems: 'Stems', midi: 'MIDI', cover: 'Cover', voice: 'Voice',
};

const ACCEPTED = {
	new: 'New', revised: 'New revision', late: 'Late', duplicate: 'Same as before', conflict: 'Says something else',
	confirmed: 'Confirmed by the record', quarantined: 'Not understood, kept in quarantine', dropped: 'Over a limit, counted only',
};

const POLLED = { unchanged: 'nothing new', denied: 'the record says otherwise', not_shown: 'not in the record yet', not_found: 'not known there' };

const VERIFIED = { signature: 'signature', token: 'token in the URL', record: 'the provider’s record' };

const said = (words, word) => words[word] ?? String(word ?? '').replaceAll('_', ' ');

export const stateOf = (word) => STATES[word] ?? { word: said({}, word) || 'Unknown', mark: '·' };
export const stageOf = (word) => said(STAGES, word);
export const productOf = (word) => said(PRODUCTS, word);
export const acceptedAs = (word) => said(ACCEPTED, word);
export const polledAs = (word) => said(POLLED, word);

/** How an event became known, in one phrase. */
export function knownBy(source) {
	return said({ callback: 'Callback', poll: 'Poll' }, source) || 'Unknown';
}

/** How its sender was verified, in one phrase. */
export function verifiedBy(by) {
	const words = (by ?? []).map((word) => said(VERIFIED, word));
	return words.length ? `Verified by ${words.join(' and ')}` : 'Not verified';
}
