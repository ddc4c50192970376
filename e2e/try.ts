import { mkdirSync } from "node:fs";
import { startNode } from "@warren/testkit";
import { launchBrowser } from "./src/browser.ts";

const out = "/tmp/web-shots";
mkdirSync(out, { recursive: true });
const first = await startNode({ command: ["up"], name: "atlas", pin: null, env: { WARREN_SIDECAR_PORT: "0" } });
const browser = await launchBrowser({ ca: first.ca });
const origin = `https://localhost:${first.port}`;
try {
	const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, colorScheme: "light" });
	await context.addInitScript(() => {
		document.addEventListener("securitypolicyviolation", (e) =>
			console.log("CSPV", e.violatedDirective, e.blockedURI, e.sample),
		);
	});
	const page = await context.newPage();
	page.setDefaultTimeout(8000);
	page.on("pageerror", (e) => console.log("PAGEERROR", e.message, e.stack?.slice(0, 600)));
	page.on("console", (m) => {
		if (m.type() !== "info" && m.type() !== "debug") console.log("CONSOLE", m.type(), m.text().slice(0, 300));
	});
	const shot = async (name: string) => {
		await page.waitForTimeout(350);
		await page.screenshot({ path: `${out}/${name}.png` });
	};
	await page.goto((first.setupUrl as string).replace(/^https:\/\/[^/]+/, origin));
	await page.getByRole("textbox", { name: "User" }).fill("ada");
	await page.getByRole("textbox", { name: "PIN", exact: true }).fill("correct horse");
	await page.getByRole("textbox", { name: "PIN once more" }).fill("correct horse");
	await shot("setup1");
	await page.getByRole("button", { name: "Set up and sign in" }).click();
	await page.getByRole("heading", { name: "Make your account" }).waitFor();
	await shot("setup2");
	await page.getByRole("textbox", { name: "Your name" }).fill("Ada Lovelace");
	await page.getByRole("textbox", { name: "Email" }).fill("ada@example.test");
	await page.getByRole("textbox", { name: "Password", exact: true }).fill("correct horse battery");
	await page.getByRole("textbox", { name: "Password once more" }).fill("correct horse battery");
	await page.getByRole("button", { name: "Create the account" }).click();
	await page.getByText("No session runs on atlas").waitFor();
	await shot("terminals");
	await page.goto(`${origin}/docs`);
	await page.getByText("No document yet").waitFor();
	await shot("docs-empty");
	await page.getByRole("button", { name: "New document" }).first().click();
	await page.getByRole("textbox", { name: "Document title" }).waitFor();
	await page.locator(".prose-text").waitFor();
	await page.waitForTimeout(500);
	await page.keyboard.type("Field notes");
	await page.keyboard.press("Enter");
	await page.waitForTimeout(300);
	await page.locator(".prose-text").focus();
	await page.keyboard.type(
		"# Plan for the week\nSome **bold** words and `code`.\n- one\ntwo\n\n[ ] first task\nsecond task\n\n",
	);
	await page.keyboard.type("> a quote\n\n\n```\nconst a = 1\n");
	await shot("doc");
	await page.getByRole("button", { name: "History" }).click();
	await page.getByRole("textbox", { name: "Name of this version" }).fill("First draft");
	await page.getByRole("button", { name: "Keep this version" }).click();
	await page.getByText("is kept").first().waitFor();
	await page.waitForTimeout(500);
	await shot("history");
	await page.keyboard.press("Escape");
	await page.goto(`${origin}/docs`);
	await page.getByText("Field notes").waitFor();
	await shot("docs");
	await page.goto(`${origin}/account`);
	await page.getByRole("heading", { name: "People" }).waitFor();
	await page.waitForTimeout(1500);
	await page.screenshot({ path: `${out}/account.png`, fullPage: true });
	await page.getByRole("button", { name: "Pair a phone" }).click();
	await page.getByRole("img", { name: "QR code that pairs a device" }).waitFor();
	await shot("pair");
	await page.keyboard.press("Escape");
	await page.goto(`${origin}/settings`);
	await page.waitForTimeout(600);
	await page.screenshot({ path: `${out}/settings.png`, fullPage: true });
	console.log("done");
} catch (e) {
	console.log("FAILED", String(e).slice(0, 1500));
	const p = browser.contexts()[0]?.pages()[0];
	await p?.screenshot({ path: `${out}/failed.png` });
	console.log(first.log().slice(-1500));
} finally {
	await browser.close();
	await first[Symbol.asyncDispose]();
}
