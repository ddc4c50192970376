import {
	type Audit,
	type Clock,
	type Closeable,
	type ConditionKind,
	closeCodes,
	type HealthTable,
	type Logger,
	messageOf,
	newSecret,
	type Random,
	type Timer,
	WarrenError,
} from "@warren/kernel";
import { dataHeaders, encodeFrame, type Frame, type Route, type TextSocket, TextSockets } from "@warren/net";
import { gatewayError } from "../errors.ts";
import {
	type GatewayLimits,
	gatewayLimits,
	type Proof,
	type QueuedRow,
	type ServerEffect,
	ServerMachine,
	type Session,
} from "../protocol/index.ts";
import type { Committed, GatewayQueues, GatewayStore, Write } from "./gateway-store.ts";
import { Registry } from "./registry.ts";

export interface GatewayDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly health: HealthTable;
	readonly store: GatewayStore;
	readonly audit?: Audit;
}

export interface GatewayOptions {
	readonly limits?: Partial<GatewayLimits>;
	/** Whoever registers must show it; null = anybody may register. */
	readonly invitation: string | null;
	readonly maxConnections: number;
}

export const gatewayServerLimits = {
	/** Connections of one address that have not signed in. */
	maxWaitingPerAddress: 500,
	/** Of what waits for a slow reader. */
	maxBufferedBytes: 4 * 1024 * 1024,
	maxRegisterBytes: 8 * 1024,
	expireEveryMs: 60_000,
	expireBatch: 1_000,
} as const;

const storeFails: ConditionKind = {
	code: "gateway-store-failing",
	severity: "error",
	title: "The gateway cannot write its queues: messages for meshes that are away are sent back.",
	advice: "Free disk space, and look at the log.",
	delayMs: 0,
};

/** What the machine names a connection by, so that nothing is searched for on a message's way. */
interface Connection {
	readonly socket: TextSocket;
	session: Session | null;
	/** Not signed in yet: counts against this address. */
	waitingAddress: string | null;
}

/** The gateway's loop: sockets, clock, disk and credentials around the machine, and its routes. */
export class GatewayServer implements Closeable {
	readonly #deps: GatewayDeps;
	readonly #options: GatewayOptions;
	readonly #registry: Registry;
	readonly #store: GatewayQueues;
	/** By mesh: the newest read of its queue; an older one's answer is of a connection before. */
	readonly #loads = new Map<string, number>();
	#loadCount = 0;
	readonly #machine: ServerMachine;
	readonly #sockets: TextSockets;
	readonly #connections = new Set<Connection>();
	readonly #waiting = new Map<string, number>();
	#timer: { readonly at: number; readonly timer: Timer } | null = null;
	#expiry: Timer;
	#performing = false;
	#lastText = "";
	#lastFrame: Frame | null = null;
	#stopping: Promise<void> | null = null;

	constructor(deps: GatewayDeps, options: GatewayOptions) {
		this.#deps = deps;
		this.#options = options;
		this.#registry = new Registry(deps.store.meshes, deps.clock, options.invitation);
		this.#store = deps.store.queues;
		this.#machine = new ServerMachine({
			limits: { ...options.limits },
			records: deps.store.records,
			queues: deps.store.states,
			nonce: () => newSecret(deps.random),
		});
		this.#registry.onChanged = (meshId) => {
			this.#machine.revoked(meshId, this.#now(), this.#wall());
			this.#perform();
		};
		this.#sockets = new TextSockets(deps.clock, {
			maxMessageBytes: Math.max(gatewayLimits.maxMessageBytes, (options.limits?.payloadBytes ?? 0) * 2),
			maxBufferedBytes: gatewayServerLimits.maxBufferedBytes,
			onMessage: (socket, text) => this.#onMessage(socket, text),
			onClose: (socket) => this.#onClose(socket),
		});
		this.#expiry = this.#armExpiry();
	}

	get connected(): number {
		return this.#machine.connected;
	}

	/** Messages on disk. */
	get queued(): number {
		return this.#machine.queued;
	}

	routes(): Route[] {
		const owner = "gateway";
		return [
			{
				owner,
				method: "POST",
				path: "/register",
				about: { summary: "Register a mesh" },
				credentials: ["none"],
				maxBodyBytes: gatewayServerLimits.maxRegisterBytes,
				handle: async ({ request, remoteAddress }) => {
					const body = await readJson(request);
					try {
						const more = await this.#registry.register(body, remoteAddress);
						this.#record(body, remoteAddress, "ok");
						return Response.json({ ok: true, ...more }, { headers: dataHeaders });
					} catch (refused) {
						const isTold = refused instanceof WarrenError && recorded.has(refused.code);
						if (isTold) this.#record(body, remoteAddress, "refused", { reason: refused.code });
						throw refused;
					}
				},
			},
			{
				owner,
				method: "GET",
				path: "/health",
				about: { summary: "Whether it serves, and how many are connected" },
				credentials: ["none"],
				handle: () => Response.json({ ok: true, connected: this.connected }, { headers: dataHeaders }),
			},
			{
				owner,
				method: "WS",
				path: "/gateway",
				about: { summary: "The federation itself" },
				credentials: ["none"],
				open: ({ remoteAddress, origin }, upgrade) => {
					const socket = this.#sockets.accept(upgrade);
					const connection: Connection = { socket, session: null, waitingAddress: remoteAddress };
					this.#connections.add(connection);
					socket.owner = connection;
					const waiting = (this.#waiting.get(remoteAddress) ?? 0) + 1;
					this.#waiting.set(remoteAddress, waiting);
					if (
						waiting > gatewayServerLimits.maxWaitingPerAddress ||
						this.#connections.size > this.#options.maxConnections
					)
						return socket.close(closeCodes.unavailable, "too many connections");
					const host = new URL(origin).host;
					connection.session = this.#machine.opened(connection, { address: remoteAddress, host }, this.#now());
					this.#perform();
				},
			},
		];
	}

	/** Only once its body was read as one: a registration. */
	#record(body: unknown, address: string, outcome: "ok" | "refused", details = {}): void {
		const { meshId } = body as { readonly meshId: string };
		const event = { actor: `mesh:${meshId}`, action: "gateway.register", target: meshId };
		this.#deps.audit?.record({ ...event, outcome, address, details });
	}

	/** Rule G18: what is under way goes to disk, everybody is told to come back, then the sockets close. */
	close(): Promise<void> {
		this.#stopping ??= this.#stop();
		return this.#stopping;
	}

	async #stop(): Promise<void> {
		this.#machine.stop(this.#now(), this.#wall());
		this.#perform();
		await this.#commit();
		this.#expiry.cancel();
		this.#timer?.timer.cancel();
		// One turn for the last words, which are already in the sockets.
		await new Promise((resolve) => setImmediate(resolve));
		this.#sockets.close();
	}

	#onMessage(socket: TextSocket, text: string): void {
		const connection = socket.owner as Connection | null;
		if (connection?.session == null) return;
		try {
			this.#machine.hear(connection.session, text, this.#now(), this.#wall());
		} catch (fault) {
			this.#failed(socket, fault);
		}
		this.#perform();
	}

	/** Rule G19: a fault of ours costs the one connection that met it. */
	#failed(socket: TextSocket, fault: unknown): void {
		this.#deps.logger.error("a gateway message failed", { fault: messageOf(fault) });
		socket.close(closeCodes.unavailable, "the gateway failed on this message");
	}

	#onClose(socket: TextSocket): void {
		const connection = socket.owner as Connection | null;
		if (connection === null) return;
		socket.owner = null;
		this.#connections.delete(connection);
		this.#noLongerWaiting(connection);
		this.#machine.closed(connection, this.#now(), this.#wall());
		this.#perform();
	}

	#noLongerWaiting(connection: Connection): void {
		const address = connection.waitingAddress;
		if (address === null) return;
		connection.waitingAddress = null;
		const waiting = (this.#waiting.get(address) ?? 1) - 1;
		if (waiting === 0) this.#waiting.delete(address);
		else this.#waiting.set(address, waiting);
	}

	/** Effects in order; those that effects bring about come after them. */
	#perform(): void {
		if (this.#performing) return;
		this.#performing = true;
		try {
			for (let effects = this.#machine.drain(); effects.length > 0; effects = this.#machine.drain())
				for (const effect of effects) this.#do(effect);
		} finally {
			this.#performing = false;
		}
		this.#arm();
	}

	#do(effect: ServerEffect): void {
		switch (effect.kind) {
			case "send": {
				const { socket } = effect.to as Connection;
				return effect.soon === true ? socket.sendSoon(effect.text) : socket.sendFrame(this.#frameOf(effect.text));
			}
			case "fanout": {
				const [first] = effect.to;
				if (effect.to.length === 1) return (first as Connection).socket.send(effect.text);
				const frame = this.#frameOf(effect.text);
				for (const to of effect.to) (to as Connection).socket.sendFrame(frame);
				return;
			}
			case "close":
				return (effect.socket as Connection).socket.close(effect.code, effect.reason);
			case "verify":
				return void this.#verify(effect.socket as Connection, effect.proof);
			case "save":
				return this.#write({ kind: "save", record: effect.record });
			case "enqueue":
				return this.#write({ kind: "enqueue", delivery: effect.delivery });
			case "dequeue":
				return this.#write({ kind: "dequeue", meshId: effect.meshId, seqs: effect.seqs });
			case "load": {
				void this.#commit();
				const { meshId, limit } = effect;
				let rows: QueuedRow[] | Promise<QueuedRow[]>;
				try {
					rows = this.#store.load(meshId, effect.after, limit);
				} catch (fault) {
					return this.#unreadable(meshId, fault);
				}
				if (!(rows instanceof Promise)) return this.#loaded(meshId, rows, limit);
				const load = ++this.#loadCount;
				this.#loads.set(meshId, load);
				return void this.#loadedLater(meshId, rows, limit, load);
			}
		}
	}

	#loaded(meshId: string, rows: QueuedRow[], limit: number): void {
		this.#machine.loaded(meshId, rows, rows.length < limit, this.#now(), this.#wall());
	}

	async #loadedLater(meshId: string, asked: Promise<QueuedRow[]>, limit: number, load: number): Promise<void> {
		try {
			const rows = await asked;
			if (this.#loads.get(meshId) !== load) return;
			this.#loaded(meshId, rows, limit);
		} catch (fault) {
			if (this.#loads.get(meshId) !== load) return;
			this.#unreadable(meshId, fault);
		}
		this.#loads.delete(meshId);
		this.#perform();
	}

	/** Its mesh comes again, and reads it then. */
	#unreadable(meshId: string, fault: unknown): void {
		this.#deps.logger.warn("a queue could not be read", { meshId, fault: messageOf(fault) });
		this.#machine.unreadable(meshId, this.#now(), this.#wall());
	}

	#write(write: Write): void {
		if (this.#store.add(write)) setImmediate(() => void this.#commit());
	}

	#commit(): void | Promise<void> {
		const done = this.#store.commit();
		return done instanceof Promise ? done.then((each) => this.#committed(each)) : this.#committed(done);
	}

	#committed({ deliveries, ok }: Committed): void {
		if (ok) this.#deps.health.clear(storeFails);
		else this.#deps.health.raise(storeFails);
		if (deliveries.length === 0) return;
		if (ok) this.#machine.stored(deliveries, this.#now());
		else this.#machine.storeFailed(deliveries, this.#now());
		this.#perform();
	}

	async #verify(connection: Connection, proof: Proof): Promise<void> {
		const verdict = await this.#registry.verify(proof).catch((fault: unknown) => {
			this.#deps.logger.error("a login could not be checked", { fault: messageOf(fault) });
			return { ok: false, reason: "limited", retryAfterMs: 5000 } as const;
		});
		if (verdict.ok) this.#noLongerWaiting(connection);
		try {
			// What was said meanwhile is heard with it.
			this.#machine.verified(connection, verdict, this.#now(), this.#wall());
		} catch (fault) {
			this.#failed(connection.socket, fault);
		}
		this.#perform();
	}

	/** The same text to one after another is framed once. */
	#frameOf(text: string): Frame {
		if (this.#lastFrame === null || this.#lastText !== text) {
			this.#lastText = text;
			this.#lastFrame = encodeFrame(text);
		}
		return this.#lastFrame;
	}

	#arm(): void {
		const due = this.#machine.deadline();
		if (due === null || (this.#timer !== null && this.#timer.at <= due)) return;
		this.#timer?.timer.cancel();
		const timer = this.#deps.clock.after(Math.max(0, due - this.#now()), () => {
			this.#timer = null;
			this.#machine.tick(this.#now(), this.#wall());
			this.#perform();
		});
		this.#timer = { at: due, timer };
	}

	#armExpiry(): Timer {
		return this.#deps.clock.after(gatewayServerLimits.expireEveryMs, async () => {
			try {
				const isAway = (meshId: string) => !this.#machine.isOnline(meshId);
				const gone = await this.#store.expire(this.#wall(), isAway, gatewayServerLimits.expireBatch);
				for (const [meshId, rows] of gone) this.#machine.expired(meshId, rows);
			} catch (fault) {
				this.#deps.logger.warn("old messages could not be dropped", { fault: messageOf(fault) });
			}
			this.#expiry = this.#armExpiry();
		});
	}

	#now(): number {
		return this.#deps.clock.monotonic();
	}

	#wall(): number {
		return this.#deps.clock.now();
	}
}

/** Refusals of who asked, and not of how: those have a limit of their own, or cost the sender alone. */
const recorded = new Set(["invitation_required", "mesh_taken"]);

async function readJson(request: Request): Promise<unknown> {
	try {
		return JSON.parse(await request.text());
	} catch (cause) {
		throw gatewayError("bad_mesh", "Invalid JSON: meshId, secret and name are required.", { cause });
	}
}
