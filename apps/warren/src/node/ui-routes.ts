import { dataHeaders, type Route, type StaticFiles } from "@warren/net";
import { version } from "../version.ts";

/** The browser's rules for the UI: no inline anything, no other origin. Measured to work with xterm and Base UI. */
function contentSecurityPolicy(origin: string): string {
	return [
		"default-src 'none'",
		`script-src ${origin}/assets/ ${origin}/sw.js`,
		"style-src 'self'",
		"font-src 'self'",
		"img-src 'self' data: blob:",
		"connect-src 'self'",
		"worker-src 'self'",
		"manifest-src 'self'",
		"base-uri 'none'",
		"form-action 'self'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
	].join("; ");
}

/** The web UI and the discovery document at `/`. Every path that is a page of the UI gives its index. */
export function uiRoutes(files: StaticFiles | null, discovery: () => Record<string, unknown>): Route[] {
	const open = { owner: "node", method: "GET", credentials: ["none"] } as const;
	const page: Extract<Route, { handle: unknown }>["handle"] = (context) => {
		const headers = {
			"content-security-policy": contentSecurityPolicy(context.origin),
			"cross-origin-opener-policy": "same-origin",
			"cross-origin-resource-policy": "same-origin",
			"referrer-policy": "no-referrer",
			"permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=()",
		};
		const path = context.path === "/" ? "/index.html" : context.path;
		const found =
			files?.respond(path, context.request, headers) ?? files?.respond("/index.html", context.request, headers);
		return (
			found ??
			new Response("The web interface is not built. Build it with: npm run build\n", {
				status: 503,
				headers: { ...dataHeaders, "content-type": "text/plain; charset=utf-8" },
			})
		);
	};
	const assets = (files?.paths() ?? []).filter((path) => path !== "/index.html");
	return [
		{
			...open,
			path: "/",
			about: { summary: "What runs here; a browser gets the interface" },
			handle: (context) =>
				prefersJson(context.headers.accept)
					? Response.json(discovery(), { headers: { ...dataHeaders, vary: "accept" } })
					: page(context),
		},
		{
			...open,
			path: "/api/identify",
			about: { summary: "Who answers: what peers look for" },
			handle: () => Response.json({ app: "warren", version }, { headers: dataHeaders }),
		},
		...assets.map((path): Route => ({ ...open, path, about: null, handle: page })),
		...[
			"/m/*",
			"/machines",
			"/machines/*",
			"/docs",
			"/docs/*",
			"/chat",
			"/chat/*",
			"/agent",
			"/agent/*",
			"/network",
			"/access",
			"/services",
			"/services/*",
			"/welcome",
			"/account",
			"/more",
			"/activity",
			"/settings",
			"/settings/*",
			"/trust",
			"/sign-in",
			"/signed-in",
			"/share",
		].map((path): Route => ({ ...open, path, about: null, handle: page })),
	];
}

function prefersJson(accept: string | undefined): boolean {
	if (accept === undefined) return false;
	const json = accept.indexOf("application/json");
	const html = accept.indexOf("text/html");
	return json !== -1 && (html === -1 || json < html);
}
