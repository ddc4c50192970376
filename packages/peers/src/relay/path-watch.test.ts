import { type NodeId, type PeerId, silentLogger } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import type { PeerDirectory } from "../directory.ts";
import { type PeerPath, pathKey, pathKind } from "../path.ts";
import { PathWatch, pathWatchLimits } from "./path-watch.ts";

const id = "burrow-1" as PeerId;
const direct: PeerPath = { via: "address", address: { host: "10.0.0.2", port: 5151 } };
const tunnel: PeerPath = { via: "tunnel", nodeId: "node0000one" as NodeId };

/** One peer with two paths; which of them carries is said by the test. */
function watched(first: PeerPath) {
	const clock = new VirtualClock();
	const carries = new Set([pathKey(direct), pathKey(tunnel)]);
	const state = { now: first as PeerPath | null, open: [first], dropped: [] as PeerPath[], forgotten: 0, changes: 0 };
	const best = () => [direct, tunnel].find((path) => carries.has(pathKey(path))) ?? null;
	const directory = {
		find: async () => ({ id, name: "burrow" }),
		dialer: {
			provesItself: () => true,
			pathOf: () => state.now ?? direct,
			isReached: () => state.now !== null,
		},
		carries: async (path: PeerPath) => carries.has(pathKey(path)),
		seek: async () => {
			const found = best();
			if (found !== null) state.now = found;
			return found;
		},
		kindOf: (path: PeerPath) => pathKind(path, () => null),
	} as unknown as PeerDirectory;
	const watch = PathWatch.start({
		clock,
		logger: silentLogger,
		directory,
		sockets: {
			get peers() {
				return state.open.length === 0 ? [] : [id];
			},
			pathsOf: () => state.open,
			drop: (_id, on) => {
				state.dropped.push(on);
				state.open = state.open.filter((path) => path !== on);
			},
		},
		forget: async () => void state.forgotten++,
		onChange: () => void state.changes++,
	});
	const rounds = async (count: number) => {
		for (let round = 0; round < count; round++) {
			await clock.advance(pathWatchLimits.everyMs);
			// What a look awaits is answered at once, in a few turns.
			await new Promise((resolve) => setImmediate(resolve));
		}
	};
	return { watch, state, carries, rounds };
}

it("cuts the sockets of a path that failed twice in a row, once another one answers", async () => {
	const { watch, state, carries, rounds } = watched(direct);
	carries.delete(pathKey(direct));
	await rounds(1);
	expect(state.dropped, "one miss may be a busy moment").toEqual([]);
	await rounds(1);
	expect([state.dropped, state.now, state.forgotten, state.changes]).toEqual([[direct], tunnel, 1, 1]);
	await watch.close();
});

it("leaves a silent path alone while no other one answers", async () => {
	const { watch, state, carries, rounds } = watched(direct);
	carries.clear();
	await rounds(4);
	expect(state.dropped).toEqual([]);
	carries.add(pathKey(tunnel));
	await rounds(1);
	expect(state.dropped).toEqual([direct]);
	await watch.close();
});

it("forgets a miss when the path carries again", async () => {
	const { watch, state, carries, rounds } = watched(direct);
	for (let count = 0; count < 3; count++) {
		carries.delete(pathKey(direct));
		await rounds(1);
		carries.add(pathKey(direct));
		await rounds(1);
	}
	expect(state.dropped).toEqual([]);
	await watch.close();
});

it("takes a better path for what comes next, and leaves what runs where it runs", async () => {
	const { watch, state, carries, rounds } = watched(tunnel);
	carries.delete(pathKey(direct));
	await rounds(1);
	expect(state.changes).toBe(0);
	carries.add(pathKey(direct));
	await rounds(1);
	expect([state.now, state.dropped, state.changes]).toEqual([direct, [], 1]);
	await watch.close();
});

it("asks nobody while nothing is open, and nothing after it was closed", async () => {
	const { watch, state, carries, rounds } = watched(direct);
	state.open = [];
	carries.clear();
	await rounds(3);
	expect([state.dropped, state.now]).toEqual([[], direct]);
	state.open = [direct];
	await watch.close();
	await watch.close();
	carries.add(pathKey(tunnel));
	await rounds(3);
	expect(state.dropped).toEqual([]);
});
