import { useState } from "react";
import type { MachineId } from "../api/machine.ts";
import { api, queryClient } from "../api/warren.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Segments } from "../ui/field.tsx";
import { Form, SubmitButton, TextField, textOf, useSubmit } from "../ui/form.tsx";
import { type Room } from "./api.ts";
import { apiPath } from "./paths.ts";
import { t } from "./text.ts";

type Values = Pick<Room, "name" | "visibility" | "federated">;

export function NewRoom(props: {
	open: boolean;
	machine: MachineId;
	onClose: () => void;
	onMade: (room: string) => void;
}) {
	const { machine } = props;
	return (
		<Dialog open={props.open} onClose={props.onClose} title={t.createTitle}>
			<RoomForm
				action={t.create}
				initial={{ name: "", visibility: "public", federated: false }}
				onSubmit={async (values) => {
					const { room } = await api.request<{ room: Room }>(machine, "/api/rooms", { method: "POST", body: values });
					await queryClient.invalidateQueries({ queryKey: [machine, "rooms"] });
					props.onClose();
					props.onMade(room.id);
				}}
			/>
		</Dialog>
	);
}

export function RoomSettings(props: { open: boolean; machine: MachineId; room: Room; onClose: () => void }) {
	const { machine, room } = props;
	return (
		<Dialog open={props.open} onClose={props.onClose} title={t.settingsTitle(room.name)}>
			<RoomForm
				action={t.save}
				initial={room}
				onSubmit={async (values) => {
					await api.request(machine, apiPath(room.id), { method: "PATCH", body: values });
					await queryClient.invalidateQueries({ queryKey: [machine, "rooms"] });
					props.onClose();
				}}
			/>
		</Dialog>
	);
}

function RoomForm(props: { action: string; initial: Values; onSubmit: (values: Values) => Promise<void> }) {
	const [visibility, setVisibility] = useState(props.initial.visibility);
	const [federated, setFederated] = useState(props.initial.federated);
	const submission = useSubmit((form) =>
		props.onSubmit({ name: textOf(form, "name"), visibility, federated: federated && visibility === "public" }),
	);
	const button = (
		<SubmitButton submission={submission} end>
			{props.action}
		</SubmitButton>
	);
	return (
		<Form submission={submission} action={button}>
			<TextField
				label={t.name}
				hint={t.nameHint}
				name="name"
				defaultValue={props.initial.name}
				maxLength={80}
				autoComplete="off"
				required
			/>
			<div className="field">
				<span className="label">{t.visibility}</span>
				<Segments
					label={t.visibility}
					value={visibility}
					options={[
						["public", t.public],
						["private", t.private],
					]}
					onChange={setVisibility}
				/>
			</div>
			{visibility === "public" && (
				<div className="field">
					<label className="row">
						<input type="checkbox" checked={federated} onChange={(event) => setFederated(event.target.checked)} />
						{t.federate}
					</label>
					<span className="hint">{t.federateHint}</span>
				</div>
			)}
		</Form>
	);
}
