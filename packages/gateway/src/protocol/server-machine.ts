import { closeCodes, unreachable } from "@warren/kernel";
import { Deliveries } from "./deliveries.ts";
import {
	type AuthMessage,
	type ControlMessage,
	challengeText,
	encodeGroups,
	type Feature,
	features as knownFeatures,
	parseClientMessage,
	type SendMessage,
} from "./frames.ts";
import { type GatewayLimits, gatewayLimits } from "./limits.ts";
import type { Delivery } from "./mailbox.ts";
import { admitEachOther, type Mesh, type MeshRecord, none, recordOf } from "./mesh.ts";
import { Meshes } from "./meshes.ts";
import { MinuteLimit } from "./minute-limit.ts";
import { groupOf, instanceOf, Presence } from "./presence.ts";
import { holdsBack, RememberedIds, receiptOf, type Sending } from "./sending.ts";
import type { Proof, ProofVerdict, QueuedRow, QueueState, ServerEffect, SocketId } from "./server-effects.ts";
import { noFeatures, type Session } from "./session.ts";

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
export class ServerMachine {
	readonly #limits: GatewayLimits;
	readonly #nonce: () => string;
	readonly #sessions = new Map<SocketId, Session>();
	/** Not signed in yet, oldest first. */
	readonly #waiting = new Set<Session>();
	readonly #meshes: Meshes;
	readonly #deliveries: Deliveries;
	readonly #presence = new Presence();
	readonly #remembered: RememberedIds;
	readonly #messages: MinuteLimit;
	readonly #changes: MinuteLimit;
	readonly #discoveries: MinuteLimit;
	readonly #faults: MinuteLimit;
	#effects: ServerEffect[] = [];
	#now = 0;
	#wall = 0;
	#draining = false;
	#order = 0;

	constructor(options: ServerMachineOptions) {
		this.#limits = { ...gatewayLimits, ...options.limits };
		this.#nonce = options.nonce;
		this.#meshes = new Meshes(options.records ?? []);
		this.#deliveries = new Deliveries(this.#limits, (effect) => this.#effects.push(effect), {
			settled: this.#settled,
			failed: this.#holdBack,
		});
		for (const state of options.queues ?? []) this.#deliveries.restore(this.#meshes.known(state.meshId), state);
		this.#remembered = new RememberedIds(this.#limits.maxRememberedIds, this.#limits.rememberMs);
		this.#messages = new MinuteLimit(this.#limits.messagesPerMinute);
		this.#changes = new MinuteLimit(this.#limits.changesPerMinute);
		this.#discoveries = new MinuteLimit(this.#limits.discoveriesPerMinute);
		this.#faults = new MinuteLimit(this.#limits.maxFaultsPerMinute);
	}

	/** Meshes that are signed in. */
	get connected(): number {
		return this.#meshes.onlineCount;
	}

	isOnline(meshId: string): boolean {
		return this.#meshes.get(meshId)?.session != null;
	}

	/** Messages on disk. */
	get queued(): number {
		return this.#deliveries.queuedCount;
	}

	/** What is to be done, in order; asked after every call. */
	drain(): ServerEffect[] {
		const effects = this.#effects;
		this.#effects = [];
		return effects;
	}

	/** Monotonic, ms; null = nothing waits. */
	deadline(): number | null {
		const [oldest] = this.#waiting;
		const times = [
			oldest === undefined ? null : oldest.openedAt + this.#limits.authMs,
			this.#presence.dueAt,
			this.#deliveries.deadline(),
		].filter((each) => each !== null);
		return times.length === 0 ? null : Math.min(...times);
	}

	tick(now: number, wall: number): void {
		this.#at(now, wall);
		for (const session of this.#waiting) {
			if (session.openedAt + this.#limits.authMs > now) break;
			this.#sendError(session, "Auth timeout");
			this.#end(session, closeCodes.unavailable, "Auth timeout");
		}
		this.#deliveries.tick(now);
		if (this.#presence.dueAt !== null && this.#presence.dueAt <= now)
			this.#effects.push(...this.#presence.tell(this.#meshes.online));
	}

	opened(socket: SocketId, from: { readonly address: string; readonly host: string }, now: number): void {
		const session: Session = {
			socket,
			...from,
			openedAt: now,
			state: { at: "new", said: 0 },
			features: noFeatures,
			sent: 0,
			acknowledged: 0,
			blockedOn: null,
		};
		this.#sessions.set(socket, session);
		this.#waiting.add(session);
		if (this.#draining) this.#end(session, closeCodes.draining, "the gateway is stopping");
	}

	/** Matched by socket: the end of one that was replaced changes nothing (rule G4). */
	closed(socket: SocketId, now: number, wall: number): void {
		this.#at(now, wall);
		const session = this.#sessions.get(socket);
		if (session === undefined) return;
		this.#leave(session);
		this.#sessions.delete(socket);
	}

	receive(socket: SocketId, text: string, now: number, wall: number): void {
		this.#at(now, wall);
		const session = this.#sessions.get(socket);
		if (session === undefined) return;
		switch (session.state.at) {
			case "new":
			case "challenged":
				return this.#beforeAuth(session, session.state, text);
			case "verifying": {
				const { held } = session.state;
				session.state = { ...session.state, heldBytes: session.state.heldBytes + text.length };
				held.push(text);
				if (held.length > this.#limits.maxHeldMessages || session.state.heldBytes > this.#limits.maxHeldBytes)
					this.#end(session, closeCodes.badRequest, "too much was sent before the login was answered");
				return;
			}
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
		const session = this.#sessions.get(socket);
		if (session === undefined || session.state.at !== "verifying") return;
		const { auth, held } = session.state;
		if (!verdict.ok) {
			const limited = verdict.reason === "limited";
			const message = limited
				? `Too many logins from your address: try again in ${seconds(verdict.retryAfterMs)}`
				: "Invalid credentials";
			this.#sendError(session, message);
			this.#end(session, limited ? closeCodes.unavailable : closeCodes.signIn, message);
			return;
		}
		this.#enter(session, auth, verdict);
		for (const text of held) this.receive(socket, text, now, wall);
	}

	stored(deliveries: readonly Delivery[], now: number): void {
		this.#now = now;
		this.#deliveries.stored(deliveries);
	}

	storeFailed(deliveries: readonly Delivery[], now: number): void {
		this.#now = now;
		this.#deliveries.storeFailed(deliveries);
	}

	/** @param complete whether the queue ended with these. */
	loaded(meshId: string, rows: readonly QueuedRow[], complete: boolean, now: number, wall: number): void {
		this.#at(now, wall);
		const mesh = this.#meshes.get(meshId);
		if (mesh !== null) this.#deliveries.loaded(mesh, rows, complete, now, wall);
	}

	/** The queue cannot be read now: its mesh is told to come again. */
	unreadable(meshId: string, now: number, wall: number): void {
		this.#at(now, wall);
		const session = this.#meshes.get(meshId)?.session;
		if (session != null) this.#end(session, closeCodes.unavailable, "the queue cannot be read now");
	}

	/** Rows that the store has dropped because their time was over. */
	expired(meshId: string, rows: readonly QueuedRow[]): void {
		const mesh = this.#meshes.get(meshId);
		if (mesh !== null) this.#deliveries.expired(mesh, rows);
	}

	/** The mesh's registration is gone or its secret was changed: whoever is in with the old one is out. */
	revoked(meshId: string, now: number, wall: number): void {
		this.#at(now, wall);
		const session = this.#meshes.get(meshId)?.session;
		if (session != null) this.#end(session, closeCodes.signIn, "the credentials of this mesh were changed");
	}

	/** Rule G18. Sockets close once what is on its way to them is on disk. */
	stop(now: number, wall: number): void {
		this.#at(now, wall);
		this.#draining = true;
		const sessions = [...this.#sessions.values()].filter((session) => session.state.at !== "over");
		const told = sessions.filter((session) => session.features.size > 0).map((session) => session.socket);
		if (told.length > 0) {
			const text = JSON.stringify({ type: "gateway_drain", retryAfterMs: this.#limits.drainRetryMs });
			this.#effects.push({ kind: "fanout", to: told, text });
		}
		for (const session of sessions) this.#end(session, closeCodes.draining, "the gateway is stopping");
	}

	#at(now: number, wall: number): void {
		this.#now = now;
		this.#wall = wall;
	}

	#beforeAuth(session: Session, state: { readonly said: number; readonly nonce?: string }, text: string): void {
		const message = parseClientMessage(text);
		const said = state.said + 1;
		session.state = state.nonce === undefined ? { at: "new", said } : { at: "challenged", said, nonce: state.nonce };
		if (said > this.#limits.maxUnauthenticatedMessages)
			return this.#end(session, closeCodes.badRequest, "too many messages before gateway_auth");
		if (message.type !== "gateway_auth")
			return this.#sendError(session, message.type === "fault" ? message.message : "Not authenticated");
		const { auth } = message;
		const proof = this.#proofOf(session, state.nonce ?? null, auth);
		if (proof === "challenge") {
			const nonce = this.#nonce();
			session.state = { at: "challenged", said, nonce };
			return this.#send(session, JSON.stringify({ type: "gateway_challenge", nonce }));
		}
		session.state = { at: "verifying", auth, held: [], heldBytes: 0 };
		this.#effects.push({ kind: "verify", socket: session.socket, proof });
	}

	#proofOf(session: Session, nonce: string | null, auth: AuthMessage): Proof | "challenge" {
		const { meshId, secret, publicKey, signature } = auth;
		const { address } = session;
		if (publicKey === undefined) return { by: "secret", meshId, secret: secret ?? "", address };
		if (signature === undefined) return "challenge";
		// A nonce that was not given on this connection signs nothing here.
		const text = auth.nonce === nonce && nonce !== null ? challengeText(session.host, meshId, nonce) : "";
		return { by: "key", meshId, publicKey, signature, text, address };
	}

	#enter(session: Session, auth: AuthMessage, who: { readonly meshId: string; readonly name: string }): void {
		const older = this.#meshes.get(who.meshId)?.session ?? null;
		if (older !== null) this.#end(older, closeCodes.replaced, "replaced by a newer login: do not reconnect");
		const { mesh, kept } = this.#meshes.enter(who.meshId, who.name);
		this.#waiting.delete(session);
		session.features = grant(auth.features ?? none);
		session.state = { at: "in", mesh };
		mesh.name = who.name;
		mesh.publicRooms = auth.publicRooms.length === 0 ? none : auth.publicRooms;
		mesh.participants = auth.participants.length === 0 ? none : auth.participants;
		const durable = session.features.has("queue");
		const rooms = session.features.has("interest") ? (mesh.rooms ?? none) : null;
		const changed = mesh.durable !== durable || (durable && (mesh.rooms === null) !== (rooms === null));
		mesh.durable = durable;
		this.#meshes.arrive(mesh, session);
		this.#meshes.setRooms(mesh, rooms);
		if (changed || (durable && !kept)) this.#effects.push({ kind: "save", record: recordOf(mesh) });
		this.#send(session, this.#welcome(session, mesh));
		const groups = [...this.#meshes.withParticipants()]
			.filter((other) => other !== mesh && admitEachOther(mesh, other))
			.map(groupOf);
		if (groups.length > 0) this.#send(session, encodeGroups(groups));
		this.#presence.joined(mesh, this.#now, this.#limits.presenceMs);
		if (durable) this.#deliveries.arrived(mesh);
	}

	#welcome(session: Session, mesh: Mesh): string {
		const { payloadBytes, messagesPerMinute, ttlMs } = this.#limits;
		const { meshId, name } = mesh;
		return JSON.stringify({
			type: "gateway_auth_ok",
			meshId,
			name,
			...(session.features.size === 0
				? {}
				: { features: [...session.features], limits: { payloadBytes, messagesPerMinute, ttlMs } }),
		});
	}

	#handle(session: Session, mesh: Mesh, text: string): void {
		const message = parseClientMessage(text);
		switch (message.type) {
			case "fault":
				return this.#fault(session, mesh, message.message);
			case "gateway_auth":
				return this.#fault(session, mesh, "gateway_auth: this connection is signed in already");
			case "gateway_relay":
			case "gateway_broadcast":
				return this.#pass(session, mesh, message);
			default:
				return this.#control(session, mesh, message);
		}
	}

	#control(session: Session, mesh: Mesh, message: ControlMessage): void {
		switch (message.type) {
			case "gateway_ack":
				return this.#acknowledge(session, mesh, message.count);
			case "gateway_ping": {
				const token = message.token === undefined ? {} : { token: message.token };
				return this.#send(session, JSON.stringify({ type: "gateway_pong", ...token }));
			}
			case "gateway_pong":
				return;
			case "gateway_discover":
				return this.#discover(session, mesh);
			default: {
				const waitMs = this.#changes.take(mesh.meshId, this.#now);
				if (waitMs > 0)
					return this.#limited(session, `Rate limited (max ${this.#limits.changesPerMinute} changes/minute)`, waitMs);
				return this.#change(session, mesh, message);
			}
		}
	}

	#change(
		session: Session,
		mesh: Mesh,
		message: Exclude<ControlMessage, { type: "gateway_ack" | "gateway_ping" | "gateway_pong" | "gateway_discover" }>,
	): void {
		switch (message.type) {
			case "gateway_update_rooms":
				mesh.publicRooms = message.publicRooms;
				return;
			case "gateway_update_participants":
				this.#meshes.setParticipants(mesh, message.participants);
				this.#presence.participants(mesh, this.#now, this.#limits.presenceMs);
				return;
			case "gateway_interest":
				if (!session.features.has("interest"))
					return this.#fault(session, mesh, "gateway_interest: this connection did not name the feature interest");
				this.#meshes.setRooms(mesh, message.rooms);
				break;
			case "gateway_access":
				mesh.allow = message.allow === null ? null : new Set(message.allow);
				mesh.block = message.block.length === 0 ? null : new Set(message.block);
				break;
			default:
				return unreachable(message);
		}
		this.#effects.push({ kind: "save", record: recordOf(mesh) });
		this.#send(session, JSON.stringify({ type: "gateway_ok", of: message.type }));
	}

	#discover(session: Session, mesh: Mesh): void {
		const waitMs = this.#discoveries.take(mesh.meshId, this.#now);
		if (waitMs > 0)
			return this.#limited(
				session,
				`Rate limited (max ${this.#limits.discoveriesPerMinute} discoveries/minute)`,
				waitMs,
			);
		const instances = [];
		for (const other of this.#meshes.online) {
			if (instances.length >= this.#limits.maxDiscovered) break;
			if (other === mesh || admitEachOther(mesh, other)) instances.push(instanceOf(other));
		}
		this.#send(session, JSON.stringify({ type: "gateway_discover_result", instances }));
	}

	#acknowledge(session: Session, mesh: Mesh, count: number): void {
		if (!session.features.has("queue") || count < session.acknowledged || count > session.sent) {
			const why = `${count} acknowledged, ${session.sent} sent`;
			return this.#fault(session, mesh, `gateway_ack: the count does not fit (${why})`);
		}
		const fresh = count - session.acknowledged;
		session.acknowledged = count;
		this.#deliveries.acknowledge(mesh, fresh);
	}

	#pass(session: Session, mesh: Mesh, message: SendMessage): void {
		const receipts = session.features.has("receipts");
		if (receipts && message.id === null)
			return this.#fault(session, mesh, `${message.type}: with receipts every message needs an id`);
		const sending: Sending = {
			mesh,
			id: message.id ?? "",
			key: receipts ? `${mesh.meshId}\n${message.id}` : "",
			broadcast: message.targetMeshId === null,
			at: this.#now,
			order: this.#order++,
			socket: session.socket,
			waiting: 1,
			delivered: 0,
			queued: 0,
			offline: 0,
			refusal: null,
			failed: [],
			receipt: null,
		};
		if (receipts) {
			if (this.#isHeldBack(session, sending)) return;
			const before = this.#remembered.get(sending.key, this.#now);
			if (before !== null) {
				// Its receipt goes to where it was asked for last; if it is known, at once.
				before.socket = session.socket;
				before.order = sending.order;
				if (before.receipt !== null && before.failed.length > 0)
					return this.#deliveries.passAgain(before, message, this.#now, this.#wall);
				if (before.receipt !== null) this.#deliveries.receipt(before);
				else if (before.failed.length > 0) this.#holdBack(before);
				return;
			}
		}
		const refusal = this.#refusalOf(mesh, message);
		if (refusal !== null) {
			if (!receipts) return this.#sendError(session, refusal.message);
			sending.refusal = refusal;
			return this.#deliveries.done(sending);
		}
		if (receipts) this.#remembered.add(sending);
		this.#deliveries.pass(sending, this.#targets(mesh, message), message, this.#now, this.#wall);
	}

	/** Rule G13: after a rejection nothing overtakes what was rejected. */
	#isHeldBack(session: Session, sending: Sending): boolean {
		if (session.blockedOn === null) return false;
		if (session.blockedOn.id === sending.id) {
			session.blockedOn = null;
			return false;
		}
		this.#deliveries.receipt({
			...sending,
			refusal: {
				code: "after_rejected",
				message: `"${session.blockedOn.id}" was rejected and comes first`,
				retryAfterMs: 0,
			},
		});
		return true;
	}

	#refusalOf(mesh: Mesh, message: SendMessage) {
		const { payloadBytes, messagesPerMinute } = this.#limits;
		if (message.payloadBytes > payloadBytes) {
			return {
				code: "too_large",
				message: `Payload too large (max ${payloadBytes} bytes): this one has ${message.payloadBytes}`,
			};
		}
		const waitMs = this.#messages.take(mesh.meshId, this.#now);
		if (waitMs === 0) return null;
		return {
			code: "rate_limited",
			message: `Rate limited (max ${messagesPerMinute} messages/minute): try again in ${seconds(waitMs)}`,
			retryAfterMs: waitMs,
		};
	}

	*#targets(from: Mesh, message: SendMessage): Iterable<Mesh> {
		if (message.targetMeshId !== null) {
			const target = this.#meshes.get(message.targetMeshId);
			if (target !== null && admitEachOther(from, target)) yield target;
			return;
		}
		for (const target of this.#meshes.audience(message.room))
			if (target !== from && admitEachOther(from, target)) yield target;
	}

	/** A receipt is known: the retryable ones are forgotten, so that the id may come again. */
	#settled = (sending: Sending): void => {
		sending.receipt = receiptOf(sending);
		if (sending.receipt.retryAfterMs === undefined) return;
		if (sending.failed.length === 0) this.#remembered.forget(sending);
		if (holdsBack(sending.receipt)) this.#holdBack(sending);
	};

	/** Also before its receipt is known: others may take their time to acknowledge, and nothing may overtake it meanwhile. */
	#holdBack = (sending: Sending): void => {
		const session = this.#sessions.get(sending.socket);
		if (session?.features.has("ordered") !== true) return;
		const { id, order } = sending;
		if (session.blockedOn === null || order < session.blockedOn.order) session.blockedOn = { id, order };
	};

	/** The connection stands for its mesh no more; what it had on its way goes to disk. */
	#leave(session: Session): void {
		this.#waiting.delete(session);
		const { state } = session;
		session.state = { at: "over" };
		if (state.at !== "in") return;
		const { mesh } = state;
		this.#deliveries.left(mesh);
		this.#presence.left(mesh, mesh.participants.length > 0, this.#now, this.#limits.presenceMs);
		this.#meshes.offline(mesh);
	}

	#end(session: Session, code: number, reason: string): void {
		this.#leave(session);
		this.#effects.push({ kind: "close", socket: session.socket, code, reason });
	}

	#fault(session: Session, mesh: Mesh, message: string): void {
		this.#sendError(session, message);
		if (this.#faults.take(mesh.meshId, this.#now) > 0)
			this.#end(session, closeCodes.badRequest, `too many malformed messages; the last: ${message}`);
	}

	#limited(session: Session, what: string, retryAfterMs: number): void {
		const message = `${what}: try again in ${seconds(retryAfterMs)}`;
		const extra = session.features.size === 0 ? {} : { code: "rate_limited", retryAfterMs };
		this.#send(session, JSON.stringify({ type: "error", message, ...extra }));
	}

	/** In the words of the original: `gateway_auth_error` until somebody is in, `error` after that. */
	#sendError(session: Session, message: string): void {
		const type = session.state.at === "in" ? "error" : "gateway_auth_error";
		this.#send(session, JSON.stringify({ type, message }));
	}

	#send(session: Session, text: string): void {
		this.#effects.push({ kind: "send", to: session.socket, text });
	}
}

function grant(named: readonly string[]): ReadonlySet<Feature> {
	if (named.length === 0) return noFeatures;
	const granted = new Set(knownFeatures.filter((each) => named.includes(each)));
	if (!granted.has("receipts")) granted.delete("ordered");
	return granted;
}

const seconds = (ms: number) => `${Math.ceil(ms / 1000)} s`;
