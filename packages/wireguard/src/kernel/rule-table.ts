import { type Clock, messageOf, type OverlayRule } from "@warren/kernel";
import { run } from "@warren/net";
import { wireguardError } from "../errors.ts";
import { dropTable, packetFilter } from "./packet-filter.ts";

/** A host that has just been started has more to do: without an answer it would get a slower plane. */
const timeoutMs = 30_000;
/** Rules that the host refused are tried again. */
const retryMs = 5_000;
/** Of actions that wait for rules: more than a roster makes. */
const maxWaiting = 100_000;

const everyKind: readonly OverlayRule[] = [
	{ direction: "in", addresses: ["fd00::1/128", "192.0.2.1/32"], protocol: "tcp", ports: [[1, 2]] },
	{ direction: "out", addresses: ["fd00::/64", "192.0.2.0/24"], protocol: "icmp" },
	{ direction: "out", addresses: ["fd00::1/128"] },
];

export interface RuleTableEvents {
	/** Why the host refuses rules, again and again; null = it has taken them. */
	refused(reason: string | null): void;
	failed(fault: Error): void;
}

/** Rules as nft reads them, in the order in which they were asked for. */
interface Wanted {
	readonly number: number;
	readonly text: string;
}

/**
 * The rules of one interface in the system's packet filter. Setting them takes a moment: what is asked of the device
 * meanwhile waits, so that nobody is let in before the rules that bind him. Rules that cannot be set hold it up, until
 * they can or newer ones take their place.
 */
export class RuleTable {
	readonly #clock: Clock;
	readonly #interfaceName: string;
	readonly #events: RuleTableEvents;
	readonly #stop = new AbortController();
	/** The host has refused the rules that are being set, and is asked again. */
	isRefused = false;
	#isSetting = false;
	#newest: Wanted = { number: 0, text: "" };
	/** The number of those that the host has taken last. */
	#standing = 0;
	#waiting: (() => void)[] = [];
	#current: Promise<void> = Promise.resolve();
	#wake: () => void = () => {};

	constructor(clock: Clock, interfaceName: string, events: RuleTableEvents) {
		this.#clock = clock;
		this.#interfaceName = interfaceName;
		this.#events = events;
	}

	/** Whether this host can do it at all, and whatever an earlier process left is gone. @returns why not, or null. */
	static async prepare(interfaceName: string): Promise<string | null> {
		return (await nft(packetFilter(interfaceName, everyKind), "--check")) ?? (await nft(dropTable(interfaceName)));
	}

	/** Now, or once the rules that are being set stand. */
	afterwards(action: () => void): void {
		if (!this.#isSetting) return action();
		if (this.#waiting.length >= maxWaiting)
			return this.#events.failed(wireguardError("device_failed", "Rules have not been set for a long time."));
		this.#waiting.push(action);
	}

	set(rules: readonly OverlayRule[] | null): void {
		const wanted = { number: this.#newest.number + 1, text: packetFilter(this.#interfaceName, rules) };
		this.#newest = wanted;
		if (this.isRefused) this.#wake();
		this.afterwards(() => {
			// Newer ones stand already, in the place of those that the host refused.
			if (wanted.number <= this.#standing) return;
			this.#isSetting = true;
			this.#current = this.#apply(wanted).then(() => this.#goOn());
		});
	}

	/** The table goes with the interface. */
	async close(): Promise<void> {
		this.#stop.abort();
		this.#wake();
		const waiting = this.#waiting;
		this.#waiting = [];
		// Whoever waits learns that it is closed.
		for (const action of waiting) action();
		await this.#current;
		await nft(dropTable(this.#interfaceName));
	}

	async #apply(wanted: Wanted): Promise<void> {
		for (let next = wanted; !this.#stop.signal.aborted; next = this.#newest) {
			const reason = await nft(next.text);
			if (reason === null) {
				this.#standing = next.number;
				break;
			}
			if (this.#stop.signal.aborted) return;
			this.isRefused = true;
			this.#events.refused(reason);
			if (next !== this.#newest) continue;
			await new Promise<void>((resolve) => {
				const timer = this.#clock.after(retryMs, resolve);
				this.#wake = () => {
					timer.cancel();
					resolve();
				};
			});
		}
		if (!this.isRefused || this.#stop.signal.aborted) return;
		this.isRefused = false;
		this.#events.refused(null);
	}

	#goOn(): void {
		this.#isSetting = false;
		while (!this.#isSetting && this.#waiting.length > 0) {
			const waiting = this.#waiting;
			this.#waiting = [];
			for (const [at, action] of waiting.entries()) {
				action();
				if (!this.#isSetting) continue;
				this.#waiting = [...waiting.slice(at + 1), ...this.#waiting];
				return;
			}
		}
	}
}

/** @returns why it failed, or null. */
async function nft(input: string, ...options: readonly string[]): Promise<string | null> {
	try {
		const result = await run("nft", [...options, "-f", "-"], { timeoutMs, input });
		if (result.outcome !== "exited") return result.message;
		return result.code === 0 ? null : `nft says: ${result.stderr.trim().slice(0, 200)}`;
	} catch (failure) {
		return messageOf(failure);
	}
}
