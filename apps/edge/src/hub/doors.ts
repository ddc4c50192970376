import type { Revoked } from "@warren/accounts";
import {
	type Authenticator,
	type Clock,
	type CredentialKind,
	type Identity,
	type Logger,
	messageOf,
	WarrenError,
} from "@warren/kernel";
import type { ForwardRoute } from "@warren/net";
import { DiscoveryAccess, type DocumentsList } from "@warren/sync";
import type { Kysely } from "kysely";
import type { RoomStub } from "../platform.ts";
import { type Admission, admissionHeader, encodeAdmission } from "../rooms/admission.ts";
import { type Ended, RecentEndings } from "../rooms/recent-endings.ts";
import { Attendance, type AttendanceTable } from "./attendance.ts";

export interface DoorsDeps {
	readonly db: Kysely<AttendanceTable>;
	readonly clock: Clock;
	readonly logger: Logger;
	readonly documents: DocumentsList;
	readonly roomOf: (room: string) => RoomStub;
	readonly authenticator: Authenticator;
}

/**
 * Who goes into which room, and who must leave it. Session and permission are judged here, the socket is served in
 * another object: what ends in between is remembered on both sides, so that nobody slips through.
 */
export class Doors {
	/** The accounts' own, which also remembers when somebody was checked. */
	readonly authenticator: Authenticator;
	readonly #deps: DoorsDeps;
	readonly #attendance: Attendance;
	readonly #access: DiscoveryAccess;
	readonly #endings: RecentEndings;
	readonly #checkedAt = new WeakMap<Identity, number>();
	/** What came before what: time stands still here between two answers of others. Begins beyond all that it ever gave. */
	#sequence: number;

	constructor(deps: DoorsDeps) {
		this.#deps = deps;
		this.#attendance = new Attendance(deps.db, deps.clock);
		this.#access = new DiscoveryAccess({ documents: deps.documents });
		this.#endings = new RecentEndings(deps.clock);
		this.#sequence = deps.clock.now() * maxEventsPerMs;
		this.authenticator = {
			kinds: deps.authenticator.kinds,
			authenticate: async (credential, context) => {
				const at = this.#next();
				const verdict = await deps.authenticator.authenticate(credential, context);
				if (verdict?.ok !== true) return verdict;
				const identity = { ...verdict.identity };
				this.#checkedAt.set(identity, at);
				return { ...verdict, identity };
			},
		};
	}

	/** `WS /rooms/:id/sync`: answered with an admission, which the worker takes to the room. */
	route(options: { readonly owner: string; readonly credentials: readonly CredentialKind[] }): ForwardRoute {
		return {
			...options,
			method: "WS",
			path: "/rooms/:id/sync",
			about: { summary: "A live document, as the stock Yjs provider speaks" },
			forward: async ({ identity, params }) => {
				const admission = await this.#admit(identity, params["id"] ?? "");
				return new Response(null, { headers: { [admissionHeader]: encodeAdmission(admission) } });
			},
		};
	}

	/** Tells every room in which they may be. */
	revoked(revoked: Revoked): void {
		if (revoked.kind === "node") return;
		const { userId } = revoked;
		const at = this.#next();
		const ended: Ended = { userId, deviceId: revoked.kind === "device" ? revoked.deviceId : null };
		this.#endings.add(ended, at);
		void this.#tell(`rooms of ${userId}`, async () => {
			const rooms = await this.#attendance.roomsOf(userId);
			await Promise.all(rooms.map((room) => this.#deps.roomOf(room).signedOut(ended, at)));
			if (ended.deviceId === null) await this.#attendance.left(userId, this.#deps.clock.now());
		});
	}

	/** @param access null: none any more. */
	accessChanged(document: string, userId: string, access: string | null): void {
		const at = this.#next();
		void this.#tell(document, () => this.#deps.roomOf(document).accessChanged(document, userId, access, at));
	}

	/** @throws WarrenError of the documents', or `unavailable` when access ended a moment ago. */
	async #admit(identity: Identity | null, id: string): Promise<Admission> {
		const { documents } = this.#deps;
		for (;;) {
			const { revision } = documents;
			const { room, access, keepsUpdates } = await this.#access.permit(identity, id);
			if (identity?.kind !== "user") throw new Error("a document was opened to nobody");
			const at = this.#checkedAt.get(identity);
			if (at === undefined) throw new Error("nobody was checked");
			await this.#attendance.entered(identity.userId, room);
			if (this.#endings.has(identity.userId, identity.deviceId ?? null, at)) {
				const message = "Your session ended while the document was being opened.";
				throw new WarrenError("unavailable", message, { status: 503, retryable: true });
			}
			if (documents.revision === revision) return { room, access, keepsUpdates, identity, at };
		}
	}

	#next(): number {
		this.#sequence += 1;
		return this.#sequence;
	}

	/** A room that does not hear is tried again: a revocation must not get lost. */
	async #tell(whom: string, work: () => Promise<void>): Promise<void> {
		for (let attempt = 1; ; attempt++) {
			try {
				return await work();
			} catch (fault) {
				if (attempt < maxAttempts) continue;
				this.#deps.logger.error("an ended access did not reach its rooms", { whom, fault: messageOf(fault) });
				return;
			}
		}
	}
}

const maxAttempts = 5;
const maxEventsPerMs = 1_000;
