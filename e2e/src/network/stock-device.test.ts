import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { certificateFlags, writeCertificates } from "./lab-certificates.ts";
import { type LabHost, type LabRouter, NatLab } from "./nat-lab.ts";
import { OverlayMachine, pathTo, RunningProcess, warren } from "./overlay-machine.ts";
import { ScriptLines } from "./script-lines.ts";

/**
 * A phone behind a NAT that has nothing of Warren's: wg-quick with wireguard-go, and the configuration that
 * `warren overlay add-device` printed. It reaches the overlay through the machine that the command ran on.
 */
const missing = NatLab.missing() ?? missingStock();
const app = { uuid: "0191e7c2-1111-7222-8333-444455556666", ula: "fd5a:1f02:44a5:240b:121a::1" };
const interfaceName = `ph${process.pid}`;

let lab: NatLab;
let folder: ReturnType<typeof tempFolder>;
let router: LabRouter;
let phone: LabHost;
let coordinator: RunningProcess;
let service: ScriptLines;
let gateway: OverlayMachine;
let far: OverlayMachine;
let farFlags: readonly string[];
let dns = "";
let ula = "";

beforeAll(async () => {
	if (missing !== null) return;
	lab = new NatLab();
	folder = tempFolder("stock");
	const hub = lab.public("hub");
	router = lab.router("r-phone", "cone");
	phone = lab.behind(router, "phone");
	const hosts = { gateway: lab.public("gateway"), far: lab.public("far") };
	writeFileSync(folder.file("acl.json"), '{"acls":[{"action":"accept","src":["*"],"dst":["*"]}]}');
	await writeCertificates(folder.path, [hub], ["gateway", "far"]);
	coordinator = await RunningProcess.start(hub, folder.path, [
		...["coordinator", "--bind", "0.0.0.0:8888", "--policy-file", folder.file("acl.json")],
		...certificateFlags(folder.path, "hub"),
	]);
	service = new ScriptLines(
		hosts.far.through,
		`const server = require("node:http").createServer((_, answer) => answer.end("from afar"));
		server.listen(0, "127.0.0.1", () => console.log(server.address().port));`,
	);
	const serves = ["--app", `${app.uuid}=127.0.0.1:${await service.next()}`];
	const flags = ["--coordinator", `https://${hub.v4}:8888`];
	const folderOf = (name: string) => folder.file(`data-${name}`);
	farFlags = [...flags, ...certificateFlags(folder.path, "far"), ...serves];
	[gateway, far] = await Promise.all([
		OverlayMachine.join(hosts.gateway, folderOf("gateway"), [...flags, ...certificateFlags(folder.path, "gateway")]),
		OverlayMachine.join(hosts.far, folderOf("far"), farFlags),
	]);
	await gateway.where(pathTo("far", "direct"));
}, 300_000);

/** What the app says to the phone. */
async function readByPhone(): Promise<string> {
	using page = new ScriptLines(
		phone.through,
		`fetch("http://[${app.ula}]:8730/").then((answer) => answer.text()).then(console.log);`,
	);
	return await page.next();
}

afterAll(async () => {
	service?.[Symbol.dispose]();
	if (phone !== undefined) spawnSync("ip", ["netns", "exec", phone.namespace, "ip", "link", "del", interfaceName]);
	await gateway?.[Symbol.asyncDispose]();
	await far?.[Symbol.asyncDispose]();
	await coordinator?.[Symbol.asyncDispose]();
	lab?.[Symbol.dispose]();
	folder?.[Symbol.dispose]();
});

describe("a stock WireGuard client", () => {
	beforeEach((context) => context.skip(missing !== null, missing ?? ""));

	it("comes up with the configuration that add-device printed, and reaches the machine that forwards for it", async () => {
		const args = ["overlay", "add-device", "phone", "--data", gateway.data, "--json"];
		const { config, ula: given } = JSON.parse(await warren(gateway.data, args, gateway.host.through)) as {
			config: string;
			ula: string;
		};
		ula = given;
		expect(config).toContain(`Endpoint = ${gateway.host.v4}:51820`);
		wgQuick("up", config);
		expect(lab.ping(phone, gateway.ula)).toBe(100);
		dns = readFileSync(folder.file("resolvers"), "utf8");
		expect(dns).toContain(`nameserver ${gateway.ula}`);
		expect(dns).toContain("search warren.internal");
	}, 300_000);

	it("reaches other machines and their apps through it, and is reached by them", async () => {
		expect(lab.ping(phone, far.ula)).toBe(100);
		expect(lab.ping(far.host, ula)).toBe(100);
		expect(await readByPhone()).toBe("from afar");
	}, 300_000);

	it("resolves the overlay's names at the server that the configuration names, and is resolved by others", async () => {
		expect(await resolve(phone, gateway.ula, "far")).toBe(canonical(far.ula));
		expect(await resolve(phone, gateway.ula, app.uuid)).toBe(app.ula);
		expect(await resolve(phone, gateway.ula, "nobody")).toBe("ENOTFOUND");
		expect(await resolve(far.host, far.ula, "phone")).toBe(canonical(ula));
	}, 300_000);

	it("goes on when its router gets another address", () => {
		const now = lab.renumber(router);
		expect(lab.ping(phone, far.ula)).toBe(100);
		expect(lab.ping(far.host, ula)).toBe(100);
		expect(now).not.toBe(router.v4);
	}, 300_000);

	it("is reached again after the machine that forwards for it was started anew", async () => {
		const before = gateway.ula;
		await gateway.process.end("SIGKILL");
		gateway = await OverlayMachine.join(gateway.host, gateway.data, []);
		expect(gateway.ula).toBe(before);
		await gateway.where(pathTo("far", "direct"));
		// The client notices after 15 s that nobody answers in its old session.
		expect(lab.isReached(phone, far.ula, 60)).toBe(true);
		expect(lab.ping(far.host, ula)).toBe(100);
	}, 300_000);

	it("J3 reaches machines and apps that were all started anew while no coordinator answers", async () => {
		await coordinator.end("SIGKILL");
		const addresses = [gateway.ula, far.ula];
		await Promise.all([gateway.process.end("SIGKILL"), far.process.end("SIGKILL")]);
		[gateway, far] = await Promise.all([
			OverlayMachine.join(gateway.host, gateway.data, []),
			OverlayMachine.join(far.host, far.data, farFlags),
		]);
		expect([gateway.ula, far.ula]).toEqual(addresses);
		const [seen] = await Promise.all([gateway.where(pathTo("far", "direct")), far.where(pathTo("gateway", "direct"))]);
		expect([seen.connected, seen.relay]).toEqual([false, false]);
		expect(lab.isReached(phone, far.ula, 60)).toBe(true);
		expect(lab.ping(far.host, ula)).toBe(100);
		expect(await readByPhone()).toBe("from afar");
	}, 300_000);
});

/** wg-quick on the phone. What it tells the system's resolver lands in a file. */
function wgQuick(verb: "up" | "down", config: string): void {
	const bin = folder.file("bin");
	mkdirSync(bin, { recursive: true });
	writeFileSync(`${bin}/resolvconf`, `#!/bin/sh\n[ "$1" = -a ] && exec cat > ${folder.file("resolvers")}\nexit 0\n`);
	chmodSync(`${bin}/resolvconf`, 0o755);
	const file = folder.file(`${interfaceName}.conf`);
	writeFileSync(file, config, { mode: 0o600 });
	const path = `${bin}:${process.env["PATH"]}:/usr/sbin:/sbin`;
	lab.run(phone, "env", [`PATH=${path}`, "WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go", "wg-quick", verb, file]);
}

/** @returns the address, or why there is none. */
async function resolve(host: LabHost, server: string, name: string): Promise<string> {
	using answer = new ScriptLines(
		host.through,
		`const { Resolver } = require("node:dns").promises;
		const resolver = new Resolver();
		resolver.setServers(["[${server}]:53"]);
		resolver.resolve6("${name}.warren.internal").then(([found]) => found, ({ code }) => code).then(console.log);`,
	);
	return await answer.next();
}

/** As a resolver writes it. */
function canonical(address: string): string {
	return new URL(`http://[${address}]`).hostname.slice(1, -1);
}

function missingStock(): string | null {
	for (const tool of ["wg-quick", "wireguard-go"])
		if (spawnSync("which", [tool]).status !== 0) return `${tool} is not installed`;
	return null;
}
