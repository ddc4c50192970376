import { Globe } from "lucide-react";
import { type FormEvent, useState } from "react";
import type { MachineId } from "../api/machine.ts";
import { api, queryClient, useMachineName } from "../api/warren.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Field } from "../ui/field.tsx";
import { ErrorNotice, Notice } from "../ui/states.tsx";
import { type GatewayStatus, useGateway, useRemoteParticipants } from "./api.ts";
import { Meshes } from "./meshes.tsx";
import { t } from "./text.ts";

/** Whether other warrens are reached, and what waits for them; opens what can be done about it. */
export function GatewayChip({ machine }: { machine: MachineId }) {
	const [open, setOpen] = useState(false);
	const { data } = useGateway(machine);
	if (data === undefined) return null;
	const state = data.state === "connected" ? "up" : data.state === "off" ? "unknown" : "down";
	return (
		<>
			<button type="button" className="gateway-chip" data-state={state} onClick={() => setOpen(true)}>
				<Globe size={15} aria-hidden="true" />
				<span>{t.gateway[data.state] ?? data.state}</span>
				{data.meshName !== null && <span className="faint clip">{data.meshName}</span>}
				{data.waiting > 0 && <span className="tag warn">{t.gatewayWaiting(data.waiting)}</span>}
			</button>
			<Dialog open={open} onClose={() => setOpen(false)} title={t.gatewayTitle} lead={t.gatewayLead} wide>
				{open && <Gateway machine={machine} status={data} />}
				{open && data.configured && <Meshes machine={machine} own={data.meshId} />}
			</Dialog>
		</>
	);
}

function Gateway({ machine, status }: { machine: MachineId; status: GatewayStatus }) {
	const name = useMachineName(machine);
	const participants = useRemoteParticipants(machine).data ?? [];
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	async function register(event: FormEvent<HTMLFormElement>) {
		event.preventDefault();
		const form = new FormData(event.currentTarget);
		const invitation = String(form.get("invitation"));
		setBusy(true);
		setFailure(undefined);
		try {
			await api.request(machine, "/api/gateway/register", {
				method: "POST",
				body: {
					name: String(form.get("name")),
					...(status.fixed ? {} : { gatewayUrl: String(form.get("gatewayUrl")) }),
					...(invitation === "" ? {} : { invitation }),
				},
			});
			await queryClient.invalidateQueries({ queryKey: [machine, "gateway"] });
		} catch (thrown) {
			setFailure(thrown);
		}
		setBusy(false);
	}
	return (
		<form className="form" onSubmit={(event) => void register(event)}>
			{status.reason !== null && (
				<Notice tone={status.state === "refused" ? "error" : "warn"} title={t.gateway[status.state] ?? status.state}>
					<span>{status.reason}</span>
				</Notice>
			)}
			<Field label={t.gatewayUrl} hint={status.fixed ? t.fixedByEnvironment : t.gatewayUrlHint}>
				{(ids) => (
					<input
						{...ids}
						className="input mono"
						name="gatewayUrl"
						type="url"
						pattern="wss?://.+"
						defaultValue={status.gatewayUrl}
						disabled={status.fixed}
						required
					/>
				)}
			</Field>
			<Field label={t.meshName}>
				{(ids) => (
					<input
						{...ids}
						className="input"
						name="name"
						defaultValue={status.meshName ?? name}
						maxLength={80}
						required
					/>
				)}
			</Field>
			<Field label={t.invitation} hint={t.invitationHint}>
				{(ids) => (
					<input {...ids} className="input" name="invitation" type="password" autoComplete="off" maxLength={256} />
				)}
			</Field>
			{participants.length > 0 && (
				<div className="stack tight">
					<h3>{t.remote}</h3>
					<ul className="row wrap">
						{participants.map((each) => (
							<li key={`${each.meshId}/${each.id}`} className="tag" title={each.meshId}>
								{each.name} · {each.meshName}
							</li>
						))}
					</ul>
				</div>
			)}
			{failure !== undefined && <ErrorNotice failure={failure} />}
			<div className="row end">
				<button type="submit" className="button primary" disabled={busy} aria-busy={busy}>
					{t.register}
				</button>
			</div>
		</form>
	);
}
