import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { WarrenError } from "@warren/kernel";

/** What a person reads who opened an address that leads nowhere. */
export interface PlainPage {
	readonly status: number;
	readonly title: string;
	/** Sentences, one a paragraph. */
	readonly lines: readonly string[];
	/** Whether `/` of the same origin is a page to go to. */
	readonly home: boolean;
}

/** The interface's own colours, without its build: such a page stands alone on every listener, and asks for nothing. */
const style = `:root{color-scheme:light dark;background:light-dark(#faf8f4,#151412);color:light-dark(#1f1d1a,#ece8e0);font:1rem/1.5 "Inter Variable",system-ui,sans-serif}
body{margin:0;min-height:100vh;min-height:100dvh;display:grid;place-items:center}
main{box-sizing:border-box;width:100%;max-width:34rem;padding:2rem 1.25rem;overflow-wrap:anywhere}
.status{margin:0;color:light-dark(#575249,#b3aca0);font:0.875rem/1.5 ui-monospace,monospace}
h1{margin:.25rem 0 .75rem;font-size:1.5rem;line-height:1.25;letter-spacing:-.01em}
p{margin:0 0 .75rem}
a{display:inline-block;box-sizing:border-box;min-height:2.75rem;margin-top:.75rem;padding:.6rem 1.1rem;border-radius:8px;background:light-dark(#256b42,#84cd9c);color:light-dark(#fff,#0d1f14);text-decoration:none}
:focus-visible{outline:2px solid light-dark(#256b42,#84cd9c);outline-offset:2px}`;

/** Of every such page: it may show itself, and nothing else. */
export const plainPageHeaders: Readonly<Record<string, string>> = {
	"content-type": "text/html; charset=utf-8",
	"cache-control": "no-store",
	"content-security-policy": `default-src 'none'; style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
	"cross-origin-opener-policy": "same-origin",
	"cross-origin-resource-policy": "same-origin",
	"referrer-policy": "no-referrer",
	"x-content-type-options": "nosniff",
};

export function plainPage({ status, title, lines, home }: PlainPage): string {
	const paragraphs = lines.map((line) => `<p>${escaped(line)}</p>\n`).join("");
	return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title><style>${style}</style></head>
<body><main><p class="status">${status}</p>
<h1>${escaped(title)}</h1>
${paragraphs}${home ? '<a href="/">Go to the start page</a>\n' : ""}</main></body></html>
`;
}

/** Whether somebody goes to an address with a browser, which shows whatever it is answered. */
export function isNavigation(method: string, headers: IncomingHttpHeaders): boolean {
	const { accept = "", "sec-fetch-mode": mode } = headers;
	// `same-origin`: a service worker that passes a navigation on.
	const goes = mode === undefined || mode === "navigate" || mode === "same-origin";
	if ((method !== "GET" && method !== "HEAD") || !goes) return false;
	const html = accept.indexOf("text/html");
	const json = accept.indexOf("application/json");
	return html !== -1 && (json === -1 || html < json);
}

/** What a request that no route took is, in words for whoever went there. */
export function errorPage({ code, status, message, fix }: WarrenError, home: boolean): string {
	switch (code) {
		case "not_found":
			return plainPage({
				status,
				title: "There is no page here",
				lines: [message, "Check the address for a slip."],
				home,
			});
		case "wrong_host":
			return plainPage({ status, title: "This server goes by other names", lines: [message, fix], home: false });
		default:
			return plainPage({
				status,
				title: "This address is refused",
				lines: fix === "" ? [message] : [message, fix],
				home,
			});
	}
}

function escaped(text: string): string {
	return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
