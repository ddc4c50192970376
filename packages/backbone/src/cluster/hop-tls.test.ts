import { Lifetime, systemClock, systemRandom } from "@warren/kernel";
import { Authority } from "@warren/net";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { SharedState, TestBackbone } from "../backbone.testing.ts";

let authority: Authority;
let stranger: Authority;
let lifetime: Lifetime;
let shared: SharedState;
beforeAll(async () => {
	const make = async (name: string) =>
		(await Authority.create(name, ["mos.test"], systemClock, systemRandom)).authority;
	[authority, stranger] = [await make("Cluster"), await make("Somebody else's")];
});
beforeEach(async () => {
	lifetime = new Lifetime();
	shared = lifetime.own(await SharedState.open());
});
afterEach(() => lifetime.close());

/** A node over TLS; `by` certified it, and it believes other nodes by the cluster's CA. */
async function node(nodeId: string, by: Authority, hosts = ["mos.test", "*.mos.test"]): Promise<TestBackbone> {
	const leaf = await by.issue({ name: "mos.test", hosts, usages: ["server"] });
	const options = { nodeId, tls: leaf, cluster: { url: null, ca: authority.certPem } };
	const opened = await TestBackbone.open(options, shared);
	lifetime.defer(() => opened[Symbol.asyncDispose]());
	return opened;
}

/** A service with an agent at a node, over its TLS. */
async function agentAt(node: TestBackbone, by: Authority): Promise<void> {
	const { port } = await node.http((_request, response) => response.end("from behind"));
	const url = new URL(`https://127.0.0.1:${node.port}`);
	await node.agent("web", port, { url, tls: { ca: by.certPem, servername: "mos.test" } });
}

const get = "GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n\r\n";

/** Asks a node as a client does. @param until what its answer begins to be once it knows of the other's agent. */
async function ask(node: TestBackbone, by: Authority): Promise<string> {
	const { connect } = await import("node:tls");
	return await new Promise((resolve, reject) => {
		let seen = "";
		const socket = connect({ port: node.port, host: "127.0.0.1", servername: "web.mos.test", ca: by.certPem }, () =>
			socket.write(get),
		);
		socket.setEncoding("latin1").on("data", (text: string) => (seen += text));
		socket.on("end", () => resolve(seen));
		socket.on("error", reject);
	});
}

describe("hops between nodes over TLS", () => {
	it("N1: a client at a node without agents is served through another, whose certificate the cluster's CA made", async () => {
		const [one, two] = [await node("one", authority), await node("two", authority)];
		await agentAt(one, authority);
		expect(await ask(one, authority)).toMatch(/^HTTP\/1\.1 200 [\s\S]*from behind$/);
		await expect.poll(() => ask(two, authority)).toMatch(/^HTTP\/1\.1 200 [\s\S]*from behind$/);
	});

	it.each(["another CA's", "another name's"])("N2: nothing is sent to a node whose certificate is %s", async (what) => {
		const wrong = what === "another CA's" ? await node("one", stranger) : await node("one", authority, ["localhost"]);
		const two = await node("two", authority);
		const { port } = await wrong.http((_request, response) => response.end("from behind"));
		const ca = what === "another CA's" ? stranger.certPem : authority.certPem;
		const url = new URL(`https://127.0.0.1:${wrong.port}`);
		const servername = what === "another CA's" ? "mos.test" : "localhost";
		await wrong.agent("web", port, { url, tls: { ca, servername } });
		// It knows of the agent, and does not go there.
		await expect.poll(() => two.backbone.otherNodes()).toEqual(["one"]);
		expect(await ask(two, authority)).toMatch(/^HTTP\/1\.1 503 /);
	});
});
