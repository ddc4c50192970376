import { describe, expect, it } from "vitest";
import type { JoinerStatus } from "./stock-device.ts";
import { withTunnels } from "./tunnelled-peers.ts";

const peer = (name: string, ula: string, path: string) => ({
	...{ display_name: name, ula, path, endpoint: null, rtt_ms: null, rx_bytes: 0, tx_bytes: 0 },
});
const status: JoinerStatus = {
	...{ name: "atlas", ula: "fd5a:1f00:0000:0001::1", wg_public_key: "", endpoint: null, coordinator: "" },
	...{ connected: true, interface: "warren0", data_plane: null, nat: null, relay: true, updated_at: 0, conditions: [] },
	peers: [
		peer("burrow", "fd5a:1f00:0000:0002::1", "relay"),
		peer("cellar", "fd5a:1f00:0000:0003::1", "direct"),
		peer("den", "fd5a:1f00:0000:0004::1", "relay"),
	],
};

describe("the overlay's status", () => {
	it("shows a machine that is reached by its tunnel alone as such, and the others as the joiner has them", () => {
		const shown = withTunnels(status, [
			{ path: "tunnel", ula: "fd5a:1f00:0:2::1" },
			{ path: "overlay", ula: "fd5a:1f00:0:3::1" },
			{ path: "tunnel" },
			{ ula: "fd5a:1f00:0:4::1" },
		]);
		expect(shown.peers.map(({ display_name, path }) => [display_name, path])).toEqual([
			["burrow", "tunnel"],
			["cellar", "direct"],
			["den", "relay"],
		]);
	});
});
