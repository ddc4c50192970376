import { type FormEvent, useState } from "react";
import { useLocation } from "wouter";
import { type MachineId, terminalPath } from "../api/machine.ts";
import type { Session } from "../api/types.ts";
import { api, queryClient, useMachineName } from "../api/warren.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Field } from "../ui/field.tsx";
import { ErrorNotice } from "../ui/states.tsx";
import { t } from "./text/terminals.ts";

export function NewSession({ open, machine, onClose }: { open: boolean; machine: MachineId; onClose: () => void }) {
	const [, navigate] = useLocation();
	const machineName = useMachineName(machine);
	return (
		<Dialog open={open} onClose={onClose} title={t.createTitle(machineName)}>
			<SessionForm
				action={t.create}
				initialName=""
				withCommand
				onSubmit={async (values) => {
					const session = await api.request<Session>(machine, "/api/sessions", { method: "POST", body: values });
					await queryClient.invalidateQueries({ queryKey: [machine, "sessions"] });
					navigate(terminalPath(machine, session.id), { replace: true });
				}}
			/>
		</Dialog>
	);
}

export function RenameSession(props: {
	open: boolean;
	machine: MachineId;
	session: Pick<Session, "id" | "name">;
	onClose: () => void;
}) {
	return (
		<Dialog open={props.open} onClose={props.onClose} title={t.renameTitle(props.session.name)}>
			<SessionForm
				action={t.rename}
				initialName={props.session.name}
				onSubmit={async ({ name }) => {
					await api.request(props.machine, `/api/sessions/${encodeURIComponent(props.session.id)}`, {
						method: "PATCH",
						body: { name },
					});
					await queryClient.invalidateQueries({ queryKey: [props.machine, "sessions"] });
					props.onClose();
				}}
			/>
		</Dialog>
	);
}

interface SessionValues {
	name: string;
	command?: string;
	cwd?: string;
}

function SessionForm(props: {
	action: string;
	initialName: string;
	withCommand?: boolean;
	onSubmit: (values: SessionValues) => Promise<void>;
}) {
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	async function submit(event: FormEvent<HTMLFormElement>) {
		event.preventDefault();
		const form = new FormData(event.currentTarget);
		const command = String(form.get("command") ?? "").trim();
		const cwd = String(form.get("cwd") ?? "").trim();
		setBusy(true);
		setFailure(undefined);
		try {
			await props.onSubmit({
				name: String(form.get("name")).trim(),
				...(command === "" ? {} : { command }),
				...(cwd === "" ? {} : { cwd }),
			});
		} catch (thrown) {
			setFailure(thrown);
			setBusy(false);
		}
	}
	return (
		<form className="form" onSubmit={(event) => void submit(event)}>
			<Field label={t.name} hint={t.nameHint}>
				{(ids) => (
					<input
						{...ids}
						className="input"
						name="name"
						defaultValue={props.initialName}
						pattern={t.namePattern}
						title={t.nameHint}
						maxLength={64}
						autoCapitalize="none"
						autoComplete="off"
						spellCheck={false}
						required
					/>
				)}
			</Field>
			{props.withCommand && (
				<>
					<Field label={t.command} hint={t.commandHint}>
						{(ids) => (
							<input
								{...ids}
								className="input mono"
								name="command"
								autoCapitalize="none"
								autoComplete="off"
								spellCheck={false}
							/>
						)}
					</Field>
					<Field label={t.cwd} hint={t.cwdHint}>
						{(ids) => (
							<input
								{...ids}
								className="input mono"
								name="cwd"
								autoCapitalize="none"
								autoComplete="off"
								spellCheck={false}
							/>
						)}
					</Field>
				</>
			)}
			{failure !== undefined && <ErrorNotice failure={failure} />}
			<div className="row end">
				<button type="submit" className="button primary" disabled={busy}>
					{props.action}
				</button>
			</div>
		</form>
	);
}
