import { type Clock, closeCodes, RateLimit } from "@warren/kernel";
import type { WebSocketConnection } from "@warren/net";
import { keyBytes, keyOf } from "../addresses.ts";
import { HeadDropQueue } from "../protocol/head-drop-queue.ts";
import type { OverlayPeerId, WireGuardKey } from "../protocol/peer-record.ts";
import { decodeRelayFrame, encodeRelayFrame } from "../protocol/relay-frames.ts";
import type { LivePeer } from "./live-peer.ts";
import type { Punches } from "./punches.ts";
import type { Registry } from "./registry.ts";

export type RelayLane = "hi" | "lo";

export const relayLimits = {
	/** Datagrams that wait for a slow reader, per lane; the oldest goes first. */
	queue: 32,
	/** Above this many bytes in its socket a reader is slow. */
	maxBufferedBytes: 256 * 1024,
	/** Of one sender, all lanes. */
	bytesPerSecond: 32 * 1024 * 1024,
	burstBytes: 64 * 1024 * 1024,
	/** To receivers that are unknown, unseen or away. */
	strayPerSecond: 100,
	strayBurst: 1_000,
} as const;

interface Attachment {
	readonly key: WireGuardKey;
	readonly keyBytes: Uint8Array;
	readonly peerId: OverlayPeerId;
	readonly lane: RelayLane;
	readonly connection: WebSocketConnection;
	readonly queue: HeadDropQueue;
}

/** Passes sealed datagrams between peers that see each other. The sender's key is the connection's, never the frame's. */
export class Relay {
	readonly #registry: Registry;
	readonly #punches: Punches;
	readonly #attached = new Map<string, Attachment>();
	readonly #bytes: RateLimit;
	readonly #stray: RateLimit;
	#forwarded = 0;
	#dropped = 0;

	constructor(registry: Registry, punches: Punches, clock: Clock) {
		this.#registry = registry;
		this.#punches = punches;
		const maxKeys = 100_000;
		this.#bytes = new RateLimit(clock, {
			perSecond: relayLimits.bytesPerSecond,
			burst: relayLimits.burstBytes,
			maxKeys,
		});
		this.#stray = new RateLimit(clock, {
			perSecond: relayLimits.strayPerSecond,
			burst: relayLimits.strayBurst,
			maxKeys,
		});
	}

	get size(): number {
		return this.#attached.size;
	}

	get forwarded(): number {
		return this.#forwarded;
	}

	get dropped(): number {
		let waiting = 0;
		for (const each of this.#attached.values()) waiting += each.queue.dropped;
		return this.#dropped + waiting;
	}

	/** The newest login of a lane wins; the earlier one is told not to come back. */
	attach(peer: LivePeer, lane: RelayLane, connection: WebSocketConnection): void {
		const { key, peerId } = peer.entry;
		const slot = slotOf(key, lane);
		const attachment: Attachment = {
			key,
			keyBytes: keyBytes(key),
			peerId,
			lane,
			connection,
			queue: new HeadDropQueue(relayLimits.queue),
		};
		const before = this.#attached.get(slot);
		this.#attached.set(slot, attachment);
		void before?.connection.close(closeCodes.replaced, "replaced: a newer connection has this lane");
		connection.onMessage((data, binary) => {
			if (!binary) return void connection.close(closeCodes.badRequest, "the relay takes binary frames");
			this.#forward(attachment, data);
		});
		connection.onDrain(() => this.#drain(attachment));
		connection.onClose(() => {
			this.#dropped += attachment.queue.dropped;
			if (this.#attached.get(slot) === attachment) this.#attached.delete(slot);
		});
	}

	/** Ends what a peer that is gone had open. */
	detach(key: WireGuardKey): void {
		for (const lane of ["hi", "lo"] as const)
			void this.#attached
				.get(slotOf(key, lane))
				?.connection.close(closeCodes.unknown, "this peer is no longer registered");
	}

	/** Closes the lanes of peers that are no longer registered with that key. */
	sweep(): void {
		for (const each of this.#attached.values())
			if (this.#registry.ofKey(each.key)?.entry.peerId !== each.peerId) this.detach(each.key);
	}

	#forward(from: Attachment, data: Uint8Array): void {
		const frame = decodeRelayFrame(data);
		if (frame === null || frame.datagram.length === 0)
			return void from.connection.close(closeCodes.badRequest, "a relay frame is a 32-byte key and a datagram");
		if (this.#bytes.take(from.key, data.length) > 0) {
			this.#dropped += 1;
			return;
		}
		const [sender, receiver] = [this.#registry.ofKey(from.key), this.#registry.ofKey(keyOf(frame.key))];
		if (
			sender === undefined ||
			receiver === undefined ||
			!this.#registry.roster.sees(sender.entry.peerId, receiver.entry.peerId)
		) {
			this.#tellGone(from, frame.key);
			return;
		}
		const lane =
			this.#attached.get(slotOf(receiver.entry.key, from.lane)) ??
			this.#attached.get(slotOf(receiver.entry.key, from.lane === "hi" ? "lo" : "hi"));
		if (lane === undefined) {
			this.#punches.wake(receiver, sender);
			this.#tellGone(from, frame.key);
			return;
		}
		this.#forwarded += 1;
		this.#send(lane, encodeRelayFrame(from.keyBytes, frame.datagram));
	}

	/** Whether it does not exist, may not be seen or is away looks the same. */
	#tellGone(to: Attachment, key: Uint8Array): void {
		this.#dropped += 1;
		if (this.#stray.take(to.key) === 0) this.#send(to, encodeRelayFrame(key, new Uint8Array()));
	}

	#send(to: Attachment, frame: Uint8Array): void {
		if (to.queue.size === 0 && to.connection.bufferedBytes < relayLimits.maxBufferedBytes) to.connection.send(frame);
		else to.queue.push(frame);
	}

	#drain(to: Attachment): void {
		while (to.queue.size > 0 && to.connection.bufferedBytes < relayLimits.maxBufferedBytes)
			to.connection.send(to.queue.shift() as Uint8Array);
	}
}

function slotOf(key: WireGuardKey, lane: RelayLane): string {
	return `${lane} ${key}`;
}
