import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createSecureServer, request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { systemClock, systemRandom } from "@warren/kernel";
import { Authority } from "@warren/net";
import { type HostilePeer, hostilePeer, type StartedNode, startNode, tempFolder } from "@warren/testkit";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";

const missing = browserMissing();

/** Runs in whoever treats it as a document or a script: takes what it can, and tells. */
const payload = `try { localStorage.setItem("hacked", "1"); document.cookie = "hacked=1" } catch {} fetch("https://127.0.0.1/hacked"); navigator.serviceWorker?.register("/r/evil/api/sw.js", { scope: "/" });`;
const hostileHeaders = {
	"clear-site-data": '"*"',
	"set-cookie": "hacked=1; Path=/",
	"service-worker-allowed": "/",
	"access-control-allow-origin": "*",
	"access-control-allow-credentials": "true",
	"access-control-allow-headers": "*",
	link: "</r/evil/api/preloaded>; rel=preload; as=script",
	refresh: "0; url=/r/evil/api/refreshed",
};
const kinds: Readonly<Record<string, readonly [string, string]>> = {
	html: ["text/html", `<!doctype html><title>hacked</title><script>${payload}</script>`],
	xhtml: ["application/xhtml+xml", `<html xmlns="http://www.w3.org/1999/xhtml"><script>${payload}</script></html>`],
	svg: [
		"image/svg+xml",
		`<svg xmlns="http://www.w3.org/2000/svg" onload='${payload}'><script>${payload}</script></svg>`,
	],
	sniffed: ["", `<!doctype html><title>hacked</title><script>${payload}</script>`],
	json: ["application/json", `<!doctype html><title>hacked</title><script>${payload}</script>`],
	xml: [
		"text/xml",
		`<?xml version="1.0"?><x xmlns:h="http://www.w3.org/1999/xhtml"><h:script>${payload}</h:script></x>`,
	],
	pdf: ["application/pdf", "%PDF-1.4"],
	"sw.js": [
		"text/javascript",
		`${payload} self.addEventListener("fetch", (e) => e.respondWith(new Response("hacked")));`,
	],
};
const serveHostile: RequestListener = (request, response) => {
	const path = (request.url ?? "").replace("/api/", "").split("?")[0] ?? "";
	for (const [name, value] of Object.entries(hostileHeaders)) response.setHeader(name, value);
	const [, status] = /^redirect\/(\d+)/.exec(path) ?? [];
	if (status !== undefined) {
		response.writeHead(Number(status), { location: "/api/me" }).end(kinds["html"]?.[1]);
		return;
	}
	const [type, body] = kinds[path] ?? ["application/json", '{"data":true}'];
	if (type !== "") response.setHeader("content-type", type);
	response.end(body);
};

let node: StartedNode;
let evil: HostilePeer;
let browser: Browser & AsyncDisposable;
let id: string;
let token: string;
let web: ReturnType<typeof tempFolder>;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
	if (missing !== null) return;
	web = tempFolder("web");
	mkdirSync(join(web.path, "assets"));
	writeFileSync(join(web.path, "index.html"), "<!doctype html><title>ui</title><p>warren</p>");
	evil = await hostilePeer(serveHostile);
	node = await startNode({ env: { WARREN_WEB: web.path } });
	const post = async (path: string, body: unknown) => {
		const headers = { "content-type": "application/json" };
		return (await (await node.fetch(path, { method: "POST", headers, body: JSON.stringify(body) })).json()) as Record<
			string,
			string
		>;
	};
	id = (await post("/api/peers", { host: evil.host, port: evil.port, name: "evil" }))["id"] as string;
	token = (await post("/api/devices", { name: "browser" }))["token"] as string;
	browser = await launchBrowser({ ca: node.ca, args: ["--host-resolver-rules=MAP evil.example 127.0.0.1"] });
});
afterAll(async () => {
	await browser?.close();
	for (const close of closers) await close();
	await node?.[Symbol.asyncDispose]();
	await evil?.close();
	web?.[Symbol.dispose]();
});

beforeEach(({ skip }) => {
	if (missing !== null) skip(missing);
});

/** A page on the node's origin with something to lose. */
async function ownPage(origin: string): Promise<{ page: Page; context: BrowserContext }> {
	const context = await browser.newContext();
	const page = await context.newPage();
	await page.goto(`${origin}/`);
	expect(await page.title()).toBe("ui");
	await page.evaluate(() => {
		localStorage.setItem("kept", "1");
		// biome-ignore lint/suspicious/noDocumentCookie: what a hostile answer would wipe
		document.cookie = "kept=1; path=/; secure";
	});
	return { page, context };
}

async function assertUnharmed(page: Page, context: BrowserContext, origin: string): Promise<void> {
	await page.goto(`${origin}/`);
	expect(await page.title()).toBe("ui");
	const state = await page.evaluate(async () => ({
		kept: localStorage.getItem("kept"),
		hacked: localStorage.getItem("hacked"),
		cookie: document.cookie,
		workers: (await navigator.serviceWorker.getRegistrations()).length,
	}));
	expect(state).toEqual({ kept: "1", hacked: null, cookie: "kept=1", workers: 0 });
	expect((await context.cookies()).map(({ name }) => name)).toEqual(["kept"]);
	const reached = evil.requests.map(({ line }) => line);
	for (const never of ["hacked", "preloaded", "refreshed"]) expect(reached.join("\n")).not.toContain(never);
}

/**
 * The same node as the browser would see it if the credential were ambient (the worst case: a Basic credential that was
 * typed into the browser's own dialog). With `old`, what says "this is a document" is taken off on the way, as by a
 * browser without Fetch Metadata: so the answers' own headers have to hold alone.
 */
async function ambient(old: boolean): Promise<string> {
	const [cert, key] = ["ca.crt", "ca.key"].map((file) => readFileSync(join(node.data, "ca", file), "utf8")) as [
		string,
		string,
	];
	const authority = await Authority.load({ cert, key }, systemClock, systemRandom);
	const leaf = await authority.issue({ name: "front", hosts: ["localhost"] });
	const server = createSecureServer(leaf, (incoming, outgoing) => {
		const headers = Object.fromEntries(
			Object.entries(incoming.headers).filter(
				([name]) => !old || (!name.startsWith("sec-fetch-") && name !== "service-worker"),
			),
		);
		const upstream = httpsRequest(
			{
				host: "127.0.0.1",
				port: node.port,
				ca: node.ca,
				servername: "localhost",
				method: incoming.method,
				path: incoming.url,
				headers: { ...headers, authorization: `Bearer ${token}` },
			},
			(answer) => {
				outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
				answer.pipe(outgoing);
			},
		);
		upstream.on("error", () => outgoing.destroy());
		incoming.pipe(upstream);
	});
	return `https://localhost:${await serve(server)}`;
}

async function otherOrigin(html: string): Promise<string> {
	const server = createServer((_request, response) => response.setHeader("content-type", "text/html").end(html));
	return `http://127.0.0.1:${await serve(server)}`;
}

async function serve(server: Server): Promise<number> {
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	closers.push(
		() =>
			new Promise((resolve) => {
				server.close(resolve);
				server.closeAllConnections();
			}),
	);
	return (server.address() as AddressInfo).port;
}

describe("a hostile peer behind the relay", () => {
	it("the browser trusts the warren's CA, and nobody else", async () => {
		const page = await browser.newPage();
		await page.goto(`https://localhost:${node.port}/`);
		await expect(page.goto(`https://127.0.0.1:${evil.port}/api/html`)).rejects.toThrow(/ERR_CERT_AUTHORITY_INVALID/);
		await page.close();
	});

	it.each(["with Fetch Metadata", "without it"])(
		"runs nothing when one navigates to its answers, %s",
		async (how) => {
			const origin = await ambient(how === "without it");
			const { page, context } = await ownPage(origin);
			let arrived = 0;
			for (const kind of Object.keys(kinds)) {
				const before = evil.requests.length;
				const url = `${origin}/r/${id}/api/${kind}`;
				const downloading = page.waitForEvent("download", { timeout: 30_000 }).then(
					(download) => download.cancel().then(() => true),
					() => false,
				);
				const answer = await page.goto(url).catch(() => null);
				if (how === "with Fetch Metadata") expect([kind, answer?.status()]).toEqual([kind, 403]);
				else if (answer === null) expect([kind, await downloading]).toEqual([kind, true]);
				expect(await page.title(), kind).not.toBe("hacked");
				arrived += evil.requests.length - before;
			}
			expect(arrived, "the peer was asked only where nothing told a document from data").toBe(
				how === "with Fetch Metadata" ? 0 : Object.keys(kinds).length,
			);
			await assertUnharmed(page, context, origin);
			await context.close();
		},
		180_000,
	);

	it.each(["with Fetch Metadata", "without it"])("registers no service worker, %s", async (how) => {
		const origin = await ambient(how === "without it");
		const { page, context } = await ownPage(origin);
		const outcome = await page.evaluate((path) => {
			// The UI's Trusted Types would refuse a bare string before anything is fetched: here the relay has to.
			const { trustedTypes } = window as unknown as {
				trustedTypes: { createPolicy(name: string, rules: object): { createScriptURL(url: string): string } };
			};
			const policy = trustedTypes.createPolicy("test", { createScriptURL: (url: string) => url });
			return navigator.serviceWorker.register(policy.createScriptURL(path), { scope: "/" }).then(
				() => "registered",
				(refused: Error) => refused.name,
			);
		}, `/r/${id}/api/sw.js`);
		expect(outcome).toMatch(/^(SecurityError|TypeError)$/);
		await assertUnharmed(page, context, origin);
		await context.close();
	});

	it("gives a fetch data, and nothing else: no cookie, no redirect, no wiped storage", async () => {
		const origin = `https://localhost:${node.port}`;
		const { page, context } = await ownPage(origin);
		const answers = await page.evaluate(
			async ({ base, token: bearer }) => {
				const out: Record<string, unknown[]> = {};
				const ask = async (name: string) => {
					const answer = await fetch(`${base}/${name}`, { headers: { authorization: `Bearer ${bearer}` } });
					const body = await answer.text();
					out[name] = [answer.status, answer.redirected, answer.headers.get("content-type"), body.length > 0];
				};
				for (const name of ["data", "html", "svg", "sw.js"]) await ask(name);
				for (const status of [300, 301, 302, 303, 305, 307, 308]) await ask(`redirect/${status}`);
				return out;
			},
			{ base: `/r/${id}/api`, token },
		);
		expect(answers).toEqual({
			data: [200, false, "application/json", true],
			html: [200, false, "application/octet-stream", true],
			svg: [200, false, "application/octet-stream", true],
			"sw.js": [200, false, "application/octet-stream", true],
			...Object.fromEntries(
				[300, 301, 302, 303, 305, 307, 308].map((status) => [
					`redirect/${status}`,
					[502, false, "application/json", true],
				]),
			),
		});
		await assertUnharmed(page, context, origin);
		await context.close();
	});

	it("gets no script, style, image or frame into a page", async () => {
		const origin = await ambient(true);
		const { page, context } = await ownPage(origin);
		const outcomes = await page.evaluate(async (base) => {
			const load = (tag: string, attribute: string, url: string) =>
				new Promise<string>((resolve) => {
					const element = document.createElement(tag);
					element.addEventListener("load", () => resolve("load"));
					element.addEventListener("error", () => resolve("error"));
					// Trusted Types refuse some of these before the network does.
					try {
						element.setAttribute(attribute, url);
						if (tag === "link") element.setAttribute("rel", "stylesheet");
						document.body.append(element);
					} catch {
						resolve("error");
					}
					document.addEventListener("securitypolicyviolation", () => resolve("error"), { once: true });
				});
			return [
				await load("script", "src", `${base}/sw.js`),
				await load("link", "href", `${base}/html`),
				await load("img", "src", `${base}/svg`),
				await load("iframe", "src", `${base}/html`),
			];
		}, `/r/${id}/api`);
		expect(outcomes).toEqual(["error", "error", "error", "error"]);
		await assertUnharmed(page, context, origin);
		await context.close();
	});
});

describe("a page of another origin", () => {
	it("can neither call the API, nor open a WebSocket, nor change anything, whatever it holds", async () => {
		const api = `https://localhost:${node.port}`;
		const context = await browser.newContext();
		const page = await context.newPage();
		await page.goto(await otherOrigin("<!doctype html><title>other</title>"));
		const outcome = await page.evaluate(
			async ({ origin, bearer }) => {
				const tried = (path: string, init: RequestInit) =>
					fetch(`${origin}${path}`, init).then(
						(answer) => `${answer.type} ${answer.status}`,
						(refused: Error) => refused.name,
					);
				const socket = (path: string) =>
					new Promise<string>((resolve) => {
						const ws = new WebSocket(`${origin.replace("https", "wss")}${path}`, ["warren.v1", `bearer.${bearer}`]);
						ws.onopen = () => resolve("open");
						ws.onclose = (event) => resolve(`closed ${event.code}`);
					});
				const authorization = `Bearer ${bearer}`;
				return {
					read: await tried("/api/peers", { headers: { authorization } }),
					identify: await tried("/api/identify", {}),
					write: await tried("/api/peers", {
						method: "POST",
						headers: { authorization, "content-type": "application/json" },
						body: "{}",
					}),
					blind: await tried("/api/devices", { method: "POST", mode: "no-cors", body: '{"name":"x"}' }),
					socket: await socket("/ws/~events"),
				};
			},
			{ origin: api, bearer: token },
		);
		expect(outcome).toEqual({
			read: "TypeError",
			identify: "TypeError",
			write: "TypeError",
			blind: "TypeError",
			socket: "closed 1006",
		});
		const { devices } = (await (await node.fetch("/api/devices")).json()) as { devices: unknown[] };
		expect(devices.length).toBe(1);
		await context.close();
	});

	it("cannot frame the UI", async () => {
		const context = await browser.newContext();
		const page = await context.newPage();
		const refused = page.waitForEvent("console", (message) => /frame-ancestors|Framing/.test(message.text()));
		await page.goto(await otherOrigin(`<!doctype html><iframe src="https://localhost:${node.port}/"></iframe>`));
		await refused;
		for (const frame of page.frames().slice(1)) expect(await frame.title().catch(() => "")).not.toBe("ui");
		await context.close();
	});

	it("whose name is rebound to the node gets 421", async () => {
		await using plain = await startNode({ args: ["--http"], env: { WARREN_WEB: web.path } });
		const page = await browser.newPage();
		const answer = await page.goto(`http://evil.example:${plain.port}/`);
		expect([answer?.status(), await page.title()]).toEqual([421, "This server goes by other names"]);
		await expect(page.goto(`https://evil.example:${node.port}/`)).rejects.toThrow(/ERR_CERT_COMMON_NAME_INVALID/);
		await page.close();
	});
});
