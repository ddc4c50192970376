import { self } from "../api/machine.ts";
import { api } from "../api/warren.tsx";

interface PushState {
	publicKey: string;
	subscribed: boolean;
}

const path = "/api/push";
const startMs = 5_000;

/** Lets the machine that served this page wake this browser. @returns false where the browser has no push service. */
export async function startPush(): Promise<boolean> {
	const registration = await workerOf();
	if (registration?.pushManager === undefined) return false;
	const { publicKey } = await api.request<PushState>(self, path);
	try {
		const subscription = await registration.pushManager.subscribe({
			userVisibleOnly: true,
			applicationServerKey: publicKey,
		});
		const { endpoint, keys } = subscription.toJSON();
		await api.request(self, path, { method: "PUT", body: { endpoint, keys } });
		return true;
	} catch (failure) {
		// No push service is reached from here, or its user forbids it: pages that are open tell all the same.
		console.warn("warren: no push in this browser", failure);
		return false;
	}
}

export async function stopPush(): Promise<void> {
	await (await (await workerOf())?.pushManager?.getSubscription())?.unsubscribe();
	await api.request(self, path, { method: "DELETE" });
}

/** The worker, which is not there in every browser, nor at once after a first visit. */
async function workerOf(): Promise<ServiceWorkerRegistration | undefined> {
	if (!("serviceWorker" in navigator)) return undefined;
	const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), startMs));
	return Promise.race([navigator.serviceWorker.ready, late]);
}
