import { X509Certificate } from "node:crypto";
import type { FrontTls } from "@warren/backbone";
import {
	Backoff,
	type Clock,
	type Closeable,
	type ConditionKind,
	type HealthTable,
	type Logger,
	messageOf,
	type Random,
	type Timer,
} from "@warren/kernel";

/** A certificate that should stand. */
export interface WantedCertificate {
	/** Of its files, and of the first of its names. */
	readonly name: string;
	readonly names: readonly string[];
}

export interface CertificateKeeperDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly health: HealthTable;
	/** @returns null when there is none. */
	readonly load: (name: string) => FrontTls | null;
	readonly save: (name: string, tls: FrontTls) => void;
	readonly obtain: (wanted: WantedCertificate) => Promise<FrontTls>;
	/** Null = it is no longer wanted. */
	readonly install: (wanted: WantedCertificate, tls: FrontTls | null) => void;
}

export const keeperLimits = {
	/** Certificates at once. */
	maxCertificates: 1000,
	/** Of a life: what is left is for failures. */
	renewAt: 2 / 3,
	/** Between tries for one certificate: authorities count failures by the hour. */
	backoff: { firstMs: 60_000, maxMs: 6 * 3600_000 },
	/** An order that is not over by then has failed: the other certificates' turn comes. */
	maxOrderMs: 30 * 60_000,
	/** Timers end long before their own limit of 24 days. */
	maxWaitMs: 12 * 3600_000,
} as const;

export const certificateMissing: ConditionKind = {
	code: "acme-certificate-missing",
	severity: "error",
	title: "{name} has no certificate that clients trust: {reason}.",
	advice:
		"Its name must lead to this server from outside, on port 443 (or 80 with --acme-http-port; or the DNS hook must work). It is tried again by itself; --tls-cert and --tls-key do without.",
	delayMs: 0,
};

export const renewalFailed: ConditionKind = {
	code: "acme-renewal-failed",
	severity: "warning",
	title: "The certificate of {name} ends on {date} and could not be renewed: {reason}.",
	advice: "It is tried again by itself. See that the name still leads to this server from outside.",
	delayMs: 0,
};

interface Kept {
	wanted: WantedCertificate;
	readonly backoff: Backoff;
	/** Milliseconds since the epoch: when the next order is due. */
	dueAt: number;
	endsAt: number;
	/** In use, and not on disk yet: a disk that is full costs no further order. */
	unsaved: FrontTls | null;
}

/** Keeps a certificate for everything that is wanted: one order at a time, renewed at two thirds of each life. */
export class CertificateKeeper implements Closeable {
	readonly #deps: CertificateKeeperDeps;
	readonly #kept = new Map<string, Kept>();
	#timer: Timer | null = null;
	#working = false;
	#closed = false;

	constructor(deps: CertificateKeeperDeps) {
		this.#deps = deps;
	}

	/** From now on these, and no others. */
	want(all: readonly WantedCertificate[]): void {
		const wanted = new Map(all.slice(0, keeperLimits.maxCertificates).map((each) => [each.name, each]));
		for (const [name, kept] of this.#kept)
			if (!wanted.has(name)) {
				this.#kept.delete(name);
				this.#deps.install(kept.wanted, null);
				this.#calm(name);
			}
		for (const [name, each] of wanted) if (!this.#kept.has(name)) this.#keep(each);
		this.#next();
	}

	close(): void {
		this.#closed = true;
		this.#timer?.cancel();
	}

	#keep(wanted: WantedCertificate): void {
		const { clock, random, load } = this.#deps;
		const backoff = new Backoff(keeperLimits.backoff, random);
		const kept: Kept = { wanted, backoff, dueAt: clock.now(), endsAt: 0, unsaved: null };
		this.#kept.set(wanted.name, kept);
		const tls = load(wanted.name);
		if (tls === null) return;
		try {
			this.#install(kept, tls);
		} catch (fault) {
			this.#deps.logger.warn("a kept certificate is not usable", { name: wanted.name, fault: messageOf(fault) });
		}
	}

	/** @throws Error when it is no certificate for these names. */
	#install(kept: Kept, tls: FrontTls): void {
		const leaf = new X509Certificate(tls.cert);
		for (const name of kept.wanted.names)
			if (leaf.checkHost(name.replace(/^\*\./, "any.")) === undefined) throw new Error(`it is not for ${name}`);
		const [from, to] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
		if (to > this.#deps.clock.now()) this.#deps.install(kept.wanted, tls);
		kept.endsAt = to;
		kept.dueAt = from + (to - from) * keeperLimits.renewAt;
	}

	#next(): void {
		this.#timer?.cancel();
		this.#timer = null;
		if (this.#working || this.#closed) return;
		const [first] = [...this.#kept.values()].sort((a, b) => a.dueAt - b.dueAt);
		if (first === undefined) return;
		const waitMs = first.dueAt - this.#deps.clock.now();
		if (waitMs <= 0) return void this.#renew(first);
		this.#timer = this.#deps.clock.after(Math.min(waitMs, keeperLimits.maxWaitMs), () => this.#next());
	}

	async #renew(kept: Kept): Promise<void> {
		const { clock, logger, save } = this.#deps;
		const { name } = kept.wanted;
		this.#working = true;
		try {
			const tls = kept.unsaved ?? (await this.#order(kept.wanted));
			if (this.#kept.get(name) === kept && !this.#closed) {
				// First installed: what is no certificate must not take the place of a good one on disk.
				this.#install(kept, tls);
				kept.unsaved = tls;
				save(name, tls);
				kept.unsaved = null;
				if (kept.dueAt <= clock.now())
					throw new Error(`the new one is due again: it ends on ${new Date(kept.endsAt).toISOString()}`);
				kept.backoff.reset();
				this.#calm(name);
				logger.info("a certificate is there", { name, endsAt: new Date(kept.endsAt).toISOString() });
			}
		} catch (fault) {
			const waitMs = kept.backoff.nextMs();
			kept.dueAt = clock.now() + waitMs;
			logger.warn("no certificate", { name, fault: messageOf(fault), retryInMs: Math.round(waitMs) });
			if (this.#kept.get(name) === kept) this.#complain(kept, messageOf(fault));
		} finally {
			this.#working = false;
			this.#next();
		}
	}

	/** @throws Error when it takes too long: an authority may ask for days of patience, or never answer. */
	async #order(wanted: WantedCertificate): Promise<FrontTls> {
		const { clock, obtain } = this.#deps;
		const late = Promise.withResolvers<never>();
		const timer = clock.after(keeperLimits.maxOrderMs, () =>
			late.reject(new Error(`the order was not over within ${keeperLimits.maxOrderMs / 60_000} minutes`)),
		);
		try {
			return await Promise.race([obtain(wanted), late.promise]);
		} finally {
			timer.cancel();
		}
	}

	#complain(kept: Kept, reason: string): void {
		const { name } = kept.wanted;
		this.#calm(name);
		const facts = { name, reason: reason.slice(0, 300), date: new Date(kept.endsAt).toISOString().slice(0, 10) };
		this.#deps.health.raise(kept.endsAt > this.#deps.clock.now() ? renewalFailed : certificateMissing, facts, name);
	}

	#calm(name: string): void {
		this.#deps.health.clear(certificateMissing, name);
		this.#deps.health.clear(renewalFailed, name);
	}
}
