import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:tls";
import { type Logger, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { AuthorityFolder } from "@warren/overlay";
import { tempFolder } from "@warren/testkit";
import { Agent, request } from "undici";
import { describe, expect, it } from "vitest";
import { parseCoordinatorConfig } from "../config/coordinator-config.ts";
import { openCoordinator } from "./coordinator-role.ts";

/** Resolves with the next line of a level that begins so. */
class Log {
	readonly #waiting = new Set<(level: string, text: string) => void>();
	readonly logger: Logger = {
		...silentLogger,
		info: (text: string) => this.#say("info", text),
		warn: (text: string) => this.#say("warn", text),
	};

	line(level: string, begins: string): Promise<void> {
		return new Promise((resolve) => {
			const look = (each: string, text: string) => {
				if (each !== level || !text.startsWith(begins)) return;
				this.#waiting.delete(look);
				resolve();
			};
			this.#waiting.add(look);
		});
	}

	#say(level: string, text: string): void {
		for (const look of this.#waiting) look(level, text);
	}
}

describe("the coordinator's certificate files", () => {
	it("C26 are used as soon as they are renewed, for TLS and for rosters; what does not fit together is not", async () => {
		using folder = tempFolder("coordinator-certificate");
		const ca = await AuthorityFolder.init(folder.file("ca"), "test", [], systemClock, systemRandom);
		const issue = (name: string, hosts: readonly string[]) =>
			ca.issuePeer({ name, out: folder.file(name), tags: [], hosts, days: 30 });
		await issue("coord", ["127.0.0.1"]);
		await issue("peer", []);
		const read = (file: string) => readFileSync(folder.file(file), "utf8");
		const config = parseCoordinatorConfig(
			{
				bind: "127.0.0.1:0",
				stunPort: "0",
				tlsCert: folder.file("coord/peer.crt"),
				tlsKey: folder.file("coord/peer.key"),
				tlsCa: folder.file("ca/ca.crt"),
			},
			{},
		);
		const log = new Log();
		const role = await openCoordinator({ clock: systemClock, random: systemRandom, logger: log.logger }, config);
		const { url, port } = role.ready as { url: string; port: number };
		const own = { ca: read("ca/ca.crt"), cert: read("peer/peer.crt"), key: read("peer/peer.key") };
		const shown = (options: object) =>
			new Promise<string>((resolve, reject) => {
				const socket = connect({ host: "127.0.0.1", port, ca: own.ca, ...options }, () => {
					const { serialNumber } = socket.getPeerX509Certificate() as X509Certificate;
					// A refused client learns of it with the first bytes that it reads.
					socket.once("data", () => {
						resolve(serialNumber);
						socket.destroy();
					});
					socket.write("GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
				});
				socket.once("error", reject);
				socket.once("end", () => reject(new Error("ended")));
			});
		const serialOf = (file: string) => new X509Certificate(read(file)).serialNumber;
		const agent = new Agent({ connect: own });
		const ask = async (method: "GET" | "POST", path: string, body?: object) => {
			const answer = await request(`${url}${path}`, {
				method,
				dispatcher: agent,
				...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
			});
			return (await answer.body.json()) as Record<string, string>;
		};
		try {
			const first = serialOf("coord/peer.crt");
			expect(await shown(own)).toBe(first);
			const { peer_id } = await ask("POST", "/v1/mesh/register", {
				wg_public_key: Buffer.alloc(32, 7).toString("base64"),
				display_name: "peer",
			});
			const roster = () => ask("GET", `/v1/mesh/roster?peer_id=${peer_id}`);
			expect((await roster())["certificate"]).toBe(read("coord/peer.crt"));

			const renewed = log.line("info", "the certificate files have changed and are used");
			await issue("coord", ["127.0.0.1"]);
			await renewed;
			expect(serialOf("coord/peer.crt")).not.toBe(first);
			expect(await shown(own)).toBe(serialOf("coord/peer.crt"));
			expect((await roster())["certificate"]).toBe(read("coord/peer.crt"));
			await expect(shown({ ...own, maxVersion: "TLSv1.2" })).rejects.toThrow();
			await expect(shown({})).rejects.toThrow();

			const now = serialOf("coord/peer.crt");
			const refused = log.line("warn", "the certificate files have changed and are not usable");
			writeFileSync(folder.file("coord/peer.key"), own.key);
			await refused;
			expect(await shown(own)).toBe(now);
		} finally {
			await agent.destroy();
			await role.close();
		}
	});
});
