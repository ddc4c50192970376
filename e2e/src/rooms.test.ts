import { freePort, type StartedNode, type StartedServer, startNode, startServer, tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** Three machines of three people and a gateway, as processes, as people use them. */
interface RoomView {
	readonly id: string;
	readonly name: string;
	readonly unread: number;
}
interface MessageView {
	readonly id: string;
	readonly content: string;
	readonly from: { readonly meshId: string; readonly signed: boolean } | null;
	readonly delivery: string | null;
}

const names = ["atlas", "burrow", "cairn"] as const;

describe("rooms between three nodes and a gateway", () => {
	const folder = tempFolder("gateway-e2e");
	let gatewayPort = 0;
	let gateway: StartedServer;
	const nodes: StartedNode[] = [];
	/** Whose folder goes with them. */
	const homes: StartedNode[] = [];
	const rooms = new Map<string, string>();

	const openGateway = () =>
		startServer([
			"gateway",
			...["--data", folder.file("gateway")],
			...["--host", "127.0.0.1", "--port", String(gatewayPort)],
			...["--messages-per-minute", "100000"],
		]);
	const openNode = (index: number, home?: string) =>
		startNode({
			name: names[index] as string,
			...(home === undefined ? {} : { home, port: (nodes[index] as StartedNode).port }),
			env: {
				MESH_ID: names[index] as string,
				MESH_SECRET: `secret-of-${names[index]}`,
				MESH_GATEWAY_URL: `ws://127.0.0.1:${gatewayPort}/gateway`,
			},
		});
	const node = (index: number) => nodes[index] as StartedNode;
	async function api<T>(index: number, method: string, path: string, body?: object): Promise<T> {
		const answer = await node(index).fetch(path, {
			method,
			...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
		});
		const text = await answer.text();
		if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
		return (text === "" ? undefined : JSON.parse(text)) as T;
	}
	const say = (index: number, content: string) =>
		api<{ message: MessageView }>(index, "POST", `/api/rooms/${rooms.get(names[index] as string)}/messages`, {
			content,
		});
	const heard = async (index: number) =>
		(
			await api<{ messages: MessageView[] }>(
				index,
				"GET",
				`/api/rooms/${rooms.get(names[index] as string)}/messages?limit=200`,
			)
		).messages;
	const status = (index: number) => api<Record<string, unknown>>(index, "GET", "/api/gateway/status");
	const connected = (index: number) =>
		expect.poll(async () => (await status(index))["state"], { timeout: 60_000 }).toBe("connected");

	beforeAll(async () => {
		gatewayPort = await freePort();
		gateway = await openGateway();
		nodes.push(...(await Promise.all(names.map((_name, index) => openNode(index)))));
	}, 120_000);
	afterAll(async () => {
		for (const each of [...nodes, ...homes]) await each[Symbol.asyncDispose]();
		folder[Symbol.dispose]();
		await gateway?.kill("SIGKILL");
	});

	it("a machine that the gateway does not know stops asking, says why, and connects once it is registered", async () => {
		await expect.poll(async () => (await status(0))["state"], { timeout: 60_000 }).toBe("refused");
		expect(await status(0)).toMatchObject({ reason: "Invalid credentials", configured: true, fixed: true });
		const anonymous = await node(0).fetch("/api/gateway/register", { method: "POST", headers: { authorization: "" } });
		expect(anonymous.status).toBe(401);
		for (const index of names.keys()) {
			await api(index, "POST", "/api/gateway/register", {});
			await connected(index);
		}
		const { instances } = await api<{ instances: { meshId: string }[] }>(0, "GET", "/api/gateway/instances");
		expect(instances.map((each) => each.meshId).sort()).toEqual([...names]);
	});

	it("what is said in a federated room is in it everywhere, with where it came from; a local room stays here", async () => {
		for (const index of names.keys()) {
			const body = { name: "general", federated: true };
			const { room } = await api<{ room: RoomView }>(index, "POST", "/api/rooms", body);
			rooms.set(names[index] as string, room.id);
		}
		const { room: local } = await api<{ room: RoomView }>(0, "POST", "/api/rooms", { name: "local" });
		await api(0, "POST", `/api/rooms/${local.id}/messages`, { content: "for us alone" });
		const { message } = await say(0, "hello everybody");
		for (const index of [1, 2]) {
			await expect
				.poll(() => heard(index), { timeout: 30_000 })
				.toMatchObject([{ content: "hello everybody", from: { meshId: "atlas", signed: true } }]);
		}
		await expect.poll(async () => (await heard(0))[0]?.delivery, { timeout: 30_000 }).toBe("delivered");
		await api(0, "PATCH", `/api/rooms/${rooms.get("atlas")}/messages/${message.id}`, { content: "hello, all" });
		await expect.poll(async () => (await heard(2))[0]?.content, { timeout: 30_000 }).toBe("hello, all");
		await api(0, "DELETE", `/api/rooms/${rooms.get("atlas")}/messages/${message.id}`);
		await expect.poll(async () => (await heard(1))[0]?.content, { timeout: 30_000 }).toBe("");
		// The gateway tells of them together, a while after they came.
		const present = async () => {
			const path = "/api/gateway/participants";
			const { participants } = await api<{ participants: { meshId: string }[] }>(0, "GET", path);
			return participants.map((each) => each.meshId).sort();
		};
		await expect.poll(present, { timeout: 30_000 }).toEqual(["burrow", "cairn"]);
	});

	it("what somebody forges in a warren's name is refused, shown, and nobody's", async () => {
		const trust = (index: number) => api<TrustView>(index, "GET", "/api/gateway/trust");
		const { own } = await trust(0);
		await expect
			.poll(async () => (await trust(1)).meshes)
			.toMatchObject([{ meshId: "atlas", fingerprint: own.fingerprint, refused: 0 }]);
		// A gateway that lies, seen from burrow: somebody who has stolen the secret of atlas.
		const thief = await openMesh(gatewayPort, { meshId: "atlas", secret: "secret-of-atlas" });
		const message = { id: "forged-1", roomName: "general", senderId: "owner", senderName: "A", content: "send money" };
		thief.send(JSON.stringify({ type: "gateway_broadcast", payload: { type: "new_message", message } }));
		await expect
			.poll(async () => (await trust(1)).meshes, { timeout: 30_000 })
			.toMatchObject([
				{ meshId: "atlas", refused: 1, refusedWhy: "it is not signed, and what this mesh said before was" },
			]);
		const health = await api<{ conditions: { code: string }[] }>(1, "GET", "/api/status");
		expect(JSON.stringify(health)).toContain("gateway-forged");
		for (const index of [1, 2]) expect((await heard(index)).map((each) => each.content)).not.toContain("send money");
		thief.close();
		// It had taken the place of atlas; the owner registers anew, and is in by its key from then on.
		await expect.poll(async () => (await status(0))["state"], { timeout: 60_000 }).toBe("refused");
		await api(0, "POST", "/api/gateway/register", {});
		await connected(0);
		expect((await trust(0)).own.login).toBe("key");
	});

	it("a blocked warren is not heard and hears nothing, until it is let back in", async () => {
		await api(1, "PUT", "/api/gateway/access", { allow: null, block: ["cairn"] });
		const anonymous = await node(1).fetch("/api/gateway/access", { method: "PUT", headers: { authorization: "" } });
		expect(anonymous.status).toBe(401);
		const seen = async (index: number) => {
			const { instances } = await api<{ instances: { meshId: string }[] }>(index, "GET", "/api/gateway/instances");
			return instances.map((each) => each.meshId).sort();
		};
		await expect.poll(() => seen(2), { timeout: 30_000 }).toEqual(["atlas", "cairn"]);
		await say(2, "can you hear me?");
		await expect.poll(async () => (await heard(0)).at(-1)?.content, { timeout: 30_000 }).toBe("can you hear me?");
		await api(1, "PUT", "/api/gateway/access", { allow: null, block: [] });
		await expect.poll(() => seen(2), { timeout: 30_000 }).toEqual([...names]);
		await say(2, "and now?");
		await expect.poll(async () => (await heard(1)).at(-1)?.content, { timeout: 30_000 }).toBe("and now?");
		expect((await heard(1)).map((each) => each.content)).not.toContain("can you hear me?");
	});

	it("kills of the gateway and of nodes in the middle of sends: every message once, in order", {
		timeout: 600_000,
	}, async () => {
		const sent: string[][] = [[], [], []];
		let next = 1;
		const burst = async (index: number, count: number) => {
			for (let each = 0; each < count; each += 1) {
				const content = `${names[index]} ${next++}`;
				await say(index, content);
				sent[index]?.push(content);
			}
		};
		await Promise.all([burst(0, 10), burst(1, 10), burst(2, 10)]);
		await Promise.all([burst(0, 10), gateway.kill("SIGKILL")]);
		await burst(1, 5);
		gateway = await openGateway();
		const killed = node(2);
		await Promise.all([burst(0, 10), burst(1, 10), killed.kill("SIGKILL")]);
		await burst(0, 5);
		nodes[2] = await openNode(2, killed.home);
		homes.push(killed);
		await Promise.all([burst(2, 5), burst(1, 5)]);
		await gateway.kill("SIGKILL");
		await burst(2, 3);
		gateway = await openGateway();
		for (const index of names.keys()) {
			for (const other of names.keys()) {
				const from = names[other] as string;
				const texts = async () =>
					(await heard(index)).map((each) => each.content).filter((text) => text.startsWith(`${from} `));
				await expect.poll(texts, { timeout: 120_000, interval: 250 }).toEqual(sent[other]);
			}
		}
		expect(sent.flat().length).toBe(83);
		// The last receipts may come after what they tell of.
		for (const index of names.keys())
			await expect.poll(() => status(index), { timeout: 60_000 }).toMatchObject({ waiting: 0 });
	});
});

interface TrustView {
	readonly own: { readonly fingerprint: string; readonly login: string | null };
	readonly meshes: readonly { readonly meshId: string; readonly refused: number }[];
}

/** A client of the original's protocol, signed in. */
async function openMesh(port: number, credentials: object): Promise<WebSocket> {
	const socket = new WebSocket(`ws://127.0.0.1:${port}/gateway`);
	const answered = new Promise<string>((resolve, reject) => {
		socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "gateway_auth", ...credentials })));
		socket.addEventListener("message", ({ data }) => resolve(String(data)), { once: true });
		socket.addEventListener("close", () => reject(new Error("the gateway closed the connection")));
	});
	expect(JSON.parse(await answered)).toMatchObject({ type: "gateway_auth_ok" });
	return socket;
}
