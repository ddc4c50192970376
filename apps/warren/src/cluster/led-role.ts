import { type Clock, Lifetime, type Logger, messageOf, newId, newSecret, type Random } from "@warren/kernel";
import type { Listener } from "@warren/net";
import { Leadership, leadershipSchema, openPostgresTables, type Schema, type Tables } from "@warren/store";
import type { DatabaseConfig } from "../config/cluster-config.ts";
import { refuseLeft } from "../migrate/left-database.ts";
import { progressSchema } from "../migrate/progress.ts";
import { LeaderDoor } from "./leader-door.ts";

/** What an instance runs while it leads. */
export interface Served {
	/** On loopback, on a port of its own: the door hands it what arrives. */
	readonly listener: Listener;
	/** Finishes what is under way, and ends. */
	close(): Promise<void>;
}

export interface LedRoleOptions<DB> {
	readonly role: string;
	readonly host: string | undefined;
	readonly port: number;
	readonly shared: DatabaseConfig;
	readonly schemas: readonly Schema[];
	readonly maxConnections: number;
	/** Loads the state, and serves it. What it opens is the lifetime's, which ends with the lead. */
	readonly serve: (tables: Tables<DB>, epoch: number, lifetime: Lifetime) => Promise<Served>;
}

export interface LedRole {
	readonly port: number;
	/** Whether this instance leads now. */
	readonly leads: () => boolean;
	close(): Promise<void>;
}

/**
 * One of several instances of a role whose order one process keeps: the leader serves, the others carry connections to
 * it. State is in PostgreSQL, the lead is a row there.
 * @throws WarrenError `store_unreadable`, `store_newer`, `port_taken`.
 */
export async function openLedRole<DB>(
	deps: { readonly clock: Clock; readonly random: Random; readonly logger: Logger },
	options: LedRoleOptions<DB>,
): Promise<LedRole> {
	const { clock, random, logger } = deps;
	const { role, shared } = options;
	const lifetime = new Lifetime();
	try {
		const tables = lifetime.own(
			await openPostgresTables<DB>(shared.postgres, [...options.schemas, leadershipSchema, progressSchema], {}),
		);
		await refuseLeft(tables.db, role);
		const holder = newId(random);
		let serving: { readonly lifetime: Lifetime; readonly served: Served } | null = null;
		let door: LeaderDoor | null = null;
		const stop = async () => {
			const ending = serving;
			serving = null;
			// The door first: the next lead may begin while what this one has on its way still waits for the database.
			const shut = door?.stopServing();
			await Promise.allSettled([ending?.served.close(), shut]);
			await ending?.lifetime.close();
		};
		const lead = async (epoch: number) => {
			const own = new Lifetime();
			try {
				const served = await options.serve(tables, epoch, own);
				if (leadership.epoch !== epoch) throw new Error("the lead was lost before it began");
				serving = { lifetime: own, served };
				door?.serve(served.listener, epoch);
			} catch (failure) {
				await own.close();
				throw failure;
			}
		};
		const listening = { port: options.port };
		const address = () => shared.address ?? `${bracketed(options.host ?? "127.0.0.1")}:${listening.port}`;
		const leadership = new Leadership(
			tables.db,
			{ clock, logger },
			{
				role,
				holder,
				get address() {
					return address();
				},
				secret: newSecret(random),
				lead,
				lost: () =>
					void stop().catch((fault: unknown) =>
						logger.error("what was served did not end well", { role, fault: messageOf(fault) }),
					),
				follow: (leader) => door?.follow(leader),
			},
		);
		const secret = await leadership.open();
		door = lifetime.own(
			await LeaderDoor.open(
				{ clock, logger },
				{ role, holder, secret, host: options.host, port: options.port, maxConnections: options.maxConnections },
			),
		);
		listening.port = door.port;
		await leadership.start();
		// Ends first: what is under way is written while the lead is held.
		lifetime.defer(() => leadership.close());
		lifetime.defer(stop);
		return { port: door.port, leads: () => leadership.epoch !== null, close: () => lifetime.close() };
	} catch (failure) {
		await lifetime.close();
		throw failure;
	}
}

function bracketed(host: string): string {
	return host.includes(":") ? `[${host}]` : host;
}
