import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { Link } from "wouter";
import { ApiError, basic } from "../api/client.ts";
import { type MachineId, self } from "../api/machine.ts";
import type { Device } from "../api/types.ts";
import { api, credentials } from "../api/warren.tsx";
import { guessDeviceName } from "../shell/device-name.ts";
import { Mark } from "../shell/mark.tsx";
import { Field } from "../ui/field.tsx";
import { ErrorNotice } from "../ui/states.tsx";
import { t } from "./text/sign-in.ts";

export function SignInPage() {
	const { data } = useQuery({
		queryKey: [self, "discovery"],
		queryFn: ({ signal }) => api.request<{ name?: string; version: string }>(self, "/", { signal }),
		retry: false,
	});
	return (
		<main className="gate">
			<div className="gate-card">
				<div className="gate-head">
					<Mark size={40} />
					<h1>{t.title}</h1>
					<p className="muted">{t.lead(data?.name ?? t.thisMachine)}</p>
				</div>
				<SignInForm machine={self} machineName={data?.name ?? location.host} />
				<div className="gate-foot">
					<span className="mono clip">{location.host}</span>
					<Link href="/trust">{t.trust}</Link>
				</div>
			</div>
		</main>
	);
}

/** Trades user and PIN for a token of this device, once; the PIN is dropped with the form. */
export function SignInForm({ machine, machineName }: { machine: MachineId; machineName: string }) {
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);

	async function submit(event: FormEvent<HTMLFormElement>) {
		event.preventDefault();
		const form = new FormData(event.currentTarget);
		setBusy(true);
		setFailure(undefined);
		try {
			const { device, token } = await api.request<{ device: Device; token: string }>(machine, "/api/devices", {
				method: "POST",
				body: { name: String(form.get("device")) },
				authorization: basic(String(form.get("user")), String(form.get("pin"))),
			});
			credentials.put(machine, { token, deviceId: device.id, machineName, savedAt: Date.now() });
		} catch (thrown) {
			setFailure(signInFailure(thrown));
			setBusy(false);
		}
	}

	return (
		<form className="form" onSubmit={(event) => void submit(event)}>
			<Field label={t.user}>
				{(ids) => (
					<input
						{...ids}
						className="input"
						name="user"
						autoComplete="username"
						autoCapitalize="none"
						spellCheck={false}
						required
					/>
				)}
			</Field>
			<Field label={t.pin}>
				{(ids) => (
					<input {...ids} className="input" name="pin" type="password" autoComplete="current-password" required />
				)}
			</Field>
			<Field label={t.deviceName} hint={t.deviceHint}>
				{(ids) => (
					<input
						{...ids}
						className="input"
						name="device"
						defaultValue={guessDeviceName(navigator.userAgent)}
						maxLength={64}
						required
					/>
				)}
			</Field>
			{failure !== undefined && <ErrorNotice failure={failure} />}
			<button type="submit" className="button primary" disabled={busy}>
				{t.submit}
			</button>
		</form>
	);
}

function signInFailure(thrown: unknown): unknown {
	if (!(thrown instanceof ApiError) || thrown.status !== 401) return thrown;
	return new ApiError(401, { ...thrown.details, message: t.wrong, fix: t.wrongFix });
}
