import type { Clock, Timer } from "./clock.ts";

/** `error`: something does not work. `warning`: it works, but not as it should. `info`: worth knowing. */
export type Severity = "error" | "warning" | "info";

/** A row of a role's table of conditions: data, not code. */
export interface ConditionKind {
	/** Stable, kebab-case, unique over all roles. */
	readonly code: string;
	readonly severity: Severity;
	/** What is wrong, a sentence; `{name}` stands for a fact given to `raise`. */
	readonly title: string;
	/** What to do, a sentence or a command. */
	readonly advice: string;
	/** How long it must last before it shows, so that blips do not. */
	readonly delayMs: number;
}

/** A condition as `status`, metrics and the UI read it. */
export interface Condition {
	readonly code: string;
	readonly severity: Severity;
	readonly title: string;
	readonly advice: string;
	/** Milliseconds since the Unix epoch. */
	readonly since: number;
	/** What tells two of the same kind apart (a peer, a service); empty when there is only one. */
	readonly subject: string;
}

interface Raised {
	readonly kind: ConditionKind;
	readonly subject: string;
	readonly facts: Readonly<Record<string, string>>;
	readonly since: number;
	readonly sinceMonotonic: number;
	/** Tells the watchers when the delay is over. */
	readonly showing: Timer;
}

/** One per process; every role raises and clears its own conditions in it. */
export class HealthTable {
	readonly #clock: Clock;
	readonly #raised = new Map<string, Raised>();
	readonly #watchers = new Set<() => void>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** Raising again keeps `since` and renews the facts. */
	raise(kind: ConditionKind, facts: Readonly<Record<string, string>> = {}, subject = ""): void {
		const key = `${kind.code}\n${subject}`;
		const before = this.#raised.get(key);
		this.#raised.set(key, {
			kind,
			subject,
			facts,
			since: before?.since ?? this.#clock.now(),
			sinceMonotonic: before?.sinceMonotonic ?? this.#clock.monotonic(),
			showing: before?.showing ?? this.#clock.after(kind.delayMs, () => this.#changed()),
		});
	}

	clear(kind: ConditionKind, subject = ""): void {
		const key = `${kind.code}\n${subject}`;
		const raised = this.#raised.get(key);
		if (raised === undefined) return;
		raised.showing.cancel();
		this.#raised.delete(key);
		if (this.#shows(raised)) this.#changed();
	}

	/** Conditions that have lasted their delay, worst first, then oldest first. */
	list(): Condition[] {
		return [...this.#raised.values()]
			.filter((each) => this.#shows(each))
			.sort((a, b) => rank(a.kind.severity) - rank(b.kind.severity) || a.since - b.since)
			.map(({ kind, subject, facts, since }) => ({
				code: kind.code,
				severity: kind.severity,
				title: fill(kind.title, facts),
				advice: fill(kind.advice, facts),
				since,
				subject,
			}));
	}

	/** The worst severity now, or `ok`. */
	summary(): Severity | "ok" {
		return this.list()[0]?.severity ?? "ok";
	}

	/** Called when a condition begins to show and when it is gone; returns its own removal. */
	watch(watcher: () => void): () => void {
		this.#watchers.add(watcher);
		return () => this.#watchers.delete(watcher);
	}

	#shows(raised: Raised): boolean {
		return this.#clock.monotonic() - raised.sinceMonotonic >= raised.kind.delayMs;
	}

	#changed(): void {
		for (const watcher of this.#watchers) watcher();
	}
}

function rank(severity: Severity): number {
	return severity === "error" ? 0 : severity === "warning" ? 1 : 2;
}

function fill(template: string, facts: Readonly<Record<string, string>>): string {
	return template.replace(/\{(\w+)\}/g, (whole, name: string) => facts[name] ?? whole);
}
