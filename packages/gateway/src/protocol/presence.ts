import { encodeGroups, type ParticipantGroup } from "./frames.ts";
import { admitEachOther, hasLists, type Mesh } from "./mesh.ts";
import type { ServerEffect, SocketId } from "./server-effects.ts";

/** Who came, who left and whose participants changed since it was last told (rule G16). */
export class Presence {
	/** By meshId: whoever comes back may be another object. */
	readonly #joined = new Map<string, Mesh>();
	readonly #left = new Map<string, Mesh>();
	readonly #changed = new Map<string, readonly [Mesh, ParticipantGroup]>();
	/** Monotonic, ms; null = nothing to tell. */
	dueAt: number | null = null;

	joined(mesh: Mesh, now: number, waitMs: number): void {
		// Left and back within one telling: nobody was told that it left, but its rooms may have changed.
		this.#left.delete(mesh.meshId);
		this.#joined.set(mesh.meshId, mesh);
		if (mesh.participants.length > 0) this.participants(mesh, now, waitMs);
		this.dueAt ??= now + waitMs;
	}

	/** @param hadParticipants whether others were shown any of it. */
	left(mesh: Mesh, hadParticipants: boolean, now: number, waitMs: number): void {
		if (!this.#joined.delete(mesh.meshId)) this.#left.set(mesh.meshId, mesh);
		this.#changed.delete(mesh.meshId);
		if (hadParticipants)
			this.#changed.set(mesh.meshId, [mesh, { meshId: mesh.meshId, meshName: mesh.name, participants: [] }]);
		this.dueAt ??= now + waitMs;
	}

	participants(mesh: Mesh, now: number, waitMs: number): void {
		this.#changed.set(mesh.meshId, [mesh, groupOf(mesh)]);
		this.dueAt ??= now + waitMs;
	}

	/** Tells everybody at once; whoever has lists, or is part of the news, gets a message of their own. */
	tell(online: Iterable<Mesh>): ServerEffect[] {
		this.dueAt = null;
		const news = {
			joined: [...this.#joined.values()],
			left: [...this.#left.values()],
			changed: [...this.#changed.values()],
		};
		this.#joined.clear();
		this.#left.clear();
		this.#changed.clear();
		const subjects = [...news.joined, ...news.left, ...news.changed.map(([mesh]) => mesh)];
		const own = new Set(subjects.map((mesh) => mesh.meshId));
		const listed = subjects.some(hasLists);
		const shared = textsOf(news, () => true);
		const sharedTo: { [K in keyof typeof shared]: SocketId[] } = { joined: [], left: [], changed: [] };
		const effects: ServerEffect[] = [];
		for (const mesh of online) {
			const session = mesh.session;
			if (session === null) continue;
			const plain = !listed && !hasLists(mesh) && !own.has(mesh.meshId);
			const texts = plain
				? shared
				: textsOf(news, (other) => other.meshId !== mesh.meshId && admitEachOther(mesh, other));
			for (const kind of ["joined", "left", "changed"] as const) {
				const text = texts[kind];
				if (text === null || (kind !== "changed" && !session.features.has("events"))) continue;
				if (plain) sharedTo[kind].push(session.socket);
				else effects.push({ kind: "send", to: session.socket, text });
			}
		}
		for (const kind of ["joined", "left", "changed"] as const) {
			const text = shared[kind];
			if (text !== null && sharedTo[kind].length > 0) effects.push({ kind: "fanout", to: sharedTo[kind], text });
		}
		return effects;
	}
}

export const instanceOf = (mesh: Mesh) => ({
	meshId: mesh.meshId,
	name: mesh.name,
	publicRooms: mesh.publicRooms,
});

export const groupOf = (mesh: Mesh): ParticipantGroup => ({
	meshId: mesh.meshId,
	meshName: mesh.name,
	participants: mesh.participants,
});

interface News {
	readonly joined: readonly Mesh[];
	readonly left: readonly Mesh[];
	readonly changed: readonly (readonly [Mesh, ParticipantGroup])[];
}

function textsOf(news: News, shows: (mesh: Mesh) => boolean) {
	const joined = news.joined.filter(shows);
	const left = news.left.filter(shows);
	const changed = news.changed.filter(([mesh]) => shows(mesh)).map(([, group]) => group);
	return {
		joined: joined.length === 0 ? null : JSON.stringify({ type: "gateway_joined", instances: joined.map(instanceOf) }),
		left: left.length === 0 ? null : JSON.stringify({ type: "gateway_left", meshIds: left.map((mesh) => mesh.meshId) }),
		changed: changed.length === 0 ? null : encodeGroups(changed),
	};
}
