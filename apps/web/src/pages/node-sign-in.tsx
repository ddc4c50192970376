import { basic } from "../api/client.ts";
import { ApiError } from "../api/exchange.ts";
import type { MachineId } from "../api/machine.ts";
import type { Device } from "../api/types.ts";
import { api, credentials } from "../api/warren.tsx";
import { guessDeviceName } from "../shell/device-name.ts";
import { exactInput, Form, SubmitButton, secretOf, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { t } from "./text/sign-in.ts";

export function UserField({ newUser = false }: { newUser?: boolean }) {
	return (
		<TextField
			{...exactInput}
			label={t.user}
			name="user"
			autoComplete="username"
			required
			{...(newUser ? { maxLength: 64 } : {})}
		/>
	);
}

export function DeviceNameField({ hint = false }: { hint?: boolean }) {
	return (
		<TextField
			label={t.deviceName}
			{...(hint ? { hint: t.deviceHint } : {})}
			name="device"
			defaultValue={guessDeviceName(navigator.userAgent)}
			maxLength={64}
			required
		/>
	);
}

/** Trades a machine's user and PIN for a token of this device, once; the PIN is dropped with the form. */
export function NodeSignIn({ machine, machineName }: { machine: MachineId; machineName: string }) {
	const submission = useSubmit(async (form) => {
		try {
			const { device, token } = await api.request<{ device: Device; token: string }>(machine, "/api/devices", {
				method: "POST",
				body: { name: textOf(form, "device") },
				authorization: basic(secretOf(form, "user"), secretOf(form, "pin")),
			});
			credentials.put(machine, { token, deviceId: device.id, machineName, savedAt: Date.now() });
		} catch (thrown) {
			if (!(thrown instanceof ApiError) || thrown.status !== 401) throw thrown;
			throw new ApiError(401, { ...thrown.details, message: t.wrong, fix: t.wrongFix });
		}
	});
	return (
		<Form submission={submission} action={<SubmitButton submission={submission}>{t.submit}</SubmitButton>}>
			<UserField />
			<TextField label={t.pin} name="pin" type="password" autoComplete="current-password" required />
			<DeviceNameField hint />
		</Form>
	);
}
