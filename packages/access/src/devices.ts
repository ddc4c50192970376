import { type Clock, type DeviceId, hashToken, newId, newSecret, type Random, type Verdict } from "@warren/kernel";
import type { Kysely } from "kysely";
import { accessError } from "./errors.ts";
import type { AccessTables } from "./schema.ts";

export const deviceTokenPrefix = "wd_";
export const deviceLimits = {
	maxDevices: 500,
	maxNameLength: 80,
	/** How stale `lastSeenAt` may get before it is written again. */
	seenEveryMs: 60_000,
} as const;

export interface Device {
	readonly id: DeviceId;
	readonly name: string;
	readonly createdAt: number;
	readonly lastSeenAt: number;
}

interface Known {
	readonly device: Device;
	seenWrittenAt: number;
	lastSeenAt: number;
}

/** Browsers and phones that hold a token of this node. All in memory, so that each request costs one hash. */
export class Devices {
	readonly #db: Kysely<AccessTables>;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #byHash = new Map<string, Known>();
	readonly #revokedWatchers = new Set<(id: DeviceId) => void>();

	private constructor(db: Kysely<AccessTables>, clock: Clock, random: Random) {
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
	}

	static async open(db: Kysely<AccessTables>, clock: Clock, random: Random): Promise<Devices> {
		const devices = new Devices(db, clock, random);
		for (const row of await db.selectFrom("access_devices").selectAll().execute()) {
			const device = {
				id: row.id as DeviceId,
				name: row.name,
				createdAt: row.created_at,
				lastSeenAt: row.last_seen_at,
			};
			devices.#byHash.set(row.token_hash, { device, seenWrittenAt: row.last_seen_at, lastSeenAt: row.last_seen_at });
		}
		return devices;
	}

	/** @returns the device and its token, shown this once. @throws WarrenError `too_many_devices`. */
	async enrol(name: string): Promise<{ device: Device; token: string }> {
		if (this.#byHash.size >= deviceLimits.maxDevices) {
			throw accessError("too_many_devices", `This node already knows ${deviceLimits.maxDevices} devices.`);
		}
		const now = this.#clock.now();
		const device: Device = {
			id: newId(this.#random) as DeviceId,
			name: name.slice(0, deviceLimits.maxNameLength),
			createdAt: now,
			lastSeenAt: now,
		};
		const token = `${deviceTokenPrefix}${newSecret(this.#random)}`;
		const tokenHash = hashToken(token);
		await this.#db
			.insertInto("access_devices")
			.values({
				id: device.id,
				name: device.name,
				token_hash: tokenHash,
				created_at: now,
				last_seen_at: now,
			})
			.execute();
		this.#byHash.set(tokenHash, { device, seenWrittenAt: now, lastSeenAt: now });
		return { device, token };
	}

	/** Newest first. */
	list(): Device[] {
		return [...this.#byHash.values()]
			.map((known) => ({ ...known.device, lastSeenAt: known.lastSeenAt }))
			.sort((a, b) => b.createdAt - a.createdAt);
	}

	get count(): number {
		return this.#byHash.size;
	}

	/** The token is dead when this resolves, also after a power cut. @throws WarrenError `unknown_device`. */
	async revoke(id: string): Promise<void> {
		const found = [...this.#byHash].find(([, known]) => known.device.id === id);
		if (found === undefined) throw accessError("unknown_device", `There is no device "${id.slice(0, 40)}".`);
		await this.#db.deleteFrom("access_devices").where("id", "=", id).execute();
		this.#byHash.delete(found[0]);
		for (const watcher of this.#revokedWatchers) watcher(id as DeviceId);
	}

	/** For closing what a revoked device still has open. */
	onRevoked(watcher: (id: DeviceId) => void): void {
		this.#revokedWatchers.add(watcher);
	}

	verify(token: string): Verdict {
		const known = this.#byHash.get(hashToken(token));
		if (known === undefined)
			return { ok: false, reason: "invalid", message: "This device is not signed in here, or was revoked." };
		this.#seen(known);
		return {
			ok: true,
			kind: "device",
			identity: { kind: "device", deviceId: known.device.id, name: known.device.name },
		};
	}

	#seen(known: Known): void {
		known.lastSeenAt = this.#clock.now();
		if (known.lastSeenAt - known.seenWrittenAt < deviceLimits.seenEveryMs) return;
		known.seenWrittenAt = known.lastSeenAt;
		// Lost with a crash or a full disk, and no harm done: it is only a date.
		this.#db
			.updateTable("access_devices")
			.set({ last_seen_at: known.lastSeenAt })
			.where("id", "=", known.device.id)
			.execute()
			.catch(() => {});
	}
}
