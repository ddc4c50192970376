import type { ServerResponse } from "node:http";
import type { Clock, Closeable, Random, Timer } from "@warren/kernel";
import { dataHeaders } from "@warren/net";
import { overlayError } from "../errors.ts";
import type { OverlayPeerId } from "../protocol/peer-record.ts";
import type { RosterMachine } from "../protocol/roster-machine.ts";
import { keepAliveComment } from "../protocol/sse.ts";
import type { SubscriberId } from "../protocol/subscriber-queue.ts";
import { coordinatorLimits } from "./limits.ts";

interface Stream {
	readonly id: SubscriberId;
	readonly viewer: OverlayPeerId;
	readonly outgoing: ServerResponse;
	/** The kernel has not taken all of the last write: nothing more until it has. */
	blocked: boolean;
	keepAlive: Timer;
}

/** The roster's I/O: publishes what changed after its pause, and writes to whoever reads. */
export class Streams implements Closeable {
	readonly #roster: RosterMachine;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #streams = new Map<SubscriberId, Stream>();
	readonly #byViewer = new Map<OverlayPeerId, Stream[]>();
	#nextId = 1;
	#flush: Timer | null = null;
	#closed = false;

	constructor(roster: RosterMachine, clock: Clock, random: Random) {
		this.#roster = roster;
		this.#clock = clock;
		this.#random = random;
	}

	get size(): number {
		return this.#streams.size;
	}

	/** Call after whatever may have changed the roster. */
	changed(): void {
		const { deadline } = this.#roster;
		if (deadline === null) return this.#writeReady();
		this.#flush ??= this.#clock.after(Math.max(0, deadline - this.#clock.monotonic()), () => {
			this.#flush = null;
			this.#roster.flush();
			this.#writeReady();
		});
	}

	/** @throws WarrenError `unknown_viewer` when the viewer is not registered: nobody gets a roster unseen. */
	open(viewer: OverlayPeerId, patches: boolean, after: string | null, outgoing: ServerResponse): void {
		const id = this.#nextId++ as SubscriberId;
		if (!this.#roster.subscribe(id, viewer, patches, after))
			throw overlayError("unknown_viewer", `No peer "${viewer.slice(0, 64)}" is registered.`);
		outgoing.writeHead(200, { ...dataHeaders, "content-type": "text/event-stream", "x-accel-buffering": "no" });
		outgoing.flushHeaders();
		const stream: Stream = { id, viewer, outgoing, blocked: false, keepAlive: { cancel() {} } };
		this.#streams.set(id, stream);
		const others = this.#byViewer.get(viewer) ?? [];
		this.#byViewer.set(viewer, [...others, stream]);
		for (const extra of others.slice(0, Math.max(0, others.length + 1 - coordinatorLimits.maxStreamsPerPeer)))
			extra.outgoing.end();
		outgoing.on("drain", () => {
			stream.blocked = false;
			this.#write(stream);
		});
		outgoing.once("close", () => this.#forget(stream));
		this.#armKeepAlive(stream);
		this.changed();
	}

	close(): void {
		this.#closed = true;
		this.#flush?.cancel();
		for (const stream of [...this.#streams.values()]) stream.outgoing.end();
	}

	#writeReady(): void {
		if (this.#closed) return;
		for (const id of this.#roster.takeReady()) {
			const stream = this.#streams.get(id);
			if (stream !== undefined) this.#write(stream);
		}
	}

	#write(stream: Stream): void {
		// One that has been ended is still there until its reader has taken what it had.
		if (stream.blocked || stream.outgoing.destroyed || stream.outgoing.writableEnded) return;
		const taken = this.#roster.take(stream.id);
		if (taken === null) return;
		if (taken.bytes.length > 0) stream.blocked = !stream.outgoing.write(taken.bytes);
		if (taken.end) stream.outgoing.end();
	}

	/** Jittered, so that a crowd that came together does not beat together. */
	#armKeepAlive(stream: Stream): void {
		const waitMs = coordinatorLimits.keepAliveMs * (0.8 + 0.2 * this.#random.fraction());
		stream.keepAlive = this.#clock.after(waitMs, () => {
			if (stream.outgoing.writableEnded) return void stream.outgoing.destroy();
			// A reader that has not taken anything for two rounds is gone, though nobody said so.
			if (stream.blocked && stream.outgoing.writableLength > 0 && stream.outgoing.writableNeedDrain) {
				if (stalled.has(stream)) return void stream.outgoing.destroy();
				stalled.add(stream);
			} else {
				stalled.delete(stream);
				stream.blocked = !stream.outgoing.write(keepAliveComment);
			}
			this.#armKeepAlive(stream);
		});
	}

	#forget(stream: Stream): void {
		stream.keepAlive.cancel();
		this.#roster.unsubscribe(stream.id);
		this.#streams.delete(stream.id);
		const left = (this.#byViewer.get(stream.viewer) ?? []).filter((each) => each !== stream);
		if (left.length === 0) this.#byViewer.delete(stream.viewer);
		else this.#byViewer.set(stream.viewer, left);
	}
}

const stalled = new WeakSet<Stream>();
