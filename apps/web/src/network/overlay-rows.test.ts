import { describe, expect, it } from "vitest";
import type { CoordinatorPeer, JoinerPeer, NetworkView } from "./network-api.ts";
import { edgesOf, rowsOf } from "./overlay-rows.ts";
import { t } from "./text.ts";

const known = (id: string, more: Partial<CoordinatorPeer> = {}): CoordinatorPeer => ({
	...{ peer_id: id, ula: `fd5a::${id}`, display_name: id, network: "default", tags: ["machine"], kind: "peer" },
	...{ relay_only: false, connectivity: "direct", paths: [] },
	...more,
});
const seen = (id: string, more: Partial<JoinerPeer> = {}): JoinerPeer => ({
	...{ peer_id: id, display_name: id, ula: `fd5a::${id}`, path: "direct", endpoint: null, rtt_ms: 1, mtu: 1420 },
	...{ last_handshake_at: 1, rx_bytes: 10, tx_bytes: 20 },
	...more,
});
const view = (peers: CoordinatorPeer[], own: JoinerPeer[], nat: string | null = null): NetworkView => ({
	joiner: {
		...{ name: "atlas", peer_id: "a", ula: "fd5a::a", endpoint: null, coordinator: "", connected: true, nat },
		...{ data_plane: "offload", relay: true, updated_at: 0, conditions: [], peers: own },
	},
	firstMachine: null,
	coordinator: { peers, removed: [] },
	error: null,
});
const rowOf = (network: NetworkView, id: string) => rowsOf(network).find((row) => row.id === id);

describe("the rows of the network", () => {
	it("begin with this machine; a device follows the machine that it is behind", () => {
		const network = view(
			[known("z"), known("phone", { parent: "z", kind: "runner" }), known("a"), known("m")],
			[seen("z")],
		);
		expect(rowsOf(network).map(({ id }) => id)).toEqual(["a", "m", "z", "phone"]);
	});

	it("show a machine that is reached by its tunnel alone as such, however its address is spelled", () => {
		const network = view(
			[known("b", { ula: "fd5a:1f00:0000:0002::1" })],
			[seen("b", { ula: "fd5a:1f00:0000:0002::1", path: "relay" })],
		);
		const [, row] = rowsOf(network, ["fd5a:1f00:0:2::1"]);
		expect(row).toMatchObject({ id: "b", path: "tunnel", why: t.why.tunnel });
		expect(rowsOf(network)[1]?.path).toBe("relay");
	});

	it("say why a path is what it is", () => {
		const to = { address: "fd00::1", port: 51820 };
		expect(rowOf(view([known("b")], [seen("b", { endpoint: to })]), "b")?.why).toBe(t.why.directTo("[fd00::1]:51820"));
		const relayed = [seen("b", { path: "relay" })];
		expect(rowOf(view([known("b", { relay_only: true })], relayed), "b")?.why).toBe(t.why.relayOnly);
		expect(rowOf(view([known("b", { nat: "hard" })], relayed, "hard"), "b")?.why).toBe(t.why.hardNats);
		expect(rowOf(view([known("b", { nat: "hard" })], relayed, "easy"), "b")?.why).toBe(t.why.noDirect);
		expect(rowOf(view([known("b", { connectivity: "dead" })], relayed), "b")?.path).toBe("away");
		expect(rowOf(view([known("b")], []), "b")).toMatchObject({ path: "unknown", why: t.why.unknown });
	});

	it("are this machine's own view where the coordinator cannot be asked, and the coordinator's where nothing runs here", () => {
		const network = { ...view([], [seen("b")]), coordinator: null };
		expect(rowsOf(network).map(({ id, path }) => [id, path])).toEqual([
			["a", "self"],
			["b", "direct"],
		]);
		expect(rowsOf({ ...view([known("b")], []), joiner: null }).map(({ id }) => id)).toEqual(["b"]);
		expect(rowsOf({ joiner: null, coordinator: null, firstMachine: null, error: null })).toEqual([]);
	});
});

describe("the edges of the map", () => {
	it("are one a pair, direct when either side receives directly, and name devices' machines", () => {
		const network = view(
			[
				known("a"),
				known("b", { paths: [{ peer_id: "c", direct: false, last_rx_age_ms: 1 }] }),
				known("c", { paths: [{ peer_id: "b", direct: true, last_rx_age_ms: 1 }] }),
				known("phone", { parent: "c" }),
			],
			[seen("b", { path: "relay" })],
		);
		expect(
			edgesOf(network, rowsOf(network))
				.map(({ from, to, path }) => `${from}-${to} ${path}`)
				.sort(),
		).toEqual(["a-b relay", "b-c direct", "c-phone behind"]);
	});
});
