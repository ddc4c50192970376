import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type NodeId, silentLogger } from "@warren/kernel";
import { tempFolder, VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { DataFolder } from "../config/data-folder.ts";
import { MachineTunnels } from "./machine-tunnels.ts";

/** The admin API of a backbone, as far as tunnels ask it. */
async function fakeBackbone() {
	const services = new Set<string>();
	const principals = new Map<string, "active" | "revoked">();
	const grants = new Set<string>();
	let made = 0;
	const answerTo = (method: string, path: string, body: Record<string, string>): [number, object] => {
		if (method === "DELETE") return [200, {}];
		if (method === "GET")
			return principals.has(path.split("/").at(-1) ?? "") ? [200, {}] : [404, no("unknown_principal")];
		if (path.endsWith("/tokens")) {
			services.add(body["service_name"] ?? "");
			return [201, { id: `t${services.size}`, token: "secret" }];
		}
		if (path.endsWith("/principals")) {
			const id = `p${made++}`;
			principals.set(id, "active");
			return [201, { principal_id: id, credential: "secret" }];
		}
		const { principal_id = "", service = "" } = body;
		const state = principals.get(principal_id);
		if (state !== "active") return state === undefined ? [404, no("unknown_principal")] : [409, no("conflict")];
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
	const beside = { address: () => address, need: () => address, watch: (watcher: () => void) => watcher() };
	const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
	return { services, principals, grants, beside: beside as never, [Symbol.asyncDispose]: close };
}

it("a machine whose principal or service was taken away at the backbone keeps no other machine out", async () => {
	using folder = tempFolder("machine-tunnels");
	await using backbone = await fakeBackbone();
	const data = DataFolder.open(folder.file("data"));
	const tunnels = new MachineTunnels({
		clock: new VirtualClock(),
		logger: silentLogger,
		data,
		backbone: backbone.beside,
	});
	// p0 is the hub's own.
	for (const machine of ["one", "two", "three", "four"]) await tunnels.admit(machine as NodeId, machine);
	backbone.principals.delete("p1");
	backbone.principals.set("p2", "revoked");
	backbone.services.delete("machine-three");
	await expect(tunnels.admit("five" as NodeId, "five")).resolves.toMatchObject({ service: "machine-five" });
	expect([...backbone.grants].filter((each) => each.endsWith(" machine-five")).sort()).toEqual(
		["p0", "p3", "p4"].map((principal) => `${principal} machine-five`),
	);
	expect(backbone.grants).toContain("p5 machine-four");
	expect(tunnels.leadsTo("five" as NodeId)).toBe(true);
	await tunnels.close();
	data.close();
});
