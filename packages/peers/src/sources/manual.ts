import type { Clock, PeerSource } from "@warren/kernel";
import type { Kysely } from "kysely";
import { addressKey, type PeerAddress } from "../address.ts";
import { peerError } from "../errors.ts";
import type { PeerTables } from "../schema.ts";

const maxManualPeers = 500;

/** Peers that somebody typed in. */
export class ManualPeers implements PeerSource {
	readonly name = "manual";
	readonly #db: Kysely<PeerTables>;
	readonly #clock: Clock;

	constructor(db: Kysely<PeerTables>, clock: Clock) {
		this.#db = db;
		this.#clock = clock;
	}

	candidates: PeerSource["candidates"] = async () => {
		const rows = await this.#db.selectFrom("peers_manual").selectAll().orderBy("added_at").execute();
		return { candidates: rows.map(({ name, host, port }) => ({ name, host, port })), errors: [] };
	};

	/** @throws WarrenError `peer_exists`, `too_many_peers`. */
	async add(address: PeerAddress, name: string): Promise<void> {
		const { count } = await this.#db
			.selectFrom("peers_manual")
			.select((each) => each.fn.countAll<number>().as("count"))
			.executeTakeFirstOrThrow();
		if (Number(count) >= maxManualPeers)
			throw peerError("too_many_peers", `This node already has ${maxManualPeers} peers.`);
		const added = await this.#db
			.insertInto("peers_manual")
			.values({ ...address, name, added_at: this.#clock.now() })
			.onConflict((conflict) => conflict.doNothing())
			.executeTakeFirst();
		if (Number(added.numInsertedOrUpdatedRows ?? 0) === 0)
			throw peerError("peer_exists", `${addressKey(address)} is already a peer.`);
	}

	/** @returns whether there was one. */
	async remove({ host, port }: PeerAddress): Promise<boolean> {
		const removed = await this.#db
			.deleteFrom("peers_manual")
			.where("host", "=", host)
			.where("port", "=", port)
			.executeTakeFirst();
		return Number(removed.numDeletedRows) > 0;
	}
}
