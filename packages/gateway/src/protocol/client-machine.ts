import { closeCodes, type FederatedIncoming, type OutboxEntry, type OutboxOutcome, RateLimit } from "@warren/kernel";
import { envelopeText } from "./envelope.ts";
import { challengeText, type Instance, type Outcome, type Participant, type ParticipantGroup } from "./frames.ts";
import { clientLimits as limits } from "./limits.ts";

export interface Announcement {
	readonly publicRooms: readonly string[];
	readonly participants: readonly Participant[];
	/** Rooms whose broadcasts this mesh wants. */
	readonly interest: readonly string[];
	/** Whom this mesh talks with; `allow` null = everybody that is not blocked. */
	readonly access: { readonly allow: readonly string[] | null; readonly block: readonly string[] };
}

export interface ClientCredentials {
	readonly meshId: string;
	readonly secret: string;
	/** As it is dialled, with its port where the address has one. */
	readonly host: string;
	/** Signs what this mesh says. */
	readonly key: { readonly publicKey: string; sign(text: string): string };
	/** `key` where the gateway has it: the secret then stays here. */
	readonly login: "secret" | "key";
}

/** What the loop does for the machine, in order. */
export type ClientEffect =
	| { readonly kind: "send"; readonly text: string }
	| { readonly kind: "close"; readonly reason: string }
	/** Keep it; answered by `kept` or `notKept`. */
	| { readonly kind: "keep"; readonly message: Omit<FederatedIncoming, "signedBy"> }
	| { readonly kind: "settle"; readonly seq: number; readonly outcome: OutboxOutcome }
	/** Answered by `offer`: entries above `after`, oldest first. */
	| { readonly kind: "pull"; readonly after: number; readonly limit: number }
	| { readonly kind: "signed-in"; readonly name: string; readonly features: readonly string[] }
	| { readonly kind: "instances"; readonly instances: readonly Instance[] }
	| { readonly kind: "participants"; readonly groups: readonly ParticipantGroup[] }
	| { readonly kind: "presence"; readonly joined: readonly Instance[]; readonly left: readonly string[] }
	/** The gateway says no, and will not change its mind. */
	| { readonly kind: "refused"; readonly message: string }
	| { readonly kind: "drain"; readonly retryAfterMs: number };

/**
 *   idle ──opened──► greeting ──auth_ok──► in ──closed──► idle
 *                       └──auth_error──► (closes)
 */
type State =
	| { readonly at: "idle" }
	| { readonly at: "greeting"; readonly since: number }
	| { readonly at: "in"; readonly features: ReadonlySet<string> };

/** One mesh's side of one gateway, without I/O. Rules C1 to C6. Times are monotonic milliseconds. */
export class ClientMachine {
	readonly #credentials: ClientCredentials;
	readonly #pace: RateLimit;
	#state: State = { at: "idle" };
	#announced: Announcement = {
		publicRooms: [],
		participants: [],
		interest: [],
		access: { allow: null, block: [] },
	};
	#effects: ClientEffect[] = [];
	#now = 0;
	/** Sent, oldest first, and without a receipt. */
	#inflight: OutboxEntry[] = [];
	/** Highest seq sent on this connection. */
	#sentThrough = 0;
	#more = true;
	#pulling = false;
	/** After a rejection: nothing goes out before. */
	#heldUntil: number | null = null;
	#taken = 0;
	#toldTaken = 0;
	/** When the next acknowledgement is due. */
	#tellAt: number | null = null;
	#heardAt = 0;
	#pingedAt: number | null = null;

	constructor(credentials: ClientCredentials) {
		this.#credentials = credentials;
		const clock = { now: () => this.#now, monotonic: () => this.#now, after: () => ({ cancel() {} }) };
		this.#pace = new RateLimit(clock, {
			perSecond: limits.plainPerMinute / 60,
			burst: limits.plainPerMinute,
			maxKeys: 1,
		});
	}

	get isIn(): boolean {
		return this.#state.at === "in";
	}

	drain(): ClientEffect[] {
		const effects = this.#effects;
		this.#effects = [];
		return effects;
	}

	deadline(): number | null {
		const { at } = this.#state;
		if (at === "idle") return null;
		if (at === "greeting") return this.#state.since + limits.authMs;
		const alive = this.#pingedAt === null ? this.#heardAt + limits.pingMs : this.#pingedAt + limits.pongMs;
		return Math.min(alive, this.#heldUntil ?? alive, this.#tellAt ?? alive);
	}

	opened(announcement: Announcement, now: number): void {
		this.#now = now;
		this.#announced = announcement;
		this.#state = { at: "greeting", since: now };
		this.#inflight = [];
		this.#sentThrough = 0;
		this.#more = true;
		this.#pulling = false;
		this.#heldUntil = null;
		this.#taken = 0;
		this.#toldTaken = 0;
		this.#tellAt = null;
		this.#heardAt = now;
		this.#pingedAt = null;
		const { meshId, secret, key, login } = this.#credentials;
		if (login === "secret") this.#signIn({ meshId, secret });
		else this.#send({ type: "gateway_auth", meshId, publicKey: key.publicKey });
	}

	closed(code: number, reason: string): void {
		this.#state = { at: "idle" };
		this.#inflight = [];
		if (code === closeCodes.replaced)
			this.#effects.push({ kind: "refused", message: "another node signed in with this mesh id" });
		else if (code === closeCodes.signIn || code === closeCodes.forbidden)
			this.#effects.push({ kind: "refused", message: reason === "" ? "the gateway refused the credentials" : reason });
	}

	tick(now: number): void {
		this.#now = now;
		if (this.#state.at === "greeting" && this.#state.since + limits.authMs <= now)
			return void this.#effects.push({ kind: "close", reason: "the gateway did not answer the login" });
		if (this.#state.at !== "in") return;
		if (this.#tellAt !== null && this.#tellAt <= now) this.#tell();
		if (this.#heldUntil !== null && this.#heldUntil <= now) {
			this.#heldUntil = null;
			this.#pull();
		}
		if (this.#pingedAt !== null) {
			if (this.#pingedAt + limits.pongMs <= now)
				this.#effects.push({ kind: "close", reason: "the gateway fell silent" });
		} else if (this.#heardAt + limits.pingMs <= now && this.#state.features.size > 0) {
			this.#pingedAt = now;
			this.#send({ type: "gateway_ping" });
		} else if (this.#heardAt + limits.pingMs <= now) this.#heardAt = now;
	}

	receive(text: string, now: number): void {
		this.#now = now;
		this.#heardAt = now;
		this.#pingedAt = null;
		const message = parse(text);
		if (message === null) return;
		switch (message["type"]) {
			case "gateway_challenge":
				return this.#challenged(message);
			case "gateway_auth_ok":
				return this.#signedIn(message);
			case "gateway_auth_error": {
				const why = String(message["message"]).slice(0, 200);
				if (/^Invalid credentials/.test(why)) this.#effects.push({ kind: "refused", message: why });
				return void this.#effects.push({ kind: "close", reason: why });
			}
			case "gateway_incoming":
				return this.#incoming(message);
			case "gateway_receipt":
				return this.#receipt(message);
			case "gateway_discover_result":
				return void this.#effects.push({ kind: "instances", instances: instancesOf(message["instances"]) });
			case "gateway_participants":
				return void this.#effects.push({ kind: "participants", groups: groupsOf(message["remoteParticipants"]) });
			case "gateway_joined":
				return void this.#effects.push({ kind: "presence", joined: instancesOf(message["instances"]), left: [] });
			case "gateway_left":
				return void this.#effects.push({ kind: "presence", joined: [], left: stringsOf(message["meshIds"]) });
			case "gateway_ping":
				return this.#send({ type: "gateway_pong" });
			case "gateway_drain":
				return void this.#effects.push({ kind: "drain", retryAfterMs: Number(message["retryAfterMs"]) || 0 });
			default:
				// A newer gateway may say what this client does not know.
				return;
		}
	}

	/** There is something new to send. */
	wake(now: number): void {
		this.#now = now;
		this.#more = true;
		this.#pull();
	}

	offer(entries: readonly OutboxEntry[], now: number): void {
		this.#now = now;
		this.#pulling = false;
		if (this.#state.at !== "in") return;
		const plain = !this.#state.features.has("receipts");
		this.#more = entries.length > 0;
		for (const entry of entries) {
			if (entry.seq <= this.#sentThrough) continue;
			if (plain) {
				const waitMs = this.#pace.take("all");
				if (waitMs > 0) {
					this.#heldUntil = now + waitMs;
					return;
				}
			}
			this.#sentThrough = entry.seq;
			this.#send({
				type: entry.targetMeshId === null ? "gateway_broadcast" : "gateway_relay",
				...(entry.targetMeshId === null ? {} : { targetMeshId: entry.targetMeshId }),
				...(plain ? {} : { id: entry.id }),
				...(plain || entry.room === null ? {} : { room: entry.room }),
				payload: this.#signed(entry.payload),
			});
			if (plain)
				this.#effects.push({ kind: "settle", seq: entry.seq, outcome: { outcome: "delivered", detail: "sent" } });
			else this.#inflight.push(entry);
		}
		this.#pull();
	}

	/** The oldest message that was handed over is kept: on disk, or nobody wants it. */
	kept(): void {
		this.#taken += 1;
	}

	/** Once the loop has done what it had: told together, soon. */
	acknowledge(): void {
		if (this.#state.at !== "in" || !this.#state.features.has("queue") || this.#taken === this.#toldTaken) return;
		if (this.#taken - this.#toldTaken >= limits.maxUntold) this.#tell();
		else this.#tellAt ??= this.#now + limits.ackMs;
	}

	#tell(): void {
		this.#tellAt = null;
		this.#toldTaken = this.#taken;
		this.#send({ type: "gateway_ack", count: this.#taken });
	}

	announce(announcement: Announcement, now: number): void {
		this.#now = now;
		const before = this.#announced;
		this.#announced = announcement;
		if (this.#state.at !== "in") return;
		const { publicRooms, participants, interest } = announcement;
		if (!same(before.publicRooms, publicRooms)) this.#send({ type: "gateway_update_rooms", publicRooms });
		if (!same(before.participants, participants)) this.#send({ type: "gateway_update_participants", participants });
		if (!same(before.interest, interest) && this.#state.features.has("interest"))
			this.#send({ type: "gateway_interest", rooms: interest });
		if (!same(before.access, announcement.access)) this.#tellAccess();
	}

	discover(): void {
		if (this.#state.at === "in") this.#send({ type: "gateway_discover" });
	}

	/** Rule C6: what is signed names the host that this client dialled, whatever the other side says it is. */
	#challenged({ nonce }: Record<string, unknown>): void {
		const { meshId, host, key, login } = this.#credentials;
		if (this.#state.at !== "greeting" || login !== "key" || typeof nonce !== "string" || nonce.length > 256) return;
		this.#signIn({ meshId, publicKey: key.publicKey, nonce, signature: key.sign(challengeText(host, meshId, nonce)) });
	}

	#signIn(proof: object): void {
		const { publicRooms, participants } = this.#announced;
		const features = ["receipts", "ordered", "queue", "events", "interest"];
		this.#send({ type: "gateway_auth", ...proof, publicRooms, participants, features });
	}

	/** Rule E1. */
	#signed(payload: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
		const { meshId, key } = this.#credentials;
		const text = envelopeText(meshId, payload);
		return text === null ? payload : { ...payload, signed: { key: key.publicKey, signature: key.sign(text) } };
	}

	#tellAccess(): void {
		if (this.#state.at === "in" && this.#state.features.size > 0)
			this.#send({ type: "gateway_access", ...this.#announced.access });
	}

	#signedIn(message: Record<string, unknown>): void {
		if (this.#state.at !== "greeting") return;
		const features = stringsOf(message["features"]);
		this.#state = { at: "in", features: new Set(features) };
		const name = typeof message["name"] === "string" ? message["name"].slice(0, 80) : this.#credentials.meshId;
		this.#effects.push({ kind: "signed-in", name, features });
		// Before anything is sent to anybody; also when there are none, for the gateway may keep older ones.
		this.#tellAccess();
		if (features.includes("interest")) this.#send({ type: "gateway_interest", rooms: this.#announced.interest });
		this.#pull();
	}

	#incoming(message: Record<string, unknown>): void {
		const { fromMeshId, fromMeshName, payload, id } = message;
		const whole = typeof fromMeshId === "string" && typeof payload === "object" && payload !== null;
		if (!whole) {
			// It counts: a gateway that sends nonsense must not stop everything behind it.
			this.#taken += 1;
			return;
		}
		this.#effects.push({
			kind: "keep",
			message: {
				fromMeshId: fromMeshId.slice(0, 64),
				fromMeshName: typeof fromMeshName === "string" ? fromMeshName.slice(0, 80) : fromMeshId.slice(0, 64),
				id: typeof id === "string" ? id.slice(0, 64) : null,
				payload: payload as Record<string, unknown>,
			},
		});
	}

	#receipt(message: Record<string, unknown>): void {
		const index = this.#inflight.findIndex((entry) => entry.id === message["id"]);
		const entry = this.#inflight[index];
		if (entry === undefined) return;
		const outcome = message["outcome"] as Outcome;
		const { retryAfterMs } = message;
		// A full queue is its receiver's matter: waiting for it would stop everything for everybody else.
		if (outcome === "rejected" && typeof retryAfterMs === "number" && message["code"] !== "queue_full") {
			if (message["code"] === "after_rejected") return;
			// Go back to it: what was sent after it has been rejected as well (rule G13).
			this.#inflight = this.#inflight.slice(0, index);
			this.#sentThrough = entry.seq - 1;
			this.#more = true;
			this.#heldUntil = this.#now + Math.min(Math.max(retryAfterMs, 50), limits.maxRetryMs);
			return;
		}
		this.#inflight.splice(index, 1);
		const detail = typeof message["message"] === "string" ? message["message"].slice(0, 200) : "";
		this.#effects.push({ kind: "settle", seq: entry.seq, outcome: { outcome, detail } });
		this.#pull();
	}

	#pull(): void {
		if (this.#state.at !== "in" || this.#pulling || !this.#more || this.#heldUntil !== null) return;
		const room = limits.maxInflight - this.#inflight.length;
		if (room <= 0) return;
		this.#pulling = true;
		this.#effects.push({ kind: "pull", after: this.#sentThrough, limit: room });
	}

	#send(message: object): void {
		this.#effects.push({ kind: "send", text: JSON.stringify(message) });
	}
}

function parse(text: string): Record<string, unknown> | null {
	try {
		const parsed: unknown = JSON.parse(text);
		return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : null;
	} catch {
		// Nothing of the protocol: what a gateway says wrongly is not acted upon.
		return null;
	}
}

function stringsOf(value: unknown): string[] {
	return Array.isArray(value) ? value.filter((each): each is string => typeof each === "string") : [];
}

function recordsOf(value: unknown): Record<string, unknown>[] {
	return Array.isArray(value) ? value.filter((each) => typeof each === "object" && each !== null) : [];
}

const textOf = (value: unknown, maxLength: number) => (typeof value === "string" ? value.slice(0, maxLength) : "");

function instancesOf(value: unknown): Instance[] {
	return recordsOf(value).map((each) => ({
		meshId: textOf(each["meshId"], 64),
		name: textOf(each["name"], 80),
		publicRooms: stringsOf(each["publicRooms"]).map((room) => room.slice(0, 100)),
	}));
}

function groupsOf(value: unknown): ParticipantGroup[] {
	return recordsOf(value).map((each) => ({
		meshId: textOf(each["meshId"], 64),
		meshName: textOf(each["meshName"], 80),
		participants: recordsOf(each["participants"]).map((one) => ({
			id: textOf(one["id"], 128),
			name: textOf(one["name"], 80),
			type: textOf(one["type"], 32),
		})),
	}));
}

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
