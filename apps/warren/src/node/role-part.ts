import type { Duplex } from "node:stream";
import type { NodeAccess, SetupLink } from "@warren/access";
import type { EnrolledTables } from "@warren/accounts";
import type {
	Authenticator,
	Condition,
	CredentialKind,
	Fingerprint,
	NodeId,
	PeerSource,
	PeerTunnel,
} from "@warren/kernel";
import type { Authority, EventFeed, Listener, Route } from "@warren/net";
import type { Kysely } from "kysely";
import type { NodeConfig } from "../config/node-config.ts";
import type { RoleBase } from "../role-base.ts";

/** What a node has opened before its roles are composed. */
export interface NodeBase extends RoleBase {
	readonly db: Kysely<EnrolledTables>;
	readonly feed: EventFeed;
	readonly access: NodeAccess;
	/** The setup link as the hub sees it: the same secret, a door of its own. */
	readonly hubSetup: SetupLink;
	readonly nodeId: NodeId;
	/** What this node shows; a part that renews it says so. */
	readonly shown: { fingerprint: Fingerprint | null };
	/** Null when this machine holds no CA. */
	readonly authority: Authority | null;
	/** How this node is called from outside, best first; its port included. */
	readonly urls: readonly string[];
	/** Names and addresses, as other machines dial them, at this moment: the overlay's come once it is joined. */
	readonly hosts: () => readonly string[];
	readonly port: number;
}

export interface RoleRow {
	readonly name: string;
	readonly state: "running" | "restarting" | "off";
	/** Milliseconds since the Unix epoch. */
	readonly since: number;
	readonly error?: string;
	readonly pid?: number | null;
	readonly memoryBytes?: number | null;
	/** Where it listens, of a role with a listener of its own. */
	readonly port?: number;
	/** What is wrong with it, of a role in another process; none = nothing. */
	readonly conditions?: readonly Condition[];
}

/** A role beside the node, behind the same listener. */
export interface RolePart {
	/** As `status` and discovery show it. */
	readonly name: string;
	readonly routes: readonly Route[];
	readonly authenticators: readonly Authenticator[];
	readonly peerSources: readonly PeerSource[];
	/** Ways to machines whose addresses do not answer. */
	readonly tunnel?: PeerTunnel<Duplex>;
	/** Kinds of credential that it lets use the node's own API. */
	readonly members?: readonly CredentialKind[];
	readonly cookieName?: string;
	/** What it shows under `roles` in `status`; its own name, running, unless told. */
	readonly roles?: () => readonly RoleRow[];
	/** A hub's: whether anybody has an account there. */
	readonly hasOwner?: () => Promise<boolean>;
	/** Once the listener is open. */
	readonly listening?: (listener: Listener) => void;
	/** Before the listener closes: tells its own sockets to come back, spread over a moment. */
	readonly drain?: () => Promise<void>;
}

export type OpenPart = (base: NodeBase, config: NodeConfig) => Promise<RolePart>;
