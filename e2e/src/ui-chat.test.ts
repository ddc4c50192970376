import { AxeBuilder } from "@axe-core/playwright";
import {
	type FakeProvider,
	fakeProvider,
	freePort,
	type SeenRequest,
	type StartedNode,
	startNode,
} from "@warren/testkit";
import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";

/** Chat as a person uses it, in front of a fake of the providers. */
const missing = browserMissing();
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const markdown = [
	"# A title",
	"",
	"Some **bold** and `code`, a [link](https://example.test/), a [trap](javascript:alert(1)) and <img src=x onerror=alert(1)>.",
	"",
	"```ts",
	"const answer: number = 42;",
	"```",
	"",
	"| a | b |",
	"|---|---|",
	"| 1 | 2 |",
].join("\n");

const sizes: Readonly<Record<string, BrowserContextOptions>> = {
	desktop: { viewport: { width: 1280, height: 800 }, colorScheme: "light" },
	phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, colorScheme: "dark" },
};

describe.each(Object.keys(sizes))("chat on a %s", (size) => {
	let fake: FakeProvider;
	let node: StartedNode;
	let browser: Awaited<ReturnType<typeof launchBrowser>>;
	let context: BrowserContext;
	let page: Page;
	const faults: string[] = [];
	let sidecar: string;
	let session: string;
	let workspace: string;

	const local = async (method: string, path: string, body?: unknown) => {
		const answer = await fetch(`${sidecar}${path}`, {
			method,
			headers: { authorization: `Bearer ${session}`, "content-type": "application/json" },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		expect(answer.ok, `${method} ${path}`).toBe(true);
		return (await answer.json()) as any;
	};

	/** Notes what is asked for where a tool for it was offered. */
	const say = (request: SeenRequest) => {
		const asked = JSON.stringify(request.json?.messages ?? []);
		if (!asked.includes("please note")) return { text: markdown };
		const last = request.json.messages.at(-1);
		if (last.role === "tool") return { text: "It is noted." };
		const tool = request.json.tools?.find((each: any) => each.function.name.endsWith("_notes_create"));
		if (tool === undefined) return { text: "Nothing lets me note that." };
		return { tool: { name: tool.function.name, input: { title: "buy bread" } } };
	};

	beforeAll(async () => {
		if (missing !== null) return;
		fake = await fakeProvider({ say });
		const sidecarPort = await freePort();
		sidecar = `http://127.0.0.1:${sidecarPort}`;
		node = await startNode({
			command: ["up"],
			name: "atlas",
			pin: null,
			env: {
				WARREN_OPENAI_ORIGIN: fake.origin,
				WARREN_GROQ_ORIGIN: fake.origin,
				OLLAMA_HOST: "",
				WARREN_SIDECAR_PORT: String(sidecarPort),
			},
		});
		const signed = await node.fetch("/auth/signup", {
			method: "POST",
			headers: {
				authorization: "",
				"content-type": "application/json",
				"x-warren-setup": (node.setupUrl as string).split("#setup=")[1] as string,
			},
			body: JSON.stringify(person),
		});
		const { token } = (await signed.json()) as { token: string };
		session = token;
		const made = await local("POST", "/workspaces", {
			name: "Home",
			tables: { notes: { columns: { title: { type: "text", required: true } } } },
		});
		workspace = made.id;
		const me = await node.fetch("/me", { headers: { authorization: `Bearer ${token}` } });
		const { user, deviceId } = (await me.json()) as { user: { id: string }; deviceId: string };
		browser = await launchBrowser({ ca: node.ca });
		context = await browser.newContext(sizes[size] as BrowserContextOptions);
		const account = { token, deviceId, userId: user.id, name: person.name, email: person.email, savedAt: 1 };
		await context.addInitScript((kept) => {
			localStorage.setItem("warren.account.v1", kept);
			document.addEventListener("securitypolicyviolation", (event) =>
				console.error(`policy: ${event.violatedDirective}`),
			);
		}, JSON.stringify(account));
		page = await context.newPage();
		page.on("pageerror", (error) => faults.push(error.message));
		page.on("console", (message) => {
			if (message.type() === "error" && message.text().startsWith("policy:")) faults.push(message.text());
		});
	}, 90_000);

	afterAll(async () => {
		await browser?.[Symbol.asyncDispose]();
		await node?.[Symbol.asyncDispose]();
		await fake?.[Symbol.asyncDispose]();
	});

	const send = async (text: string) => {
		await page.getByRole("textbox", { name: "Message" }).fill(text);
		await page.getByRole("button", { name: "Send" }).click();
	};

	it("says how to add a key, streams Markdown that is safe, stops, fails in words and tries again", {
		timeout: 90_000,
	}, async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${node.origin}/chat`);
		await page.getByText("No provider can be used yet").waitFor();
		await page.getByText("warren keys set").first().waitFor();

		await page.getByRole("button", { name: "New chat" }).first().click();
		await page.getByRole("button", { name: "Your own keys" }).click();
		await page.getByRole("button", { name: "Use a key of your own" }).click();
		await page.getByLabel("Passphrase").fill("correct horse");
		await page.getByLabel("Provider", { exact: true }).last().selectOption("groq");
		await page.getByLabel("Key", { exact: true }).fill("gsk-of-ada");
		await page.getByRole("button", { name: "Keep key" }).click();
		await page.getByText("Kept: groq").waitFor();
		await page.getByRole("button", { name: "Close" }).click();

		await page.getByRole("combobox", { name: "Model" }).fill("fake-large");
		await send("Tell me something");
		const answer = page.locator(".message.assistant").last();
		await answer.getByRole("heading", { name: "A title" }).waitFor();
		await answer.getByText("const answer: number = 42;").waitFor();
		expect(fake.requests.at(-1)?.headers.authorization).toBe("Bearer gsk-of-ada");
		expect(await answer.locator("table td").allTextContents()).toEqual(["1", "2"]);
		expect(await answer.locator("img").count()).toBe(0);
		expect(await answer.locator("a").evaluateAll((links) => links.map((link) => link.getAttribute("href")))).toEqual([
			"https://example.test/",
		]);
		await answer.getByText("<img src=x onerror=alert(1)>").waitFor();
		await page.getByRole("heading", { level: 1, name: "Tell me something" }).waitFor();
		const { violations, passes } = await new AxeBuilder({ page }).analyze();
		expect(passes.length).toBeGreaterThan(5);
		expect(
			violations.map(({ id, nodes }) => `${id}: ${nodes.map((each) => each.html.slice(0, 160)).join(" | ")}`),
		).toEqual([]);

		await page.getByRole("combobox", { name: "Model" }).fill("fault-slow");
		await send("Go on");
		const closed = fake.nextAbandoned();
		await page.getByRole("button", { name: "Stop" }).click();
		await closed;
		await page.getByText("Stopped", { exact: true }).waitFor();

		await page.getByRole("combobox", { name: "Model" }).fill("fault-429");
		await send("And now");
		await page.getByText("Groq takes no more requests right now.").waitFor();
		await page.getByRole("combobox", { name: "Model" }).fill("fake-large");
		await page.getByRole("button", { name: "Try again" }).last().click();
		await expect
			.poll(() => page.locator(".message.assistant").last().getByRole("heading", { name: "A title" }).count())
			.toBe(1);
		expect(await page.getByText("Groq takes no more").count()).toBe(0);

		// Another load, as another device: what was said is in the document, the key asks for its passphrase.
		await page.reload();
		await page.getByText("Tell me something").first().waitFor();
		await page.getByText("Your own keys are locked on this device.").waitFor();
		await page.getByRole("link", { name: "All conversations" }).click();
		await page.getByRole("heading", { name: "Tell me something" }).waitFor();
		expect(faults).toEqual([]);
	});

	it("changes a workspace only where its box is ticked, and the box is off in the next conversation", {
		timeout: 90_000,
	}, async (test) => {
		test.skip(missing !== null, missing ?? "");
		const titles = async () =>
			(await local("GET", `/workspaces/${workspace}/tables/notes/rows`)).rows.map((row: any) => row.title);
		await page.goto(`${node.origin}/chat`);
		await page.getByRole("button", { name: "New chat" }).first().click();
		await page.getByRole("button", { name: "Your own keys" }).click();
		await page.getByLabel("Passphrase").fill("correct horse");
		await page.getByRole("button", { name: "Unlock" }).click();
		await page.getByRole("button", { name: "Close" }).click();
		await page.locator("#main").getByRole("combobox", { name: "Provider" }).selectOption("groq");
		await page.getByRole("combobox", { name: "Model" }).fill("fake-large");
		const box = page.getByRole("checkbox", { name: "May read and change my workspaces" });
		expect(await box.isChecked()).toBe(false);
		await send("please note");
		await page.getByText("Nothing lets me note that.").waitFor();
		expect(await titles()).toEqual([]);

		await box.check();
		await send("please note, now");
		await page.getByText("It is noted.").waitFor();
		expect(await titles()).toEqual(["buy bread"]);

		await page.goto(`${node.origin}/chat`);
		await page.getByRole("button", { name: "New chat" }).first().click();
		expect(await box.isChecked()).toBe(false);
		expect(faults).toEqual([]);
	});
});
