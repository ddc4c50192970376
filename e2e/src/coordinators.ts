import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { tempFolder } from "@warren/testkit";
import { Cluster } from "./cluster.ts";

const main = fileURLToPath(new URL("../../apps/warren/src/main.js", import.meta.url));
export const coordinatorAdmin = "an-administrators-token";
const everybody = '{"acls":[{"action":"accept","src":["*"],"dst":["*"]}]}';

/** Two coordinators with one CA, and certificates of machines for them. */
export class Coordinators implements AsyncDisposable {
	readonly cluster: Cluster;
	readonly #folder: ReturnType<typeof tempFolder>;

	private constructor(cluster: Cluster, folder: ReturnType<typeof tempFolder>) {
		this.cluster = cluster;
		this.#folder = folder;
	}

	/** @param machines by name. @param host by which they call either coordinator. */
	static async start(machines: readonly string[], host = "localhost"): Promise<Coordinators> {
		const folder = tempFolder("coordinators");
		try {
			const ca = (...args: string[]) => {
				const done = spawnSync(process.execPath, [main, "ca", ...args], { encoding: "utf8" });
				if (done.status !== 0) throw new Error(`warren ca ${args[0]}: ${done.stderr}`);
			};
			ca("init", "--out", folder.file("ca"), "--host", host);
			for (const name of [...machines, "coordinator"]) {
				const own = name === "coordinator" ? ["--host", host] : [];
				ca("issue-peer", "--name", name, ...own, "--ca-dir", folder.file("ca"), "--out", folder.file(name));
			}
			writeFileSync(folder.file("policy.json"), everybody);
			const cluster = await Cluster.start(2, {
				role: "coordinator",
				flags: [
					...["--tls-cert", folder.file("coordinator/peer.crt"), "--tls-key", folder.file("coordinator/peer.key")],
					...["--tls-ca", folder.file("ca/ca.crt"), "--policy-file", folder.file("policy.json"), "--no-stun"],
				],
				env: { WARREN_ADMIN_TOKEN: coordinatorAdmin },
				withoutNats: true,
			});
			return new Coordinators(cluster, folder);
		} catch (failure) {
			folder[Symbol.dispose]();
			throw failure;
		}
	}

	/** As a machine dials. */
	tlsOf(machine: string) {
		const text = (...names: string[]) => readFileSync(join(this.#folder.path, ...names), "utf8");
		return {
			ca: text("ca", "ca.crt"),
			cert: text(machine, "peer.crt"),
			key: text(machine, "peer.key"),
			servername: "localhost",
		};
	}

	async leader(): Promise<number> {
		const { address } = await this.cluster.leadership("coordinator");
		return this.cluster.instances.findIndex(({ port }) => address.endsWith(`:${port}`));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.cluster[Symbol.asyncDispose]();
		this.#folder[Symbol.dispose]();
	}
}
