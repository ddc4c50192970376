import { fileURLToPath } from "node:url";
import {
	openSocialProxy,
	type SocialProxy,
	type StartedCommand,
	socialServices,
	startCommand,
	Workerd,
} from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type SocialHub, socialSuite } from "./social.contract.ts";

/** Google's and GitHub's sign-in, by a hub of each kind: the services are on loopback, everything else is as it ships. */
const registrations = {
	GOOGLE_CLIENT_ID: "google-id",
	GOOGLE_CLIENT_SECRET: "google-secret",
	GITHUB_CLIENT_ID: "github-id",
	GITHUB_CLIENT_SECRET: "github-secret",
};
const owner = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const edgeSetup = "the-one-time-setup-secret";
const worker = fileURLToPath(new URL("../../apps/edge/src/worker.ts", import.meta.url));

/** Calls a hub as whoever its own front says that one is. */
function callerOf(origin: string): SocialHub["call"] {
	return async (method, path, body, headers = {}) => {
		const response = await fetch(`${origin}${path}`, {
			method,
			redirect: "manual",
			headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		const text = await response.text();
		const json = (response.headers.get("content-type") ?? "").includes("json");
		return { status: response.status, body: json && text !== "" ? JSON.parse(text) : text, headers: response.headers };
	};
}

async function ownedHub(origin: string, setup: string, from: SocialHub["from"]): Promise<SocialHub> {
	const call = callerOf(origin);
	const { status, body } = await call("POST", "/auth/signup", owner, { "x-warren-setup": setup });
	if (status !== 200) throw new Error(`sign-up: ${status} ${JSON.stringify(body)}`);
	return { origin, owner: body.token, call, from };
}

async function nodeHub(env: Readonly<Record<string, string>>): Promise<{ command: StartedCommand; hub: SocialHub }> {
	const flags = ["--http", "--host", "127.0.0.1", "--port", "0", "--trusted-proxy", "127.0.0.1", "--json"];
	const command = startCommand(["hub", ...flags], { env });
	const { url, setupUrl } = await command.line<{ url: string; setupUrl: string }>();
	const setup = setupUrl.split("#setup=")[1] as string;
	return { command, hub: await ownedHub(url, setup, (address) => ({ "x-forwarded-for": address })) };
}

describe("sign-in by another service's account at a hub of Node", { timeout: 120_000 }, () => {
	let services: SocialProxy;
	let running: StartedCommand;
	let hub: SocialHub;
	beforeAll(async () => {
		services = await openSocialProxy();
		({ command: running, hub } = await nodeHub({ ...registrations, ...services.env }));
	}, 120_000);
	afterAll(async () => {
		await running?.[Symbol.asyncDispose]();
		await services?.[Symbol.asyncDispose]();
	});
	socialSuite(() => hub);

	it("is offered at no address that the services were not told, and its secrets are in no log", async () => {
		const { hostname, port } = new URL(hub.origin);
		const other = hostname === "localhost" ? "127.0.0.1" : "localhost";
		const { body } = await callerOf(`http://${other}:${port}`)("GET", "/auth/services");
		expect(body).toEqual({ services: [] });
		expect(running.log()).not.toMatch(/google-secret|github-secret/);
	});
});

describe("sign-in by another service's account at a hub on Workers", { timeout: 120_000 }, () => {
	let workerd: Workerd;
	let hub: SocialHub;
	beforeAll(async () => {
		workerd = await Workerd.start(worker, {
			objects: { HUB: "HubObject", ROOMS: "RoomObject" },
			bindings: { WARREN_URL: "http://localhost", WARREN_SETUP: edgeSetup, ...registrations },
			outbound: socialServices,
		});
		hub = await ownedHub(workerd.origin, edgeSetup, (address) => ({ "cf-connecting-ip": address }));
	}, 120_000);
	afterAll(() => workerd?.[Symbol.asyncDispose]());
	socialSuite(() => hub);
});

describe("a hub that is registered nowhere", { timeout: 120_000 }, () => {
	it("offers no service, and takes none", async () => {
		const { command, hub } = await nodeHub({});
		await using _running = command;
		expect((await hub.call("GET", "/auth/services")).body).toEqual({ services: [] });
		const asked = await hub.call("POST", "/auth/sign-in/social", { provider: "google", callbackURL: "/" });
		expect(asked.status).toBe(404);
	});

	it("refuses half a registration at its start, naming what is missing and no secret", async () => {
		await using command = startCommand(["hub", "--http", "--port", "0", "--json"], {
			env: { GITHUB_CLIENT_SECRET: "github-secret" },
		});
		expect(await command.exited).not.toBe(0);
		expect(command.log()).toContain("GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET go together");
		expect(command.log()).not.toContain("github-secret");
	});
});
