import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { systemClock } from "@warren/kernel";
import { dialWebSocket } from "@warren/net";
import { type StartedNode, startNode } from "@warren/testkit";
import { describe, expect, it } from "vitest";

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
		const status = await statusWhere(node, (each) => roleOf(each, "coordinator")?.state === "running");
		expect(roleOf(status, "gateway")).toMatchObject({ state: "running" });
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
