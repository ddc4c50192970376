import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Route } from "@warren/net";
import { pageFile } from "../own-files.ts";

/** No inline anything, no other origin, no markup from strings. */
const policy = [
	"default-src 'none'",
	"script-src 'self'",
	"style-src 'self'",
	"img-src 'self' data:",
	"connect-src 'self'",
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'none'",
	"require-trusted-types-for 'script'",
].join("; ");
const headers = {
	"cache-control": "no-store",
	"content-security-policy": policy,
	"cross-origin-opener-policy": "same-origin",
	"cross-origin-resource-policy": "same-origin",
	"referrer-policy": "no-referrer",
	"x-content-type-options": "nosniff",
} as const;

const types = { js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8" } as const;

/** A page of the hub's own: `PATH` itself, its script and its style, all from this origin. */
export function pageRoutes(path: string, title: string, script: string): Route[] {
	const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><link rel="stylesheet" href="${path}/page.css"></head>
<body><noscript>This page needs JavaScript.</noscript><main id="page"></main>
<script type="module" src="${path}/page.js"></script></body></html>
`;
	return [
		{ ...open, method: "GET", path, handle: () => document(html) },
		asset(`${path}/page.js`, "js", pageFile(`${script}.js`)),
		asset(`${path}/page.css`, "css", pageFile("page.css")),
		asset(`${path}/view.js`, "js", pageFile("view.js")),
	];
}

const open = { owner: "hub", credentials: ["none"], about: null } as const;

export function document(html: string): Response {
	return new Response(html, { headers: { ...headers, "content-type": "text/html; charset=utf-8" } });
}

/** Read once, when the role opens. */
export function asset(path: string, type: keyof typeof types, file: URL): Route {
	const text = readFileSync(fileURLToPath(file), "utf8");
	return {
		...open,
		method: "GET",
		path,
		handle: () => new Response(text, { headers: { ...headers, "content-type": types[type] } }),
	};
}
