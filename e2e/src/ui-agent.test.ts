import { type FakeProvider, fakeProvider, type StartedNode, startNode, tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";
import { opencodeMissing } from "./opencode.ts";
import { eventually, expectAccessible, newContext, newPage, sizes } from "./ui-pages.ts";
import { expectProgress } from "./ui-progress.ts";

/** The agent's page: start it, ask it something, watch, stop. */
const missing = opencodeMissing() ?? browserMissing();
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };

let fake: FakeProvider;
let node: StartedNode;
const work = tempFolder("agent-work");

beforeAll(async () => {
	if (missing !== null) return;
	// It asks for a name of each session, too.
	const names = /title generator/i;
	fake = await fakeProvider({
		say: ({ body }) => ({ text: names.test(body.toString()) ? "A small job" : "The work is **done**." }),
	});
	node = await startNode({
		command: ["up"],
		name: "atlas",
		pin: null,
		env: {
			WARREN_OPENAI_ORIGIN: fake.origin,
			OPENAI_API_KEY: "sk-real-secret",
			OLLAMA_HOST: "",
			WARREN_SIDECAR_PORT: "0",
		},
	});
});
afterAll(async () => {
	await node?.[Symbol.asyncDispose]();
	await fake?.[Symbol.asyncDispose]();
	work[Symbol.dispose]();
});

describe("the agent's page", () => {
	it("starts the agent, asks it, shows what it says, and stops it", { timeout: 180_000 }, async (test) => {
		test.skip(missing !== null, missing ?? "");
		const secret = (node.setupUrl as string).split("#setup=")[1] as string;
		const post = async (path: string, body: unknown) => {
			const answer = await node.fetch(path, {
				method: "POST",
				headers: { authorization: "", "content-type": "application/json", "x-warren-setup": secret },
				body: JSON.stringify(body),
			});
			return (await answer.json()) as any;
		};
		const device = await post("/api/setup", { user: "ada", pin: "lovelace-1815", deviceName: "test" });
		const { token } = await post("/auth/signup", person);
		const me = (await (await node.fetch("/me", { headers: { authorization: `Bearer ${token}` } })).json()) as any;
		await using browser = await launchBrowser({ ca: node.ca });
		const kept = {
			"warren.account.v1": {
				token,
				deviceId: me.deviceId,
				userId: me.user.id,
				name: "Ada",
				email: person.email,
				savedAt: 1,
			},
			"warren.credentials.v1": {
				self: { token: device.token, deviceId: device.deviceId, machineName: "atlas", savedAt: 1 },
			},
		};
		const faults: string[] = [];
		const open = async (size: string) => {
			const context = await newContext(browser, sizes[size]);
			await context.addInitScript((entries) => {
				for (const [name, value] of Object.entries(entries)) localStorage.setItem(name, JSON.stringify(value));
			}, kept);
			const page = await newPage(context, faults);
			await page.goto(`${node.origin}/agent`);
			return page;
		};
		const page = await open("desktop");
		await page.getByRole("button", { name: "Start agent" }).waitFor();
		await expectAccessible(page, "agent, off");
		await expectProgress(page, node, {
			path: "/agent",
			method: "POST",
			asks: /\/api\/agent\/start$/,
			act: (on) => on.getByRole("button", { name: "Start agent" }).click(),
			done: (on) => on.getByLabel("Folder").waitFor({ timeout: 90_000 }),
		});
		await page.getByLabel("Folder").fill(work.path);
		await page.getByRole("button", { name: "New session" }).click();
		await page.getByRole("combobox", { name: "Model" }).fill("openai/gpt-4.1");
		await page.getByRole("textbox", { name: "Message" }).fill("Do the work");
		await page.getByRole("button", { name: "Send" }).click();
		await page.getByText("The work is").waitFor({ timeout: 60_000 });
		await page
			.locator(".markdown strong", { hasText: /^done$/ })
			.first()
			.waitFor();
		await page.getByRole("heading", { level: 1, name: "A small job" }).waitFor();
		await expectAccessible(page, "agent, session");
		// Refused, it is still there to be sent.
		const asks = /\/prompt_async$/;
		await page.route(
			(url) => asks.test(url.pathname),
			(route) =>
				// As OpenCode itself says what is wrong.
				route.fulfill({ status: 503, json: { name: "BusyError", data: { message: "The agent has no time." } } }),
			{ times: 1 },
		);
		await page.getByRole("textbox", { name: "Message" }).fill("Go on");
		await page.getByRole("button", { name: "Send" }).click();
		await page.getByText("The agent has no time.").first().waitFor();
		await expect.poll(() => page.getByRole("textbox", { name: "Message" }).inputValue()).toBe("Go on");
		// It has an address of its own: loaded anew, and from the phone's list, whatever its folder is.
		await page.reload();
		await page.getByText("The work is").waitFor();
		await expect
			.poll(() => page.getByRole("combobox", { name: "Model" }).inputValue(), eventually)
			.toBe("openai/gpt-4.1");
		const phone = await open("phone");
		const row = phone.getByRole("listitem").filter({ hasText: work.path });
		await row.waitFor();
		await expectAccessible(phone, "agent, sessions");
		await row.getByRole("link").click();
		await phone.getByText("The work is").waitFor();
		expect(new URL(phone.url()).pathname).toBe(new URL(page.url()).pathname);
		await expectAccessible(phone, "agent, session on a phone");
		await phone.getByRole("link", { name: "All sessions" }).click();
		await row.getByRole("button", { name: /^Delete / }).click();
		await phone.getByRole("alertdialog").getByRole("button", { name: "Delete session" }).click();
		await row.waitFor({ state: "detached" });
		await page.goto(page.url());
		await page.getByText("This session is gone").waitFor();
		await page.getByRole("link", { name: "All sessions" }).click();
		await page.getByRole("button", { name: "Stop agent" }).click();
		await page.getByRole("button", { name: "Start agent" }).waitFor();
		expect(faults).toEqual([]);
	});
});
