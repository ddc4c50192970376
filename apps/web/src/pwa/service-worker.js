// The offline shell: this build's hashed files and the page that names them. It never touches /api, /r, /ws or a
// method other than GET, so nothing that a machine answers is ever kept or served old.
const build = "__BUILD__";
const files = ["__FILES__"];
const cacheName = `warren-${build}`;
const shell = "/index.html";
const shellWaitMs = 3000;

self.addEventListener("install", (event) => {
	event.waitUntil(
		(async () => {
			const cache = await caches.open(cacheName);
			await cache.addAll([...files, new Request("/", { cache: "reload", headers: { accept: "text/html" } })]);
			const page = await cache.match("/");
			if (page) await cache.put(shell, page);
			await cache.delete("/");
			await self.skipWaiting();
		})(),
	);
});

self.addEventListener("activate", (event) => {
	event.waitUntil(
		(async () => {
			for (const name of await caches.keys())
				if (name !== cacheName && name.startsWith("warren-")) await caches.delete(name);
			await self.clients.claim();
		})(),
	);
});

self.addEventListener("fetch", (event) => {
	const { request } = event;
	const url = new URL(request.url);
	if (request.method !== "GET" || url.origin !== location.origin) return;
	if (/^\/(api|r|ws)(\/|$)/.test(url.pathname)) return;
	if (request.mode === "navigate") event.respondWith(page(request));
	else if (files.includes(url.pathname)) event.respondWith(file(request));
});

async function page(request) {
	const cache = await caches.open(cacheName);
	try {
		const fresh = await fetch(request, { signal: AbortSignal.timeout(shellWaitMs) });
		if (fresh.status < 500) return fresh;
	} catch {
		// Offline, or the machine is away: the shell opens and says so itself.
	}
	return (await cache.match(shell)) ?? Response.error();
}

async function file(request) {
	const cache = await caches.open(cacheName);
	return (await cache.match(request)) ?? fetch(request);
}

self.addEventListener("notificationclick", (event) => {
	event.notification.close();
	const path = event.notification.data?.path;
	event.waitUntil(
		(async () => {
			const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
			const [open] = windows;
			if (open === undefined) return self.clients.openWindow(path ?? "/");
			if (path !== undefined) await open.navigate(path).catch(() => undefined);
			return open.focus();
		})(),
	);
});

// What the machine sends while no page is open. A page in sight tells by itself; one behind it has the same tag.
self.addEventListener("push", (event) => {
	const { title, body, tag, path } = event.data?.json() ?? {};
	if (typeof title !== "string") return;
	event.waitUntil(
		(async () => {
			const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
			if (windows.some((each) => each.visibilityState === "visible")) return;
			await self.registration.showNotification(title, { body, tag, icon: "/icon-192.png", data: { path } });
		})(),
	);
});
