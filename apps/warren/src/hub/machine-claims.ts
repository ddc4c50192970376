import type { Machine, MachineChange } from "@warren/accounts";
import type { Closeable, Identity } from "@warren/kernel";
import { canonicalHost } from "@warren/net";
import type { UrlClaim } from "@warren/sync";
import { isLoopback } from "../config/server-config.ts";

interface MachineList {
	list(): Promise<readonly Machine[]>;
	watch(watcher: (change: MachineChange) => void): Closeable;
}

/** Which machines are whose, at hand: whoever follows an advertised URL sends a token there. */
export class MachineClaims implements Closeable {
	readonly #machines = new Map<string, Machine>();
	readonly #subscription: Closeable;

	private constructor(machines: MachineList) {
		this.#subscription = machines.watch((change) => {
			if (change.type === "machine") this.#machines.set(change.machine.nodeId, change.machine);
			else this.#machines.delete(change.nodeId);
		});
	}

	static async open(machines: MachineList): Promise<MachineClaims> {
		const claims = new MachineClaims(machines);
		for (const machine of await machines.list()) claims.#machines.set(machine.nodeId, machine);
		return claims;
	}

	/** A name or address that is another person's machine's, and none of the asker's own, is refused. */
	claimOf = (identity: Identity): UrlClaim => {
		return (url) => {
			const host = canonicalHost(url.hostname);
			if (isLoopback(host)) return null;
			const holders = [...this.#machines.values()].filter((machine) => machine.hosts.includes(host));
			if (holders.length === 0 || holders.some((machine) => isOwner(machine, identity))) return null;
			return `${host} is a machine of somebody else`;
		};
	};

	close(): void {
		void this.#subscription.close();
	}
}

function isOwner(machine: Machine, identity: Identity): boolean {
	if (identity.kind !== "user") return false;
	// The hub's own machine, and those that joined before there was an account.
	return machine.ownerId === "" ? identity.admin : machine.ownerId === identity.userId;
}
