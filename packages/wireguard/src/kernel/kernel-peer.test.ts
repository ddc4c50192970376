import { describe, expect, it } from "vitest";
import { endpointOf } from "../protocol/endpoint.ts";
import { follow, type KernelPeerRecord, wantedEndpoint, waysOf } from "./kernel-peer.ts";

const lane = { address: "127.64.0.1", port: 4000 };
const there = { address: "192.0.2.1", port: 51820 };
const elsewhere = { address: "2001:db8::1", port: 51820 };

function peerOf(changes: Partial<KernelPeerRecord> = {}): KernelPeerRecord {
	return {
		publicKey: new Uint8Array(32).fill(1),
		lane: { endpoint: endpointOf(lane.address, lane.port)!, toKernel() {}, close() {} },
		...{ route: "direct", direct: null, told: null, allowedIps: [], keepalive: 0, mtu: 1420, lastHandshakeAt: null },
		...changes,
	};
}

const direct = () => endpointOf(there.address, there.port)!;

describe("where the kernel sends to a peer", () => {
	it("is the peer itself when the route is direct and it is known where, else its lane", () => {
		expect(wantedEndpoint(peerOf({ direct: direct() })).address).toBe(there.address);
		expect(wantedEndpoint(peerOf()).address).toBe(lane.address);
		for (const route of ["relay", "both"] as const)
			expect(wantedEndpoint(peerOf({ route, direct: direct() })).address).toBe(lane.address);
	});

	it("is followed when the peer roams, and told of once", () => {
		const peer = peerOf({ direct: direct() });
		const seen = (endpoint: typeof there) => follow(peer, { endpoint, lastHandshakeAt: 5 }, false);
		expect(seen(there)).toEqual({ hasChanged: true, mustTell: false });
		expect(seen(there)).toEqual({ hasChanged: false, mustTell: false });
		expect(seen(elsewhere)).toEqual({ hasChanged: true, mustTell: false });
		expect(peer.direct?.address).toBe(elsewhere.address);
		expect(seen(elsewhere).hasChanged).toBe(false);
	});

	it("is put right when a relayed datagram moved it into a lane, which is no place of the peer's", () => {
		const peer = peerOf({ direct: direct() });
		for (const endpoint of [lane, { address: "127.64.0.2", port: lane.port }, null])
			expect(follow(peer, { endpoint, lastHandshakeAt: null }, true)).toEqual({ hasChanged: false, mustTell: true });
		expect(peer.direct?.address).toBe(there.address);
	});

	it("is put back into the lane when one that belongs to the relay was heard directly, and that is remembered", () => {
		const peer = peerOf({ route: "both" });
		const seen = (endpoint: typeof there, isLane: boolean) => follow(peer, { endpoint, lastHandshakeAt: null }, isLane);
		expect(seen(there, false)).toEqual({ hasChanged: true, mustTell: true });
		expect(peer.direct?.address).toBe(there.address);
		expect(seen(there, false)).toEqual({ hasChanged: false, mustTell: true });
		expect(seen(lane, true)).toEqual({ hasChanged: false, mustTell: false });
	});
});

describe("a datagram in a lane", () => {
	const data = new Uint8Array(64);
	data[0] = 4;
	const keepalive = data.slice(0, 32);
	const response = new Uint8Array(92);
	response[0] = 2;

	it("leaves as the route says, and by the relay when nobody knows where the peer is", () => {
		const ways = (changes: Partial<KernelPeerRecord>) => waysOf(peerOf(changes), data);
		expect(ways({ route: "relay", direct: direct() })).toEqual({ direct: false, relay: true, urgent: false });
		expect(ways({ route: "both", direct: direct() })).toEqual({ direct: true, relay: true, urgent: false });
		expect(ways({ direct: direct() })).toEqual({ direct: true, relay: false, urgent: false });
		expect(ways({})).toEqual({ direct: false, relay: true, urgent: false });
	});

	it("is urgent when it is a handshake's or a keepalive, and an answer also goes back the way that it may have come", () => {
		expect(waysOf(peerOf({ direct: direct() }), response)).toEqual({ direct: true, relay: true, urgent: true });
		expect(waysOf(peerOf({ route: "relay" }), keepalive).urgent).toBe(true);
	});
});
