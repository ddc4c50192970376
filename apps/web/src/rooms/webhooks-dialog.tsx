import { useQuery } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import type { MachineId } from "../api/machine.ts";
import { api } from "../api/warren.tsx";
import { ActionButton, useBusy } from "../ui/action-button.tsx";
import { Copyable } from "../ui/copyable.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Field } from "../ui/field.tsx";
import { ErrorNotice } from "../ui/states.tsx";
import { type Room } from "./api.ts";
import { apiPath } from "./paths.ts";
import { t } from "./text.ts";

interface Hook {
	id: string;
	name: string;
	createdAt: number;
}

export function WebhooksDialog(props: { open: boolean; machine: MachineId; room: Room; onClose: () => void }) {
	return (
		<Dialog open={props.open} onClose={props.onClose} title={t.webhooksTitle(props.room.name)} lead={t.webhooksLead}>
			{props.open && <Hooks machine={props.machine} room={props.room} />}
		</Dialog>
	);
}

function Hooks({ machine, room }: { machine: MachineId; room: Room }) {
	const path = apiPath(room.id, "/webhooks");
	const [failure, setFailure] = useState<unknown>();
	const [made, setMade] = useState<{ token: string; path: string }>();
	const { data, error, refetch } = useQuery({
		queryKey: [machine, "room-webhooks", room.id],
		queryFn: async ({ signal }) => (await api.request<{ webhooks: Hook[] }>(machine, path, { signal })).webhooks,
	});
	const [busy, work] = useBusy();
	async function attempt(what: () => Promise<void>) {
		setFailure(undefined);
		try {
			await what();
			await refetch();
		} catch (thrown) {
			setFailure(thrown);
		}
	}
	function create(event: FormEvent<HTMLFormElement>) {
		event.preventDefault();
		const form = event.currentTarget;
		const name = String(new FormData(form).get("name")).trim();
		void work(() =>
			attempt(async () => {
				setMade(await api.request(machine, path, { method: "POST", body: { name } }));
				form.reset();
			}),
		);
	}
	const trouble = failure ?? error ?? undefined;
	return (
		<div className="stack">
			{data?.length === 0 && <p className="muted">{t.noWebhooks}</p>}
			<ul className="stack tight">
				{data?.map((hook) => (
					<li key={hook.id} className="row">
						<span className="grow clip">{hook.name}</span>
						<ActionButton
							className="icon-button"
							aria-label={`${t.remove} ${hook.name}`}
							act={() =>
								attempt(async () => {
									await api.request(machine, `${path}/${hook.id}`, { method: "DELETE" });
									setMade(undefined);
								})
							}
						>
							<Trash2 size={16} />
						</ActionButton>
					</li>
				))}
			</ul>
			{made !== undefined && (
				<div className="stack tight">
					<span className="label">{t.webhookUrl}</span>
					<Copyable block label={t.webhookUrl} text={`${location.origin}${made.path}`} />
					<span className="label">{t.webhookToken}</span>
					<Copyable block label={t.webhookToken} text={made.token} />
				</div>
			)}
			{trouble !== undefined && <ErrorNotice failure={trouble} />}
			<form className="form" onSubmit={create}>
				<Field label={t.webhookName}>
					{(ids) => <input {...ids} className="input" name="name" maxLength={80} autoComplete="off" required />}
				</Field>
				<div className="row end">
					<button type="submit" className="button primary" disabled={busy} aria-busy={busy}>
						{t.webhookCreate}
					</button>
				</div>
			</form>
		</div>
	);
}
