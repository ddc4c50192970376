import type { GatewayLimits } from "./limits.ts";
import type { Delivery } from "./mailbox.ts";
import type { MeshRecord } from "./mesh.ts";
import type { QueuedRow, ServerEffect, SocketId } from "./server-effects.ts";
import { ServerMachine } from "./server-machine.ts";

/** What a connection hears. */
export interface Hearer {
	hear(text: string): void;
	end(code: number, reason: string): void;
}

/** A gateway in memory: the machine, a disk that survives `crash`, and connections that are function calls. */
export class SimulatedGateway {
	readonly secrets = new Map<string, string>();
	readonly records = new Map<string, MeshRecord>();
	readonly disk = new Map<string, Map<number, QueuedRow>>();
	readonly connections = new Map<SocketId, Hearer>();
	readonly #limits: Partial<GatewayLimits>;
	/** Milliseconds, both clocks. */
	now = 0;
	diskFull = false;
	machine: ServerMachine;
	#nextSocket = 1;
	#nonces = 0;

	constructor(limits: Partial<GatewayLimits> = {}) {
		this.#limits = limits;
		this.machine = this.#open();
	}

	/** Everything in memory is gone at once; nobody is told anything but that their connection broke. */
	crash(): void {
		const cut = [...this.connections.values()];
		this.connections.clear();
		this.machine = this.#open();
		for (const each of cut) each.end(1006, "");
	}

	connect(hearer: Hearer, address = "192.0.2.1", host = "gateway.example"): SocketId {
		const socket = this.#nextSocket++;
		this.connections.set(socket, hearer);
		this.machine.opened(socket, { address, host }, this.now);
		this.perform();
		return socket;
	}

	say(socket: SocketId, message: object | string): void {
		if (!this.connections.has(socket)) return;
		const text = typeof message === "string" ? message : JSON.stringify(message);
		this.machine.receive(socket, text, this.now, this.now);
		this.perform();
	}

	/** The network breaks the connection; both sides see it. */
	cut(socket: SocketId): void {
		const hearer = this.connections.get(socket);
		if (!this.connections.delete(socket)) return;
		this.machine.closed(socket, this.now, this.now);
		this.perform();
		hearer?.end(1006, "");
	}

	advance(ms: number): void {
		const end = this.now + ms;
		for (;;) {
			const due = this.machine.deadline();
			if (due === null || due > end) break;
			this.now = Math.max(this.now, due);
			this.machine.tick(this.now, this.now);
			this.perform();
		}
		this.now = end;
	}

	perform(): void {
		for (let effects = this.machine.drain(); effects.length > 0; effects = this.machine.drain()) {
			const machine = this.machine;
			for (const effect of effects) {
				this.#perform(effect);
				// Somebody who heard it crashed the gateway: the rest was never done.
				if (this.machine !== machine) return;
			}
		}
	}

	queueOf(meshId: string): readonly QueuedRow[] {
		return [...(this.disk.get(meshId)?.values() ?? [])].sort((a, b) => a.seq - b.seq);
	}

	#open(): ServerMachine {
		return new ServerMachine({
			limits: this.#limits,
			records: [...this.records.values()],
			queues: [...this.disk.keys()].map((meshId) => {
				const rows = this.queueOf(meshId);
				const bytesBySender: Record<string, number> = {};
				for (const row of rows) bytesBySender[row.from] = (bytesBySender[row.from] ?? 0) + row.bytes;
				const bytes = rows.reduce((sum, row) => sum + row.bytes, 0);
				return { meshId, lastSeq: rows.at(-1)?.seq ?? 0, count: rows.length, bytes, bytesBySender };
			}),
			nonce: () => `nonce-${++this.#nonces}`,
		});
	}

	#perform(effect: ServerEffect): void {
		switch (effect.kind) {
			case "send":
				return this.connections.get(effect.to)?.hear(effect.text);
			case "fanout":
				for (const to of effect.to) this.connections.get(to)?.hear(effect.text);
				return;
			case "close": {
				const hearer = this.connections.get(effect.socket);
				this.connections.delete(effect.socket);
				hearer?.end(effect.code, effect.reason);
				return this.machine.closed(effect.socket, this.now, this.now);
			}
			case "verify": {
				const { proof } = effect;
				const ok =
					proof.by === "secret"
						? this.secrets.get(proof.meshId) === proof.secret
						: proof.signature === `signed ${proof.text}` && proof.text !== "";
				this.machine.verified(
					effect.socket,
					ok ? { ok, meshId: proof.meshId, name: `Mesh ${proof.meshId}` } : { ok: false, reason: "invalid" },
					this.now,
					this.now,
				);
				return;
			}
			case "save":
				return void this.records.set(effect.record.meshId, effect.record);
			case "enqueue":
				return this.#enqueue(effect.delivery);
			case "dequeue":
				for (const seq of effect.seqs) this.disk.get(effect.meshId)?.delete(seq);
				return;
			case "load": {
				const all = this.queueOf(effect.meshId).filter((row) => row.seq > effect.after);
				const rows = all.slice(0, effect.limit);
				this.machine.loaded(effect.meshId, rows, rows.length === all.length, this.now, this.now);
			}
		}
	}

	#enqueue(delivery: Delivery): void {
		if (this.diskFull) return this.machine.storeFailed([delivery], this.now);
		const { seq, from, id, text, bytes, expiresAt } = delivery;
		const rows = this.disk.get(delivery.mesh.meshId) ?? new Map<number, QueuedRow>();
		this.disk.set(delivery.mesh.meshId, rows);
		rows.set(seq, { seq, from, id, text, bytes, expiresAt });
		this.machine.stored([delivery], this.now);
	}
}

/** A client that keeps everything it hears. */
export class Hearing implements Hearer {
	readonly messages: Record<string, any>[] = [];
	ended: { readonly code: number; readonly reason: string } | null = null;
	readonly #gateway: SimulatedGateway;
	readonly socket: SocketId;

	constructor(gateway: SimulatedGateway, address?: string) {
		this.#gateway = gateway;
		this.socket = gateway.connect(this, address);
	}

	/** Signs in as a mesh that is registered by this. */
	static in(gateway: SimulatedGateway, meshId: string, more: object = {}): Hearing {
		gateway.secrets.set(meshId, `secret-${meshId}`);
		const client = new Hearing(gateway);
		client.say({ type: "gateway_auth", meshId, secret: `secret-${meshId}`, ...more });
		return client;
	}

	hear(text: string): void {
		this.messages.push(JSON.parse(text));
	}

	end(code: number, reason: string): void {
		this.ended = { code, reason };
	}

	say(message: object | string): this {
		this.#gateway.say(this.socket, message);
		return this;
	}

	cut(): void {
		this.#gateway.cut(this.socket);
	}

	of(type: string): Record<string, any>[] {
		return this.messages.filter((message) => message["type"] === type);
	}

	get payloads(): unknown[] {
		return this.of("gateway_incoming").map((message) => message["payload"]);
	}
}
