import { fileURLToPath } from "node:url";
import { run } from "@warren/net";
import { freePort, type StartedNode, startNode, tempFolder } from "@warren/testkit";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";
import { expectAccessible, firstMachine, newContext, newPage, originOf, setUp, signIn } from "./ui-pages.ts";

/** A build with a hub in it that everybody may use, at a machine of somebody's own and at that hub. */
const missing = browserMissing();
const web = fileURLToPath(new URL("../../apps/web", import.meta.url));
const vite = fileURLToPath(new URL("../../node_modules/.bin/vite", import.meta.url));

describe("a build with a cloud hub in it", () => {
	let own: StartedNode;
	let cloud: StartedNode;
	let browser: Browser;
	let folder: ReturnType<typeof tempFolder>;
	const faults: string[] = [];

	beforeAll(async () => {
		if (missing !== null) return;
		folder = tempFolder("cloud");
		const port = await freePort();
		const built = await run(
			vite,
			["build", web, "--outDir", folder.file("web"), "--emptyOutDir", "--logLevel", "error"],
			{
				timeoutMs: 240_000,
				env: { PATH: process.env["PATH"] ?? "", HOME: folder.path, WARREN_CLOUD_URL: `https://localhost:${port}` },
			},
		);
		expect(built).toMatchObject({ outcome: "exited", code: 0 });
		const env = { ...firstMachine.env, WARREN_WEB: folder.file("web") };
		own = await startNode({ ...firstMachine, env });
		cloud = await startNode({ ...firstMachine, env, port });
		browser = await launchBrowser({ ca: `${own.ca}\n${cloud.ca}` });
		for (const node of [own, cloud]) {
			const page = await newPage(await newContext(browser as never), faults);
			await setUp(page, node);
			await page.context().close();
		}
	}, 400_000);
	afterAll(async () => {
		await browser?.close();
		await own?.[Symbol.asyncDispose]();
		await cloud?.[Symbol.asyncDispose]();
		folder?.[Symbol.dispose]();
	});

	it("offers it first at somebody's own machine; at the cloud it says that it is that", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const page = await newPage(await newContext(browser as never), faults);
		await page.goto(`${originOf(own)}/`);
		await page.getByText("self-hosted").waitFor();
		await page.getByRole("button", { name: "Use another hub" }).click();
		const dialog = page.getByRole("dialog");
		await dialog.getByRole("link", { name: "Use Warren Cloud" }).waitFor();
		await expectAccessible(page, "another hub, with a cloud");
		const offered = await dialog.locator("a.button, input").evaluateAll((all) => all.map((each) => each.localName));
		expect(offered).toEqual(["a", "input"]);
		await dialog.getByRole("link", { name: "Use Warren Cloud" }).click();
		await page.waitForURL((url) => url.origin === originOf(cloud));
		await page.getByText("Warren Cloud").waitFor();
		expect(await page.getByText("self-hosted").count()).toBe(0);
		await page.getByRole("button", { name: "Use another hub" }).click();
		await page.getByRole("textbox", { name: "Its address" }).waitFor();
		expect(await page.getByRole("link", { name: "Use Warren Cloud" }).count()).toBe(0);
		await page.keyboard.press("Escape");
		// Kept: the next visit opens signed in, at this hub.
		await signIn(page);
		await page.getByText("No session runs on atlas").waitFor();
		await page.reload();
		await page.getByText("No session runs on atlas").waitFor();
		expect(new URL(page.url()).origin).toBe(originOf(cloud));
		expect(faults).toEqual([]);
	}, 120_000);
});
