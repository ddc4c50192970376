import { spawn } from "node:child_process";
import { createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { Lifetime } from "@warren/kernel";
import { freePort, type GoProgram, goProgram } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestBackbone } from "../../backbone.testing.ts";

const body = "x".repeat(64);
let h2spec: GoProgram;
/** Cases that it fails, by section and sentence. @param name for the message when it says nothing. */
function failures(file: string, host: string, port: number, name: string): Promise<string[]> {
	return new Promise((resolve, reject) => {
		const child = spawn(file, ["-h", host, "-p", String(port), "-o", "2"], {
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

/** A case writes its frames one by one: answered between two of them, its stream is closed, and it tries something else. */
const maxRuns = 4;
/** The port speaks HTTP/1.1 too, and says so: what begins like neither is answered 400. */
const bothProtocols = ["2: Sends invalid connection preface"];

const closing = new Lifetime();
let backbone: TestBackbone;
let bare: number;
let nodes: string[];
beforeAll(async () => {
	h2spec = await goProgram("github.com/summerwind/h2spec/cmd/h2spec", "v2.2.1+incompatible");
	if (h2spec.file === null) return;
	backbone = await TestBackbone.open();
	closing.defer(() => backbone[Symbol.asyncDispose]());
	bare = await bareServer();
	nodes = await failures(h2spec.file, "127.0.0.1", bare, "Node's");
	expect(nodes.length).toBeLessThan(15);
}, 500_000);
afterAll(() => closing.close());

/** It speaks to an address: the service gets a port of its own. */
async function portOf(service: string): Promise<number> {
	const port = await freePort();
	await backbone.api("PATCH", `/admin/api/services/${service}`, { body: { port } });
	return port;
}

// Side by side: it waits more than it works.
describe.concurrent("HTTP/2 as h2spec reads RFC 7540 and 7541: whatever Node's own server passes", () => {
	const expectNodes = async (place: string, host: string, port: number) => {
		let left: string[] | null = null;
		for (let run = 0; run < maxRuns && left?.length !== 0; run++) {
			const ours = await failures(h2spec.file as string, host, port, place);
			const before: readonly string[] = left ?? ours;
			left = before.filter((each) => ours.includes(each) && !nodes.includes(each) && !bothProtocols.includes(each));
		}
		expect(left).toEqual([]);
	};

	it("a service of kind h2 passes", { timeout: 280_000 }, async (context) => {
		context.skip(h2spec.file === null, h2spec.missing ?? "");
		await backbone.agent("rpc", bare, { kind: "h2" });
		await expectNodes("a service of kind h2", "127.0.0.1", await portOf("rpc"));
	});

	it("a service of kind http passes, though it speaks HTTP/1.1 itself", { timeout: 280_000 }, async (context) => {
		context.skip(h2spec.file === null, h2spec.missing ?? "");
		const { port } = await backbone.http((request, response) => {
			request.resume();
			response.end(body);
		});
		await backbone.agent("web", port);
		await expectNodes("a service of kind http", "127.0.0.1", await portOf("web"));
	});

	it("the port of agents passes, which answers whoever calls it by another name", {
		timeout: 280_000,
	}, async (context) => {
		context.skip(h2spec.file === null, h2spec.missing ?? "");
		await expectNodes("the port of agents", "localhost", backbone.port);
	});
});

async function bareServer(): Promise<number> {
	const target = createServer();
	closing.defer(() => void target.close());
	target.on("sessionError", () => {});
	target.on("stream", (stream: ServerHttp2Stream) => {
		stream.on("error", () => {});
		stream.resume();
		stream.respond({ ":status": 200 });
		stream.end(body);
	});
	await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
	return (target.address() as AddressInfo).port;
}
