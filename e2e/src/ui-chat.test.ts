import { type FakeProvider, fakeProvider, type SeenRequest, type StartedNode, startNode } from "@warren/testkit";
import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";
import { eventually, expectAccessible, keptOnDevice, newContext, newPage, sizes } from "./ui-pages.ts";

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

describe.each(Object.keys(sizes))("chat on a %s", (size) => {
	let fake: FakeProvider;
	let node: StartedNode;
	let browser: Awaited<ReturnType<typeof launchBrowser>>;
	let context: BrowserContext;
	let page: Page;
	let token: string;
	/** As the model is told it. */
	let tool = "";
	const faults: string[] = [];

	/** Asked for a note, it calls the workspace's tool if it was given it, and says what came of it. */
	const say = ({ body, json }: SeenRequest) => {
		if (!body.toString().includes("Please note")) return { text: markdown };
		if (json.messages.at(-1).role === "tool") return { text: "It is noted." };
		const given = tool !== "" && JSON.stringify(json.tools ?? []).includes(`"${tool}"`);
		return given ? { tool: { name: tool, input: { title: "buy bread" } } } : { text: "I have no such tool." };
	};

	beforeAll(async () => {
		if (missing !== null) return;
		fake = await fakeProvider({ say });
		node = await startNode({
			command: ["up"],
			name: "atlas",
			pin: null,
			env: {
				WARREN_OPENAI_ORIGIN: fake.origin,
				WARREN_GROQ_ORIGIN: fake.origin,
				OLLAMA_HOST: "",
				WARREN_SIDECAR_PORT: "0",
				WARREN_WORKSPACES: "1",
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
		({ token } = (await signed.json()) as { token: string });
		const me = await node.fetch("/me", { headers: { authorization: `Bearer ${token}` } });
		const { user, deviceId } = (await me.json()) as { user: { id: string }; deviceId: string };
		browser = await launchBrowser({ ca: node.ca });
		context = await newContext(browser, sizes[size]);
		const account = { token, deviceId, userId: user.id, name: person.name, email: person.email, savedAt: 1 };
		await context.addInitScript((kept) => {
			localStorage.setItem("warren.account.v1", kept);
		}, JSON.stringify(account));
		page = await newPage(context, faults);
	});

	afterAll(async () => {
		await browser?.[Symbol.asyncDispose]();
		await node?.[Symbol.asyncDispose]();
		await fake?.[Symbol.asyncDispose]();
	});

	const send = async (text: string) => {
		await page.getByRole("textbox", { name: "Message" }).fill(text);
		await page.getByRole("button", { name: "Send" }).click();
	};

	/** After a load: the keys ask for their passphrase. */
	const newChat = async () => {
		await page.getByRole("button", { name: "New chat" }).first().click();
		await page.getByRole("button", { name: "Your own keys" }).click();
		await page.getByLabel("Passphrase").fill("correct horse");
		await page.getByRole("button", { name: "Unlock" }).click();
		await page.getByRole("button", { name: "Close" }).click();
	};

	it("says how to add a key, streams Markdown that is safe, stops, fails in words and tries again", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${node.origin}/chat`);
		await page.getByText("No provider can be used yet").waitFor();
		await page.getByText("warren keys set").first().waitFor();
		await expectAccessible(page, "chat, no provider");

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
		await expect.poll(() => answer.locator("table td").allTextContents(), eventually).toEqual(["1", "2"]);
		expect(await answer.locator("img").count()).toBe(0);
		expect(await answer.locator("a").evaluateAll((links) => links.map((link) => link.getAttribute("href")))).toEqual([
			"https://example.test/",
		]);
		await answer.getByText("<img src=x onerror=alert(1)>").waitFor();
		await page.getByRole("heading", { level: 1, name: "Tell me something" }).waitFor();
		await expectAccessible(page, "chat");

		await page.getByRole("combobox", { name: "Model" }).fill("fault-slow");
		await send("Go on");
		const closed = fake.nextAbandoned();
		// Stopped before the provider was asked, it would have nothing to close.
		await expect.poll(() => fake.requests.at(-1)?.json?.model).toBe("fault-slow");
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
		await page.getByText("Groq takes no more").first().waitFor({ state: "detached" });

		await page.getByRole("button", { name: "Send" }).waitFor();
		await keptOnDevice(page);
		// Another load, as another device: what was said is in the document, the key asks for its passphrase.
		await page.reload();
		await page.getByText("Tell me something").first().waitFor();
		await page.getByText("Your own keys are locked on this device.").waitFor();
		await page.getByRole("link", { name: "All conversations" }).click();
		await page.getByRole("heading", { name: "Tell me something" }).waitFor();
		expect(faults).toEqual([]);
	});

	it("sends the text files that were attached, and refuses one that is too large", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${node.origin}/chat`);
		await newChat();
		await page.getByRole("combobox", { name: "Model" }).fill("fake-large");
		const chosen = page.waitForEvent("filechooser");
		await page.getByRole("button", { name: "Attach images or text files" }).click();
		const text = (name: string, body: string) => ({ name, mimeType: "text/plain", buffer: Buffer.from(body) });
		await (await chosen).setFiles([
			text("plan.txt", "feed the badger"),
			text("other.txt", "something else"),
			text("huge.txt", "x".repeat(300_000)),
		]);
		await page
			.getByText(/huge\.txt/)
			.first()
			.waitFor();
		await page.getByRole("button", { name: /other\.txt/ }).click();
		await send("What is planned?");
		await page.locator(".message.assistant").last().getByRole("heading", { name: "A title" }).waitFor();
		const asked = fake.requests.findLast(({ body }) => body.toString().includes("What is planned?"))?.body.toString();
		expect(asked).toContain("feed the badger");
		expect(asked).not.toMatch(/something else|xxxx/);
	});

	it("reads and changes workspaces while its box is ticked, and only then", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const call = async (path: string, body?: object) => {
			const answer = await node.fetch(`/workspaces${path}`, {
				headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
				...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
			});
			return (await answer.json()) as any;
		};
		const notes = { columns: { title: { type: "text", required: true } } };
		const { id } = await call("", { name: "Home", tables: { notes } });
		tool = `home_${id.slice(-4)}_notes_create`;
		const rows = async () => (await call(`/${id}/tables/notes/rows`)).rows.map((row: { title: string }) => row.title);

		await page.goto(`${node.origin}/chat`);
		await newChat();
		const box = page.getByRole("checkbox", { name: "May read and change my workspaces" });
		const model = page.getByRole("combobox", { name: "Model" });
		await model.fill("fake-large");
		expect(await box.isChecked()).toBe(false);
		await send("Please note it");
		await page.getByText("I have no such tool.").waitFor();
		expect(await rows()).toEqual([]);

		await box.check();
		await send("Please note it now");
		await page.getByText("It is noted.").waitFor();
		await page.getByRole("button", { name: "Send" }).waitFor();
		expect(await rows()).toEqual(["buy bread"]);
		await keptOnDevice(page);

		// It counts on this device, until the conversation is left.
		await page.reload();
		await page.getByText("It is noted.").waitFor();
		expect(await box.isChecked()).toBe(false);
		expect(faults).toEqual([]);
	});
});
