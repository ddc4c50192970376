import { useQuery } from "@tanstack/react-query";
import { X } from "lucide-react";
import { hub, useAccount } from "../api/hub.ts";
import type { MachineId } from "../api/machine.ts";
import { api, queryClient } from "../api/warren.tsx";
import { ActionButton } from "../ui/action-button.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Field } from "../ui/field.tsx";
import { Form, SubmitButton, textOf, useSubmit } from "../ui/form.tsx";
import { ErrorNotice, Skeletons } from "../ui/states.tsx";
import { toastError } from "../ui/toast.tsx";
import { type Room } from "./api.ts";
import { apiPath } from "./paths.ts";
import { t } from "./text.ts";

interface Member {
	member: string;
	name: string;
}

/** Who is in a room; its maker lets others into a private one. */
export function MembersDialog(props: { open: boolean; machine: MachineId; room: Room; onClose: () => void }) {
	const { room } = props;
	const lead = room.visibility === "private" ? t.membersPrivateLead : t.membersPublicLead;
	return (
		<Dialog open={props.open} onClose={props.onClose} title={t.membersTitle(room.name)} lead={lead}>
			{props.open && <Members machine={props.machine} room={room} />}
		</Dialog>
	);
}

function Members({ machine, room }: { machine: MachineId; room: Room }) {
	const key = [machine, "rooms", "members", room.id];
	const { data, error, refetch } = useQuery({
		queryKey: key,
		queryFn: async ({ signal }) =>
			(await api.request<{ members: Member[] }>(machine, apiPath(room.id, "/members"), { signal })).members,
	});
	const change = async (member: string, method: "PUT" | "DELETE", body?: object) => {
		const path = apiPath(room.id, `/members/${encodeURIComponent(member)}`);
		await api.request(machine, path, { method, ...(body === undefined ? {} : { body }) });
		await queryClient.invalidateQueries({ queryKey: [machine, "rooms"] });
	};
	if (error !== null) return <ErrorNotice failure={error} onRetry={() => void refetch()} />;
	if (data === undefined) return <Skeletons count={2} height={40} label={t.members(room.members)} />;
	return (
		<div className="stack">
			<ul className="stack tight">
				{data.map(({ member, name }) => (
					<li key={member} className="row">
						<span className="grow clip">{name}</span>
						{member === "owner" && <span className="tag">{t.ownerOf}</span>}
						{member === room.createdBy && <span className="tag">{t.maker}</span>}
						{member !== room.createdBy && (
							<ActionButton
								className="icon-button"
								aria-label={`${t.remove} ${name}`}
								act={() => change(member, "DELETE").catch((failure) => toastError(name, failure))}
							>
								<X size={16} />
							</ActionButton>
						)}
					</li>
				))}
			</ul>
			<AddMember members={data} onAdd={({ member, name }) => change(member, "PUT", { name })} />
		</div>
	);
}

/** People of the hub, and this machine's owner; whoever has no account here cannot be let in by name. */
function AddMember(props: { members: readonly Member[]; onAdd: (member: Member) => Promise<void> }) {
	const signedIn = useAccount() !== undefined;
	const people = useQuery({
		queryKey: ["hub", "people"],
		queryFn: async ({ signal }) =>
			(await hub.request<{ people: { id: string; name: string }[] }>("/me/people", { signal })).people,
		enabled: signedIn,
	});
	const known = [
		{ member: "owner", name: t.ownerName },
		...(people.data ?? []).map(({ id, name }) => ({ member: `user:${id}`, name })),
	];
	const candidates = known.filter((each) => !props.members.some(({ member }) => member === each.member));
	const submission = useSubmit(async (form, element) => {
		const chosen = candidates.find((each) => each.member === textOf(form, "member"));
		if (chosen === undefined) return;
		await props.onAdd(chosen);
		element.reset();
	});
	if (candidates.length === 0) return <p className="muted">{signedIn ? t.allAreIn : t.peopleNeedAccount}</p>;
	const button = (
		<SubmitButton submission={submission} end>
			{t.addMember}
		</SubmitButton>
	);
	return (
		<Form submission={submission} action={button}>
			<Field label={t.person} {...(signedIn ? {} : { hint: t.peopleNeedAccount })}>
				{(ids) => (
					<select {...ids} className="select" name="member" required defaultValue="">
						<option value="" disabled>
							{t.choosePerson}
						</option>
						{candidates.map(({ member, name }) => (
							<option key={member} value={member}>
								{name}
							</option>
						))}
					</select>
				)}
			</Field>
		</Form>
	);
}
