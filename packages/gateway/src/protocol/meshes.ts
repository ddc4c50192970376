import type { Participant } from "./frames.ts";
import { type Mesh, type MeshRecord, meshOf, none } from "./mesh.ts";
import type { Session } from "./session.ts";

/** The meshes that matter now: connected ones, and those away whose queue or lists are kept. */
export class Meshes {
	readonly #known = new Map<string, Mesh>();
	readonly #online = new Set<Mesh>();
	readonly #participating = new Set<Mesh>();
	/** Connected and without declared interest: everything is for them. */
	readonly #blind = new Set<Mesh>();
	readonly #byRoom = new Map<string, Set<Mesh>>();

	constructor(records: readonly MeshRecord[]) {
		for (const record of records) {
			const mesh = meshOf({ ...record, rooms: null });
			this.#known.set(mesh.meshId, mesh);
			if (mesh.durable) this.setRooms(mesh, record.rooms);
		}
	}

	get onlineCount(): number {
		return this.#online.size;
	}

	get(meshId: string): Mesh | null {
		return this.#known.get(meshId) ?? null;
	}

	/** Of a mesh whose queue outlived its record. */
	known(meshId: string): Mesh {
		return this.enter(meshId, meshId).mesh;
	}

	/** @returns the mesh, and whether something of it is kept already. */
	enter(meshId: string, name: string): { readonly mesh: Mesh; readonly kept: boolean } {
		const known = this.#known.get(meshId);
		if (known !== undefined) return { mesh: known, kept: true };
		const mesh = meshOf({ meshId, name, durable: false, rooms: null, allow: null, block: none });
		this.#known.set(meshId, mesh);
		return { mesh, kept: false };
	}

	get online(): Iterable<Mesh> {
		return this.#online;
	}

	arrive(mesh: Mesh, session: Session): void {
		mesh.session = session;
		this.#online.add(mesh);
		if (mesh.participants.length > 0) this.#participating.add(mesh);
	}

	/** Whoever leaves nothing behind is forgotten. */
	offline(mesh: Mesh): void {
		mesh.session = null;
		mesh.participants = none;
		mesh.publicRooms = none;
		this.#online.delete(mesh);
		this.#participating.delete(mesh);
		this.#blind.delete(mesh);
		if (mesh.durable) return;
		this.#forgetRooms(mesh);
		mesh.rooms = null;
		if (mesh.allow === null && mesh.block === null && (mesh.mailbox === null || mesh.mailbox.isEmpty))
			this.#known.delete(mesh.meshId);
	}

	withParticipants(): Iterable<Mesh> {
		return this.#participating;
	}

	setParticipants(mesh: Mesh, participants: readonly Participant[]): void {
		mesh.participants = participants;
		if (participants.length > 0) this.#participating.add(mesh);
		else this.#participating.delete(mesh);
	}

	/** @param rooms null = no interest declared. */
	setRooms(mesh: Mesh, rooms: readonly string[] | null): void {
		this.#forgetRooms(mesh);
		mesh.rooms = rooms;
		if (rooms === null) {
			if (mesh.session !== null) this.#blind.add(mesh);
			return;
		}
		this.#blind.delete(mesh);
		for (const room of rooms) {
			const members = this.#byRoom.get(room) ?? new Set();
			members.add(mesh);
			this.#byRoom.set(room, members);
		}
	}

	/** Whom a broadcast is for (rule G14), its sender among them. */
	*audience(room: string | null): Iterable<Mesh> {
		if (room === null) return yield* this.#online;
		yield* this.#blind;
		yield* this.#byRoom.get(room) ?? none;
	}

	#forgetRooms(mesh: Mesh): void {
		for (const room of mesh.rooms ?? none) {
			const members = this.#byRoom.get(room);
			members?.delete(mesh);
			if (members?.size === 0) this.#byRoom.delete(room);
		}
	}
}
