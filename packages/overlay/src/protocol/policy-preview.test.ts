import { describe, expect, it } from "vitest";
import type { PeerRecord } from "./peer-record.ts";
import { type Policy, readPolicy } from "./policy.ts";
import { maxShownPairs, previewPolicy } from "./policy-preview.ts";

const peer = (name: string, ...tags: string[]) =>
	({ display_name: name, network: "default", tags, peer_id: name }) as unknown as PeerRecord;
const rule = (src: string, dst: string, more: object = {}) => ({ action: "accept", src: [src], dst: [dst], ...more });
function policy(...acls: object[]): Policy {
	const reading = readPolicy(JSON.stringify({ acls }));
	if (!reading.ok) throw new Error(JSON.stringify(reading));
	return reading.policy;
}
const web = peer("web", "web");
const db = peer("db", "db");
const nothing = { gained: [], lost: [], gainedCount: 0, lostCount: 0, ports: [], portsCount: 0, portsLostCount: 0 };

describe("the preview of a policy", () => {
	it("names pairs that gain or lose each other whole", () => {
		const all = policy(rule("*", "*"));
		expect(previewPolicy(policy(), all, [web, db])).toEqual({ ...nothing, gained: [["db", "web"]], gainedCount: 1 });
		expect(previewPolicy(all, policy(), [web, db])).toEqual({ ...nothing, lost: [["db", "web"]], lostCount: 1 });
		expect(previewPolicy(all, all, [web, db])).toEqual(nothing);
	});

	it("names the ports that a pair gains and loses, in the direction that they open", () => {
		const before = policy(rule("tag:web", "tag:db", { proto: "tcp", ports: [5432] }));
		const after = policy(rule("tag:web", "tag:db", { proto: "tcp", ports: ["5433-5440", 80] }));
		expect(previewPolicy(before, after, [web, db])).toEqual({
			...nothing,
			ports: [{ from: "web", to: "db", both: false, gained: ["tcp 80, 5433-5440"], lost: ["tcp 5432"] }],
			portsCount: 1,
			portsLostCount: 1,
		});
	});

	it("names the ports of a pair that is new, unless it is everything", () => {
		const after = policy(rule("tag:web", "tag:db", { proto: "udp", ports: [53] }));
		expect(previewPolicy(policy(), after, [web, db])).toMatchObject({
			gainedCount: 1,
			ports: [{ from: "web", to: "db", both: false, gained: ["udp 53"], lost: [] }],
			portsLostCount: 0,
		});
	});

	it("tells a narrowing both ways once, and counts on where its list ends", () => {
		const peers = Array.from({ length: 30 }, (_, index) => peer(`m${index}`, "m"));
		const narrowed = policy(rule("tag:m", "tag:m", { proto: "tcp", ports: [22] }));
		const preview = previewPolicy(policy(rule("*", "*")), narrowed, peers);
		expect(preview).toMatchObject({ gainedCount: 0, lostCount: 0, portsCount: 435, portsLostCount: 435 });
		expect(preview.ports).toHaveLength(maxShownPairs);
		expect(preview.ports[0]).toEqual({
			...{ from: "m0", to: "m1", both: true, gained: [] },
			lost: ["tcp 0-21, 23-65535", "udp", "icmp", "other protocols"],
		});
	});
});
