import { freePort } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { browserMissing } from "./browser.ts";
import { eventually, expectAccessible, originOf, owner, setUp, sizes } from "./ui-pages.ts";
import { UiStage } from "./ui-stage.ts";

/** What a browser shows at addresses that no page has: of the machine itself, and of its backbone. */
const missing = browserMissing();

describe.each(Object.keys(sizes))("an address that leads nowhere, on a %s", (size) => {
	let stage: UiStage | undefined;
	let backbone: string;

	beforeAll(async () => {
		if (missing !== null) return;
		const port = await freePort();
		backbone = `https://localhost:${port}`;
		const edge = { WARREN_EDGE: "1", WARREN_COORDINATOR_PORT: "0", WARREN_STUN_PORT: "0" };
		stage = await UiStage.open(size, { env: { ...edge, WARREN_BACKBONE_PORT: String(port) } });
		await setUp(stage.page, stage.first);
	});
	afterAll(() => stage?.[Symbol.asyncDispose]());

	it("is a page of the machine with a way home", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { page, first, faults } = stage as UiStage;
		const answer = await page.goto(`${originOf(first)}/no/such/page`);
		expect(answer?.status()).toBe(404);
		await page.getByRole("heading", { name: "There is no page here" }).waitFor();
		await page.getByText("There is nothing at /no/such/page.").waitFor();
		await expectAccessible(page, "nothing at the machine");
		await page.getByRole("link", { name: "Go to the start page" }).click();
		await page.getByText("No session runs on atlas").waitFor();
		expect(faults).toEqual([]);
	});

	it("is one of the backbone, too, and so is a service that lets nobody in", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { page, first, faults } = stage as UiStage;
		await vi.waitFor(async () => expect((await page.goto(`${backbone}/nothing`))?.status()).toBe(404), eventually);
		await page.getByRole("heading", { name: "There is no page here" }).waitFor();
		await expectAccessible(page, "nothing at the backbone");
		await page.getByRole("link", { name: "Go to the start page" }).click();
		await page.getByText("The backbone is a reverse tunnel").waitFor();
		const exposed = await first.fetch("/api/exposed/wiki", {
			method: "PUT",
			headers: {
				authorization: `Basic ${Buffer.from(`${owner.user}:${owner.pin}`).toString("base64")}`,
				"content-type": "application/json",
			},
			body: JSON.stringify({ port: await freePort() }),
		});
		const { url } = (await exposed.json()) as { url: string };
		await vi.waitFor(async () => expect((await page.goto(url))?.status()).toBe(401), eventually);
		await page.getByText("takes nobody without a credential").waitFor();
		await expectAccessible(page, "a service that lets nobody in");
		expect(faults).toEqual([]);
	});
});
