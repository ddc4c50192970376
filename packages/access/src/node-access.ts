import {
	type Audit,
	type Authenticator,
	type Clock,
	type CredentialKind,
	equalSecrets,
	type Identity,
	newSecret,
	type Random,
} from "@warren/kernel";
import type { Kysely } from "kysely";
import { Devices, deviceTokenPrefix } from "./devices.ts";
import { Owner } from "./owner.ts";
import type { AccessTables } from "./schema.ts";
import { SetupLink } from "./setup-link.ts";
import { WsTickets } from "./ws-tickets.ts";

/** Begins the token of this process's own console: whoever can read the data folder owns the node anyway. */
const consoleTokenPrefix = "wl_";
/** Told from the node's user by being this very object: a user may be called console, too. */
const consoleIdentity: Identity = { kind: "operator", name: "console" };

export interface AccessDeps {
	readonly db: Kysely<AccessTables>;
	readonly clock: Clock;
	readonly random: Random;
	readonly audit: Audit;
}

/** Everything that lets somebody into one node, and the authenticator over it. */
export class NodeAccess implements Authenticator {
	readonly kinds: readonly CredentialKind[] = ["basic", "device", "setup", "admin"];
	/** For commands on this machine; lives as long as the process. A secret: kept 0600 in the data folder. */
	readonly consoleToken: string;
	readonly owner: Owner;
	readonly devices: Devices;
	readonly setup: SetupLink;
	readonly tickets: WsTickets;
	readonly audit: Audit;
	/** Whether user and PIN were written by this opening (first run, or changed in the environment). */
	readonly created: boolean;

	private constructor(deps: AccessDeps, owner: Owner, devices: Devices, created: boolean) {
		this.owner = owner;
		this.devices = devices;
		this.created = created;
		this.setup = new SetupLink(deps.db, deps.clock, deps.random, "node");
		this.tickets = new WsTickets(deps.clock, deps.random);
		this.audit = deps.audit;
		this.consoleToken = `${consoleTokenPrefix}${newSecret(deps.random)}`;
		owner.onChanged(() => this.tickets.revoke(byPin));
		devices.onRevoked((id) =>
			this.tickets.revoke((identity) => identity.kind === "device" && identity.deviceId === id),
		);
	}

	static async open(
		deps: AccessDeps,
		first: { readonly user: string; readonly pin: string; readonly replace: boolean },
	): Promise<NodeAccess> {
		const { owner, created } = await Owner.open(deps.db, deps.clock, deps.random, first);
		return new NodeAccess(deps, owner, await Devices.open(deps.db, deps.clock, deps.random), created);
	}

	authenticate: Authenticator["authenticate"] = async (credential, context) => {
		switch (credential.scheme) {
			case "basic": {
				const verdict = await this.owner.verify(credential.user, credential.password, context.remoteAddress);
				// Those over their limit are not written down: a flood of them would push out everything else.
				if (!verdict.ok && verdict.reason !== "limited")
					this.audit.record({
						actor: "anonymous",
						action: "access.basic",
						target: credential.user.slice(0, 64),
						outcome: "refused",
						address: context.remoteAddress,
						details: { reason: verdict.reason },
					});
				return verdict;
			}
			case "bearer":
				if (credential.token.startsWith(deviceTokenPrefix)) return this.devices.verify(credential.token);
				if (!credential.token.startsWith(consoleTokenPrefix)) return null;
				if (!equalSecrets(credential.token, this.consoleToken))
					return { ok: false, reason: "invalid", message: "This console token is of an earlier start." };
				return { ok: true, kind: "admin", identity: consoleIdentity };
			case "setup":
				return context.accepts.includes("setup") ? this.setup.verify(credential.secret, context.remoteAddress) : null;
			case "ws-ticket":
				return this.tickets.authenticate(credential, context);
			default:
				return null;
		}
	};
}

/** Whether somebody is in by user and PIN: a change of either ends what they have open. */
export function byPin(identity: Identity): boolean {
	return identity.kind === "operator" && identity !== consoleIdentity;
}
