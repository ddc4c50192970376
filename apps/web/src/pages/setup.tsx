import { useState } from "react";
import { useLocation } from "wouter";
import { tryEnrolWithAccount } from "../api/enrolment.ts";
import { ApiError } from "../api/exchange.ts";
import { askHubRole, useHubRole } from "../api/hub.ts";
import { self } from "../api/machine.ts";
import type { Device } from "../api/types.ts";
import { api, credentials } from "../api/warren.tsx";
import { Form, SubmitButton, secretOf, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { AccountSignUp } from "./account-sign-up.tsx";
import { Gate } from "./gate.tsx";
import { DeviceNameField, UserField } from "./node-sign-in.tsx";
import { t as account } from "./text/account-entry.ts";
import { t } from "./text/setup.ts";
import { beginWelcome, welcomePath } from "./welcome/progress.ts";
import { t as welcome } from "./welcome/text.ts";

/**
 * The first sign-in ever: reached by the printed link, whose secret is already out of the address bar. It opens two
 * doors once each: this machine's, and the account of its owner at the hub beside it.
 */
export function SetupPage({ secret, onDone }: { secret: string; onDone: () => void }) {
	const [, navigate] = useLocation();
	const [machineDone, setMachineDone] = useState(false);
	const hasHub = useHubRole() === "hub";

	async function finish() {
		await enter();
		onDone();
		beginWelcome();
		navigate(welcomePath, { replace: true });
	}

	if (machineDone) return <FirstAccount secret={secret} step={welcome.step(2)} onDone={finish} />;
	return (
		<MachineSetup
			secret={secret}
			withStep={hasHub}
			onDone={async () => (["hub", "unknown"].includes(await askHubRole()) ? setMachineDone(true) : await finish())}
			onAccount={() => setMachineDone(true)}
			onSignIn={() => {
				onDone();
				navigate("/", { replace: true });
			}}
		/>
	);
}

/** The owner's account alone, by a link of its own: on a machine that was set up before. */
export function FirstAccountPage({ secret, onDone }: { secret: string; onDone: () => void }) {
	return (
		<FirstAccount
			secret={secret}
			onDone={async () => {
				await enter();
				onDone();
			}}
		/>
	);
}

/** By the account alone, in a browser that did not set this machine up. */
async function enter(): Promise<void> {
	if (credentials.get(self) === undefined) await tryEnrolWithAccount(self, location.host);
}

/** The owner's account, by the same secret. */
function FirstAccount(props: { secret: string; step?: string; onDone: () => Promise<void> | void }) {
	return (
		<Gate
			title={account.firstTitle}
			lead={account.firstLead}
			{...(props.step === undefined ? {} : { step: props.step })}
			foot={
				<>
					<span>{account.laterHint}</span>
					<button type="button" className="link" onClick={() => void props.onDone()}>
						{account.later}
					</button>
				</>
			}
		>
			<AccountSignUp admission={{ setup: props.secret }} onDone={props.onDone} />
		</Gate>
	);
}

function MachineSetup(props: {
	secret: string;
	withStep: boolean;
	onDone: () => Promise<void>;
	/** The link's other door: whoever was called away between the two may still go through it. */
	onAccount: () => void;
	onSignIn: () => void;
}) {
	const submission = useSubmit(async (form) => {
		const pin = secretOf(form, "pin");
		if (pin !== secretOf(form, "again")) throw new Error(t.differ);
		const { device, token } = await api.request<{ device: Device; token: string }>(self, "/api/setup", {
			method: "POST",
			body: { user: textOf(form, "user"), pin, deviceName: textOf(form, "device") },
			headers: { "x-warren-setup": props.secret },
			// Whatever token an earlier life of this origin left must not be offered, nor dropped, here.
			authorization: null,
		});
		credentials.put(self, { token, deviceId: device.id, machineName: location.host, savedAt: Date.now() });
		await props.onDone();
	});
	const spent = submission.failure instanceof ApiError && submission.failure.status === 401;
	if (spent)
		return (
			<Gate title={t.spentTitle} lead={t.spent}>
				<button type="button" className="button primary" onClick={props.onSignIn}>
					{t.signIn}
				</button>
				{props.withStep && (
					<button type="button" className="button" onClick={props.onAccount}>
						{t.accountLeft}
					</button>
				)}
			</Gate>
		);
	return (
		<Gate title={t.title} lead={t.lead} {...(props.withStep ? { step: welcome.step(1) } : {})}>
			<Form submission={submission} action={<SubmitButton submission={submission}>{t.submit}</SubmitButton>}>
				<UserField newUser />
				<TextField
					label={t.pin}
					hint={t.pinHint}
					name="pin"
					type="password"
					autoComplete="new-password"
					minLength={6}
					required
				/>
				<TextField label={t.again} name="again" type="password" autoComplete="new-password" required />
				<DeviceNameField />
			</Form>
		</Gate>
	);
}
