import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type StartedCommand, startCommand } from "@warren/testkit";
import type { Browser, Page } from "playwright-core";
import { Agent, fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";

/** The hub's own pages, as a person uses them: setup, approving a command line, inviting, trying the API. */
const missing = browserMissing();
let hub: StartedCommand;
let ready: { url: string; setupUrl: string; caFingerprint: string };
let origin: string;
let agent: Agent;
let browser: (Browser & AsyncDisposable) | undefined;

beforeAll(async () => {
	hub = startCommand(["hub", "--name", "atlas", "--host", "127.0.0.1", "--port", "0", "--json"]);
	ready = await hub.line();
	origin = `https://localhost:${new URL(ready.url).port}`;
	const ca = readFileSync(join(hub.data, "ca/ca.crt"), "utf8");
	agent = new Agent({ connect: { ca } });
	if (missing === null) browser = await launchBrowser({ ca });
});
afterAll(async () => {
	await browser?.close();
	await agent?.destroy();
	await hub?.[Symbol.asyncDispose]();
});

/** Whether a canvas shows these modules, dark for dark. Runs in the page. */
function drawn(canvas: HTMLCanvasElement | SVGElement, modules: boolean[][]): boolean {
	const size = modules.length;
	const pen = (canvas as HTMLCanvasElement).getContext("2d") as CanvasRenderingContext2D;
	const pixels = pen.getImageData(0, 0, size, size).data;
	return modules.every((row, y) => row.every((dark, x) => dark === (pixels[(y * size + x) * 4] as number) < 128));
}

/** A page that remembers what its policy refused. */
async function open(url: string): Promise<{ page: Page; faults: string[] }> {
	const page = await (await (browser as Browser).newContext()).newPage();
	const faults: string[] = [];
	page.on("pageerror", (fault) => faults.push(fault.message));
	page.on("console", (message) => {
		if (/Content Security Policy|TrustedHTML/.test(message.text())) faults.push(message.text());
	});
	await page.goto(url);
	return { page, faults };
}

describe("the API's description", () => {
	it("is made from the routes, with the schemas that they read", async () => {
		const answer = await fetch(`${origin}/openapi`, { dispatcher: agent, headers: { accept: "application/json" } });
		expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
		const api = (await answer.json()) as { openapi: string; paths: Record<string, any> };
		expect(api.openapi).toBe("3.1.0");
		expect(Object.keys(api.paths).length).toBeGreaterThan(35);
		expect(api.paths["/rooms/{id}/shares/{user}"].put).toMatchObject({
			parameters: [{ name: "id" }, { name: "user" }],
			requestBody: {
				content: { "application/json": { schema: { properties: { access: { enum: ["read-only", "read-write"] } } } } },
			},
			security: [{ session: [] }],
		});
		expect(api.paths["/auth/login"].post.requestBody.content["application/json"].schema.required).toEqual([
			"email",
			"password",
		]);
		expect(api.paths["/v1/validate"].post.security).toEqual([{}]);
		for (const [path, verbs] of Object.entries(api.paths))
			for (const [verb, operation] of Object.entries(verbs as Record<string, { summary: string }>))
				expect(operation.summary, `${verb} ${path}`).not.toBe("");
	});
});

describe("in a browser", () => {
	it("the setup link makes the owner, who invites, approves and looks at the hub", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { page, faults } = await open(ready.setupUrl.replace(new URL(ready.setupUrl).origin, origin));
		await page.getByRole("heading", { name: "Make the first account" }).waitFor();
		expect(page.url()).toBe(`${origin}/admin`);
		await page.getByLabel("Name").fill("Ada");
		await page.getByLabel("Email").fill("ada@example.test");
		await page.getByLabel(/Password/).fill("correct horse battery");
		await page.getByRole("button", { name: "Make the account" }).click();
		await page.getByText("Signed in as Ada").waitFor();
		await page.getByText("atlas, version").waitFor();

		await page.getByRole("button", { name: "Invite a machine" }).click();
		await page.getByText(/^wj_/).waitFor();
		await page.getByRole("button", { name: "Show a code" }).click();
		await page.getByText(ready.caFingerprint, { exact: true }).waitFor();
		const link = await page.getByText(/#pair=/).innerText();
		expect(link).toMatch(
			new RegExp(`^https://.+/#pair=.{20,}&fingerprint=${ready.caFingerprint.replaceAll(":", "")}$`),
		);
		const picture = page.locator("canvas.qr").first();
		const encoded = `encode(${JSON.stringify(link)}, { border: 2 }).data`;
		const modules = await page.evaluate<boolean[][]>(`import("/admin/uqr.js").then(({ encode }) => ${encoded})`);
		expect(modules.length).toBeGreaterThan(30);
		await expect.poll(() => picture.evaluate(drawn, modules), { message: "the picture is the link's" }).toBe(true);
		await page.getByRole("button", { name: "Invite a person" }).click();
		await page.getByText(/#invitation=/).waitFor();

		const made = await fetch(`${origin}/auth/device/code`, {
			method: "POST",
			dispatcher: agent,
			body: new URLSearchParams({ client_id: "warren-cli" }),
		});
		const code = (await made.json()) as { user_code: string; device_code: string; verification_uri_complete: string };
		const approving = await page.context().newPage();
		await approving.goto(code.verification_uri_complete);
		await approving.getByRole("button", { name: "Approve" }).click();
		await approving.getByText("Approved").waitFor();
		const token = await fetch(`${origin}/auth/device/token`, {
			method: "POST",
			dispatcher: agent,
			body: new URLSearchParams({
				grant_type: "urn:ietf:params:oauth:grant-type:device_code",
				device_code: code.device_code,
				client_id: "warren-cli",
			}),
		});
		expect(token.status).toBe(200);

		const budgets = page.getByRole("combobox", { name: "Whose budget" });
		await page.getByText("Nobody has used any.").waitFor();
		await budgets.selectOption({ label: "Ada" });
		await page.getByLabel(/Tokens a day/).fill("5000");
		await page.getByLabel(/Requests a minute/).fill("7");
		await page.getByRole("button", { name: "Set the budget" }).click();
		const row = page.getByRole("row", { name: /^Ada 5,000 no limit 7/ });
		await row.waitFor();
		const own = await page.evaluate(async () => (await globalThis.fetch("/me/usage")).json());
		expect(own).toMatchObject({ budget: { dayTokens: 5000, monthTokens: null, requestsPerMinute: 7 } });
		await row.getByRole("button", { name: "Remove" }).click();
		await page.getByText("nobody is limited").waitFor();

		const api = await page.context().newPage();
		await api.goto(`${origin}/openapi`);
		const me = api.locator("details", { has: api.locator("code", { hasText: /^\/me$/ }) }).filter({ hasText: "GET" });
		await me.first().locator("summary").first().click();
		await me.first().getByRole("button", { name: "Send" }).click();
		await me.first().getByText("ada@example.test").waitFor();
		await api.getByRole("link", { name: "Everything at this address" }).click();
		await api.getByText("/admin/health", { exact: true }).waitFor();
		expect(faults).toEqual([]);
		await page.context().close();
	}, 180_000);

	it("the owner adds a passkey, which signs in beside the password; an address has none, and says so", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { page, faults } = await open(`${origin}/admin`);
		const devtools = await page.context().newCDPSession(page);
		await devtools.send("WebAuthn.enable");
		const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
			options: {
				...{ protocol: "ctap2", transport: "internal", automaticPresenceSimulation: true },
				...{ hasResidentKey: true, hasUserVerification: true, isUserVerified: true },
			},
		});
		await page.getByLabel("Email").fill("ada@example.test");
		await page.getByLabel("Password").fill("correct horse battery");
		await page.getByRole("button", { name: "Sign in", exact: true }).click();
		await page.getByText("Signed in as Ada").waitFor();
		await page.getByRole("button", { name: "Add a passkey" }).click();
		await page.getByText("The passkey is added").waitFor();
		await page.getByRole("button", { name: "Sign out" }).click();
		await page.getByRole("button", { name: "Sign in by passkey" }).click();
		await page.getByText("Signed in as Ada").waitFor();
		await page.getByText("atlas, version").waitFor();

		// A passkey that the hub never saw is refused, in words.
		await page.getByRole("button", { name: "Sign out" }).click();
		await devtools.send("WebAuthn.clearCredentials", { authenticatorId });
		await devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
		await page.getByRole("button", { name: "Sign in by passkey" }).click();
		await page.getByRole("alert").waitFor();
		await page.goto(`https://127.0.0.1:${new URL(origin).port}/admin`);
		await page.getByText("Passkeys need the hub's name").waitFor();
		expect(faults).toEqual([]);
		await page.context().close();
	}, 180_000);

	it("a scanned pairing link signs a phone in, once the other screen has let it in", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { page: desk, faults } = await open(`${origin}/admin`);
		await desk.getByLabel("Email").fill("ada@example.test");
		await desk.getByLabel("Password").fill("correct horse battery");
		await desk.getByRole("button", { name: "Sign in", exact: true }).click();
		await desk.getByRole("button", { name: "Show a code" }).click();
		const link = await desk.getByText(/#pair=/).innerText();
		const phone = await open(link.replace(new URL(link).origin, origin));
		await phone.page.getByRole("heading", { name: "Pair this device" }).waitFor();
		expect(phone.page.url()).toBe(`${origin}/admin`);
		await phone.page.getByLabel("This device's name").fill("Ada's phone");
		await phone.page.getByRole("button", { name: "Ask to be let in" }).click();
		await desk.getByText("Ada's phone").waitFor();
		await desk.getByRole("button", { name: "Let it in" }).click();
		await phone.page.getByText("Signed in as Ada").waitFor();
		expect([...faults, ...phone.faults]).toEqual([]);
		await phone.page.context().close();
		await desk.context().close();
	}, 180_000);

	it("a stranger sees a sign-in and no more, and health is the administrators'", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const context = await (browser as Browser).newContext();
		const page = await context.newPage();
		await page.goto(`${origin}/admin`);
		await page.getByRole("heading", { name: "Sign in" }).waitFor();
		await page.getByLabel("Email").fill("ada@example.test");
		await page.getByLabel("Password").fill("wrong horse battery");
		await page.getByRole("button", { name: "Sign in", exact: true }).click();
		await page.getByRole("alert").getByText("Check both").waitFor();
		expect(await page.evaluate(async () => (await globalThis.fetch("/admin/health")).status)).toBe(401);
		await context.close();
	}, 180_000);
});
