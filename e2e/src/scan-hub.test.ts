import { type StartedNode, startNode } from "@warren/testkit";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";
import { firstMachine, newContext, newPage, originOf, setUp } from "./ui-pages.ts";

/** Another hub by its code. Camera, picture and pages are real; Chromium on Linux has no reader of codes, so one stands in. */
const missing = browserMissing();
const camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
const asks = { args: ["--use-fake-device-for-media-stream"] };

/** Runs in the page: reads what the test says is in the picture, once there is one. */
function standIn(): void {
	const page = globalThis as unknown as { inPicture: string; BarcodeDetector: unknown };
	page.inPicture = "";
	page.BarcodeDetector = class {
		static getSupportedFormats = async () => ["qr_code"];
		detect = async (video: HTMLVideoElement) =>
			video.videoWidth > 0 && page.inPicture !== "" ? [{ rawValue: page.inPicture }] : [];
	};
}

const show = (page: Page, text: string) =>
	page.evaluate((said) => {
		(globalThis as unknown as { inPicture: string }).inPicture = said;
	}, text);
const cameraIsOn = (page: Page) =>
	page.evaluate(() => {
		const stream = document.querySelector("video")?.srcObject;
		return stream instanceof MediaStream && stream.getTracks().some((track) => track.readyState === "live");
	});

describe("another hub by its code", () => {
	let node: StartedNode;
	let other: StartedNode;
	let browser: Browser;
	const contexts: BrowserContext[] = [];
	const faults: string[] = [];
	beforeAll(async () => {
		if (missing !== null) return;
		[node, other] = await Promise.all([startNode(firstMachine), startNode({ ...firstMachine, name: "den" })]);
		browser = await launchBrowser({ ca: node.ca, args: camera });
		const desk = await newPage(await newContext(browser as never), faults);
		await setUp(desk, node);
		await desk.context().close();
	});
	afterAll(async () => {
		for (const context of contexts) await context.close();
		await browser?.close();
		await node?.[Symbol.asyncDispose]();
		await other?.[Symbol.asyncDispose]();
	});

	async function open(inside: Browser): Promise<Page> {
		const context = await newContext(inside as never);
		contexts.push(context);
		await context.addInitScript(standIn);
		const page = await newPage(context, faults);
		await page.goto(`${originOf(node)}/`);
		await page.getByRole("button", { name: "Use another hub" }).click();
		return page;
	}

	it("what is no hub's address is passed over; a hub's own opens it, with what the link carries", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const page = await open(browser);
		await page.getByRole("button", { name: "Scan its code" }).click();
		await page.locator("video").waitFor();
		await expect.poll(() => cameraIsOn(page)).toBe(true);
		await show(page, "WIFI:S:cafe;;");
		// Closed and opened again: the camera went off in between.
		await page.keyboard.press("Escape");
		await page.locator("video").waitFor({ state: "detached" });
		await page.getByRole("button", { name: "Use another hub" }).click();
		await page.getByRole("button", { name: "Scan its code" }).click();
		await page.locator("video").waitFor();
		const target = `${originOf(other)}/#pair=abc`;
		const asked = page.waitForRequest(
			(request) => request.isNavigationRequest() && request.url().startsWith(originOf(other)),
		);
		await show(page, target);
		expect((await asked).url().split("#")[0]).toBe(`${originOf(other)}/`);
		expect(faults).toEqual([]);
	});

	it("a camera that may not be used is said, and the address can still be typed", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const denying = await launchBrowser({ ca: node.ca, args: asks.args });
		try {
			const context = await newContext(denying as never);
			await context.addInitScript(standIn);
			await context.addInitScript(() => {
				navigator.mediaDevices.getUserMedia = () =>
					Promise.reject(new DOMException("Permission denied", "NotAllowedError"));
			});
			const page = await newPage(context, faults);
			await page.goto(`${originOf(node)}/`);
			await page.getByRole("button", { name: "Use another hub" }).click();
			await page.getByRole("button", { name: "Scan its code" }).click();
			await page.getByText("Permission denied").waitFor();
			await page.getByRole("textbox", { name: "Its address" }).waitFor();
		} finally {
			await denying.close();
		}
	});
});
