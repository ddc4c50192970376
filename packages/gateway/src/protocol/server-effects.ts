import type { Delivery } from "./mailbox.ts";
import type { MeshRecord } from "./mesh.ts";

/** Stands for one connection: a number, or what the loop has for it. Compared, and handed back. */
export type SocketId = number | object;

/** What the loop does for the machine, in this order. An `enqueue` is on disk before a later `load` reads. */
export type ServerEffect =
	/** `soon`: in its order, and it may wait a moment for company. */
	| { readonly kind: "send"; readonly to: SocketId; readonly text: string; readonly soon?: true }
	| { readonly kind: "fanout"; readonly to: readonly SocketId[]; readonly text: string }
	| { readonly kind: "close"; readonly socket: SocketId; readonly code: number; readonly reason: string }
	/** Answered by `verified`. */
	| { readonly kind: "verify"; readonly socket: SocketId; readonly proof: Proof }
	| { readonly kind: "save"; readonly record: MeshRecord }
	/** Answered by `stored` or `storeFailed`. */
	| { readonly kind: "enqueue"; readonly delivery: Delivery }
	| { readonly kind: "dequeue"; readonly meshId: string; readonly seqs: readonly number[] }
	/** Rows of this mesh with `seq` above `after`, oldest first. Answered by `loaded`. */
	| { readonly kind: "load"; readonly meshId: string; readonly after: number; readonly limit: number };

/** What a client showed, for whoever knows the secrets. */
export type Proof =
	| { readonly by: "secret"; readonly meshId: string; readonly secret: string; readonly address: string }
	| {
			readonly by: "key";
			readonly meshId: string;
			/** base64url, raw 32 bytes. */
			readonly publicKey: string;
			/** base64url, 64 bytes, over `text`. */
			readonly signature: string;
			readonly text: string;
			readonly address: string;
	  };

export type ProofVerdict =
	| { readonly ok: true; readonly meshId: string; readonly name: string }
	| { readonly ok: false; readonly reason: "invalid" }
	| { readonly ok: false; readonly reason: "limited"; readonly retryAfterMs: number };

/** A row of a queue as it comes back from disk. */
export interface QueuedRow {
	readonly seq: number;
	readonly from: string;
	readonly id: string;
	readonly text: string;
	readonly bytes: number;
	readonly expiresAt: number;
}

/** What stands in a mesh's queue when the machine is made. */
export interface QueueState {
	readonly meshId: string;
	readonly lastSeq: number;
	readonly count: number;
	readonly bytes: number;
	readonly bytesBySender: Readonly<Record<string, number>>;
}
