import type { DeviceId, NodeId, UserId } from "./ids.ts";

/**
 * Who is asking, as a role sees it. An authenticator makes these; roles never look at a credential themselves.
 *
 *   user       a person's account, through a session of the hub
 *   device     a browser or phone that holds a token of this very node
 *   node       another machine of this warren, by certificate
 *   principal  a client of the backbone
 *   service    an agent's service token at the backbone
 *   operator   the administrator of a role: node user with PIN, admin token
 *   share      whoever holds a share link: one resource, read-only
 */
export type Identity =
	| {
			readonly kind: "user";
			readonly userId: UserId;
			readonly name: string;
			readonly admin: boolean;
			readonly deviceId?: string;
			readonly expiresAt: number;
	  }
	| { readonly kind: "device"; readonly deviceId: DeviceId; readonly name: string }
	| { readonly kind: "node"; readonly nodeId: NodeId; readonly name: string }
	| { readonly kind: "principal"; readonly principalId: string; readonly name: string }
	| { readonly kind: "service"; readonly service: string; readonly tokenId: string }
	| { readonly kind: "operator"; readonly name: string }
	| { readonly kind: "share"; readonly shareId: string; readonly resource: string; readonly expiresAt: number };

/** One line for logs and the audit: kind and identifier, never a secret. */
export function describeIdentity(identity: Identity): string {
	switch (identity.kind) {
		case "user":
			return `user:${identity.userId}`;
		case "device":
			return `device:${identity.deviceId}`;
		case "node":
			return `node:${identity.nodeId}`;
		case "principal":
			return `principal:${identity.principalId}`;
		case "service":
			return `service:${identity.service}`;
		case "operator":
			return `operator:${identity.name}`;
		case "share":
			return `share:${identity.shareId}`;
	}
}

/**
 * The ways of proving who asks. Every route names the kinds that it takes (`none` = open to all).
 *
 *   basic    user and PIN of this node (Authorization: Basic)
 *   device   token from POST /api/devices (Authorization: Bearer wd_…)
 *   setup    the one-time setup secret (x-warren-setup)
 *   share    the token of a share link (Authorization: Bearer ws_…)
 *   session  a session of the hub (Authorization: Bearer …, or its cookie)
 *   ticket   a signed device ticket of the hub (Authorization: Bearer wt_…)
 *   node     a machine's certificate (mutual TLS)
 *   admin    a role's administrator token (Authorization: Bearer …)
 *   join     a join token
 *   principal, service   the backbone's own
 *   mesh     a mesh's secret or key at the gateway, inside its protocol
 */
export type CredentialKind =
	| "none"
	| "basic"
	| "device"
	| "setup"
	| "share"
	| "session"
	| "ticket"
	| "node"
	| "admin"
	| "join"
	| "principal"
	| "service"
	| "mesh";

/** What a request offered, as parsed at the edge. Secrets: never logged. */
export type Credential =
	| { readonly scheme: "basic"; readonly user: string; readonly password: string }
	| { readonly scheme: "bearer"; readonly token: string; readonly from: "header" | "subprotocol" | "cookie" }
	| { readonly scheme: "setup"; readonly secret: string }
	/** Single use, for one WebSocket upgrade: POST /api/ws-tickets. */
	| { readonly scheme: "ws-ticket"; readonly ticket: string }
	| {
			readonly scheme: "certificate";
			readonly fingerprint: string;
			readonly subject: string;
			/** The whole certificate, for whoever reads names beyond the subject. */
			readonly der: Uint8Array;
	  }
	| { readonly scheme: "malformed"; readonly reason: string };

export type Verdict =
	| {
			readonly ok: true;
			readonly identity: Identity;
			readonly kind: CredentialKind;
			/** What a WebSocket ticket carries for the far side of a relay. A secret. */
			readonly upstreamAuthorization?: string;
	  }
	/** A definite no. Never cached as a yes, never turned into anonymous. */
	| { readonly ok: false; readonly reason: "invalid" | "expired" | "forbidden"; readonly message: string }
	/** Too many tries from this address. */
	| { readonly ok: false; readonly reason: "limited"; readonly message: string; readonly retryAfterMs: number }
	/** The authority cannot be asked now: answer 503, never 401. */
	| { readonly ok: false; readonly reason: "unavailable"; readonly message: string; readonly retryAfterMs: number };

export interface AuthenticationContext {
	/** Kinds that the route takes; an authenticator refuses others with `forbidden`. */
	readonly accepts: readonly CredentialKind[];
	/** The client's address, after trusted proxies. For rate limits. */
	readonly remoteAddress: string;
	/** The path as sent: single-use tickets are bound to it. */
	readonly path: string;
}

/** Tells who a credential stands for. Each role is handed one; several compose with `firstOf`. */
export interface Authenticator {
	/** Kinds that this one can decide about. */
	readonly kinds: readonly CredentialKind[];
	/** `null` = not mine, ask the next one. */
	authenticate(credential: Credential, context: AuthenticationContext): Promise<Verdict | null>;
}

/** Asks each authenticator in turn; a credential that none recognises is invalid. */
export function firstOf(...authenticators: readonly Authenticator[]): Authenticator {
	return {
		kinds: [...new Set(authenticators.flatMap((each) => each.kinds))],
		async authenticate(credential, context) {
			for (const each of authenticators) {
				const verdict = await each.authenticate(credential, context);
				if (verdict !== null) return verdict;
			}
			return null;
		},
	};
}
