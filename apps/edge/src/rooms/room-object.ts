import { DurableObject } from "cloudflare:workers";
import { closeCodes, type Identity, type Logger, systemRandom, WarrenError } from "@warren/kernel";
import { asWarrenError, errorResponse, switching } from "@warren/net";
import { closeAfterAccessChange, closeReason, LastChanged, ListNews } from "@warren/sync";
import { ackSubprotocol } from "@warren/sync/protocol";
import { consoleLogger } from "../console-logger.ts";
import { ObjectClock } from "../object-clock.ts";
import { type DurableState, type Environment, type HibernatingSocket, hubOf, socketPair } from "../platform.ts";
import { type Admission, admissionHeader, decodeAdmission } from "./admission.ts";
import { ObjectSocket } from "./object-socket.ts";
import { memberOf, type OpenRoom, openRoom } from "./open-room.ts";
import { type Ended, RecentEndings } from "./recent-endings.ts";
import { answered, type ContentsCall, type RoomAnswer, refused } from "./room-calls.ts";

/**
 * The Durable Object of one document (or of one person's discovery). Sleeps while nobody says anything; its sockets stay
 * with the platform, and each carries what the room must know of it when it wakes up (S22).
 */
export class RoomObject extends DurableObject<DurableState, Environment> {
	readonly #clock: ObjectClock;
	readonly #logger: Logger = consoleLogger;
	readonly #endings: RecentEndings;
	readonly #sockets = new Map<HibernatingSocket, { readonly socket: ObjectSocket; readonly id: number }>();
	/** By the identity that the relay was given with the socket. */
	readonly #admittedAt = new WeakMap<Identity, number>();
	#room: Promise<OpenRoom>;
	#news: ListNews | null = null;

	constructor(state: DurableState, environment: Environment) {
		super(state, environment);
		this.#clock = new ObjectClock(state.storage);
		this.#endings = new RecentEndings(this.#clock);
		this.#room = state.blockConcurrencyWhile(() => this.#open());
	}

	/** An upgrade that the hub has admitted. Nothing else comes this way. */
	async fetch(request: Request): Promise<Response> {
		try {
			return await this.#accept(request, decodeAdmission(request.headers.get(admissionHeader) ?? ""));
		} catch (fault) {
			this.#logger.error("a socket was not accepted", { fault: String(fault) });
			return errorResponse(asWarrenError(fault));
		}
	}

	async webSocketMessage(at: HibernatingSocket, message: ArrayBuffer | string): Promise<void> {
		const { relay } = await this.#room;
		this.#sockets.get(at)?.socket.receive(message);
		// Until then it may not sleep; and what it then knows of the socket is what is on disk.
		await relay.flush();
		this.#keepAll();
	}

	async webSocketClose(at: HibernatingSocket, code: number): Promise<void> {
		await this.#room;
		this.#left(at, code !== abnormal);
	}

	async webSocketError(at: HibernatingSocket): Promise<void> {
		await this.#room;
		this.#left(at, false);
	}

	async alarm(): Promise<void> {
		await this.#room;
		this.#clock.alarm();
		this.#keepAll();
	}

	/** For the hub: about the document as a whole. */
	async contents(call: ContentsCall): Promise<RoomAnswer> {
		try {
			const { history } = await this.#room;
			return answered(
				await (history[call.method] as (...given: readonly unknown[]) => Promise<unknown>)(...call.given),
			);
		} catch (fault) {
			if (!(fault instanceof WarrenError)) this.#logger.error("a document failed", { fault: String(fault) });
			return refused(asWarrenError(fault));
		}
	}

	/**
	 * For the hub: somebody lost their session. Whoever was let in since is another's.
	 * @param at its place in the hub's own order.
	 */
	async signedOut(ended: Ended, at: number): Promise<void> {
		this.#endings.add(ended, at);
		const { relay } = await this.#room;
		const matches = ({ identity }: { readonly identity: Identity | null }) =>
			isOf(identity as Admission["identity"] | null, ended) && (this.#admittedAt.get(identity as Identity) ?? 0) <= at;
		relay.disconnect(matches, closeCodes.signIn, "signed_out", "signed out");
	}

	/** For the hub: what somebody may do here is another thing now; null = nothing. */
	async accessChanged(room: string, userId: string, access: string | null, at: number): Promise<void> {
		this.#endings.add({ userId, deviceId: null }, at);
		closeAfterAccessChange((await this.#room).relay, room, userId, access);
	}

	/** For the hub: this person's list of documents changed, whose discovery this is. */
	async documentsChanged(userId: string): Promise<void> {
		const { relay } = await this.#room;
		if (this.#sockets.size === 0) return;
		this.#news ??= new ListNews({ relay, clock: this.#clock, random: systemRandom });
		this.#news.changed([userId]);
	}

	/** Sockets of before its sleep take their places again, before anything else is heard. */
	async #open(): Promise<OpenRoom> {
		const opened = await openRoom(this.ctx.storage, this.#clock, this.#logger);
		const touch = (room: string) => hubOf(this.env).touch(room);
		new LastChanged(opened.relay, { touch }, { clock: this.#clock, logger: this.#logger });
		for (const at of this.ctx.getWebSockets()) await this.#rejoin(opened, at);
		return opened;
	}

	async #accept(request: Request, admission: Admission): Promise<Response> {
		const { relay } = await this.#room;
		const offered = (request.headers.get("sec-websocket-protocol") ?? "").split(",").map((each) => each.trim());
		const protocol = [ackSubprotocol, "warren.v1"].find((each) => offered.includes(each)) ?? "";
		const acknowledges = protocol === ackSubprotocol;
		const { client, server } = socketPair();
		try {
			const who = await memberOf(admission, acknowledges);
			const room = await relay.open(admission.room, admission.keepsUpdates);
			// In one turn from here on: whoever is shown out later is found in the room.
			const { userId, deviceId } = admission.identity;
			if (this.#endings.has(userId, deviceId ?? null, admission.at)) throw endedMeanwhile();
			this.ctx.acceptWebSocket(server);
			const socket = new ObjectSocket(server);
			socket.keep({ admission, acknowledges, standing: null });
			this.#admittedAt.set(admission.identity, admission.at);
			this.#sockets.set(server, { socket, id: relay.join(room, socket, who, admission.identity) });
			this.#keepAll();
		} catch (fault) {
			const error = asWarrenError(fault);
			server.accept();
			server.close(closeCodeOf(error), closeReason(error.code, error.message));
		}
		return switching(client, protocol);
	}

	async #rejoin({ relay }: OpenRoom, at: HibernatingSocket): Promise<void> {
		const socket = new ObjectSocket(at);
		const { admission, acknowledges, standing } = socket.facts;
		try {
			const who = await memberOf(admission, acknowledges);
			const room = await relay.open(admission.room, admission.keepsUpdates);
			this.#admittedAt.set(admission.identity, admission.at);
			const id = relay.join(room, socket, who, admission.identity, standing ?? undefined);
			this.#sockets.set(at, { socket, id });
		} catch (fault) {
			const error = asWarrenError(fault);
			socket.close(closeCodeOf(error), error.code, error.message);
		}
	}

	#left(at: HibernatingSocket, clean: boolean): void {
		this.#sockets.get(at)?.socket.ended(clean);
		this.#sockets.delete(at);
		this.#keepAll();
	}

	#keepAll(): void {
		void this.#room.then(({ relay }) => {
			for (const { socket, id } of this.#sockets.values()) {
				const standing = relay.standingOf(id);
				if (standing !== null) socket.keepStanding(standing);
			}
		});
	}
}

/** RFC 6455 §7.4.1: reported when no close frame came. */
const abnormal = 1006;

function endedMeanwhile(): WarrenError {
	return new WarrenError("access_changed", "your access changed just now", { status: 503, retryable: true });
}

function closeCodeOf(error: WarrenError): number {
	return error.retryable || error.status >= 500 ? closeCodes.unavailable : closeCodes.badRequest;
}

function isOf(identity: Admission["identity"] | null, { userId, deviceId }: Ended): boolean {
	return identity?.userId === userId && (deviceId === null || identity.deviceId === deviceId);
}
