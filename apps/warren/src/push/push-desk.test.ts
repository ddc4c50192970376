import { createDecipheriv, createECDH, type ECDH, hkdfSync, randomBytes } from "node:crypto";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { Authority } from "@warren/net";
import { tempFolder, VirtualClock } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DataFolder } from "../config/data-folder.ts";
import { PushDesk, pushLimits } from "./push-desk.ts";
import { contactOf } from "./push-part.ts";

/** A push service, and the browsers that chose it. */
let service: Server;
let ca: string;
let status = 201;
const received: { path: string; headers: Record<string, unknown>; body: Buffer }[] = [];

beforeAll(async () => {
	const { authority } = await Authority.create("Push", [], systemClock, systemRandom);
	const leaf = await authority.issue({ name: "push", hosts: ["127.0.0.1"] });
	ca = authority.certPem;
	service = createServer({ cert: leaf.cert + ca, key: leaf.key }, async (incoming, outgoing) => {
		const body = Buffer.concat(await incoming.toArray());
		received.push({ path: incoming.url ?? "", headers: incoming.headers, body });
		outgoing.writeHead(status).end();
	});
	await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
	service.closeAllConnections();
	service.close();
});

function browser(name: string) {
	const key = createECDH("prime256v1");
	key.generateKeys();
	const auth = randomBytes(16);
	const subscription = {
		endpoint: `https://127.0.0.1:${(service.address() as AddressInfo).port}/${name}`,
		keys: { p256dh: key.getPublicKey("base64url"), auth: auth.toString("base64url") },
	};
	return { subscription, read: (body: Buffer) => open(body, key, auth) };
}

/** What a browser does: RFC 8291 from the other end. */
function open(body: Buffer, key: ECDH, auth: Buffer): unknown {
	const salt = body.subarray(0, 16);
	const point = body.subarray(21, 86);
	const info = Buffer.concat([Buffer.from("WebPush: info\0"), key.getPublicKey(), point]);
	const secret = Buffer.from(hkdfSync("sha256", key.computeSecret(point), auth, info, 32));
	const expand = (label: string, bytes: number) =>
		Buffer.from(hkdfSync("sha256", secret, salt, Buffer.from(`Content-Encoding: ${label}\0`), bytes));
	const decipher = createDecipheriv("aes-128-gcm", expand("aes128gcm", 16), expand("nonce", 12));
	decipher.setAuthTag(body.subarray(-16));
	const padded = Buffer.concat([decipher.update(body.subarray(86, -16)), decipher.final()]);
	return JSON.parse(padded.subarray(0, padded.lastIndexOf(2)).toString());
}

const message = { title: "Bell on atlas", body: "A terminal there asks for you.", tag: "t", path: "/m/self/terminals" };

function withDesk(clock = new VirtualClock()) {
	const folder = tempFolder("push");
	const data = DataFolder.open(folder.path);
	const contact = contactOf({ data, urls: ["https://atlas.example:5151"] });
	const deps = { clock, random: systemRandom, logger: silentLogger, data, ca, contact };
	const desk = new PushDesk(deps);
	received.length = 0;
	status = 201;
	return {
		desk,
		deps,
		clock,
		async [Symbol.asyncDispose]() {
			await desk.close();
			data.close();
			folder[Symbol.dispose]();
		},
	};
}

describe("push messages", () => {
	it("reach each browser that asked, readable by it alone, and still after a restart", async () => {
		await using stage = withDesk();
		const [phone, tablet] = [browser("phone"), browser("tablet")];
		const key = stage.desk.publicKey();
		stage.desk.subscribe("d1", phone.subscription);
		stage.desk.subscribe("d2", tablet.subscription);
		const again = new PushDesk(stage.deps);
		expect([again.publicKey(), again.has("d1"), again.has("d3")]).toEqual([key, true, false]);
		await again.tell(message);
		await again.close();
		expect(received.map(({ path }) => path).sort()).toEqual(["/phone", "/tablet"]);
		for (const { path, headers, body } of received) {
			expect(headers).toMatchObject({ "content-encoding": "aes128gcm", ttl: "3600", urgency: "normal" });
			expect(headers["authorization"]).toMatch(new RegExp(`^vapid t=\\S+, k=${key}$`));
			const claims = Buffer.from(String(headers["authorization"]).split(".")[1] ?? "", "base64url").toString();
			expect(JSON.parse(claims)).toMatchObject({ sub: "https://atlas.example:5151" });
			expect(body.includes("Bell")).toBe(false);
			const [mine, other] = path === "/phone" ? [phone, tablet] : [tablet, phone];
			expect(mine.read(body)).toEqual(message);
			expect(() => other.read(body)).toThrow();
		}
	});

	it("end for a browser that has left, for a device that was revoked, and for the oldest of too many", async () => {
		await using stage = withDesk();
		stage.desk.subscribe("gone", browser("gone").subscription);
		status = 410;
		await stage.desk.tell(message);
		expect(stage.desk.has("gone")).toBe(false);
		for (let index = 0; index <= pushLimits.maxSubscriptions; index++)
			stage.desk.subscribe(`d${index}`, browser(`d${index}`).subscription);
		expect([stage.desk.has("d0"), stage.desk.has("d1")]).toEqual([false, true]);
		stage.desk.forget("d1");
		expect(stage.desk.has("d1")).toBe(false);
	});

	it("are few, however often a terminal rings; a service that is away costs nobody else", async () => {
		await using stage = withDesk();
		stage.desk.subscribe("away", { ...browser("away").subscription, endpoint: "https://127.0.0.1:1/away" });
		stage.desk.subscribe("d1", browser("d1").subscription);
		for (let ring = 0; ring < 3 * pushLimits.perDevice.burst; ring++) await stage.desk.tell(message);
		expect(received).toHaveLength(pushLimits.perDevice.burst);
		await stage.clock.advance(1000 / pushLimits.perDevice.perSecond);
		await stage.desk.tell(message);
		expect(received).toHaveLength(pushLimits.perDevice.burst + 1);
	});

	it("refuse a key that no browser has", async () => {
		await using stage = withDesk();
		const { endpoint, keys } = browser("odd").subscription;
		const off = { endpoint, keys: { ...keys, p256dh: Buffer.alloc(65, 4).toString("base64url") } };
		expect(() => stage.desk.subscribe("d1", off)).toThrow(expect.objectContaining({ code: "bad_subscription" }));
		expect(stage.desk.has("d1")).toBe(false);
	});
});
