// The stream of events. It says that something happened; what happened is read from the API. So a
// lost message loses nothing. One stream for each visible tab: a browser allows six per address.

/** The waits before the next try, in milliseconds. */
const WAITS = [500, 1000, 2000, 4000, 8000, 15_000];
/** Changes that arrive together are read together. */
const GATHER_MS = 80;
/** Other processes change the store too, and tell nobody. */
const CHECK_MS = 10_000;

export class Live {
	/** `connect()` opens the stream, `changed()` reads what changed, `said(state)` shows whether it works. */
	constructor(connect, changed, said) {
		this.connect = connect;
		this.changed = changed;
		this.said = said;
		this.failures = 0;
		document.addEventListener('visibilitychange', () => this.isOn && (document.hidden ? this.close('hidden') : this.open()));
		setInterval(() => document.hidden || this.gather(), CHECK_MS);
	}

	open() {
		this.isOn = true;
		this.close(document.hidden ? 'hidden' : 'wait');
		if (document.hidden) return;
		this.source = this.connect();
		this.source.onopen = () => {
			this.failures = 0;
			this.said('live');
			this.gather();
		};
		for (const kind of ['event', 'changed', 'resync'])
			this.source.addEventListener(kind, () => this.gather());
		this.source.onerror = () => {
			this.said('lost');
			// The browser tries again by itself after a cut, but not after a refusal, whose reason only an answer of the API has.
			if (this.source?.readyState !== EventSource.CLOSED) return;
			this.later();
			this.gather();
		};
	}

	/** Ends the stream until somebody signs in again. */
	refuse() {
		this.close('refused');
		this.isOn = false;
	}

	close(state) {
		clearTimeout(this.retry);
		this.source?.close();
		this.source = null;
		this.said(state);
	}

	later() {
		const wait = WAITS[Math.min(this.failures++, WAITS.length - 1)];
		this.retry = setTimeout(() => this.open(), wait);
	}

	gather() {
		if (!this.isOn) return;
		this.waiting ??= setTimeout(async () => {
			this.waiting = null;
			if (this.isReading) {
				this.isAgain = true;
				return;
			}
			this.isReading = true;
			try {
				this.isAgain ||= await this.changed();
			} finally {
				this.isReading = false;
				if (this.isAgain) {
					this.isAgain = false;
					this.gather();
				}
			}
		}, GATHER_MS);
	}
}
