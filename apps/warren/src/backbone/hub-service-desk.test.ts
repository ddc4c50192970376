import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { silentLogger, WarrenError } from "@warren/kernel";
import { tempFolder, VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { DataFolder } from "../config/data-folder.ts";
import { HubServiceDesk } from "./hub-service-desk.ts";

/** The admin API of a backbone, as far as the desk asks it. */
async function fakeBackbone() {
	const tokens = new Map<string, string>();
	const watchers: (() => void)[] = [];
	let isDown = false;
	let made = 0;
	const answerTo = (method: string, path: string, body: Record<string, string>): [number, object] => {
		if (method === "DELETE") {
			if (tokens.delete(path.split("/").at(-1) ?? "")) return [200, {}];
			return [404, { error: "unknown_token", message: "It is unknown." }];
		}
		if (method === "GET") return [200, { services: [] }];
		if (method === "PATCH") return [200, { url: "https://web.example" }];
		const id = `t${made++}`;
		tokens.set(id, body["service_name"] ?? "");
		return [201, { id, token: "secret" }];
	};
	const server = createServer(async (request, response) => {
		let text = "";
		for await (const chunk of request) text += String(chunk);
		const [status, json] = answerTo(request.method ?? "", request.url ?? "", text === "" ? {} : JSON.parse(text));
		response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const address = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, ca: "", token: "admin" };
	const beside = {
		address: () => (isDown ? null : address),
		need: () => {
			if (!isDown) return address;
			throw new WarrenError("backbone_down", "The backbone of this machine is down.", { status: 503 });
		},
		watch: (watcher: () => void) => {
			watchers.push(watcher);
			watcher();
		},
	};
	const turn = (down: boolean) => {
		isDown = down;
		for (const watcher of watchers) watcher();
	};
	const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
	return { tokens, turn, beside: beside as never, [Symbol.asyncDispose]: close };
}

const wish = { kind: "http", public: false, grant: [] } as const;

it.each([false, true])(
	"a removed machine's agents serve no name any more, and the name is another's to take (backbone down: %s)",
	async (down) => {
		using folder = tempFolder("hub-service-desk");
		await using backbone = await fakeBackbone();
		const data = DataFolder.open(folder.file("data"));
		const open = () =>
			new HubServiceDesk({
				...{ clock: new VirtualClock(), logger: silentLogger, data, backbone: backbone.beside },
				uuids: { of: async () => "5d1f0c9a-6f0e-4b57-9d0c-0d6b2a1f7e11", watch: () => {} },
				certify: async () => {},
			});
		const first = open();
		await first.of("attic").take("web", wish, null);
		await first.of("attic").take("shop", wish, null);
		const { token, tokenId } = await first.of("cellar").take("blog", wish, null);
		expect([backbone.tokens.size, token]).toEqual([3, "secret"]);
		if (down) backbone.turn(true);
		await first.forget("attic");
		await first.close();
		const second = open();
		if (down) backbone.turn(false);
		await second.forget("nobody");
		expect([...backbone.tokens]).toEqual([[tokenId, "blog"]]);
		const taken = await second.of("cellar").take("web", wish, null);
		expect([...backbone.tokens.keys()]).toEqual([tokenId, taken.tokenId]);
		await second.close();
		data.close();
	},
);

it("a removed machine's service is tried again when the disk was full, and ends no process", async () => {
	using folder = tempFolder("hub-service-desk");
	await using backbone = await fakeBackbone();
	const data = DataFolder.open(folder.file("data"));
	const clock = new VirtualClock();
	const desk = new HubServiceDesk({
		...{ clock, logger: silentLogger, data, backbone: backbone.beside },
		uuids: { of: async () => "5d1f0c9a-6f0e-4b57-9d0c-0d6b2a1f7e11", watch: () => {} },
		certify: async () => {},
	});
	await desk.of("attic").take("web", wish, null);
	backbone.turn(true);
	await desk.forget("attic");
	const write = data.write.bind(data);
	data.write = () => {
		throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
	};
	backbone.turn(false);
	// Behind what the backbone's coming back began.
	await desk.forget("nobody");
	expect(backbone.tokens.size).toBe(0);
	data.write = write;
	await clock.advance(60_000);
	await desk.forget("nobody");
	expect(data.read("service-names.json")).toContain('"tokenId": ""');
	await desk.close();
	data.close();
});
