import { useState } from "react";
import { Copyable } from "../ui/copyable.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Field } from "../ui/field.tsx";
import { exactInput, Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { StatusDot } from "../ui/status-dot.tsx";
import { type Exposed, exposePort } from "./services-api.ts";
import { t } from "./text.ts";

/** What `warren expose NAME PORT` does, as a sheet. */
export function ExposePort({ open, onClose }: { open: boolean; onClose: () => void }) {
	const [done, setDone] = useState<Exposed>();
	const close = () => {
		setDone(undefined);
		onClose();
	};
	return (
		<Dialog
			open={open}
			onClose={close}
			title={
				done === undefined
					? t.exposeTitle
					: done.state === "online"
						? t.exposed(done.name)
						: t.exposedWaiting(done.name)
			}
			{...(done === undefined ? { lead: t.exposeLead } : {})}
		>
			{done === undefined ? <ExposeForm onDone={setDone} /> : <Outcome exposed={done} onClose={close} />}
		</Dialog>
	);
}

function ExposeForm({ onDone }: { onDone: (exposed: Exposed) => void }) {
	const submission = useSubmit(async (form) =>
		onDone(await exposePort(textOf(form, "name"), Number(form.get("port")), form.get("who") === "everybody")),
	);
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{t.exposeSubmit}
				</SubmitButton>
			}
		>
			<div className="host-port">
				<TextField
					{...exactInput}
					mono
					label={t.name}
					hint={t.nameHint}
					name="name"
					pattern="[a-z0-9]([a-z0-9\-]{0,61}[a-z0-9])?"
					title={t.nameHint}
					maxLength={63}
					required
				/>
				<TextField
					mono
					label={t.port}
					title={t.portHint}
					name="port"
					type="number"
					inputMode="numeric"
					min={1}
					max={65535}
					required
				/>
			</div>
			<Field label={t.who}>
				{(ids) => (
					<select {...ids} className="select" name="who">
						<option value="granted">{t.granted}</option>
						<option value="everybody">{t.everybody}</option>
					</select>
				)}
			</Field>
		</Form>
	);
}

function Outcome({ exposed, onClose }: { exposed: Exposed; onClose: () => void }) {
	return (
		<div className="stack tight">
			<StatusDot state={exposed.state === "online" ? "up" : "warn"}>
				{exposed.state === "online" ? t.online : exposed.state}
			</StatusDot>
			{exposed.reason !== null && <p className="muted">{exposed.reason}</p>}
			<Copyable block text={exposed.url} label={t.address} />
			<div className="row end">
				<button type="button" className="button primary" onClick={onClose}>
					{t.ok}
				</button>
			</div>
		</div>
	);
}
