import { randomBytes } from "node:crypto";
import { nodePrimitives as p } from "./crypto/node-primitives.ts";
import type { LabDevice, NetworkLab } from "./network-lab.testing.ts";

/** Scenes that every data plane goes through: in namespaces of this host, and in a machine whose kernel has WireGuard. */
type Plane = "kernel" | "offload" | "portable";

const moving = "10.9.0.9/32";
const neighbours = [0, 1] as const;

/** A host in the middle with two neighbours, either of which may have the address `moving`. */
class Middle {
	readonly host: string;
	readonly #net: NetworkLab;
	readonly #device: LabDevice;
	readonly #keys: readonly Uint8Array[];

	private constructor(net: NetworkLab, host: string, device: LabDevice, keys: readonly Uint8Array[]) {
		this.#net = net;
		this.host = host;
		this.#device = device;
		this.#keys = keys;
	}

	static async open(net: NetworkLab, plane: Plane): Promise<Middle> {
		const [own, ...secrets] = [0, 1, 2].map(() => Uint8Array.from(randomBytes(32))) as [Uint8Array, ...Uint8Array[]];
		const host = net.host("m");
		const shape = { dataPlane: plane, addresses: ["10.9.0.1/24"] };
		const device = await net.device(host, { privateKey: own, ...shape });
		for (const [at, privateKey] of secrets.entries()) {
			const side = net.host(`n${at}`);
			net.cable(host, [`10.20${at}.0.1/24`], side, [`10.20${at}.0.2/24`]);
			const addresses = [`10.9.0.${at + 2}/24`, moving];
			const other = await net.device(side, { privateKey, dataPlane: plane, addresses });
			const endpoint = { address: `10.20${at}.0.1`, port: 51820 };
			await other.setPeer({ publicKey: p.publicKey(own), allowedIps: ["10.9.0.1/32"], endpoint });
		}
		return new Middle(
			net,
			host,
			device,
			secrets.map((secret) => p.publicKey(secret)),
		);
	}

	/** Of a neighbour alone: what becomes of the other one follows from it. */
	async give(at: number, addresses: readonly string[]): Promise<void> {
		const endpoint = { address: `10.20${at}.0.2`, port: 51820 };
		const publicKey = this.#keys[at] as Uint8Array;
		await this.#device.setPeer({ publicKey, allowedIps: [`10.9.0.${at + 2}/32`, ...addresses], endpoint });
	}

	setMtu(at: number, bytes: number): Promise<unknown> {
		return this.#device.call("setMtu", this.#keys[at], bytes);
	}

	async peers(): Promise<{ readonly owns: boolean; readonly receivedBytes: number }[]> {
		const { peers } = await this.#device.status();
		return this.#keys.map((key) => {
			const peer = peers.find(({ publicKey }) => Buffer.compare(publicKey, key) === 0);
			return { owns: peer?.allowedIps.includes(moving) === true, receivedBytes: peer?.receivedBytes ?? 0 };
		});
	}

	ping(to: string, count: number): Promise<number> {
		return this.#net.pingAside(this.host, to, count);
	}
}

/** What it found, each turn: who owned the address, how many of 5 pings came back, and by whom. */
export interface MovedAddress {
	readonly turns: readonly { readonly owners: readonly number[]; answered: number; readonly by: readonly number[] }[];
	/** Of 60, that went on all the while. */
	readonly flow: number;
}

/** The address goes to one neighbour, to the other and back, while it is talked to. */
export async function moveAddress(net: NetworkLab, plane: Plane): Promise<MovedAddress> {
	const middle = await Middle.open(net, plane);
	await middle.give(0, [moving]);
	await middle.give(1, []);
	for (const at of neighbours) await middle.ping(`10.9.0.${at + 2}`, 3);
	const flow = middle.ping("10.9.0.9", 60);
	const turns: MovedAddress["turns"][number][] = [];
	for (const at of [1, 0, 1]) {
		await middle.give(at, [moving]);
		const before = await middle.peers();
		const answered = await middle.ping("10.9.0.9", 5);
		const after = await middle.peers();
		turns.push({
			owners: neighbours.filter((each) => before[each]?.owns === true),
			answered,
			// Five answers; a keepalive and what was under way are less.
			by: neighbours.filter((each) => (after[each]?.receivedBytes ?? 0) - (before[each]?.receivedBytes ?? 0) > 5 * 84),
		});
	}
	return { turns, flow: await flow };
}

/** An address with a narrow path goes to a neighbour, and then the one before is told that it has it no more. */
export async function moveNarrowAddress(net: NetworkLab, plane: Plane): Promise<{ readonly route: string }> {
	const middle = await Middle.open(net, plane);
	await middle.give(0, [moving]);
	await middle.setMtu(0, 1280);
	await middle.give(1, []);
	await middle.setMtu(1, 1300);
	await middle.give(1, [moving]);
	await middle.give(0, []);
	await middle.peers();
	return { route: net.ip("-n", middle.host, "route", "get", "10.9.0.9") };
}

/** How many of 3 pings came back, before and after one end's interface went into a namespace without any cable. */
export async function moveInterface(net: NetworkLab, plane: Plane): Promise<readonly number[]> {
	const secrets = [Uint8Array.from(randomBytes(32)), Uint8Array.from(randomBytes(32))] as const;
	const hosts = [net.host("a"), net.host("b")] as const;
	net.cable(hosts[0], ["10.200.0.1/24"], hosts[1], ["10.200.0.2/24"]);
	for (const [at, privateKey] of secrets.entries()) {
		const addresses = [`10.9.0.${at + 1}/24`];
		const device = await net.device(hosts[at] as string, { privateKey, dataPlane: plane, addresses });
		await device.setPeer({
			publicKey: p.publicKey(secrets[1 - at] as Uint8Array),
			allowedIps: [`10.9.0.${2 - at}/32`],
			endpoint: { address: `10.200.0.${2 - at}`, port: 51820 },
		});
	}
	const before = net.ping(hosts[0], "10.9.0.2");
	const inner = net.host("i");
	net.ip("-n", hosts[0], "link", "set", "wg0", "netns", inner);
	net.ip("-n", inner, "addr", "add", "10.9.0.1/24", "dev", "wg0");
	net.ip("-n", inner, "link", "set", "wg0", "up");
	return [
		before,
		net.ping(inner, "10.9.0.2"),
		net.ping(hosts[1], "10.9.0.1"),
		net.ping(inner, "10.200.0.2", { expects: "none" }),
	];
}
