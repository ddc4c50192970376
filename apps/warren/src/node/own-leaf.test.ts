import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { HealthTable, Lifetime, silentLogger, systemRandom } from "@warren/kernel";
import { Metrics, type TlsIdentity } from "@warren/net";
import { tempFolder, VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { backboneTls } from "../backbone/backbone-tls.ts";
import { DataFolder } from "../config/data-folder.ts";
import type { ServerConfig } from "../config/server-config.ts";
import { certifyEdge } from "../edge/edge-part.ts";
import type { RoleBase } from "../role-base.ts";
import { openCertificates } from "./certificates.ts";
import { renewOwnLeaf } from "./own-leaf.ts";

const dayMs = 24 * 3600 * 1000;
const nodeId = "abcdefgh12345678";

/** A machine that made its own CA, and runs. */
async function firstMachine(more: Partial<ServerConfig> = {}) {
	const folder = tempFolder("own-leaf");
	const clock = new VirtualClock(Date.now());
	const data = DataFolder.open(folder.file("data"));
	const health = new HealthTable(clock);
	const config = { name: "atlas", hostname: [], ...more } as unknown as ServerConfig;
	const { authority, tls } = await openCertificates(config, data, clock, systemRandom, health, nodeId);
	if (authority === null) throw new Error("it has no CA");
	const base: RoleBase = {
		...{ clock, random: systemRandom, logger: silentLogger, lifetime: new Lifetime(), data, health },
		metrics: new Metrics(),
		audit: { record() {}, list: async () => [] },
	};
	const shown: TlsIdentity[] = [];
	const fingerprints: string[] = [];
	const listener = { secure: true, setCertificate: (next: TlsIdentity) => void shown.push(next) };
	const start = (changed: Partial<ServerConfig> = {}) => {
		const options = { config: { ...config, ...changed }, authority, nodeId };
		const renewal = renewOwnLeaf(base, listener, { ...options, onRenewed: (each) => void fingerprints.push(each) });
		if (renewal === null) throw new Error("it renews nothing");
		return renewal;
	};
	return {
		...{ clock, data, base, authority, tls, shown, fingerprints, listener, start, config },
		[Symbol.dispose]() {
			data.close();
			folder[Symbol.dispose]();
		},
	};
}

it("the first machine's own leaf is renewed while it runs, with the same key, two months before it ends", async () => {
	using machine = await firstMachine();
	const first = new X509Certificate(machine.tls.cert);
	const lastsDays = Math.floor((Date.parse(first.validTo) - machine.clock.now()) / dayMs);
	await machine.clock.advance((lastsDays - 62) * dayMs);
	const renewal = machine.start();
	await renewal.check();
	expect(machine.shown).toEqual([]);
	for (let day = 0; day < 4; day++) {
		await machine.clock.advance(dayMs);
		await renewal.check();
	}
	await renewal.close();
	expect(machine.shown).toHaveLength(1);
	const renewed = new X509Certificate(machine.shown[0]?.cert as string);
	expect(Date.parse(renewed.validTo)).toBeGreaterThan(machine.clock.now() + 300 * dayMs);
	expect(renewed.publicKey.equals(first.publicKey)).toBe(true);
	expect(renewed.subjectAltName).toBe(first.subjectAltName);
	expect(machine.fingerprints).toHaveLength(1);
	// What a restart shows is the same.
	expect(machine.data.read("tls", "node.crt")).toBe(renewed.toString());
});

it("a name that it is called by now is certified at once; certificate files of one's own are left alone", async () => {
	using machine = await firstMachine();
	const renewal = machine.start({ hostname: ["atlas-again.internal"] });
	await renewal.check();
	await renewal.close();
	expect(new X509Certificate(machine.shown[0]?.cert as string).subjectAltName).toContain("atlas-again.internal");
	const { base, listener, authority, config } = machine;
	const own = { ...config, tlsCert: "cert.pem" } as ServerConfig;
	expect(renewOwnLeaf(base, listener, { config: own, authority, onRenewed() {} })).toBeNull();
	expect(renewOwnLeaf(base, { ...listener, secure: false }, { config, authority, onRenewed() {} })).toBeNull();
});

it("a key that a power cut left beside the certificate of another is replaced, for every role, not served", async () => {
	using machine = await firstMachine();
	const { base, data, authority, clock } = machine;
	const config = { ...machine.config, backboneDomain: "apps.internal", domain: "apps.internal" } as never;
	const { key: stray } = await authority.issue({ name: "stray", hosts: [] });
	const node = async () => (await openCertificates(config, data, clock, systemRandom, base.health, nodeId)).tls;
	const backbone = async () => (await backboneTls(base, config, data, base.health)).front;
	const edge = async () => {
		await certifyEdge({ ...base, authority } as never, config, []);
		return { cert: data.read("edge", "tls", "edge.crt"), key: data.read("edge", "tls", "edge.key") };
	};
	const roles = [
		{ open: node, file: ["tls", "node.key"] },
		{ open: backbone, file: ["backbone", "leaf.key"] },
		{ open: edge, file: ["edge", "tls", "edge.key"] },
	];
	for (const { open, file } of roles) {
		const first = await open();
		expect(await open(), "what is good stays").toEqual(first);
		data.write(stray, ...file);
		const { cert, key } = (await open()) as TlsIdentity;
		expect(() => createSecureContext({ cert, key })).not.toThrow();
		expect(cert).not.toBe(first?.cert);
	}
});

it("an address that it is called by comes into the leaf, which is the same after a restart", async () => {
	using machine = await firstMachine({ hostname: ["203.0.113.5", "2001:DB8::0005"] });
	expect(new X509Certificate(machine.tls.cert).subjectAltName).toMatch(
		/IP Address:203\.0\.113\.5.*IP Address:2001:DB8:/,
	);
	const { config, data, clock, base } = machine;
	const again = await openCertificates(config, data, clock, systemRandom, base.health, nodeId);
	expect(again.tls).toEqual(machine.tls);
	expect(base.health.list()).toEqual([]);
	const edge = async () => {
		await certifyEdge(
			{ ...base, authority: machine.authority } as never,
			{ ...config, backboneDomain: "apps.internal" } as never,
			[],
		);
		return data.read("edge", "tls", "edge.crt");
	};
	expect(await edge()).toBe(await edge());
	// A name of elsewhere, which the CA was not made with.
	const named = { ...config, hostname: [...config.hostname, "atlas.example.net"] };
	const without = await openCertificates(named, data, clock, systemRandom, base.health, nodeId);
	expect(without.tls).toEqual(machine.tls);
	expect(base.health.list()).toMatchObject([
		{ code: "name-not-certified", title: expect.stringContaining("atlas.example.net") },
	]);
});
