import type { Revoked } from "@warren/accounts";
import {
	type Authenticator,
	type Clock,
	type CredentialKind,
	type Identity,
	type Logger,
	messageOf,
	type Random,
	WarrenError,
} from "@warren/kernel";
import type { ForwardRoute } from "@warren/net";
import { DiscoveryAccess, type DocumentsList } from "@warren/sync";
import type { Kysely } from "kysely";
import type { RoomStub } from "../platform.ts";
import { type Admission, admissionHeader, encodeAdmission } from "../rooms/admission.ts";
import { type Ended, RecentEndings } from "../rooms/recent-endings.ts";
import { Attendance, type AttendanceTable } from "./attendance.ts";
import { Owed, type OwedTable } from "./owed.ts";

export interface DoorsDeps {
	readonly db: Kysely<AttendanceTable & OwedTable>;
	readonly random: Random;
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
	readonly #owed: Owed;
	readonly #access: DiscoveryAccess;
	readonly #endings: RecentEndings;
	readonly #checkedAt = new WeakMap<Identity, number>();
	/** What came before what: time stands still here between two answers of others. Begins beyond all that it ever gave. */
	#sequence: number;

	constructor(deps: DoorsDeps) {
		this.#deps = deps;
		this.#attendance = new Attendance(deps.db as never, deps.clock);
		this.#owed = new Owed({ ...deps, db: deps.db as never });
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

	/** Rooms that have not heard what they must hear from a hub before this one's memory are told now. */
	start(): void {
		void this.#owed.tell();
	}

	/** Tells every room in which they may be. */
	revoked(revoked: Revoked): void {
		if (revoked.kind === "node") return;
		const { userId } = revoked;
		const at = this.#next();
		const ended: Ended = { userId, deviceId: revoked.kind === "device" ? revoked.deviceId : null };
		this.#endings.add(ended, at);
		this.#keep(async () => {
			const now = this.#deps.clock.now();
			await this.#owed.add(await this.#attendance.roomsOf(userId), { kind: "signed-out", ended }, at);
			if (ended.deviceId === null) await this.#attendance.left(userId, now);
		});
	}

	/** @param access null: none any more. */
	accessChanged(document: string, userId: string, access: string | null): void {
		const at = this.#next();
		this.#keep(() => this.#owed.add([document], { kind: "access", userId, access }, at));
	}

	/** @throws WarrenError of the documents', or `unavailable` when access ended a moment ago. */
	async #admit(identity: Identity | null, id: string): Promise<Admission> {
		const { documents } = this.#deps;
		for (;;) {
			const revision = documents.revisionOf(id);
			const { room, access, keepsUpdates } = await this.#access.permit(identity, id);
			if (identity?.kind !== "user") throw new Error("a document was opened to nobody");
			const at = this.#checkedAt.get(identity);
			if (at === undefined) throw new Error("nobody was checked");
			await this.#attendance.entered(identity.userId, room);
			if (this.#endings.has(identity.userId, identity.deviceId ?? null, at)) {
				const message = "Your session ended while the document was being opened.";
				throw new WarrenError("unavailable", message, { status: 503, retryable: true });
			}
			if (documents.revisionOf(id) === revision) return { room, access, keepsUpdates, identity, at };
		}
	}

	#next(): number {
		this.#sequence += 1;
		return this.#sequence;
	}

	#keep(work: () => Promise<void>): void {
		work().catch((fault: unknown) =>
			this.#deps.logger.error("an ended access could not be kept for its rooms", { fault: messageOf(fault) }),
		);
	}
}

const maxEventsPerMs = 1_000;
