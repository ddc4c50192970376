import { type StartedNode, startNode } from "@warren/testkit";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";
import { expectAccessible, newContext, newPage, originOf, sizes } from "./ui-pages.ts";

/** Links of one use that were used, ran out, or were never made: each says so and what to do, and opens nothing. */
const missing = browserMissing();
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };

describe("a link that opens nothing any more", () => {
	let node: StartedNode;
	let browser: Browser;
	let spent: string;

	beforeAll(async () => {
		if (missing !== null) return;
		node = await startNode({ command: ["up"], name: "atlas", pin: null, env: { WARREN_SIDECAR_PORT: "0" } });
		spent = (node.setupUrl as string).split("#setup=")[1] as string;
		const post = async (path: string, body: object) => {
			const answer = await node.fetch(path, {
				method: "POST",
				headers: { authorization: "", "content-type": "application/json", "x-warren-setup": spent },
				body: JSON.stringify(body),
			});
			expect(answer.ok, path).toBe(true);
		};
		await post("/api/setup", { user: "ada", pin: "lovelace-1815", deviceName: "test" });
		await post("/auth/signup", person);
		browser = await launchBrowser({ ca: node.ca });
	});
	afterAll(async () => {
		await browser?.close();
		await node?.[Symbol.asyncDispose]();
	});

	const open = async (fragment: string, size = "phone") => {
		const context = await newContext(browser, sizes[size]);
		const page = await newPage(context, []);
		await page.goto(`${originOf(node)}/#${fragment}`);
		await page.getByRole("heading", { level: 1 }).first().waitFor();
		expect(new URL(page.url()).hash, "the code is out of the address").toBe("");
		return { page, close: () => context.close() };
	};

	it.for(["spent", "never made"])("a setup link, %s", async (what, test) => {
		test.skip(missing !== null, missing ?? "");
		const { page, close } = await open(`setup=${what === "spent" ? spent : "x".repeat(spent.length)}`);
		await page.getByRole("textbox", { name: "User" }).fill("eve");
		await page.getByRole("textbox", { name: "PIN", exact: true }).fill("eves-own-pin");
		await page.getByRole("textbox", { name: "PIN once more" }).fill("eves-own-pin");
		await page.getByRole("button", { name: /Set up/ }).click();
		await page.getByRole("heading", { name: "This link is used up" }).waitFor();
		await expectAccessible(page, "a spent setup link");
		const denied = await node.fetch("/api/sessions", {
			headers: { authorization: `Basic ${btoa("eve:eves-own-pin")}` },
		});
		expect(denied.status).toBe(401);
		await close();
	});

	it("an invitation that was never made, or is over", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { page, close } = await open("invitation=wi_nothing");
		await page.getByRole("textbox", { name: "Your name" }).fill("Eve");
		await page.getByRole("textbox", { name: /mail/i }).fill("eve@example.test");
		for (const field of await page.locator("input[type=password]").all()) await field.fill("a long sentence of eve");
		await page
			.getByRole("button", { name: /account/i })
			.first()
			.click();
		await page
			.getByRole("alert")
			.filter({ hasText: /invitation/i })
			.waitFor();
		await expectAccessible(page, "an invitation that is over");
		await close();
	});

	it("a pairing whose screen is gone", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { page, close } = await open(`pair=${"x".repeat(43)}`);
		await page.getByRole("button", { name: "Pair", exact: true }).click();
		await page.getByRole("heading", { name: "This code no longer works" }).waitFor();
		await expectAccessible(page, "a pairing that is over");
		await close();
	});

	it.for([
		["cut off", "abc", "This pairing link is not whole", "3 of 43 characters"],
		["empty", "", "This pairing link is not whole", "no characters"],
		["garbled", `${"x".repeat(42)}%2F`, "This is no pairing link", "43 letters"],
	] as const)("a pairing link that is %s", async ([what, code, title, says], test) => {
		test.skip(missing !== null, missing ?? "");
		const { page, close } = await open(`pair=${code}`);
		await page.getByRole("heading", { name: title }).waitFor();
		await page.getByText(says).waitFor();
		await expectAccessible(page, `a pairing link that is ${what}`);
		await page.getByRole("button", { name: "Sign in instead" }).click();
		await page.getByRole("textbox", { name: /mail/i }).waitFor();
		await close();
	});

	it("a command line's code that nobody waits with", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { page, close } = await open("device=ABCDEFGH", "desktop");
		await page.getByRole("textbox", { name: /mail/i }).fill(person.email);
		await page.locator("input[type=password]").fill(person.password);
		await page.getByRole("button", { name: "Sign in", exact: true }).click();
		await page.getByRole("alert").waitFor();
		await expectAccessible(page, "a code of no command line");
		await close();
	});
});
