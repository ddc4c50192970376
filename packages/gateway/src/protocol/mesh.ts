import type { Participant } from "./frames.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Session } from "./session.ts";

/** What a gateway keeps about a mesh between its connections, beside its credentials. */
export interface MeshRecord {
	readonly meshId: string;
	readonly name: string;
	/** Its last login had `queue`. */
	readonly durable: boolean;
	/** Declared interest; null = none declared, everything is for it. */
	readonly rooms: readonly string[] | null;
	/** Null = everybody. */
	readonly allow: readonly string[] | null;
	readonly block: readonly string[];
}

/** A mesh that is connected, or that is away and has a queue. */
export interface Mesh {
	readonly meshId: string;
	name: string;
	durable: boolean;
	rooms: readonly string[] | null;
	allow: ReadonlySet<string> | null;
	block: ReadonlySet<string> | null;
	session: Session | null;
	/** Made when first needed: most meshes are idle. */
	mailbox: Mailbox | null;
	publicRooms: readonly string[];
	participants: readonly Participant[];
	/** What its messages begin with; null = not made yet. */
	head: string | null;
}

export function meshOf(record: MeshRecord): Mesh {
	return {
		meshId: record.meshId,
		name: record.name,
		durable: record.durable,
		rooms: record.rooms,
		allow: record.allow === null ? null : new Set(record.allow),
		block: record.block.length === 0 ? null : new Set(record.block),
		session: null,
		mailbox: null,
		publicRooms: none,
		participants: none,
		head: null,
	};
}

export function recordOf(mesh: Mesh): MeshRecord {
	return {
		meshId: mesh.meshId,
		name: mesh.name,
		durable: mesh.durable,
		rooms: mesh.durable ? mesh.rooms : null,
		allow: mesh.allow === null ? null : [...mesh.allow],
		block: mesh.block === null ? [] : [...mesh.block],
	};
}

/** Whether the two may know of each other (rule G15). */
export function admitEachOther(a: Mesh, b: Mesh): boolean {
	return admits(a, b.meshId) && admits(b, a.meshId);
}

export const hasLists = (mesh: Mesh): boolean => mesh.allow !== null || mesh.block !== null;

function admits(mesh: Mesh, other: string): boolean {
	if (mesh.block?.has(other) === true) return false;
	return mesh.allow === null || mesh.allow.has(other);
}

/** One array for all who have nothing. */
export const none: readonly never[] = [];
