import { useLocation } from "wouter";
import { type MachineId, terminalPath } from "../api/machine.ts";
import type { Session } from "../api/types.ts";
import { api, queryClient, useMachineName } from "../api/warren.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { exactInput, Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
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
	const submission = useSubmit(async (form) => {
		const command = textOf(form, "command");
		const cwd = textOf(form, "cwd");
		await props.onSubmit({
			name: textOf(form, "name"),
			...(command === "" ? {} : { command }),
			...(cwd === "" ? {} : { cwd }),
		});
	});
	const button = (
		<SubmitButton submission={submission} end>
			{props.action}
		</SubmitButton>
	);
	return (
		<Form submission={submission} action={button}>
			<TextField
				{...exactInput}
				label={t.name}
				hint={t.nameHint}
				name="name"
				defaultValue={props.initialName}
				pattern={t.namePattern}
				title={t.nameHint}
				maxLength={64}
				required
			/>
			{props.withCommand && (
				<>
					<TextField {...exactInput} label={t.command} hint={t.commandHint} name="command" mono />
					<TextField {...exactInput} label={t.cwd} hint={t.cwdHint} name="cwd" mono />
				</>
			)}
		</Form>
	);
}
