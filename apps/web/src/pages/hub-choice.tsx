import { ScanQrCode } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useDiscovery, useHubRole } from "../api/hub.ts";
import { cloudUrl, hubModeOf, parseHubAddress } from "../api/hub-mode.ts";
import { CodeScanner, useCanScan } from "../ui/code-scanner.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { exactInput, Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { t } from "./text/hub-choice.ts";

/** Which hub this page signs in to, and the way to another: the built-in one where there is one, or a typed address. */
export function HubChoice() {
	const [open, setOpen] = useState(false);
	return (
		<div className="hub-choice">
			<HubName />
			<button type="button" className="link" onClick={() => setOpen(true)}>
				{t.another}
			</button>
			<OtherHub open={open} onClose={() => setOpen(false)} />
		</div>
	);
}

export function HubName() {
	const role = useHubRole();
	const name = useDiscovery().data?.name ?? location.host;
	if (hubModeOf(location.origin) === "cloud") return <span className="tag">{t.cloud}</span>;
	return (
		<span className="row wrap small">
			<span className="tag">{t.selfHosted}</span>
			<span className="muted">{role === "member" ? t.reached(name) : t.at(name)}</span>
		</span>
	);
}

/** @param children what somebody who is signed in here does first. */
export function OtherHub({ open, onClose, children }: { open: boolean; onClose: () => void; children?: ReactNode }) {
	const canScan = useCanScan();
	const [scanning, setScanning] = useState(false);
	// The camera is off as soon as this is closed.
	const isScanning = open && scanning;
	const submission = useSubmit(async (form) => {
		const url = parseHubAddress(textOf(form, "hub"));
		if (url === null) throw new Error(t.bad);
		location.assign(url);
	});
	return (
		<Dialog
			open={open}
			onClose={() => {
				setScanning(false);
				onClose();
			}}
			title={t.title}
			lead={t.lead}
		>
			{children}
			{cloudUrl !== "" && hubModeOf(location.origin) !== "cloud" && (
				<>
					<a className="button primary" href={cloudUrl}>
						{t.useCloud}
					</a>
					<p className="small muted">{t.orOwn}</p>
				</>
			)}
			{isScanning && (
				<CodeScanner
					label={t.camera}
					onCode={(text) => {
						const url = parseHubAddress(text);
						if (url !== null) location.assign(url);
						return url !== null;
					}}
				/>
			)}
			{canScan && !isScanning && (
				<button type="button" className="button" onClick={() => setScanning(true)}>
					<ScanQrCode size={16} aria-hidden="true" /> {t.scan}
				</button>
			)}
			<Form
				submission={submission}
				action={
					<SubmitButton submission={submission} end>
						{t.open}
					</SubmitButton>
				}
			>
				<TextField
					{...exactInput}
					mono
					label={t.address}
					hint={t.addressHint}
					name="hub"
					inputMode="url"
					maxLength={500}
					required
				/>
			</Form>
		</Dialog>
	);
}
