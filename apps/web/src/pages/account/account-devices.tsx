import { useQuery } from "@tanstack/react-query";
import { Pencil, QrCode, Server, Trash2 } from "lucide-react";
import { useState } from "react";
import { useLocation, useSearch } from "wouter";
import { account, hub } from "../../api/hub.ts";
import type { AccountDevice } from "../../api/hub-types.ts";
import { queryClient } from "../../api/warren.tsx";
import { type OnlineDevice, useOnline } from "../../presence/online.ts";
import { Confirm, Dialog } from "../../ui/dialog.tsx";
import { Form, SubmitButton, TextField, textOf, useSubmit } from "../../ui/form.tsx";
import { Menu, MenuItem } from "../../ui/menu.tsx";
import { ErrorNotice, Skeletons } from "../../ui/states.tsx";
import { StatusDot } from "../../ui/status-dot.tsx";
import { agoOf } from "../../ui/time.ts";
import { t } from "../text/account.ts";
import { PairPhone } from "./pair-phone.tsx";

const key = ["hub", "devices"];
const pathOf = (device: AccountDevice) => `/me/devices/${encodeURIComponent(device.id)}`;

/** Every sign-in of this person, with who is there now. */
export function AccountDevices() {
	const online = useOnline();
	const [, navigate] = useLocation();
	const pairing = new URLSearchParams(useSearch()).has("pair");
	const { data, error, refetch } = useQuery({
		queryKey: [...key, online?.length ?? 0],
		queryFn: async ({ signal }) => (await hub.request<{ devices: AccountDevice[] }>("/me/devices", { signal })).devices,
		placeholderData: (before) => before,
	});
	const others = (online ?? []).filter((each) => each.type !== "client");
	return (
		<section className="section" aria-labelledby="account-devices">
			<header>
				<h2 id="account-devices">{t.devices}</h2>
				<p>{t.devicesLead}</p>
			</header>
			{error !== null && data === undefined && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{data === undefined && error === null && <Skeletons count={2} height={60} label={t.devices} />}
			{data !== undefined && (
				<ul className="card list">
					{data.map((device) => (
						<DeviceRow
							key={device.id}
							device={device}
							online={online === null ? null : online.some((each) => each.sessionDevice === device.id)}
						/>
					))}
				</ul>
			)}
			{others.length > 0 && <Sidecars devices={others} />}
			<div>
				<button type="button" className="button" onClick={() => navigate("/account?pair")}>
					<QrCode size={16} aria-hidden="true" /> {t.pair}
				</button>
			</div>
			<PairPhone
				open={pairing}
				onClose={() => {
					navigate("/account", { replace: true });
					void queryClient.invalidateQueries({ queryKey: key });
				}}
			/>
		</section>
	);
}

function DeviceRow({ device, online }: { device: AccountDevice; online: boolean | null }) {
	const [overlay, setOverlay] = useState<"rename" | "revoke">();
	const close = () => setOverlay(undefined);
	const refresh = () => queryClient.invalidateQueries({ queryKey: key });
	const here = device.current || online === true;
	return (
		<li>
			<div className="grow">
				<div className="row wrap">
					<span className="clip">{device.name}</span>
					{device.current && <span className="tag live">{t.thisDevice}</span>}
				</div>
				<span className="small faint">
					{!here && `${t.seen(agoOf(device.lastSeenAt))} `}
					{device.address !== "" && t.from(device.address)}
				</span>
			</div>
			{(here || online !== null) && (
				<StatusDot state={here ? "up" : "unknown"}>{here ? t.online : t.offline}</StatusDot>
			)}
			<Menu label={t.deviceActions(device.name)}>
				<MenuItem icon={<Pencil size={16} />} onSelect={() => setOverlay("rename")}>
					{t.rename}
				</MenuItem>
				<MenuItem icon={<Trash2 size={16} />} danger onSelect={() => setOverlay("revoke")}>
					{t.revoke}
				</MenuItem>
			</Menu>
			<Dialog open={overlay === "rename"} onClose={close} title={t.renameDevice(device.name)}>
				<RenameForm
					device={device}
					onDone={() => {
						close();
						void refresh();
					}}
				/>
			</Dialog>
			<Confirm
				open={overlay === "revoke"}
				onClose={close}
				title={t.revokeTitle(device.name)}
				action={t.revoke}
				onConfirm={async () => {
					const token = account.get()?.token;
					await hub.request(pathOf(device), { method: "DELETE" });
					if (device.current) account.drop(token);
					await refresh();
				}}
			>
				{device.current ? t.revokeSelf : t.revokeBody}
			</Confirm>
		</li>
	);
}

/** What keeps documents for this person on a machine: no sign-in to revoke, but good to see. */
function Sidecars({ devices }: { devices: readonly OnlineDevice[] }) {
	return (
		<>
			<h3>{t.sidecars}</h3>
			<ul className="card list">
				{devices.map((each) => (
					<li key={each.clientId}>
						<Server size={17} aria-hidden="true" />
						<span className="grow clip">{each.hostname || each.deviceId}</span>
						<StatusDot state="up">{t.online}</StatusDot>
					</li>
				))}
			</ul>
		</>
	);
}

function RenameForm({ device, onDone }: { device: AccountDevice; onDone: () => void }) {
	const submission = useSubmit(async (form) => {
		await hub.request(pathOf(device), { method: "PATCH", body: { name: textOf(form, "name") } });
		onDone();
	});
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{t.save}
				</SubmitButton>
			}
		>
			<TextField label={t.name} name="name" defaultValue={device.name} maxLength={64} autoComplete="off" required />
		</Form>
	);
}
