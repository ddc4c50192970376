import { X509Certificate } from "node:crypto";
import { HealthTable, Lifetime, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { Authority, createCsr, Metrics, type TlsIdentity } from "@warren/net";
import { tempFolder, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { DataFolder } from "../config/data-folder.ts";
import type { RoleBase } from "../role-base.ts";
import { LeafRenewal } from "./leaf-renewal.ts";

const dayMs = 24 * 3600 * 1000;
const nodeId = "abcdefgh12345678";

/** A joined machine whose leaf has `days` to go, and the hub behind its link. */
async function member(days: number, hosts: readonly string[], certified: readonly string[] = hosts) {
	const folder = tempFolder("renewal");
	const clock = new VirtualClock(Date.now());
	const { authority } = await Authority.create("Ours", [], systemClock, systemRandom);
	const data = DataFolder.open(folder.file("data"));
	const { csr, key } = await createCsr("burrow");
	const first = await authority.issueForCsr(csr, {
		name: "burrow",
		hosts: ["localhost", "burrow.local"],
		nodeId,
		days,
	});
	data.write(key, "tls", "node.key");
	data.write(first, "tls", "node.crt");
	const used: TlsIdentity[] = [];
	let asked = 0;
	const answer = { cert: null as string | null };
	let connected: (state: boolean) => void = () => {};
	const base: RoleBase = {
		...{ clock, random: systemRandom, logger: silentLogger, lifetime: new Lifetime(), data },
		health: new HealthTable(clock),
		metrics: new Metrics(),
		audit: { record() {}, list: async () => [] },
	};
	const renewal = new LeafRenewal(base, {
		ca: authority.certPem,
		name: "burrow",
		hosts: () => hosts,
		use: (tls) => used.push(tls),
		link: {
			async renewCertificate(request) {
				asked += 1;
				const made = await authority.issueForCsr(request, { name: "burrow", hosts: certified, nodeId });
				return { cert: answer.cert ?? made, ca: authority.certPem };
			},
			onConnected(watcher) {
				connected = watcher;
				return { close() {} };
			},
		},
	});
	return {
		...{ clock, data, used, answer, renewal, first },
		asked: () => asked,
		connect: () => (connected(true), renewal.check()),
		leaf: () => new X509Certificate(data.read("tls", "node.crt") as string),
		async [Symbol.asyncDispose]() {
			await renewal.close();
			data.close();
			folder[Symbol.dispose]();
		},
	};
}

describe("a joined machine's leaf", () => {
	it("is renewed with the same key when it nears its end, and not before", async () => {
		await using good = await member(300, ["localhost", "burrow.local"]);
		await good.connect();
		expect([good.asked(), good.used.length]).toEqual([0, 0]);
		await using ending = await member(59, ["localhost", "burrow.local"]);
		await ending.connect();
		expect(ending.used).toHaveLength(1);
		expect(Date.parse(ending.leaf().validTo) - Date.now()).toBeGreaterThan(300 * dayMs);
		expect(ending.leaf().checkPrivateKey).toBeDefined();
		expect(ending.data.read("tls", "node.key")).toBe(ending.used[0]?.key);
	});

	it("is renewed while the machine runs on for months", async () => {
		await using long = await member(90, ["localhost", "burrow.local"]);
		await long.connect();
		expect(long.asked()).toBe(0);
		for (let day = 0; day < 32; day++) {
			await long.clock.advance(dayMs);
			await long.renewal.check();
		}
		expect(long.used).toHaveLength(1);
	});

	it("gets a name that it lacks; one that would say nothing new is left, and so is what others pinned", async () => {
		await using moved = await member(300, ["localhost", "burrow.local", "10.0.0.7"]);
		await moved.connect();
		expect(moved.leaf().subjectAltName).toContain("10.0.0.7");
		await using renamed = await member(300, ["localhost", "den.local"]);
		await renamed.connect();
		expect(renamed.leaf().subjectAltName).toContain("den.local");
		await using contested = await member(300, ["localhost", "burrow.local", "10.0.0.7"], ["localhost", "burrow.local"]);
		await contested.connect();
		expect([contested.asked(), contested.used.length]).toEqual([1, 0]);
		expect(contested.data.read("tls", "node.crt")).toBe(contested.first);
	});

	it("is kept when the hub's answer is for another key or of another CA", async () => {
		await using fooled = await member(10, ["localhost"]);
		const stranger = (await Authority.create("Theirs", [], systemClock, systemRandom)).authority;
		for (const made of [await stranger.issue({ name: "burrow", hosts: ["localhost"] }), { cert: "nonsense" }]) {
			fooled.answer.cert = made.cert;
			await fooled.connect();
		}
		expect(fooled.asked()).toBe(2);
		expect(fooled.used).toEqual([]);
		expect(fooled.data.read("tls", "node.crt")).toBe(fooled.first);
	});
});
