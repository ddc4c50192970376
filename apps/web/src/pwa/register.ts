/**
 * Makes the shell open without a network. A page that failed to install it works all the same. Trusted Types want the
 * worker's address to come from a policy, which allows this one address.
 */
export function registerServiceWorker(): void {
	if (!import.meta.env.PROD || !("serviceWorker" in navigator)) return;
	navigator.serviceWorker.register(workerUrl() as string).catch((failure: unknown) => {
		console.warn("warren: no offline copy in this browser", failure);
	});
}

/** Forgets the offline copy: every cache and the worker itself. */
export async function removeOfflineCopy(): Promise<void> {
	for (const registration of await navigator.serviceWorker.getRegistrations()) await registration.unregister();
	for (const name of await caches.keys()) await caches.delete(name);
}

interface TrustedTypes {
	createPolicy(
		name: string,
		rules: { createScriptURL(url: string): string },
	): { createScriptURL(url: string): unknown };
}

function workerUrl(): unknown {
	const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
	const policy = trustedTypes?.createPolicy("warren-worker", {
		createScriptURL(url) {
			if (url !== "/sw.js") throw new TypeError(`${url} is not the worker of this page`);
			return url;
		},
	});
	return policy?.createScriptURL("/sw.js") ?? "/sw.js";
}
