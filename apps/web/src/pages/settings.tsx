import { useQuery } from "@tanstack/react-query";
import { CircleAlert, Info, Minus, Plus, TriangleAlert } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Link } from "wouter";
import { basic } from "../api/client.ts";
import { self, terminalsPath } from "../api/machine.ts";
import type { Device, Status } from "../api/types.ts";
import { api, credentials, queryClient, useCredential, useMachineName, useStatus } from "../api/warren.tsx";
import { removeOfflineCopy } from "../pwa/register.ts";
import { askForNotifications } from "../shell/notifications.ts";
import { fontSizes, setPreferences, usePreferences } from "../shell/preferences.ts";
import { Copyable } from "../ui/copyable.tsx";
import { Confirm } from "../ui/dialog.tsx";
import { Field, Segments } from "../ui/field.tsx";
import { ErrorNotice, Notice, Skeletons } from "../ui/states.tsx";
import { agoOf, bytesOf, dayOf, spanOf } from "../ui/time.ts";
import { toast } from "../ui/toast.tsx";
import { t } from "./text/settings.ts";

export function SettingsPage() {
	const status = useStatus(self);
	return (
		<div className="page narrow">
			<header className="page-head">
				<h1>{t.title}</h1>
			</header>
			<Health status={status.data} />
			<Look />
			<Notifications />
			<Devices />
			<OtherMachines />
			<ChangePin />
			{status.isPending && <Skeletons count={3} height={40} label={t.about} />}
			{status.isError && status.data === undefined && (
				<ErrorNotice failure={status.error} onRetry={() => void status.refetch()} />
			)}
			{status.data !== undefined && <About status={status.data} />}
			<OfflineCopy />
		</div>
	);
}

function Health({ status }: { status: Status | undefined }) {
	const conditions = status?.health.conditions ?? [];
	if (conditions.length === 0) return null;
	return (
		<section className="section" aria-labelledby="health">
			<header>
				<h2 id="health">{t.health}</h2>
			</header>
			{conditions.map((condition) => {
				const Icon =
					condition.severity === "error" ? CircleAlert : condition.severity === "warning" ? TriangleAlert : Info;
				const tone = condition.severity === "error" ? "error" : condition.severity === "warning" ? "warn" : "plain";
				return (
					<div key={`${condition.code}/${condition.subject}`} className={`notice ${tone}`}>
						<Icon size={18} aria-hidden="true" />
						<div className="body">
							<span className="title">{condition.title}</span>
							<span>{condition.advice}</span>
							<span className="code">
								<span className="mono">{condition.code}</span> · {agoOf(condition.since)}
							</span>
						</div>
					</div>
				);
			})}
		</section>
	);
}

function Look() {
	const { theme, terminalTheme, terminalFontSize, screenReader } = usePreferences();
	const setFont = (by: number) =>
		setPreferences({ terminalFontSize: Math.min(fontSizes.max, Math.max(fontSizes.min, terminalFontSize + by)) });
	return (
		<section className="section" aria-labelledby="look">
			<header>
				<h2 id="look">{t.look}</h2>
			</header>
			<ul className="card list settings">
				<li>
					<span className="grow">{t.theme}</span>
					<Segments
						label={t.theme}
						value={theme}
						options={[
							["system", t.themes.system],
							["light", t.themes.light],
							["dark", t.themes.dark],
						]}
						onChange={(next) => setPreferences({ theme: next })}
					/>
				</li>
				<li>
					<span className="grow">
						{t.terminal}: {t.terminalTheme.toLowerCase()}
					</span>
					<Segments
						label={t.terminalTheme}
						value={terminalTheme}
						options={[
							["match", t.terminalThemes.match],
							["light", t.terminalThemes.light],
							["dark", t.terminalThemes.dark],
						]}
						onChange={(next) => setPreferences({ terminalTheme: next })}
					/>
				</li>
				<li>
					<span className="grow">
						{t.terminal}: {t.fontSize.toLowerCase()}
					</span>
					<button type="button" className="icon-button" aria-label={t.smaller} onClick={() => setFont(-1)}>
						<Minus size={16} />
					</button>
					<output className="font-size">{terminalFontSize} px</output>
					<button type="button" className="icon-button" aria-label={t.larger} onClick={() => setFont(1)}>
						<Plus size={16} />
					</button>
				</li>
				<li>
					<label className="grow row" htmlFor="screen-reader">
						<span className="grow">{t.screenReader}</span>
						<input
							id="screen-reader"
							type="checkbox"
							className="check"
							checked={screenReader}
							onChange={(event) => setPreferences({ screenReader: event.target.checked })}
						/>
					</label>
				</li>
			</ul>
		</section>
	);
}

function Notifications() {
	const { notifications } = usePreferences();
	const [denied, setDenied] = useState(false);
	if (!("Notification" in window)) return null;
	return (
		<section className="section" aria-labelledby="notifications">
			<header>
				<h2 id="notifications">{t.notifications}</h2>
				<p>{t.notificationsLead}</p>
			</header>
			<div className="card list settings">
				<label className="setting-line" htmlFor="notify">
					<span className="grow">{t.notificationsOn}</span>
					<input
						id="notify"
						type="checkbox"
						className="check"
						checked={notifications}
						onChange={async (event) => {
							const wanted = event.target.checked;
							const granted = wanted && (await askForNotifications());
							setDenied(wanted && !granted);
							setPreferences({ notifications: granted });
						}}
					/>
				</label>
			</div>
			{denied && <Notice tone="warn" title={t.notificationsDenied} />}
		</section>
	);
}

function Devices() {
	const name = useMachineName(self);
	const [revoking, setRevoking] = useState<Device>();
	const own = useCredential(self)?.deviceId;
	const devices = useQuery({
		queryKey: [self, "devices"],
		queryFn: ({ signal }) => api.request<{ devices: Device[] }>(self, "/api/devices", { signal }),
	});
	const isOwn = (device: Device) => device.current ?? device.id === own;
	return (
		<section className="section" aria-labelledby="devices">
			<header>
				<h2 id="devices">{t.devices}</h2>
				<p>{t.devicesLead(name)}</p>
			</header>
			{devices.isError && <ErrorNotice failure={devices.error} onRetry={() => void devices.refetch()} />}
			{devices.isPending && <Skeletons count={2} height={52} label={t.devices} />}
			{devices.data !== undefined && (
				<ul className="card list">
					{devices.data.devices.map((device) => (
						<li key={device.id}>
							<div className="grow">
								<div className="row wrap">
									<span>{device.name}</span>
									{isOwn(device) && <span className="tag live">{t.thisDevice}</span>}
								</div>
								<span className="small faint">
									{t.deviceMade(dayOf(device.createdAt))}
									{device.lastSeenAt !== undefined &&
										device.lastSeenAt !== null &&
										` · ${t.deviceSeen(agoOf(device.lastSeenAt))}`}
								</span>
							</div>
							<button
								type="button"
								className="button danger"
								aria-label={`${t.revoke} ${device.name}`}
								onClick={() => setRevoking(device)}
							>
								{t.revoke}
							</button>
						</li>
					))}
				</ul>
			)}
			<Confirm
				open={revoking !== undefined}
				onClose={() => setRevoking(undefined)}
				title={t.revokeTitle(revoking?.name ?? "")}
				action={t.revoke}
				onConfirm={async () => {
					if (revoking === undefined) return;
					await api.request(self, `/api/devices/${encodeURIComponent(revoking.id)}`, { method: "DELETE" });
					if (isOwn(revoking)) credentials.drop(self);
					await queryClient.invalidateQueries({ queryKey: [self, "devices"] });
				}}
			>
				{revoking !== undefined && isOwn(revoking) ? t.revokeSelfBody : t.revokeBody}
			</Confirm>
		</section>
	);
}

function OtherMachines() {
	// Read again whenever the own credential changes, and after each forgetting.
	const [, setVersion] = useState(0);
	const others = credentials.all().filter(([machine]) => machine !== self);
	if (others.length === 0) return null;
	return (
		<section className="section" aria-labelledby="others">
			<header>
				<h2 id="others">{t.otherMachines}</h2>
				<p>{t.otherMachinesLead}</p>
			</header>
			<ul className="card list">
				{others.map(([machine, credential]) => (
					<li key={machine}>
						<Link className="grow" href={terminalsPath(machine)}>
							{credential.machineName}
						</Link>
						<span className="small faint">{t.deviceMade(dayOf(credential.savedAt))}</span>
						<button
							type="button"
							className="button"
							aria-label={`${t.forget} ${credential.machineName}`}
							onClick={() => {
								credentials.drop(machine);
								setVersion((now) => now + 1);
							}}
						>
							{t.forget}
						</button>
					</li>
				))}
			</ul>
		</section>
	);
}

function ChangePin() {
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	async function submit(event: FormEvent<HTMLFormElement>) {
		event.preventDefault();
		const element = event.currentTarget;
		const form = new FormData(element);
		setBusy(true);
		setFailure(undefined);
		try {
			await api.request(self, "/api/credentials", {
				method: "PUT",
				body: { user: String(form.get("newUser")).trim(), pin: String(form.get("newPin")) },
				authorization: basic(String(form.get("user")), String(form.get("pin"))),
			});
			element.reset();
			toast.add({ title: t.changed, type: "info" });
		} catch (thrown) {
			setFailure(thrown);
		} finally {
			setBusy(false);
		}
	}
	return (
		<section className="section" aria-labelledby="pin">
			<header>
				<h2 id="pin">{t.pin}</h2>
				<p>{t.pinLead}</p>
			</header>
			<form className="card padded form pairs" onSubmit={(event) => void submit(event)}>
				<Field label={t.currentUser}>
					{(ids) => (
						<input {...ids} className="input" name="user" autoComplete="username" autoCapitalize="none" required />
					)}
				</Field>
				<Field label={t.currentPin}>
					{(ids) => (
						<input {...ids} className="input" name="pin" type="password" autoComplete="current-password" required />
					)}
				</Field>
				<Field label={t.newUser}>
					{(ids) => (
						<input
							{...ids}
							className="input"
							name="newUser"
							autoComplete="off"
							autoCapitalize="none"
							maxLength={64}
							required
						/>
					)}
				</Field>
				<Field label={t.newPin}>
					{(ids) => (
						<input
							{...ids}
							className="input"
							name="newPin"
							type="password"
							autoComplete="new-password"
							minLength={6}
							required
						/>
					)}
				</Field>
				{failure !== undefined && <ErrorNotice failure={failure} />}
				<div className="row end">
					<button type="submit" className="button" disabled={busy}>
						{t.change}
					</button>
				</div>
			</form>
		</section>
	);
}

function About({ status }: { status: Status }) {
	const { node, process, roles } = status;
	return (
		<section className="section" aria-labelledby="about">
			<header>
				<h2 id="about">{t.about}</h2>
			</header>
			<dl className="card facts">
				<dt>{t.name}</dt>
				<dd>{node.name}</dd>
				<dt>{t.version}</dt>
				<dd>
					<span className="mono">{node.version}</span>
					{node.version !== __WARREN_VERSION__ && (
						<span className="faint">
							{" "}
							· {t.pageVersion} <span className="mono">{__WARREN_VERSION__}</span>
						</span>
					)}
				</dd>
				<dt>{t.address}</dt>
				<dd>
					<Copyable text={node.url} label="address" />
				</dd>
				{node.fingerprint && (
					<>
						<dt>{t.fingerprint}</dt>
						<dd>
							<Copyable text={node.fingerprint} label="fingerprint" />
						</dd>
					</>
				)}
				<dt>{t.uptime}</dt>
				<dd>{spanOf(process.uptimeMs)}</dd>
				<dt>{t.memory}</dt>
				<dd>{bytesOf(process.memoryBytes)}</dd>
				<dt>{t.roles}</dt>
				<dd className="row wrap">
					{roles.map((role) => (
						<span key={role.name} className={role.state === "restarting" ? "tag warn" : "tag"} title={role.error}>
							{role.name}: {role.state}
						</span>
					))}
				</dd>
			</dl>
			<div className="row wrap">
				<Link className="button" href="/trust">
					{t.trust}
				</Link>
				<button type="button" className="button danger" onClick={() => void signOut()}>
					{t.signOut}
				</button>
			</div>
		</section>
	);
}

/** Revokes this browser's own token, and forgets it even when the machine is away. */
async function signOut(): Promise<void> {
	const own = credentials.get(self);
	if (own === undefined) return;
	await api
		.request(self, `/api/devices/${encodeURIComponent(own.deviceId)}`, { method: "DELETE" })
		.catch(() => undefined);
	credentials.drop(self);
	queryClient.clear();
}

function OfflineCopy() {
	if (!("serviceWorker" in navigator)) return null;
	return (
		<section className="section" aria-labelledby="offline">
			<header>
				<h2 id="offline">{t.offline}</h2>
				<p>{t.offlineLead}</p>
			</header>
			<div>
				<button type="button" className="button" onClick={() => void removeOfflineCopy().then(() => location.reload())}>
					{t.offlineRemove}
				</button>
			</div>
		</section>
	);
}
