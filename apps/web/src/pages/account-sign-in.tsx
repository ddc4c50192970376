import { KeyRound } from "lucide-react";
import { useState } from "react";
import { hub, useHubRole } from "../api/hub.ts";
import { passkeyObstacle, passkeysSupported, signInWithPasskey, wasDismissed } from "../api/passkeys.ts";
import { ActionButton } from "../ui/action-button.tsx";
import { exactInput, Form, SubmitButton, secretOf, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { ErrorNotice } from "../ui/states.tsx";
import { SocialButtons } from "./social-buttons.tsx";
import { t } from "./text/account-entry.ts";

/** A person's sign-in at the hub: email and password, a second factor where there is one, or a passkey. */
export function AccountSignIn({ onDone }: { onDone?: () => Promise<void> | void }) {
	const [asksCode, setAsksCode] = useState(false);
	return asksCode ? (
		<SecondFactor onDone={onDone} onBack={() => setAsksCode(false)} />
	) : (
		<EmailAndPassword onDone={onDone} onSecondFactor={() => setAsksCode(true)} />
	);
}

function EmailAndPassword(props: { onDone: (() => Promise<void> | void) | undefined; onSecondFactor: () => void }) {
	const submission = useSubmit(async (form) => {
		const body = { email: textOf(form, "email"), password: secretOf(form, "password") };
		const { twoFactor } = await hub.signIn("/auth/login", body);
		if (twoFactor) props.onSecondFactor();
		else await props.onDone?.();
	});
	return (
		<div className="form">
			<Form submission={submission} action={<SubmitButton submission={submission}>{t.signIn}</SubmitButton>}>
				<EmailField />
				<TextField label={t.password} name="password" type="password" autoComplete="current-password" required />
			</Form>
			<PasskeyButton onDone={props.onDone} />
			<SocialButtons label={t.withService} />
		</div>
	);
}

export function EmailField({ value }: { value?: string }) {
	return (
		<TextField
			{...exactInput}
			label={t.email}
			name="email"
			type="email"
			autoComplete="username"
			maxLength={254}
			required
			{...(value === undefined ? {} : { defaultValue: value })}
		/>
	);
}

/** Offered where it can work: at the hub's own name, in a browser that has them. */
function PasskeyButton({ onDone }: { onDone: (() => Promise<void> | void) | undefined }) {
	const [failure, setFailure] = useState<unknown>();
	const role = useHubRole();
	if (role !== "hub" || passkeyObstacle(location.hostname, passkeysSupported()) !== null) return null;
	async function use() {
		setFailure(undefined);
		try {
			await signInWithPasskey(hub);
			await onDone?.();
		} catch (thrown) {
			if (!wasDismissed(thrown)) setFailure(thrown);
		}
	}
	return (
		<>
			{failure !== undefined && <ErrorNotice failure={failure} />}
			<ActionButton act={use}>
				<KeyRound size={16} aria-hidden="true" /> {t.withPasskey}
			</ActionButton>
		</>
	);
}

function SecondFactor(props: { onDone: (() => Promise<void> | void) | undefined; onBack: () => void }) {
	const [backup, setBackup] = useState(false);
	const submission = useSubmit(async (form) => {
		const path = backup ? "/auth/two-factor/verify-backup-code" : "/auth/two-factor/verify-totp";
		await hub.signIn(path, { code: textOf(form, "code").replaceAll(" ", "") });
		await props.onDone?.();
	});
	return (
		<Form
			submission={submission}
			action={
				<>
					<SubmitButton submission={submission}>{t.signIn}</SubmitButton>
					<div className="row wrap between">
						<button type="button" className="button plain" onClick={props.onBack}>
							{t.back}
						</button>
						<button type="button" className="button plain" onClick={() => setBackup(!backup)}>
							{backup ? t.useApp : t.useBackup}
						</button>
					</div>
				</>
			}
		>
			<CodeField key={String(backup)} backup={backup} />
		</Form>
	);
}

/** The six digits of an authenticator app, or a backup code. */
export function CodeField({ backup = false }: { backup?: boolean }) {
	return (
		<TextField
			{...exactInput}
			mono
			label={backup ? t.backupCode : t.code}
			hint={backup ? t.backupHint : t.codeHint}
			name="code"
			inputMode={backup ? "text" : "numeric"}
			autoComplete="one-time-code"
			maxLength={backup ? 40 : 7}
			required
			autoFocus
		/>
	);
}
