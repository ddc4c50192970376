import { readFile, writeFile } from "node:fs/promises";
import { type StartedNode, startNode, tempFolder } from "@warren/testkit";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, launchBrowser } from "./browser.ts";
import {
	askHub,
	choose,
	eventually,
	expectAccessible,
	fillSignUp,
	firstMachine,
	newContext,
	newPage,
	originOf,
	setUp,
	violationsOf,
} from "./ui-pages.ts";

/** From one hub to another in a browser: what it kept of the first merges into the second. A sidecar's way: edge-cases.test.ts. */
const missing = browserMissing();
const bob = { name: "Bob", email: "bob@example.test", password: "a long enough password" };

describe("another hub in the browser", () => {
	let home: StartedNode;
	let away: StartedNode;
	let browser: Browser;
	let page: Page;
	let folder: ReturnType<typeof tempFolder>;
	const faults: string[] = [];
	/** Of the document at both hubs, and the file that carries it. */
	let id: string;
	let carried: string;

	beforeAll(async () => {
		if (missing !== null) return;
		folder = tempFolder("switch");
		carried = folder.file("documents.json");
		[home, away] = await Promise.all([startNode(firstMachine), startNode(firstMachine)]);
		browser = await launchBrowser({ ca: `${home.ca}\n${away.ca}` });
		page = await newPage(await newContext(browser as never), faults);
		await setUp(page, home);
		await setUp(page, away);
	}, 180_000);
	afterAll(async () => {
		await browser?.close();
		await home?.[Symbol.asyncDispose]();
		await away?.[Symbol.asyncDispose]();
		folder?.[Symbol.dispose]();
	});

	const saveOrBring = "All documents: save or bring";
	const bring = async (on: Page, file: string) => {
		const chooser = on.waitForEvent("filechooser");
		await choose(on, saveOrBring, "Bring from a file");
		await (await chooser).setFiles(file);
	};
	const stored = async (on: Page, document: string) =>
		JSON.stringify(await askHub(on, `/rooms/${document}/export?format=json`));
	const write = async (words: string) => {
		await page.locator(".doc-text .prose-text").focus();
		await page.keyboard.press("Control+End");
		await page.keyboard.type(words);
	};

	it("documents leave with what only this device has of them, though their hub is gone", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(home)}/docs`);
		await page.evaluate(async () => void (await navigator.serviceWorker.ready));
		await page.getByRole("button", { name: "New document" }).first().click();
		await page.getByRole("textbox", { name: "Document title" }).and(page.locator(":focus")).waitFor();
		await page.keyboard.type("Field notes");
		await page.keyboard.press("Enter");
		await page.getByRole("textbox", { name: "Text of Field notes" }).and(page.locator(":focus")).waitFor();
		await write("written at home ");
		id = new URL(page.url()).pathname.split("/").at(-1) as string;
		await expect.poll(() => stored(page, id), eventually).toContain("written at home");
		await page.goto(`${originOf(home)}/account`);
		await page.getByRole("button", { name: "Use another hub" }).click();
		await expectAccessible(page, "another hub, signed in");
		await page.getByRole("button", { name: "Save your documents" }).waitFor();
		await page.keyboard.press("Escape");
		await page.goto(`${originOf(home)}/docs/${id}`);
		await page.locator(".doc-state", { hasText: "saved" }).waitFor();
		await home.kill("SIGKILL");
		await page.locator(".doc-state", { hasText: "offline" }).waitFor();
		await write("and without a hub");
		await page.getByText("There are edits that the hub does not have yet").waitFor();
		await page.getByRole("link", { name: "All documents" }).click();
		const saving = page.waitForEvent("download");
		await choose(page, saveOrBring, "Save all to a file");
		const download = await saving;
		expect(download.suggestedFilename()).toMatch(/^warren-documents-\d{4}-\d\d-\d\d\.json$/);
		await download.saveAs(carried);
		expect(JSON.parse(await readFile(carried, "utf8")).documents).toMatchObject([{ id, title: "Field notes" }]);
	});

	it("they merge into the other hub, once or more often, with what it had under the same identifier", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await page.goto(`${originOf(away)}/docs`);
		await page.getByText("No document yet").waitFor();
		for (const time of ["first", "again"]) {
			await bring(page, carried);
			await page.getByText("1 document is here now").first().waitFor();
			await expect.poll(() => stored(page, id), { ...eventually, message: time }).toContain("and without a hub");
			const { rooms } = await askHub<{ rooms: { id: string; title: string }[] }>(page, "/rooms");
			expect(rooms.map((each) => [each.id, each.title])).toEqual([[id, "Field notes"]]);
			expect((await stored(page, id)).split("written at home")).toHaveLength(2);
			await page.getByRole("link", { name: "Field notes" }).click();
			await page.getByText("written at home").waitFor();
			await write(` and here (${time})`);
			await expect.poll(() => stored(page, id), eventually).toContain(`and here (${time})`);
			await page.getByRole("link", { name: "All documents" }).click();
		}
		await expectAccessible(page, "docs that were brought");
	});

	it("somebody else's of the same identifier stays theirs, and no other file is taken for documents", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const { code } = await askHub<{ code: string }>(page, "/me/invitations", "POST", {});
		const other = await newPage(await newContext(browser as never), faults);
		await other.goto(`${originOf(away)}/#invitation=${code}`);
		await fillSignUp(other, bob);
		await other.getByText("No document yet").waitFor();
		const junk = folder.file("holiday.json");
		await writeFile(junk, '{"warren":"documents","version":1,"documents":[{"id":"../x","title":"x","update":""}]}');
		await bring(other, junk);
		await other.getByText("holiday.json holds no documents").waitFor();
		await bring(other, carried);
		await other.getByText("1 document is here now").waitFor();
		const { rooms } = await askHub<{ rooms: { id: string; title: string; access: string }[] }>(other, "/rooms");
		expect(rooms).toMatchObject([{ title: "Field notes", access: "owner" }]);
		const [brought] = rooms;
		expect(brought?.id).not.toBe(id);
		await expect.poll(() => stored(other, brought?.id ?? ""), eventually).toContain("and without a hub");
		expect(await stored(other, brought?.id ?? "")).not.toContain("and here");
		for (const each of [page, other]) expect(await violationsOf(each)).toEqual([]);
		await other.context().close();
		expect(faults).toEqual([]);
	});
});
