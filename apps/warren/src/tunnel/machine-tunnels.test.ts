import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type NodeId, silentLogger, WarrenError } from "@warren/kernel";
import { tempFolder, VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { DataFolder } from "../config/data-folder.ts";
import { MachineTunnels } from "./machine-tunnels.ts";

/** The admin API of a backbone, as far as tunnels ask it. */
async function fakeBackbone() {
	const services = new Set<string>();
	const principals = new Map<string, "active" | "revoked">();
	const grants = new Set<string>();
	const tokens = new Set<string>();
	const watchers: (() => void)[] = [];
	const state = { isDown: false, grantsFail: false };
	let made = 0;
	const answerTo = (method: string, path: string, body: Record<string, string>): [number, object] => {
		const last = path.split("/").at(-1) ?? "";
		if (method === "DELETE") {
			if (path.includes("/tokens/")) return tokens.delete(last) ? [200, {}] : [404, no("unknown_token")];
			if (path.includes("/services/")) return services.delete(last) ? [200, {}] : [404, no("unknown_service")];
			if (!principals.has(last)) return [404, no("unknown_principal")];
			principals.set(last, "revoked");
			return [200, {}];
		}
		if (method === "GET") return principals.has(last) ? [200, {}] : [404, no("unknown_principal")];
		if (path.endsWith("/tokens")) {
			services.add(body["service_name"] ?? "");
			const id = `t${made++}`;
			tokens.add(id);
			return [201, { id, token: "secret" }];
		}
		if (path.endsWith("/principals")) {
			const id = `p${made++}`;
			principals.set(id, "active");
			return [201, { principal_id: id, credential: "secret" }];
		}
		const { principal_id = "", service = "" } = body;
		if (state.grantsFail) return [503, no("store_away")];
		const stands = principals.get(principal_id);
		if (stands !== "active") return stands === undefined ? [404, no("unknown_principal")] : [409, no("conflict")];
		if (!services.has(service)) return [404, no("unknown_service")];
		grants.add(`${principal_id} ${service}`);
		return [201, {}];
	};
	const no = (error: string) => ({ error, message: `It is ${error}.` });
	const server = createServer(async (request, response) => {
		let text = "";
		for await (const chunk of request) text += String(chunk);
		const [status, json] = answerTo(request.method ?? "", request.url ?? "", text === "" ? {} : JSON.parse(text));
		response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const address = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ca: "", token: "admin" };
	const beside = {
		address: () => (state.isDown ? null : address),
		need: () => {
			if (!state.isDown) return address;
			throw new WarrenError("backbone_down", "The backbone of this machine is down.", { status: 503 });
		},
		watch: (watcher: () => void) => {
			watchers.push(watcher);
			watcher();
		},
	};
	const turn = (isDown: boolean) => {
		state.isDown = isDown;
		for (const watcher of watchers) watcher();
	};
	const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
	return { services, principals, tokens, grants, state, turn, beside: beside as never, [Symbol.asyncDispose]: close };
}

function openTunnels(backbone: { readonly beside: never }, data: DataFolder, clock = new VirtualClock()) {
	return new MachineTunnels({ clock, logger: silentLogger, data, backbone: backbone.beside });
}

it("a machine whose principal or service was taken away at the backbone keeps no other machine out", async () => {
	using folder = tempFolder("machine-tunnels");
	await using backbone = await fakeBackbone();
	const data = DataFolder.open(folder.file("data"));
	const tunnels = openTunnels(backbone, data);
	for (const machine of ["one", "two", "three", "four"]) await tunnels.admit(machine as NodeId, machine);
	const [own, one = "", two = "", three, four] = [...backbone.principals.keys()];
	backbone.principals.delete(one);
	backbone.principals.set(two, "revoked");
	backbone.services.delete("machine-three");
	await expect(tunnels.admit("five" as NodeId, "five")).resolves.toMatchObject({ service: "machine-five" });
	expect([...backbone.grants].filter((each) => each.endsWith(" machine-five")).sort()).toEqual(
		[own, three, four].map((principal) => `${principal} machine-five`).sort(),
	);
	expect(backbone.grants).toContain(`${[...backbone.principals.keys()].at(-1)} machine-four`);
	expect(tunnels.leadsTo("five" as NodeId)).toBe(true);
	await tunnels.close();
	data.close();
});

it("a machine that is removed while the backbone is down opens nothing once it is back, whatever was restarted", async () => {
	using folder = tempFolder("machine-tunnels");
	await using backbone = await fakeBackbone();
	const data = DataFolder.open(folder.file("data"));
	const first = openTunnels(backbone, data);
	await first.admit("one" as NodeId, "one");
	await first.admit("two" as NodeId, "two");
	const [, one, two] = [...backbone.principals.keys()];
	backbone.turn(true);
	await first.forget("one");
	expect(first.leadsTo("one" as NodeId)).toBe(false);
	await first.close();
	const second = openTunnels(backbone, data);
	backbone.turn(false);
	await second.forget("none");
	expect([...backbone.services]).toEqual(["machine-two"]);
	expect([backbone.principals.get(one ?? ""), backbone.principals.get(two ?? "")]).toEqual(["revoked", "active"]);
	await second.close();
	data.close();
});

it("a machine that could not be admitted leaves no token and no credential, however often it tries", async () => {
	using folder = tempFolder("machine-tunnels");
	await using backbone = await fakeBackbone();
	const data = DataFolder.open(folder.file("data"));
	const tunnels = openTunnels(backbone, data);
	backbone.state.grantsFail = true;
	for (let tries = 0; tries < 3; tries++)
		await expect(tunnels.admit("one" as NodeId, "one")).rejects.toMatchObject({ code: "store_away" });
	expect(backbone.tokens.size).toBe(0);
	backbone.state.grantsFail = false;
	await tunnels.admit("one" as NodeId, "one");
	expect(backbone.tokens.size).toBe(1);
	// The hub's own beside it.
	expect([...backbone.principals.values()].filter((each) => each === "active")).toHaveLength(2);
	await tunnels.close();
	data.close();
});
