import { type MachineId, terminalPath } from "../api/machine.ts";
import type { NodeEvent } from "../api/types.ts";
import { spanOf } from "../ui/time.ts";
import { toast } from "../ui/toast.tsx";
import { preferences } from "./preferences.ts";
import { t } from "./text.ts";

type Noteworthy = Extract<NodeEvent, { type: "bell" | "command-finished" }>;

/** A command this short needs no word when it ends. Milliseconds. */
const shortCommandMs = 10_000;

/** Tells about a bell or a finished command: by a toast in sight, by the system when the page is not. */
export function notify(machine: MachineId, event: Noteworthy, session: string): void {
	const path = terminalPath(machine, event.session);
	const watching = document.visibilityState === "visible" && location.pathname === path;
	if (watching) return;
	if (event.type === "command-finished" && event.durationMs < shortCommandMs) return;
	const title = event.type === "bell" ? t.bellIn(session) : t.finishedIn(event.command, session);
	const body = event.type === "bell" ? t.bellBody : t.finishedBody(spanOf(event.durationMs));
	if (document.visibilityState === "visible") {
		toast.add({ title, description: body, type: "info", data: { href: path } });
		return;
	}
	if (!preferences().notifications || Notification.permission !== "granted") return;
	void showNotification(title, { body, tag: `${machine}/${event.session}/${event.type}`, data: { path } });
}

async function showNotification(title: string, options: NotificationOptions): Promise<void> {
	// Android's browsers refuse `new Notification` and want the worker to show it.
	const registration = await navigator.serviceWorker?.getRegistration();
	if (registration !== undefined) return registration.showNotification(title, { icon: "/icon-192.png", ...options });
	const notification = new Notification(title, options);
	notification.onclick = () => window.focus();
}

/** @returns whether notifications may be shown from now on. */
export async function askForNotifications(): Promise<boolean> {
	if (!("Notification" in window)) return false;
	return (await Notification.requestPermission()) === "granted";
}
