import type { FrontTls } from "@warren/backbone";
import { HealthTable, silentLogger } from "@warren/kernel";
import { Authority } from "@warren/net";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { CertificateKeeper, keeperLimits, type WantedCertificate } from "./certificate-keeper.ts";

const dayMs = 24 * 3600_000;
const web: WantedCertificate = { name: "web.example.com", names: ["web.example.com"] };
const shop: WantedCertificate = { name: "shop.example.com", names: ["shop.example.com"] };

let clock: VirtualClock;
let health: HealthTable;
let files: Map<string, FrontTls>;
let installed: Map<string, FrontTls | null>;
let orders: { name: string; at: number }[];
let running: number;
let authority: Authority;
let outcome: () => Promise<void>;
let issue: (wanted: WantedCertificate) => Promise<FrontTls>;
let diskIsFull: boolean;

beforeEach(async () => {
	clock = new VirtualClock();
	health = new HealthTable(clock);
	files = new Map();
	installed = new Map();
	orders = [];
	running = 0;
	outcome = async () => {};
	diskIsFull = false;
	issue = ({ name, names }) => authority.issue({ name, hosts: [...names], usages: ["server"] });
	const random = new SeededRandom(7);
	({ authority } = await Authority.create("Test", ["example.com"], clock, random));
});

function keeper(): CertificateKeeper {
	return new CertificateKeeper({
		clock,
		random: new SeededRandom(7),
		logger: silentLogger,
		health,
		load: (name) => files.get(name) ?? null,
		save: (name, tls) => {
			if (diskIsFull) throw new Error("ENOSPC: no space left on device");
			files.set(name, tls);
		},
		obtain: async (wanted) => {
			orders.push({ name: wanted.name, at: clock.now() });
			expect(++running).toBe(1);
			try {
				await outcome();
				return await issue(wanted);
			} finally {
				running -= 1;
			}
		},
		install: ({ name }, tls) => installed.set(name, tls),
	});
}

/** Real cryptography, on a machine that may be busy. */
const patient = { timeout: 50_000 };
/** Certificates are made by real cryptography: each wait is for the order itself. */
const until = (orderCount: number) =>
	expect.poll(() => [orders.length, running, installed.size > 0], patient).toEqual([orderCount, 0, true]);

describe("CertificateKeeper", () => {
	it("orders one at a time, installs, saves, and renews at two thirds of the life", async () => {
		using kept = {
			keeper: keeper(),
			[Symbol.dispose]() {
				this.keeper.close();
			},
		};
		const from = clock.now();
		kept.keeper.want([web, shop]);
		await until(2);
		expect([...files.keys()].sort()).toEqual(["shop.example.com", "web.example.com"]);
		const first = files.get("web.example.com");
		const { X509Certificate } = await import("node:crypto");
		const leaf = new X509Certificate((first as FrontTls).cert);
		const [begin, end] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
		const due = begin + (end - begin) * keeperLimits.renewAt;
		await clock.advance(due - from - dayMs);
		expect(orders).toHaveLength(2);
		// No further than they are due: real cryptography takes no time of this clock, and an order has a limit.
		await clock.advance(dayMs + 60_000);
		await until(4);
		expect(installed.get("web.example.com")).not.toEqual(first);
	});

	it("tries again with a back-off, says what failed, and is quiet once it is there", async () => {
		let failures = 3;
		outcome = async () => {
			if (failures-- > 0) throw new Error("the name leads nowhere");
		};
		const kept = keeper();
		kept.want([web]);
		await expect
			.poll(() => health.list(), patient)
			.toMatchObject([{ code: "acme-certificate-missing", severity: "error", subject: "web.example.com" }]);
		expect(health.list()[0]?.title).toContain("the name leads nowhere");
		for (let tries = 2; tries <= 4; tries++) {
			await clock.advance(keeperLimits.backoff.firstMs * 2 ** tries);
			await expect.poll(() => orders.length, patient).toBeGreaterThanOrEqual(tries);
		}
		await expect.poll(() => health.list(), patient).toEqual([]);
		expect(files.has("web.example.com")).toBe(true);
		kept.close();
	});

	it("keeps the old one while renewal fails, as a warning with its date", async () => {
		const kept = keeper();
		kept.want([web]);
		await until(1);
		const old = installed.get("web.example.com");
		outcome = () => Promise.reject(new Error("the authority is away"));
		const { X509Certificate } = await import("node:crypto");
		const end = Date.parse(new X509Certificate((old as FrontTls).cert).validTo);
		await clock.advance((end - clock.now()) * 0.8);
		await expect
			.poll(() => health.list(), patient)
			.toMatchObject([{ code: "acme-renewal-failed", severity: "warning" }]);
		expect(health.list()[0]?.title).toContain(new Date(end).toISOString().slice(0, 10));
		expect(installed.get("web.example.com")).toBe(old);
		kept.close();
	});

	it("a start with good files orders nothing; with broken ones it orders anew", async () => {
		const first = keeper();
		first.want([web]);
		await until(1);
		first.close();
		installed.clear();
		const second = keeper();
		second.want([web]);
		expect(installed.has("web.example.com")).toBe(true);
		expect(orders).toHaveLength(1);
		second.close();
		files.set("web.example.com", { cert: "torn", key: "torn" });
		const third = keeper();
		third.want([web]);
		await until(2);
		third.close();
	});

	it("what is no longer wanted is forgotten, and a thousand is the most", async () => {
		const kept = keeper();
		kept.want([web]);
		await until(1);
		kept.want([]);
		expect(installed.get("web.example.com")).toBeNull();
		const many = Array.from({ length: keeperLimits.maxCertificates + 1 }, (_, index) => ({
			name: `s${index}.example.com`,
			names: [`s${index}.example.com`],
		}));
		outcome = () => Promise.reject(new Error("no"));
		kept.want(many);
		await expect.poll(() => orders.length, patient).toBe(1 + keeperLimits.maxCertificates);
		kept.close();
	});

	it("a full disk costs no further order: the new one is used at once, and saved when there is room", async () => {
		diskIsFull = true;
		const kept = keeper();
		kept.want([web]);
		await expect.poll(() => health.list()[0]?.title, patient).toContain("ENOSPC");
		const used = installed.get("web.example.com");
		expect(used).toBeDefined();
		await clock.advance(keeperLimits.backoff.firstMs * 4);
		expect([orders.length, files.size]).toEqual([1, 0]);
		diskIsFull = false;
		await clock.advance(keeperLimits.backoff.maxMs);
		expect(files.get("web.example.com")).toBe(used);
		expect([orders.length, health.list()]).toEqual([1, []]);
		kept.close();
	});

	it.each([
		["nonsense", async () => ({ cert: "<html>", key: "none" })],
		["another name's", () => authority.issue({ name: "x", hosts: ["other.example.com"], usages: ["server"] })],
	])("what an authority gives that is %s takes no good one's place on disk", async (_what, given) => {
		const kept = keeper();
		kept.want([web]);
		await until(1);
		const good = files.get("web.example.com") as FrontTls;
		issue = given;
		const { X509Certificate } = await import("node:crypto");
		await clock.advance((Date.parse(new X509Certificate(good.cert).validTo) - clock.now()) * 0.8);
		await expect.poll(() => health.list(), patient).toMatchObject([{ code: "acme-renewal-failed" }]);
		expect(files.get("web.example.com")).toBe(good);
		kept.close();
	});

	it("a new one that is due again by this clock is not ordered over and over", async () => {
		const early = await authority.issue({ name: web.name, hosts: [...web.names], usages: ["server"] });
		await clock.advance(2000 * dayMs);
		issue = async () => early;
		outcome = async () => {
			if (orders.length > 3) throw new Error("enough");
		};
		const kept = keeper();
		kept.want([web]);
		await expect.poll(() => health.list()[0]?.title, patient).toContain("due again");
		expect(orders).toHaveLength(1);
		kept.close();
	});

	it("an order that never ends is no other's delay, and is said to have failed", async () => {
		outcome = () => (orders.length === 1 ? new Promise(() => {}) : Promise.resolve());
		const kept = keeper();
		kept.want([web, shop]);
		expect(orders).toHaveLength(1);
		running = 0;
		await clock.advance(keeperLimits.maxOrderMs);
		await expect.poll(() => installed.has("shop.example.com"), patient).toBe(true);
		expect(health.list()).toMatchObject([{ code: "acme-certificate-missing", subject: "web.example.com" }]);
		kept.close();
	});
});
