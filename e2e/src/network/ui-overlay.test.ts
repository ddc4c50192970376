import { existsSync } from "node:fs";
import { type StartedNode, startNode } from "@warren/testkit";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "../browser.ts";
import { expectAccessible, firstMachine, newContext, newPage, setUp, sizes } from "../ui-pages.ts";
import { type Machine, type Machines, openMachines } from "./machines.ts";

/** A machine on a real overlay, and a phone that is let in behind it from a page. */
let missing = browserMissing() ?? (existsSync("/dev/net/tun") ? null : "no /dev/net/tun");

describe("the network page of a machine that is on it", () => {
	let machines: Machines | undefined;
	let node: StartedNode;
	let browser: Browser;
	let page: Page;
	const faults: string[] = [];

	beforeAll(async () => {
		if (missing !== null) return;
		machines = openMachines(1);
		if (machines.kind === "loopback") {
			missing = "no network namespaces can be made here";
			return;
		}
		const env = { ...firstMachine.env, WARREN_EDGE: "1", WARREN_OVERLAY: "1" };
		node = await startNode({ ...firstMachine, ...(machines.all[0] as Machine), env });
		browser = await launchBrowser({ ca: node.ca });
		page = await newPage(await newContext(browser as never, sizes["phone"]), faults);
	});
	afterAll(async () => {
		await browser?.close();
		await node?.[Symbol.asyncDispose]();
		machines?.[Symbol.dispose]();
	});

	it("shows it in the middle, lets a phone in with a code to scan, and takes it out again", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await setUp(page, node, { origin: node.origin });
		await page.goto(`${node.origin}/network`);
		await page.getByText("is fd5a:1f00:0000:0001::1 on your private network").waitFor();
		await page.getByText("this machine", { exact: true }).waitFor();
		await page.getByRole("button", { name: "Add phone" }).click();
		await page.getByRole("textbox", { name: "Its name" }).fill("pixel");
		await page.getByRole("textbox", { name: "How it reaches this machine" }).fill(`${node.host}:51820`);
		await expectAccessible(page, "add phone");
		await page.getByRole("button", { name: "Make its configuration" }).click();
		await page.getByRole("img", { name: "WireGuard configuration of pixel" }).waitFor();
		await page.getByText("As text, for wg-quick").click();
		const config = await page.getByRole("button", { name: "Copy configuration:" }).getAttribute("aria-label");
		for (const each of [/PrivateKey = \S{44}/, `Endpoint = ${node.host}:51820`, "AllowedIPs = fd5a:1f00::/32"])
			expect(config).toEqual(typeof each === "string" ? expect.stringContaining(each) : expect.stringMatching(each));
		await expectAccessible(page, "phone's configuration");
		await page.getByRole("button", { name: "Done" }).click();
		await page.getByText("Behind atlas, which forwards for it.", { exact: true }).waitFor();
		await page.getByRole("img", { name: /Map of the network: 2 peers/ }).waitFor();
		await expectAccessible(page, "network, with a phone");
		// A key that was shown is nowhere to be read again.
		const [key] = /(?<=PrivateKey = )\S+/.exec(config ?? "") ?? [];
		expect(await page.content()).not.toContain(key);
		expect(node.log()).not.toContain(key);
		await page.getByRole("button", { name: "Actions for pixel" }).click();
		await page.getByRole("menuitem", { name: "Remove" }).click();
		await page.getByRole("button", { name: "Remove" }).click();
		await page.getByRole("button", { name: "Let in again" }).waitFor();
		expect(faults).toEqual([]);
	});
});
