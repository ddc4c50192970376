import { type Authenticator, type Clock, type DeviceId, Lifetime, silentLogger, systemClock } from "@warren/kernel";
import { HostTable, Listener, type Route } from "@warren/net";
import { openSqliteTables } from "@warren/store";
import { PeerDirectory } from "../directory.ts";
import { Pins } from "../pins.ts";
import { peerRoutes } from "../routes.ts";
import { type PeerTables, peerSchema } from "../schema.ts";
import { ManualPeers } from "../sources/manual.ts";
import { PeerPools } from "./pools.ts";

/** The relay behind a real listener, without the rest of a node. `Bearer me` is its one credential, `ticket.t` its ticket. */
export interface RelayNode extends AsyncDisposable {
	readonly origin: string;
	readonly port: number;
	readonly directory: PeerDirectory;
	readonly pins: Pins;
	readonly listener: Listener;
	/** Adds a peer by hand and gives its id. */
	add(peer: { readonly host: string; readonly port: number }, name?: string): Promise<string>;
	fetch(path: string, init?: RequestInit): Promise<Response>;
}

const authenticator: Authenticator = {
	kinds: ["device"],
	authenticate: async (credential) => {
		const identity = { kind: "device", deviceId: "d" as DeviceId, name: "d" } as const;
		if (credential.scheme === "ws-ticket")
			return { ok: true, kind: "device", identity, upstreamAuthorization: "Bearer from-ticket" };
		return credential.scheme === "bearer" && credential.token === "me"
			? { ok: true, kind: "device", identity }
			: { ok: false, reason: "invalid", message: "Who?" };
	},
};

export async function relayNode(clock: Clock = systemClock, more: readonly Route[] = []): Promise<RelayNode> {
	const tables = await openSqliteTables<PeerTables>(":memory:", [peerSchema]);
	const pins = await Pins.open(tables.db, systemClock);
	const directory = await PeerDirectory.open({
		db: tables.db,
		clock: systemClock,
		pins,
		manual: new ManualPeers(tables.db, systemClock),
		sources: [],
		isSelf: () => false,
	});
	const pools = new PeerPools(directory.dialer);
	const lifetime = new Lifetime();
	const listener = await Listener.open(
		{ clock: systemClock, logger: silentLogger },
		{
			role: "node",
			host: "127.0.0.1",
			port: 0,
			tls: null,
			hosts: new HostTable(["localhost"]),
			authenticator,
			routes: [
				...peerRoutes({
					directory,
					pins,
					pools,
					clock,
					logger: silentLogger,
					lifetime,
					audit: { record() {}, list: async () => [] },
					credentials: ["device"],
					self: () => ({ name: "a", version: "1", host: "a", port: 1 }),
					defaultPort: 5151,
					onChange() {},
				}).routes,
				...more,
			],
		},
	);
	const origin = `http://127.0.0.1:${listener.port}`;
	const ask = (path: string, init: RequestInit = {}) => {
		const headers = new Headers(init.headers);
		if (!headers.has("authorization")) headers.set("authorization", "Bearer me");
		return fetch(`${origin}${path}`, { ...init, headers, redirect: "manual" });
	};
	return {
		origin,
		port: listener.port,
		directory,
		pins,
		listener,
		fetch: ask,
		async add({ host, port }, name = "peer") {
			const answer = await ask("/api/peers", {
				method: "POST",
				headers: { "content-type": "application/json" },
				body: JSON.stringify({ host, port, name }),
			});
			if (answer.status !== 201) throw new Error(`adding ${host}:${port}: ${await answer.text()}`);
			return ((await answer.json()) as { id: string }).id;
		},
		async [Symbol.asyncDispose]() {
			await listener.close();
			await lifetime.close();
			await pools.close();
			await tables.close();
		},
	};
}
