import { closeCodes, unreachable } from "@warren/kernel";
import { Answers } from "./answers.ts";
import { Controls } from "./controls.ts";
import { Deliveries } from "./deliveries.ts";
import { type AuthMessage, encodeGroups, parseClientMessage } from "./frames.ts";
import { type GatewayLimits, gatewayLimits } from "./limits.ts";
import type { MachineCore } from "./machine-core.ts";
import type { Delivery } from "./mailbox.ts";
import { admitEachOther, type Mesh, type MeshRecord, none, recordOf } from "./mesh.ts";
import { Meshes } from "./meshes.ts";
import { MinuteLimit } from "./minute-limit.ts";
import { groupOf, Presence } from "./presence.ts";
import { Senders } from "./senders.ts";
import type { ProofVerdict, QueuedRow, QueueState, ServerEffect, SocketId } from "./server-effects.ts";
import { noFeatures, type Session } from "./session.ts";
import { grant, SignIn, welcomeOf } from "./sign-in.ts";

export interface ServerMachineOptions {
	readonly limits?: Partial<GatewayLimits>;
	/** Meshes that have something kept: a queue, interest, lists. */
	readonly records?: readonly MeshRecord[];
	readonly queues?: readonly QueueState[];
	/** A fresh challenge. */
	readonly nonce: () => string;
}

/**
 * The gateway without I/O: takes what connections say and `now` (ms: `monotonic` for waits, `wall` for what is kept on
 * disk), gives effects (`drain`) and its next deadline. Rules: SPEC.md.
 */
export class ServerMachine implements MachineCore {
	readonly limits: GatewayLimits;
	readonly sessions = new Map<SocketId, Session>();
	readonly meshes: Meshes;
	readonly deliveries: Deliveries;
	readonly presence = new Presence();
	/** Not signed in yet, oldest first. */
	readonly #waiting = new Set<Session>();
	readonly #answers: Answers;
	readonly #signIn: SignIn;
	readonly #controls: Controls;
	readonly #senders: Senders;
	readonly #logins: MinuteLimit;
	#effects: ServerEffect[] = [];
	#now = 0;
	#wall = 0;
	#draining = false;

	constructor(options: ServerMachineOptions) {
		this.limits = { ...gatewayLimits, ...options.limits };
		this.#logins = new MinuteLimit(this.limits.loginsPerMinute);
		this.meshes = new Meshes(options.records ?? []);
		this.deliveries = new Deliveries(this.limits, (effect) => this.emit(effect), {
			settled: (sending) => this.#senders.settled(sending),
			failed: (sending) => this.#senders.holdBack(sending),
		});
		for (const state of options.queues ?? []) this.deliveries.restore(this.meshes.known(state.meshId), state);
		this.#answers = new Answers(this, (session, code, reason) => this.#end(session, code, reason));
		this.#signIn = new SignIn(this, this.#answers, options.nonce);
		this.#controls = new Controls(this, this.#answers);
		this.#senders = new Senders(this, this.#answers, options.nonce());
	}

	/** For the parts, as all of `MachineCore` is. */
	emit(effect: ServerEffect): void {
		this.#effects.push(effect);
	}

	get now(): number {
		return this.#now;
	}

	get wall(): number {
		return this.#wall;
	}

	/** Meshes that are signed in. */
	get connected(): number {
		return this.meshes.onlineCount;
	}

	isOnline(meshId: string): boolean {
		return this.meshes.get(meshId)?.session != null;
	}

	/** Messages on disk. */
	get queued(): number {
		return this.deliveries.queuedCount;
	}

	/** What is to be done, in order; asked after every call. */
	drain(): ServerEffect[] {
		const effects = this.#effects;
		if (effects.length > 0) this.#effects = [];
		return effects;
	}

	/** Monotonic, ms; null = nothing waits. */
	deadline(): number | null {
		// Asked after every message.
		let due = this.presence.dueAt ?? Number.POSITIVE_INFINITY;
		due = Math.min(due, this.deliveries.deadline() ?? Number.POSITIVE_INFINITY);
		if (this.#waiting.size > 0) {
			const [oldest] = this.#waiting as Iterable<Session> as [Session];
			due = Math.min(due, oldest.openedAt + this.limits.authMs);
		}
		return due === Number.POSITIVE_INFINITY ? null : due;
	}

	tick(now: number, wall: number): void {
		this.#at(now, wall);
		for (const session of this.#waiting) {
			if (session.openedAt + this.limits.authMs > now) break;
			this.#answers.refuse(session, "Auth timeout");
			this.#end(session, closeCodes.unavailable, "Auth timeout");
		}
		this.deliveries.tick(now);
		if (this.presence.dueAt !== null && this.presence.dueAt <= now)
			this.#effects.push(...this.presence.tell(this.meshes.online));
	}

	/** @returns what `hear` takes. */
	opened(socket: SocketId, from: { readonly address: string; readonly host: string }, now: number): Session {
		const session: Session = {
			socket,
			...from,
			openedAt: now,
			state: { at: "new", said: 0 },
			features: noFeatures,
			target: null,
			sent: 0,
			acknowledged: 0,
			blockedOn: null,
		};
		this.sessions.set(socket, session);
		this.#waiting.add(session);
		if (this.#draining) this.#end(session, closeCodes.draining, "the gateway is stopping");
		return session;
	}

	/** Matched by socket: the end of one that was replaced changes nothing (rule G4). */
	closed(socket: SocketId, now: number, wall: number): void {
		this.#at(now, wall);
		const session = this.sessions.get(socket);
		if (session === undefined) return;
		this.#leave(session);
		this.sessions.delete(socket);
	}

	receive(socket: SocketId, text: string, now: number, wall: number): void {
		const session = this.sessions.get(socket);
		if (session !== undefined) this.hear(session, text, now, wall);
	}

	/** As `receive`, for whoever kept what `opened` gave. */
	hear(session: Session, text: string, now: number, wall: number): void {
		this.#at(now, wall);
		switch (session.state.at) {
			case "new":
			case "challenged":
				return this.#signIn.hear(session, session.state, text);
			case "verifying":
				return this.#signIn.hold(session, session.state, text);
			case "in":
				return this.#handle(session, session.state.mesh, text);
			case "over":
				return;
			default:
				return unreachable(session.state);
		}
	}

	/** The answer to a `verify`. */
	verified(socket: SocketId, verdict: ProofVerdict, now: number, wall: number): void {
		this.#at(now, wall);
		const session = this.sessions.get(socket);
		if (session === undefined || session.state.at !== "verifying") return;
		const { auth, held } = session.state;
		if (!verdict.ok) return this.#signIn.refused(session, verdict);
		const retryAfterMs = this.#logins.take(verdict.meshId, now);
		if (retryAfterMs > 0)
			return this.#signIn.refused(session, { ok: false, reason: "limited", retryAfterMs }, "of this mesh");
		this.#enter(session, auth, verdict);
		for (const text of held) this.receive(socket, text, now, wall);
	}

	stored(deliveries: readonly Delivery[], now: number): void {
		this.#now = now;
		this.deliveries.stored(deliveries);
	}

	storeFailed(deliveries: readonly Delivery[], now: number): void {
		this.#now = now;
		this.deliveries.storeFailed(deliveries);
	}

	/** @param complete whether the queue ended with these. */
	loaded(meshId: string, rows: readonly QueuedRow[], complete: boolean, now: number, wall: number): void {
		this.#at(now, wall);
		const mesh = this.meshes.get(meshId);
		if (mesh !== null) this.deliveries.loaded(mesh, rows, complete, now, wall);
	}

	/** The queue cannot be read now: its mesh is told to come again. */
	unreadable(meshId: string, now: number, wall: number): void {
		this.#at(now, wall);
		const session = this.meshes.get(meshId)?.session;
		if (session != null) this.#end(session, closeCodes.unavailable, "the queue cannot be read now");
	}

	/** Rows that the store has dropped because their time was over. */
	expired(meshId: string, rows: readonly QueuedRow[]): void {
		const mesh = this.meshes.get(meshId);
		if (mesh !== null) this.deliveries.expired(mesh, rows);
	}

	/** The mesh's registration is gone or its secret was changed: whoever is in with the old one is out. */
	revoked(meshId: string, now: number, wall: number): void {
		this.#at(now, wall);
		const session = this.meshes.get(meshId)?.session;
		if (session != null) this.#end(session, closeCodes.signIn, "the credentials of this mesh were changed");
		// Whoever is being looked at may show the old ones: it comes again, and shows what counts now.
		for (const waiting of [...this.#waiting])
			if (waiting.state.at === "verifying" && waiting.state.auth.meshId === meshId)
				this.#end(waiting, closeCodes.unavailable, "the credentials of this mesh were changed meanwhile");
	}

	/** Rule G18. Sockets close once what is on its way to them is on disk. */
	stop(now: number, wall: number): void {
		this.#at(now, wall);
		this.#draining = true;
		const sessions = [...this.sessions.values()].filter((session) => session.state.at !== "over");
		const told = sessions.filter((session) => session.features.size > 0).map((session) => session.socket);
		if (told.length > 0) {
			const text = JSON.stringify({ type: "gateway_drain", retryAfterMs: this.limits.drainRetryMs });
			this.emit({ kind: "fanout", to: told, text });
		}
		for (const session of sessions) this.#end(session, closeCodes.draining, "the gateway is stopping");
	}

	#at(now: number, wall: number): void {
		this.#now = now;
		this.#wall = wall;
	}

	#enter(session: Session, auth: AuthMessage, who: { readonly meshId: string; readonly name: string }): void {
		const older = this.meshes.get(who.meshId)?.session ?? null;
		if (older !== null) this.#end(older, closeCodes.replaced, "replaced by a newer login: do not reconnect");
		const { mesh, kept } = this.meshes.enter(who.meshId, who.name);
		this.#waiting.delete(session);
		session.features = grant(auth.features ?? none);
		session.state = { at: "in", mesh };
		mesh.name = who.name;
		mesh.head = null;
		mesh.publicRooms = auth.publicRooms.length === 0 ? none : auth.publicRooms;
		mesh.participants = auth.participants.length === 0 ? none : auth.participants;
		const durable = session.features.has("queue");
		const rooms = session.features.has("interest") ? (mesh.rooms ?? none) : null;
		const changed = mesh.durable !== durable || (durable && (mesh.rooms === null) !== (rooms === null));
		mesh.durable = durable;
		this.meshes.arrive(mesh, session);
		this.meshes.setRooms(mesh, rooms);
		if (changed || (durable && !kept)) this.emit({ kind: "save", record: recordOf(mesh) });
		this.#answers.say(session, welcomeOf(session, mesh, this.limits));
		const groups = [...this.meshes.withParticipants()]
			.filter((other) => other !== mesh && admitEachOther(mesh, other))
			.map(groupOf);
		if (groups.length > 0) this.#answers.say(session, encodeGroups(groups));
		this.presence.joined(mesh, this.#now, this.limits.presenceMs);
		if (durable) this.deliveries.arrived(mesh);
	}

	#handle(session: Session, mesh: Mesh, text: string): void {
		const message = parseClientMessage(text);
		switch (message.type) {
			case "fault":
				return this.#answers.fault(session, mesh, message.message);
			case "gateway_auth":
				return this.#answers.fault(session, mesh, "gateway_auth: this connection is signed in already");
			case "gateway_relay":
			case "gateway_broadcast":
				return this.#senders.pass(session, mesh, message);
			default:
				return this.#controls.hear(session, mesh, message);
		}
	}

	/** The connection stands for its mesh no more; what it had on its way goes to disk. */
	#leave(session: Session): void {
		this.#waiting.delete(session);
		const { state } = session;
		session.state = { at: "over" };
		if (state.at !== "in") return;
		const { mesh } = state;
		this.deliveries.left(mesh);
		this.presence.left(mesh, mesh.participants.length > 0, this.#now, this.limits.presenceMs);
		this.meshes.offline(mesh);
	}

	#end(session: Session, code: number, reason: string): void {
		this.#leave(session);
		this.emit({ kind: "close", socket: session.socket, code, reason });
	}
}
