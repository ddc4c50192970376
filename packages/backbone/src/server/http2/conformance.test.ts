import { spawn } from "node:child_process";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { freePort, type GoProgram, goProgram } from "@warren/testkit";
import { beforeAll, describe, expect, it } from "vitest";
import { TestBackbone } from "../../backbone.testing.ts";

let h2spec: GoProgram;
beforeAll(async () => {
	h2spec = await goProgram("github.com/summerwind/h2spec/cmd/h2spec", "v2.2.1+incompatible");
}, 300_000);

/** Cases that it fails, by section and sentence. @param name for the message when it says nothing. */
function failures(file: string, port: number, name: string): Promise<string[]> {
	return new Promise((resolve, reject) => {
		const child = spawn(file, ["-h", "127.0.0.1", "-p", String(port), "-o", "2"], {
			stdio: ["ignore", "pipe", "ignore"],
		});
		let text = "";
		child.stdout.setEncoding("latin1").on("data", (piece: string) => (text += piece));
		child.on("error", reject);
		child.on("close", () => {
			const count = Number(/(\d+) tests, \d+ passed/.exec(text)?.[1] ?? 0);
			if (count < 140) return reject(new Error(`${name}: only ${count} cases ran: ${text.slice(-500)}`));
			const lines = text.slice(0, text.indexOf("Failures:")).split("\n");
			const found = lines.flatMap((line) => /\u00c3\u0097 (\d+: .*)$/.exec(line)?.[1] ?? []);
			const failed = Number(/(\d+) failed/.exec(text)?.[1]);
			if (found.length === failed) resolve(found);
			else reject(new Error(`${name}: ${failed} cases failed, and ${found.length} are named`));
		});
	});
}

/** The port speaks HTTP/1.1 too, and says so: what begins like neither is answered 400. */
const bothProtocols = ["2: Sends invalid connection preface"];

describe("HTTP/2 as h2spec reads RFC 7540 and 7541", () => {
	it("a service of kind h2 passes whatever Node's own server passes", { timeout: 280_000 }, async (context) => {
		context.skip(h2spec.file === null, h2spec.missing ?? "");
		const file = h2spec.file as string;
		await using backbone = await TestBackbone.open();
		const target = createServer();
		target.on("sessionError", () => {});
		target.on("stream", (stream: ServerHttp2Stream) => {
			stream.on("error", () => {});
			stream.resume();
			stream.respond({ ":status": 200 });
			stream.end("x".repeat(64));
		});
		await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
		const bare = (target.address() as AddressInfo).port;
		await backbone.agent("rpc", bare, { kind: "h2" });
		// It speaks to an address: the service gets a port of its own.
		const port = await freePort();
		await backbone.api("PATCH", "/admin/api/services/rpc", { body: { port } });
		const [ours, nodes] = await Promise.all([failures(file, port, "ours"), failures(file, bare, "Node's")]);
		target.close();
		expect(ours.filter((each) => !nodes.includes(each) && !bothProtocols.includes(each))).toEqual([]);
		expect(nodes.length).toBeLessThan(15);
	});
});
