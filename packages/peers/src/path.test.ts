import type { NodeId } from "@warren/kernel";
import { expect, it } from "vitest";
import { isBetter, type OverlayLane, pathKey, pathKind } from "./path.ts";

const at = (host: string) => ({ via: "address", address: { host, port: 5151 } }) as const;
const tunnel = { via: "tunnel", nodeId: "node0000one" as NodeId } as const;

it.each([
	["192.168.1.7", null, "direct"],
	["burrow.local", null, "direct"],
	["fd7a:115c:a1e0::7", null, "direct"],
	// An address of an app is no machine's.
	["fd5a:1f02:44a5:240b:121a::1", null, "direct"],
	["fd5a:1f00:0:2::1", "direct", "overlay"],
	["fd5a:1f00:0:2::1", "relay", "relayed"],
	["fd5a:1f00:0:2::1", null, "overlay"],
] as const)("%s over a lane %s is %s", (host, lane, kind) => {
	const laneOf: OverlayLane = () => lane;
	expect(pathKind(at(host), laneOf)).toBe(kind);
});

it("ranks direct before overlay before relayed before tunnel", () => {
	expect(pathKind(tunnel, () => null)).toBe("tunnel");
	const order = ["direct", "overlay", "relayed", "tunnel"] as const;
	for (const [better, kind] of order.entries())
		for (const [worse, than] of order.entries()) expect(isBetter(kind, than), `${kind} ${than}`).toBe(better < worse);
});

it("names each path once", () => {
	expect([pathKey(at("fd5a:1f00:0:2::1")), pathKey(tunnel)]).toEqual(["[fd5a:1f00:0:2::1]:5151", "tunnel:node0000one"]);
});
