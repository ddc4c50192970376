import { queryClient } from "../api/warren.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { exactInput, Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { MadeDialog } from "../ui/made-dialog.tsx";
import { QrCode } from "../ui/qr.tsx";
import { type AddedDevice, addDevice, networkKey } from "./network-api.ts";
import { t } from "./text.ts";

/** A phone with the stock WireGuard app: its configuration as a QR code, once. */
export function AddDevice({ open, onClose, endpoint }: { open: boolean; onClose: () => void; endpoint: string }) {
	return (
		<MadeDialog<AddedDevice>
			open={open}
			onClose={onClose}
			title={t.device.title}
			lead={t.device.lead}
			form={(onMade) => <DeviceForm endpoint={endpoint} onMade={onMade} />}
			shown={(device, close) => ({
				title: t.device.madeTitle(device.name),
				lead: t.device.once,
				body: <Made device={device} onDone={close} />,
			})}
		/>
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
