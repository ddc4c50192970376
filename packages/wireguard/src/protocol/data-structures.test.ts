import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AllowedIps } from "./allowed-ips.ts";
import { type Cidr, formatAddress, formatCidr, maskOf, parseAddress, parseCidr } from "./cidr.ts";
import { limits } from "./constants.ts";
import { InitiationLimit } from "./cookies.ts";
import { endpointOf } from "./endpoint.ts";
import { FlowTable } from "./flow-table.ts";
import { ReplayWindow } from "./replay-window.ts";

const cidr4 = fc
	.tuple(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 32 }))
	.map(([low, length]): Cidr => parseCidr(`10.${low & 3}.${(low >> 4) & 7}.${(low >> 8) & 15}/${length}`)!);
const cidr6 = fc
	.tuple(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 128 }))
	.map(
		([low, length]): Cidr => parseCidr(`fd5a:${(low & 7).toString(16)}::${((low >> 4) & 15).toString(16)}/${length}`)!,
	);

const matches = (cidr: Cidr, words: readonly number[]) =>
	cidr.words.every((word, at) => (((words[at] as number) ^ word) & maskOf(cidr.length, at)) === 0);

describe("allowed IPs", () => {
	it("S5 agree with a list that is searched from end to end, through inserts, moves and removals", () => {
		fc.assert(
			fc.property(
				fc.array(
					fc.record({ cidr: fc.oneof(cidr4, cidr6), owner: fc.integer({ min: 0, max: 3 }), removes: fc.boolean() }),
					{ minLength: 1, maxLength: 60 },
				),
				fc.array(fc.oneof(cidr4, cidr6), { minLength: 1, maxLength: 30 }),
				(steps, probes) => {
					const owners = [{ id: 0 }, { id: 1 }, { id: 2 }, { id: 3 }];
					const trie = new AllowedIps<{ id: number }>();
					const oracle = new Map<string, { cidr: Cidr; owner: { id: number } }>();
					for (const { cidr, owner, removes } of steps) {
						if (removes) {
							trie.remove(cidr);
							oracle.delete(formatCidr(cidr));
						} else {
							const before = oracle.get(formatCidr(cidr))?.owner;
							const own = owners[owner]!;
							expect(trie.insert(cidr, own)).toBe(before === undefined || before === own ? null : before);
							oracle.set(formatCidr(cidr), { cidr, owner: own });
						}
					}
					for (const probe of [...probes, ...steps.map(({ cidr }) => cidr)]) {
						const best = [...oracle.values()]
							.filter(({ cidr }) => cidr.version === probe.version && matches(cidr, probe.words))
							.toSorted((x, y) => y.cidr.length - x.cidr.length)[0];
						const found = probe.version === 4 ? trie.lookup4(probe.words[0]!) : trie.lookup6(probe.words);
						expect(found).toBe(best?.owner ?? null);
					}
					for (const owner of owners)
						expect(
							trie
								.of(owner)
								.map((each) => formatCidr(each))
								.toSorted(),
						).toEqual(
							[...oracle.values()]
								.filter((each) => each.owner === owner)
								.map((each) => formatCidr(each.cidr))
								.toSorted(),
						);
					for (const owner of owners) trie.removeOwner(owner);
					for (const { cidr } of steps)
						expect(cidr.version === 4 ? trie.lookup4(cidr.words[0]!) : trie.lookup6(cidr.words)).toBeNull();
				},
			),
			{ numRuns: 300 },
		);
	});

	it("S5 hold 131,072 prefixes and find each", () => {
		const trie = new AllowedIps<{ id: number }>();
		const owners = Array.from({ length: 16 }, (_, id) => ({ id }));
		for (let each = 0; each < 131_072; each++)
			trie.insert({ version: 4, words: [(0x0a00_0000 + each * 4) >>> 0], length: 30 }, owners[each % 16]!);
		for (let each = 0; each < 131_072; each += 97)
			expect(trie.lookup4(0x0a00_0000 + each * 4 + 3)).toBe(owners[each % 16]);
		expect(trie.lookup4(0x0a00_0000 + 131_072 * 4)).toBeNull();
	});

	it("reads and writes addresses as RFC 5952 wants them", () => {
		for (const text of ["10.0.0.1", "::", "::1", "fd5a:1f00:0:1::1", "1:2:3:4:5:6:7:8", "2001:db8::", "::ffff:102:304"])
			expect(formatAddress(parseAddress(text)!)).toBe(text);
		expect(formatCidr(parseCidr("::ffff:10.1.2.3/96")!)).toBe("::ffff:0:0/96");
		expect(formatCidr(parseCidr("10.1.2.3/8")!)).toBe("10.0.0.0/8");
		for (const bad of [
			"",
			"10.0.0",
			"10.0.0.256",
			"10.0.0.1/33",
			"::1/129",
			"1::2::3",
			"12345::",
			"a",
			"10.0.0.1/",
			"10.0.0.1/8/8",
			"1:2:3:4:5:6:7:8:9",
			":1:2:3:4:5:6:7",
		])
			expect(parseCidr(bad), bad).toBeNull();
	});
});

describe("the replay window", () => {
	it("S2 agrees with a set of all counters seen", () => {
		fc.assert(
			fc.property(
				fc.array(fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 40_000 })), { maxLength: 300 }),
				(counters) => {
					const window = new ReplayWindow();
					const seen = new Set<number>();
					let highest = -1;
					for (const counter of counters) {
						const expected = !seen.has(counter) && highest - counter < 8192;
						expect(window.take(counter)).toBe(expected);
						if (expected) {
							seen.add(counter);
							highest = Math.max(highest, counter);
						}
					}
				},
			),
			{ numRuns: 200 },
		);
	});

	it("S2 takes the last of the window and nothing before it, and nothing beyond what a number holds", () => {
		const window = new ReplayWindow();
		expect(window.take(10_000)).toBe(true);
		expect(window.take(10_000 - 8191)).toBe(true);
		expect(window.take(10_000 - 8192)).toBe(false);
		expect(window.take(2 ** 53 - 2 ** 13 - 1)).toBe(false);
		expect(window.take(Number.POSITIVE_INFINITY)).toBe(false);
		expect(window.take(2 ** 53 - 2 ** 13 - 2)).toBe(true);
		expect(window.take(2 ** 53 - 2 ** 13 - 3)).toBe(true);
		expect(window.take(10_001)).toBe(false);
	});
});

describe("limits of strangers", () => {
	const source = (address: string) => endpointOf(address, 1)!.bytes;

	it("L3 an address has five at once and twenty a second; a v6 /64 counts as one", () => {
		const limit = new InitiationLimit();
		const taken = (address: string, now: number) => (limit.allows(source(address), now) ? 1 : 0);
		let count = 0;
		for (let each = 0; each < 10; each++) count += taken(`2001:db8::${each + 1}`, 0);
		expect(count).toBe(limits.initiationBurst);
		expect(taken("2001:db8:0:1::1", 0)).toBe(1);
		expect(taken("192.0.2.1", 0)).toBe(1);
		count = 0;
		for (let ms = 1; ms <= 1000; ms++) count += taken("2001:db8::77", ms);
		expect(count).toBe(limits.initiationsPerSecond);
	});

	it("L3 remembers 4,096 addresses; one more waits until others are forgotten", () => {
		const limit = new InitiationLimit();
		for (let each = 0; each < limits.rateLimitedAddresses; each++)
			expect(limit.allows(source(formatAddress([0x0a00_0000 + each])), 0)).toBe(true);
		expect(limit.allows(source("192.0.2.9"), 0)).toBe(false);
		expect(limit.allows(source("192.0.2.9"), 1001)).toBe(true);
	});

	it("F1 a flood of flows takes no more memory than its table", () => {
		const table = new FlowTable();
		const near = new Uint32Array([1, 0, 0, 0]);
		for (let each = 0; each < limits.flows * 3; each++)
			table.add(17, near, 53, new Uint32Array([each, 0, 0, 0]), each & 0xffff, each);
		expect(table.size).toBeLessThanOrEqual(limits.flows);
		const last = limits.flows * 3 - 1;
		expect(table.has(17, near, 53, new Uint32Array([last, 0, 0, 0]), last & 0xffff, last)).toBe(true);
	});
});
