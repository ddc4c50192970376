import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "@warren/net";
import type { StartedNode } from "@warren/testkit";
import { commandEnvironment } from "@warren/testkit";
import { Agent, request } from "undici";
import { owner } from "./ui-pages.ts";

const heartbeatMs = 10_000;
const main = fileURLToPath(new URL("../../apps/warren/src/main.js", import.meta.url));

/** A machine as its warren's coordinator sees it: a certificate of the warren's CA, a key, a heartbeat. */
export interface OverlayPeer extends AsyncDisposable {
	readonly id: string;
	readonly ula: string;
	/** How it says it hears others. */
	beat(paths: readonly { peer_id: string; direct: boolean; last_rx_age_ms: number }[]): Promise<void>;
}

/** Registers a machine at the coordinator of a first machine, over the same wire as a joiner. */
export async function registerPeer(node: StartedNode, name: string, facts: object = {}): Promise<OverlayPeer> {
	const folder = join(node.home, "peers", name);
	const made = await run(
		process.execPath,
		[main, "ca", "issue-peer", "--name", name, "--tag", "machine", "--ca-dir", join(node.data, "ca"), "--out", folder],
		{ timeoutMs: 120_000, env: commandEnvironment(node.home) },
	);
	if (made.outcome !== "exited" || made.code !== 0)
		throw new Error(`no certificate for ${name}: ${JSON.stringify(made)}`);
	const agent = new Agent({
		connect: {
			ca: node.ca,
			cert: readFileSync(join(folder, "peer.crt"), "utf8"),
			key: readFileSync(join(folder, "peer.key"), "utf8"),
		},
	});
	const port = await coordinatorPort(node);
	const call = async (path: string, body: object) => {
		const answer = await request(`https://localhost:${port}/v1/mesh/${path}`, {
			method: "POST",
			dispatcher: agent,
			headers: { "content-type": "application/json" },
			body: JSON.stringify(body),
		});
		const text = await answer.body.text();
		if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode} ${text}`);
		return JSON.parse(text) as { peer_id: string; ula: string };
	};
	const key = randomBytes(32).toString("base64");
	const { peer_id, ula } = await call("register", {
		wg_public_key: key,
		display_name: name,
		software_version: "warren/0.1.0",
		...facts,
	});
	let last: object = {};
	const beat = async (said: object) => {
		last = said;
		await call("heartbeat", { peer_id, ...said });
	};
	// As a joiner does, which is gone after a minute of silence. One that was removed is told so, and says no more; a word
	// that was lost is no reason to.
	const isRefusal = (fault: unknown) => /: 4\d\d /.test(String(fault));
	const timer = setInterval(
		() => void beat(last).catch((fault) => isRefusal(fault) && clearInterval(timer)),
		heartbeatMs,
	);
	return {
		id: peer_id,
		ula,
		beat: (paths) => beat({ peer_paths: paths }),
		async [Symbol.asyncDispose]() {
			clearInterval(timer);
			await agent.destroy();
		},
	};
}

async function coordinatorPort(node: StartedNode): Promise<number> {
	// Its user and PIN are the owner's since the setup link was used.
	const authorization = `Basic ${Buffer.from(`${owner.user}:${owner.pin}`).toString("base64")}`;
	const answer = await node.fetch("/api/status", { headers: { authorization } });
	const { roles } = (await answer.json()) as { roles: { name: string; port?: number }[] };
	const port = roles.find(({ name }) => name === "coordinator")?.port;
	if (port === undefined) throw new Error("no coordinator runs");
	return port;
}
