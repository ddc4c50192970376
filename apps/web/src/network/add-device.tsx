import { useState } from "react";
import { queryClient } from "../api/warren.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { exactInput, Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { QrCode } from "../ui/qr.tsx";
import { type AddedDevice, addDevice, networkKey } from "./network-api.ts";
import { t } from "./text.ts";

/** A phone with the stock WireGuard app: its configuration as a QR code, once. */
export function AddDevice({ open, onClose, endpoint }: { open: boolean; onClose: () => void; endpoint: string }) {
	const [made, setMade] = useState<AddedDevice>();
	const close = () => {
		setMade(undefined);
		onClose();
	};
	return (
		<Dialog
			open={open}
			onClose={close}
			title={made === undefined ? t.device.title : t.device.madeTitle(made.name)}
			lead={made === undefined ? t.device.lead : t.device.once}
		>
			{made === undefined ? <DeviceForm endpoint={endpoint} onMade={setMade} /> : <Made device={made} onDone={close} />}
		</Dialog>
	);
}

function DeviceForm({ endpoint, onMade }: { endpoint: string; onMade: (device: AddedDevice) => void }) {
	const submission = useSubmit(async (form) => {
		const device = await addDevice(textOf(form, "name"), textOf(form, "endpoint"));
		onMade(device);
		await queryClient.invalidateQueries({ queryKey: networkKey });
	});
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{t.device.submit}
				</SubmitButton>
			}
		>
			<TextField label={t.device.name} name="name" autoComplete="off" maxLength={80} required />
			<TextField
				{...exactInput}
				mono
				label={t.device.endpoint}
				hint={t.device.endpointHint}
				name="endpoint"
				maxLength={64}
				defaultValue={endpoint}
			/>
		</Form>
	);
}

function Made({ device, onDone }: { device: AddedDevice; onDone: () => void }) {
	return (
		<div className="pairing dense">
			<QrCode text={device.config} label={t.device.qr(device.name)} />
			<details className="other-way">
				<summary>{t.device.asText}</summary>
				<Copyable block text={device.config} label={t.device.config} />
			</details>
			<div className="row end">
				<button type="button" className="button primary" onClick={onDone}>
					{t.device.done}
				</button>
			</div>
		</div>
	);
}
