import type { Identity } from "@warren/kernel";

/** Who has just lost access; what is open on their behalf must be cut. */
export type Revoked =
	| { readonly kind: "device"; readonly userId: string; readonly deviceId: string }
	/** Banned or deleted: everything of theirs, API keys too. */
	| { readonly kind: "user"; readonly userId: string }
	| { readonly kind: "node"; readonly nodeId: string };

/** Also who is still welcome, under another name or with other rights: what is believed of them is looked up again. */
export type AccessNews = Revoked | { readonly kind: "changed"; readonly userId: string };

/** For `Listener.disconnect`: whether a live identity is the revoked one. */
export function isRevoked(revoked: Revoked, identity: Identity): boolean {
	switch (revoked.kind) {
		case "device":
			return identity.kind === "user" && identity.deviceId === revoked.deviceId;
		case "user":
			return identity.kind === "user" && identity.userId === revoked.userId;
		case "node":
			return identity.kind === "node" && identity.nodeId === revoked.nodeId;
	}
}
