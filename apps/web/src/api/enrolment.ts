import { guessDeviceName } from "../shell/device-name.ts";
import { openDeviceKey, proofMessage } from "./device-key.ts";
import { ApiError } from "./exchange.ts";
import { hub } from "./hub.ts";
import type { MachineId } from "./machine.ts";
import type { Device } from "./types.ts";
import { api, credentials } from "./warren.tsx";

/**
 * Signs this browser in to a machine by the account instead of its PIN: the hub gives a ticket for that one machine,
 * bound to this browser's key, and the machine checks it alone. Works for machines that the person joined.
 * @throws ApiError `not_your_machine` and the like: the machine's own PIN is the way in then.
 */
export async function enrolWithAccount(machine: MachineId, machineName: string): Promise<void> {
	const key = await openDeviceKey();
	const { nonce, audience, path } = await api.request<{ nonce: string; audience: string; path: string }>(
		machine,
		"/api/devices/nonce",
		{ method: "POST", body: {}, authorization: null },
	);
	const { ticket } = await hub.request<{ ticket: string }>("/me/tickets", {
		method: "POST",
		body: { deviceKey: key.thumbprint, node: audience },
	});
	const { device, token } = await api.request<{ device: Device; token: string }>(machine, path, {
		method: "POST",
		body: {
			ticket,
			nonce,
			proof: await key.sign(proofMessage(nonce, audience, path)),
			publicKey: key.publicKey,
			name: guessDeviceName(navigator.userAgent),
		},
		authorization: null,
	});
	credentials.put(machine, { token, deviceId: device.id, machineName, savedAt: Date.now() });
}

/** The same, where failing means no more than that the PIN will be asked for. @returns whether it worked. */
export async function tryEnrolWithAccount(machine: MachineId, machineName: string): Promise<boolean> {
	try {
		await enrolWithAccount(machine, machineName);
		return true;
	} catch (failure) {
		if (!(failure instanceof ApiError)) console.warn("warren: this browser keeps no key of its own", failure);
		return false;
	}
}
