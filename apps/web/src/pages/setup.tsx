import { type FormEvent, useState } from "react";
import { useLocation } from "wouter";
import { ApiError } from "../api/client.ts";
import { self, terminalsPath } from "../api/machine.ts";
import type { Device } from "../api/types.ts";
import { api, credentials } from "../api/warren.tsx";
import { guessDeviceName } from "../shell/device-name.ts";
import { Mark } from "../shell/mark.tsx";
import { Field } from "../ui/field.tsx";
import { ErrorNotice } from "../ui/states.tsx";
import { t } from "./text/setup.ts";

/** The first sign-in ever: reached by the printed link, whose secret is already out of the address bar. */
export function SetupPage({ secret, onDone }: { secret: string; onDone: () => void }) {
	const [, navigate] = useLocation();
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	const spent = failure instanceof ApiError && failure.status === 401;

	async function submit(event: FormEvent<HTMLFormElement>) {
		event.preventDefault();
		const form = new FormData(event.currentTarget);
		const pin = String(form.get("pin"));
		if (pin !== form.get("again")) return setFailure(new Error(t.differ));
		setBusy(true);
		setFailure(undefined);
		try {
			const { device, token } = await api.request<{ device: Device; token: string }>(self, "/api/setup", {
				method: "POST",
				body: { user: String(form.get("user")).trim(), pin, deviceName: String(form.get("device")) },
				headers: { "x-warren-setup": secret },
				// Whatever token an earlier life of this origin left must not be offered, nor dropped, here.
				authorization: null,
			});
			credentials.put(self, { token, deviceId: device.id, machineName: location.host, savedAt: Date.now() });
			onDone();
			navigate(terminalsPath(self), { replace: true });
		} catch (thrown) {
			setFailure(thrown);
			setBusy(false);
		}
	}

	return (
		<main className="gate">
			<div className="gate-card">
				<div className="gate-head">
					<Mark size={40} />
					<h1>{spent ? t.spentTitle : t.title}</h1>
					<p className="muted">{spent ? t.spent : t.lead}</p>
				</div>
				{spent ? (
					<button
						type="button"
						className="button primary"
						onClick={() => {
							onDone();
							navigate("/", { replace: true });
						}}
					>
						{t.signIn}
					</button>
				) : (
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
									maxLength={64}
									required
								/>
							)}
						</Field>
						<Field label={t.pin} hint={t.pinHint}>
							{(ids) => (
								<input
									{...ids}
									className="input"
									name="pin"
									type="password"
									autoComplete="new-password"
									minLength={6}
									required
								/>
							)}
						</Field>
						<Field label={t.again}>
							{(ids) => (
								<input {...ids} className="input" name="again" type="password" autoComplete="new-password" required />
							)}
						</Field>
						<Field label={t.deviceName}>
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
				)}
				<div className="gate-foot">
					<span className="mono clip">{location.host}</span>
				</div>
			</div>
		</main>
	);
}
