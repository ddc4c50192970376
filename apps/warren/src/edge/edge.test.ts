import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { systemClock } from "@warren/kernel";
import { dialWebSocket } from "@warren/net";
import { freePort, type StartedNode, startNode, tempFolder } from "@warren/testkit";
import { Agent, request } from "undici";
import { describe, expect, it, vi } from "vitest";
import { logPath } from "../supervisor/log-file.ts";

// Several processes a test, which a busy machine starts one after another.
vi.setConfig({ testTimeout: 180_000 });

interface Role {
	readonly name: string;
	readonly state: string;
	readonly error?: string;
	readonly pid?: number;
}

interface Status {
	readonly roles: readonly Role[];
	readonly health: { readonly conditions: readonly { readonly code: string; readonly title: string }[] };
}

const edge = {
	WARREN_EDGE: "1",
	WARREN_SIDECAR_PORT: "0",
	WARREN_COORDINATOR_PORT: "0",
	WARREN_STUN_PORT: "0",
	WARREN_GATEWAY: "1",
	WARREN_GATEWAY_PORT: "0",
	WARREN_BACKBONE_PORT: "0",
};

/** The status once it shows what is asked for, looked at again whenever the machine says that something changed. */
async function statusWhere(node: StartedNode, holds: (status: Status) => boolean): Promise<Status> {
	const dialled = await dialWebSocket(`${node.origin.replace("https", "wss")}/ws/~events`, systemClock, {
		headers: { authorization: node.authorization },
		tls: { ca: node.ca },
	});
	if (!dialled.ok) throw new Error(dialled.message);
	let changed = Promise.withResolvers<void>();
	dialled.connection.onMessage(() => changed.resolve());
	for (;;) {
		const status = (await (await node.fetch("/api/status")).json()) as Status;
		if (holds(status)) {
			dialled.connection.terminate();
			return status;
		}
		await changed.promise;
		changed = Promise.withResolvers<void>();
	}
}

const roleOf = (status: Status, name: string) => status.roles.find((role) => role.name === name);

describe("the edge process of a machine", () => {
	it("serves the coordinator with the warren's certificates and the owner's policy, and comes back when it is killed", async () => {
		await using node = await startNode({ command: ["up"], env: edge });
		// One after another.
		const status = await statusWhere(node, (each) =>
			["coordinator", "backbone", "gateway"].every((name) => roleOf(each, name)?.state === "running"),
		);
		expect(roleOf(status, "backbone")).toMatchObject({ port: expect.any(Number) });
		const { pid } = roleOf(status, "coordinator") as Role;
		expect(JSON.parse(readFileSync(`${node.data}/edge/policy.json`, "utf8"))).toMatchObject({
			acls: [{ action: "accept", src: ["tag:machine"], dst: ["tag:machine"] }],
		});
		process.kill(pid as number, "SIGKILL");
		const again = await statusWhere(node, (each) => {
			const role = roleOf(each, "coordinator");
			return role?.state === "running" && role.pid !== pid;
		});
		expect(roleOf(again, "node")).toMatchObject({ state: "running" });
	});

	it("shows the backbone's admin token once, on the terminal and never in the log, also when its port was taken first", async () => {
		const holder = createServer();
		// Between its release and the next try nobody else is given it.
		const port = await freePort();
		await new Promise<void>((resolve) => holder.listen(port, "127.0.0.1", resolve));
		using home = tempFolder("edge");
		const start = () =>
			startNode({ command: ["up"], home: home.path, env: { ...edge, WARREN_BACKBONE_PORT: String(port) } });
		{
			await using node = await start();
			await statusWhere(node, (each) => roleOf(each, "backbone")?.error !== undefined);
			expect(node.log()).not.toContain("admin token");
			holder.close();
			await statusWhere(node, (each) => roleOf(each, "backbone")?.state === "running");
			const [, token = ""] = /admin token (wb_\S+)/.exec(node.log()) ?? [];
			const agent = new Agent({ connect: { ca: node.ca } });
			const list = await request(`https://localhost:${port}/admin/api/tokens`, {
				dispatcher: agent,
				headers: { authorization: `Bearer ${token}`, accept: "application/json" },
			});
			expect(await list.body.json()).toEqual({ tokens: [] });
			await agent.close();
			expect(readFileSync(logPath(node.data), "utf8")).not.toContain(token);
		}
		await using again = await start();
		await statusWhere(again, (each) => roleOf(each, "backbone")?.state === "running");
		expect(again.log()).not.toContain("admin token");
	});

	it("shows a role that cannot start, with its fix, and runs the others", async () => {
		const holder = createServer();
		await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
		const { port } = holder.address() as { port: number };
		try {
			await using node = await startNode({ command: ["up"], env: { ...edge, WARREN_GATEWAY_PORT: String(port) } });
			const status = await statusWhere(node, (each) => each.health.conditions.some(({ code }) => code === "role-down"));
			expect(roleOf(status, "gateway")).toMatchObject({
				state: "restarting",
				error: expect.stringContaining(`${port}`),
			});
			expect(roleOf(status, "coordinator")).toMatchObject({ state: "running" });
		} finally {
			holder.close();
		}
	});
});
