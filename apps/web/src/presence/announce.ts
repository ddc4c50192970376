import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import type { Account } from "../api/account.ts";
import { handOverEdits } from "../documents/hand-over.ts";
import { guessDeviceName } from "../shell/device-name.ts";
import { type OnlineDevice, setOnline } from "./online.ts";

const room = "_epicenter_discovery";
const installationKey = "warren.installation";
const maxBackoffMs = 15_000;

/** Shows this browser among its person's devices, and hears who else is there. */
export function announce(account: Account, onSignedOut: (token: string) => void): { close(): void } {
	const doc = new Y.Doc();
	const provider = new WebsocketProvider(
		`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/rooms`,
		`${room}/sync`,
		doc,
		{ protocols: ["warren.v1", `bearer.${account.token}`], disableBc: true, maxBackoffTime: maxBackoffMs },
	);
	const { awareness } = provider;
	awareness.setLocalState({
		type: "client",
		deviceId: installationId(),
		capabilities: ["web"],
		hostname: guessDeviceName(navigator.userAgent),
	});
	const tell = () => {
		if (!provider.wsconnected) return setOnline(null);
		setOnline([...awareness.getStates()].flatMap(([clientId, state]) => deviceOf(clientId, state) ?? []));
	};
	awareness.on("change", tell);
	provider.on("status", ({ status }) => {
		tell();
		// The hub is there, perhaps again.
		if (status === "connected") handOver(account, onSignedOut);
	});
	provider.on("closed", ({ code }) => {
		setOnline(null);
		if (code === 4401) onSignedOut(account.token);
	});
	return {
		close() {
			awareness.off("change", tell);
			provider.destroy();
			doc.destroy();
			setOnline(null);
		},
	};
}

function handOver(account: Account, onSignedOut: (token: string) => void): void {
	handOverEdits(account, onSignedOut).catch((failure: unknown) => {
		console.info("warren: what was written without the hub waits on", failure);
	});
}

function deviceOf(clientId: number, state: unknown): OnlineDevice | undefined {
	if (typeof state !== "object" || state === null) return undefined;
	const { type, deviceId, hostname, sessionDevice } = state as Record<string, unknown>;
	if (typeof type !== "string" || typeof deviceId !== "string") return undefined;
	return {
		clientId,
		type,
		deviceId,
		hostname: typeof hostname === "string" ? hostname : "",
		...(typeof sessionDevice === "string" ? { sessionDevice } : {}),
	};
}

/** One an installation, made at the first need. */
function installationId(): string {
	try {
		const kept = localStorage.getItem(installationKey);
		if (kept !== null && /^[\w-]{10,64}$/.test(kept)) return kept;
		const made = crypto.randomUUID();
		localStorage.setItem(installationKey, made);
		return made;
	} catch {
		// Storage refused: another device at each visit.
		return crypto.randomUUID();
	}
}
