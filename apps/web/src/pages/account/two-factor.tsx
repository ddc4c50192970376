import { useState } from "react";
import { hub } from "../../api/hub.ts";
import { queryClient } from "../../api/warren.tsx";
import { Copyable } from "../../ui/copyable.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Form, SubmitButton, secretOf, TextField, textOf, useSubmit } from "../../ui/form.tsx";
import { QrCode } from "../../ui/qr.tsx";
import { toast } from "../../ui/toast.tsx";
import { CodeField } from "../account-sign-in.tsx";
import { t } from "../text/account.ts";

interface Enrolment {
	totpURI: string;
	backupCodes: string[];
}

export function TwoFactor({ on }: { on: boolean }) {
	const [open, setOpen] = useState<"enable" | "disable">();
	return (
		<section className="section" aria-labelledby="two-factor">
			<header>
				<h2 id="two-factor">{t.twoFactor}</h2>
				<p>{t.twoFactorLead}</p>
			</header>
			<div className="card setting-line">
				<span className="grow">
					<span className={on ? "tag live" : "tag"}>{on ? t.twoFactorOn : t.twoFactorOff}</span>
				</span>
				<button type="button" className="button" onClick={() => setOpen(on ? "disable" : "enable")}>
					{on ? t.disable : t.enable}
				</button>
			</div>
			<Enable open={open === "enable"} onClose={() => setOpen(undefined)} />
			<Disable open={open === "disable"} onClose={() => setOpen(undefined)} />
		</section>
	);
}

function Enable({ open, onClose }: { open: boolean; onClose: () => void }) {
	const [enrolment, setEnrolment] = useState<Enrolment>();
	const close = () => {
		setEnrolment(undefined);
		onClose();
	};
	return (
		<Dialog
			open={open}
			onClose={close}
			title={enrolment === undefined ? t.enableTitle : t.scanTitle}
			lead={enrolment === undefined ? t.enableLead : t.scanLead}
			wide
		>
			{enrolment === undefined ? (
				<PasswordForm
					action={t.goOn}
					onPassword={async (password) =>
						setEnrolment(
							await hub.request<Enrolment>("/auth/two-factor/enable", { method: "POST", body: { password } }),
						)
					}
				/>
			) : (
				<Confirmation enrolment={enrolment} onDone={close} />
			)}
		</Dialog>
	);
}

function Confirmation({ enrolment, onDone }: { enrolment: Enrolment; onDone: () => void }) {
	const secret = new URL(enrolment.totpURI).searchParams.get("secret") ?? "";
	const submission = useSubmit(async (form) => {
		await asNewSession("/auth/two-factor/verify-totp", { code: textOf(form, "code").replaceAll(" ", "") });
		toast.add({ title: t.enabled, type: "info" });
		await queryClient.invalidateQueries({ queryKey: ["hub"] });
		onDone();
	});
	return (
		<>
			<div className="share-made">
				<QrCode text={enrolment.totpURI} label={t.totpQr} />
				<div className="stack tight grow">
					<Copyable block text={secret} label={t.secret} />
					<h3>{t.backup}</h3>
					<p className="small muted">{t.backupLead}</p>
					<Copyable block text={enrolment.backupCodes.join("\n")} label={t.backupCopy} />
				</div>
			</div>
			<Form
				submission={submission}
				action={
					<SubmitButton submission={submission} end>
						{t.confirmCode}
					</SubmitButton>
				}
			>
				<CodeField />
			</Form>
		</>
	);
}

function Disable({ open, onClose }: { open: boolean; onClose: () => void }) {
	return (
		<Dialog open={open} onClose={onClose} title={t.disableTitle} lead={t.enableLead}>
			<PasswordForm
				action={t.disable}
				onPassword={async (password) => {
					await asNewSession("/auth/two-factor/disable", { password });
					toast.add({ title: t.disabled, type: "info" });
					await queryClient.invalidateQueries({ queryKey: ["hub", "me"] });
					onClose();
				}}
			/>
		</Dialog>
	);
}

/** The library ends this session and gives another, once there is a second factor or none any more. */
async function asNewSession(path: string, body: object): Promise<void> {
	await hub.signIn(path, body, { headers: { authorization: `Bearer ${hub.account.get()?.token}` } });
}

function PasswordForm(props: { action: string; onPassword: (password: string) => Promise<void> }) {
	const submission = useSubmit((form) => props.onPassword(secretOf(form, "password")));
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{props.action}
				</SubmitButton>
			}
		>
			<TextField label={t.current} name="password" type="password" autoComplete="current-password" required />
		</Form>
	);
}
