import { Backoff, type Clock, type Closeable, closeCodes, delay, isPermanentClose, type Random } from "@warren/kernel";
import type { WebSocketConnection } from "@warren/net";
import { keyBytes, keyOf } from "../addresses.ts";
import { HeadDropQueue } from "../protocol/head-drop-queue.ts";
import type { WireGuardKey } from "../protocol/peer-record.ts";
import { decodeRelayFrame, encodeRelayFrame } from "../protocol/relay-frames.ts";
import type { CoordinatorLink } from "./coordinator-link.ts";

export const laneLimits = {
	queue: 32,
	maxBufferedBytes: 256 * 1024,
	backoff: { firstMs: 500, maxMs: 30_000 },
	/** A lane that was open for this long tries again as soon as at first. */
	stableMs: 5_000,
} as const;

interface Lane {
	connection: WebSocketConnection | null;
	queue: HeadDropQueue;
}

/** The relay as this joiner uses it: two lanes, each kept open, so that bulk does not hold up handshakes. */
export class RelayLanes implements Closeable {
	readonly #link: CoordinatorLink;
	readonly #key: WireGuardKey;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #lanes: Record<"hi" | "lo", Lane> = { hi: newLane(), lo: newLane() };
	readonly #stop = new AbortController();
	readonly #running: Promise<void>[] = [];
	#retry = new AbortController();
	#onDatagram: (from: WireGuardKey, datagram: Uint8Array) => void = () => {};
	#onChange: (available: boolean) => void = () => {};

	constructor(link: CoordinatorLink, key: WireGuardKey, clock: Clock, random: Random) {
		this.#link = link;
		this.#key = key;
		this.#clock = clock;
		this.#random = random;
	}

	get available(): boolean {
		return this.#lanes.hi.connection !== null || this.#lanes.lo.connection !== null;
	}

	onDatagram(handler: (from: WireGuardKey, datagram: Uint8Array) => void): void {
		this.#onDatagram = handler;
	}

	/** When the first lane opens and when the last one is gone. */
	onChange(handler: (available: boolean) => void): void {
		this.#onChange = handler;
	}

	start(): void {
		for (const lane of ["hi", "lo"] as const) this.#running.push(this.#keep(lane));
	}

	/** The coordinator has just answered: lanes that wait out a failure try again now. */
	retryNow(): void {
		this.#retry.abort(new Error("the coordinator is back"));
		this.#retry = new AbortController();
	}

	/** Another coordinator is asked from now on: its relay is where the others are. */
	redial(): void {
		for (const lane of Object.values(this.#lanes)) void lane.connection?.close(1000, "elsewhere");
		this.retryNow();
	}

	/** Sends, waits for its turn, or drops the oldest that waits: as a network would. */
	send(to: WireGuardKey, datagram: Uint8Array, urgent: boolean): void {
		const wanted = this.#lanes[urgent ? "hi" : "lo"];
		const lane = wanted.connection === null ? this.#lanes[urgent ? "lo" : "hi"] : wanted;
		if (lane.connection === null) return;
		const frame = encodeRelayFrame(keyBytes(to), datagram);
		if (lane.queue.size === 0 && lane.connection.bufferedBytes < laneLimits.maxBufferedBytes)
			lane.connection.send(frame);
		else lane.queue.push(frame);
	}

	async close(): Promise<void> {
		this.#stop.abort(new Error("the joiner stops"));
		for (const lane of Object.values(this.#lanes)) void lane.connection?.close(1000, "leaving");
		await Promise.allSettled(this.#running);
	}

	async #keep(name: "hi" | "lo"): Promise<void> {
		const backoff = new Backoff(laneLimits.backoff, this.#random);
		const { signal } = this.#stop;
		while (!signal.aborted) {
			const openedAt = this.#clock.monotonic();
			const code = await this.#hold(name, signal);
			if (code !== null && this.#clock.monotonic() - openedAt > laneLimits.stableMs) backoff.reset();
			const refused = code !== null && isPermanentClose(code) && code !== closeCodes.unknown;
			const waitMs = refused ? laneLimits.backoff.maxMs : backoff.nextMs();
			// Replaced: somebody with our key is there now. Coming back at once would only throw it out in turn. Any other
			// refusal may be a coordinator's that has just started, and is over once this machine has registered again.
			const wake = code === closeCodes.replaced ? signal : AbortSignal.any([signal, this.#retry.signal]);
			await delay(this.#clock, waitMs, wake).catch(() => {});
		}
	}

	/** One connection from its opening to its end. @returns its close code; null = it never opened. */
	async #hold(name: "hi" | "lo", signal: AbortSignal): Promise<number | null> {
		const dialled = await this.#link.dialRelay(this.#key, name, signal);
		if (!dialled.ok) return null;
		const { connection } = dialled;
		const lane = this.#lanes[name];
		const closed = new Promise<number>((resolve) => connection.onClose((code) => resolve(code)));
		connection.onMessage((data, binary) => {
			const frame = binary ? decodeRelayFrame(data) : null;
			// Empty: the receiver is away. WireGuard tries again by itself.
			if (frame !== null && frame.datagram.length > 0)
				this.#onDatagram(keyOf(frame.key), Uint8Array.from(frame.datagram));
		});
		connection.onDrain(() => {
			while (lane.queue.size > 0 && connection.bufferedBytes < laneLimits.maxBufferedBytes)
				connection.send(lane.queue.shift() as Uint8Array);
		});
		const before = this.available;
		lane.connection = connection;
		lane.queue = new HeadDropQueue(laneLimits.queue);
		if (!before) this.#onChange(true);
		if (signal.aborted) void connection.close(1000, "leaving");
		const code = await closed;
		lane.connection = null;
		if (!this.available) this.#onChange(false);
		return code;
	}
}

function newLane(): Lane {
	return { connection: null, queue: new HeadDropQueue(laneLimits.queue) };
}
