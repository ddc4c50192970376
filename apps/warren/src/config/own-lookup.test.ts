import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";

/** A machine off the network: loopback, and one interface that has IPv6 alone, as an overlay's. */
const offline = [
	"ip link set lo up",
	"ip link add overlay0 type veth peer name overlay1",
	"ip link set overlay0 up",
	"ip link set overlay1 up",
	"ip -6 addr add fd00::1/64 dev overlay0 nodad",
].join(" && ");
const missing = spawnSync("unshare", ["--net", "sh", "-c", offline]).status === 0 ? null : "needs root and unshare";

/** Asks a server on 127.0.0.1 by its name. */
const script = `
	import { get, createServer } from "node:http";
	import { lookupOwn } from ${JSON.stringify(new URL("own-lookup.ts", import.meta.url).href)};
	const server = createServer((_, answer) => answer.end()).listen(0, "127.0.0.1", () =>
		get({ host: "localhost", port: server.address().port, agent: false, lookup: lookupOwn }, (answer) => {
			console.log(answer.statusCode);
			answer.resume();
			server.close();
		}),
	);
`;

it("finds what listens on 127.0.0.1 while every other interface has IPv6 alone", async (test) => {
	test.skip(missing !== null, missing ?? "");
	const words = ["--net", "sh", "-c", `${offline} && exec "$0" --input-type=module -e "$1"`, process.execPath, script];
	expect((await promisify(execFile)("unshare", words)).stdout).toBe("200\n");
});
