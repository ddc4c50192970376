import { createPrivateKey, X509Certificate } from "node:crypto";
import type { FrontTls, SharedSecrets } from "@warren/backbone";
import { type Clock, type Closeable, delay, type Logger } from "@warren/kernel";
import type { Bus } from "@warren/store";
import { keeperLimits, type WantedCertificate } from "./certificate-keeper.ts";
import type { ChallengeSolver } from "./challenges.ts";
import { acmeError } from "./errors.ts";

export const sharedOrderLimits = {
	/** An order of another node is waited for so long; then that node is taken for dead. */
	leaseMs: 15 * 60_000,
	/** How often the certificate that another node orders is looked for. */
	lookMs: 2_000,
	/** For the other nodes to show a challenge: one that does not answer may be the one that the authority asks. */
	showMs: 3_000,
} as const;

export interface SharedOrdersDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly secrets: SharedSecrets;
	readonly bus: Bus;
	readonly node: string;
	/** The others that stand now. */
	readonly others: () => readonly string[];
}

interface Lease {
	readonly node: string;
	/** Milliseconds since the epoch; nodes agree on it to the minute. */
	readonly until: number;
}

/** What one node tells the others; `shown` answers `show`. */
type Notice =
	| { readonly say: "show" | "hide"; readonly name: string; readonly token: string; readonly value: string }
	| { readonly say: "shown"; readonly name: string; readonly token: string; readonly node: string };

const subject = "backbone.acme";

/**
 * Certificates of all nodes of a cluster: one of them orders, whichever takes the lease first; all of them show its
 * challenge, because the authority may ask any; and each takes the certificate from the tables that they share.
 */
export class SharedOrders implements Closeable {
	readonly #deps: SharedOrdersDeps;
	readonly #solver: ChallengeSolver;
	readonly #news: Closeable;
	/** Challenges that wait for the others, by name and token: who has answered. */
	readonly #shown = new Map<string, { readonly nodes: Set<string>; readonly heard: () => void }>();
	readonly #ending = new AbortController();

	/** @param solver of this node alone. */
	constructor(deps: SharedOrdersDeps, solver: ChallengeSolver) {
		this.#deps = deps;
		this.#solver = solver;
		this.#news = deps.bus.subscribe(subject, ({ data }) => {
			this.#heard(JSON.parse(Buffer.from(data).toString("utf8")) as Notice).catch((fault: unknown) =>
				deps.logger.warn("a challenge could not be shown", { fault: String(fault) }),
			);
		});
	}

	close(): void {
		this.#ending.abort(new Error("closed"));
		void this.#news.close();
	}

	/** Shows challenges at all nodes. */
	get solver(): ChallengeSolver {
		const { type } = this.#solver;
		return {
			type,
			put: async (name, token, value) => {
				await this.#solver.put(name, token, value);
				// A record in the DNS is everybody's.
				if (type !== "dns-01") await this.#showElsewhere(name, token, value);
			},
			remove: async (name, token, value) => {
				if (type !== "dns-01") this.#tell({ say: "hide", name, token, value });
				await this.#solver.remove(name, token, value);
			},
		};
	}

	/** @param order makes a new one. @throws WarrenError `order_elsewhere`, whatever `order` throws. */
	async obtain(wanted: WantedCertificate, order: () => Promise<FrontTls>): Promise<FrontTls> {
		const { clock } = this.#deps;
		const deadline = clock.monotonic() + sharedOrderLimits.leaseMs;
		for (;;) {
			const stands = await this.#standing(wanted);
			if (stands !== null) return stands;
			const version = await this.#claim(wanted);
			if (version !== null) return this.#order(wanted, version, order);
			if (clock.monotonic() > deadline)
				throw acmeError(
					"order_elsewhere",
					`Another node orders the certificate of ${wanted.name}, and has not got it.`,
				);
			await delay(clock, sharedOrderLimits.lookMs, this.#ending.signal);
		}
	}

	/** The one in the tables, where it is not due yet. */
	async #standing({ name, names }: WantedCertificate): Promise<FrontTls | null> {
		const found = await this.#deps.secrets.read(`acme.certificate.${name}`);
		if (found === null) return null;
		const tls = JSON.parse(found.text) as FrontTls;
		const leaf = leafOf(tls);
		// Given by an authority that was not itself: the next order replaces it.
		if (leaf === null) return null;
		const [from, to] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
		const isDue = from + (to - from) * keeperLimits.renewAt <= this.#deps.clock.now();
		const covers = names.every((each) => leaf.checkHost(each.replace(/^\*\./, "any.")) !== undefined);
		return covers && !isDue ? tls : null;
	}

	/** @returns the lease's version, or null while another node has it. */
	async #claim({ name }: WantedCertificate): Promise<number | null> {
		const { clock, node, secrets } = this.#deps;
		const stands = await secrets.read(`acme.order.${name}`);
		const lease = stands === null ? null : (JSON.parse(stands.text) as Lease);
		if (lease !== null && lease.until > clock.now() && lease.node !== node) return null;
		const mine: Lease = { node, until: clock.now() + sharedOrderLimits.leaseMs };
		const version = stands?.version ?? 0;
		return (await secrets.write(`acme.order.${name}`, JSON.stringify(mine), version)) ? version + 1 : null;
	}

	async #order(wanted: WantedCertificate, version: number, order: () => Promise<FrontTls>): Promise<FrontTls> {
		const { node, secrets } = this.#deps;
		try {
			const tls = await order();
			await secrets.put(`acme.certificate.${wanted.name}`, JSON.stringify(tls));
			return tls;
		} finally {
			// Over, either way: after a failure another node may have better luck.
			await secrets.write(`acme.order.${wanted.name}`, JSON.stringify({ node, until: 0 } satisfies Lease), version);
		}
	}

	async #showElsewhere(name: string, token: string, value: string): Promise<void> {
		const { clock, logger, others } = this.#deps;
		const missing = () => others().filter((node) => !nodes.has(node));
		const nodes = new Set<string>();
		const all = Promise.withResolvers<void>();
		this.#shown.set(`${name} ${token}`, { nodes, heard: () => missing().length === 0 && all.resolve() });
		const late = clock.after(sharedOrderLimits.showMs, () => all.resolve());
		this.#tell({ say: "show", name, token, value });
		if (missing().length === 0) all.resolve();
		await all.promise;
		late.cancel();
		this.#shown.delete(`${name} ${token}`);
		if (missing().length > 0) logger.warn("nodes that do not show a challenge", { name, nodes: missing() });
	}

	async #heard(notice: Notice): Promise<void> {
		const { name, token } = notice;
		const key = `${name} ${token}`;
		if (notice.say === "shown") {
			const waiting = this.#shown.get(key);
			waiting?.nodes.add(notice.node);
			waiting?.heard();
			return;
		}
		// What this node told itself.
		if (this.#shown.has(key)) return;
		if (notice.say === "hide") return this.#solver.remove(name, token, notice.value);
		await this.#solver.put(name, token, notice.value);
		this.#tell({ say: "shown", name, token, node: this.#deps.node });
	}

	#tell(notice: Notice): void {
		this.#deps.bus.publish(subject, Buffer.from(JSON.stringify(notice)));
	}
}

/** @returns null for what is no certificate, or not this key's. */
function leafOf({ cert, key }: FrontTls): X509Certificate | null {
	try {
		const leaf = new X509Certificate(cert);
		return leaf.checkPrivateKey(createPrivateKey(key)) ? leaf : null;
	} catch {
		// Unreadable.
		return null;
	}
}
