import { useQuery } from "@tanstack/react-query";
import { Ban, CircleCheck, Trash2, UserCog } from "lucide-react";
import { useState } from "react";
import { hub } from "../../api/hub.ts";
import type { Person } from "../../api/hub-types.ts";
import { queryClient } from "../../api/warren.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { Menu, MenuItem, MenuSeparator } from "../../ui/menu.tsx";
import { ErrorNotice, Skeletons } from "../../ui/states.tsx";
import { toastError } from "../../ui/toast.tsx";
import { t } from "../text/account.ts";

type ListedPerson = Pick<Person, "id" | "name" | "email" | "role"> & { banned?: boolean | null };

const key = ["hub", "admin", "people"];
const maxListed = 500;

/** Everybody's account, for administrators. Nobody touches the owner's. */
export function People({ own }: { own: string }) {
	const { data, error, refetch } = useQuery({
		queryKey: key,
		queryFn: async ({ signal }) =>
			(await hub.request<{ users: ListedPerson[] }>(`/auth/admin/list-users?limit=${maxListed}`, { signal })).users,
	});
	return (
		<section className="section" aria-labelledby="people">
			<header>
				<h2 id="people">{t.people}</h2>
				<p>{t.peopleLead}</p>
			</header>
			{error !== null && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
			{data === undefined && error === null && <Skeletons count={1} height={60} label={t.people} />}
			{data !== undefined && (
				<ul className="card list">
					{data.map((person) => (
						<PersonRow key={person.id} person={person} own={own === person.id} />
					))}
				</ul>
			)}
		</section>
	);
}

function PersonRow({ person, own }: { person: ListedPerson; own: boolean }) {
	const [asking, setAsking] = useState<"block" | "remove">();
	const act = async (what: string, body: Record<string, unknown> = {}) => {
		await hub.request(`/auth/admin/${what}`, { method: "POST", body: { userId: person.id, ...body } });
		await queryClient.invalidateQueries({ queryKey: ["hub", "admin"] });
		await queryClient.invalidateQueries({ queryKey: ["hub", "people"] });
	};
	const tell = (done: Promise<void>) => void done.catch((failure) => toastError(person.name, failure));
	const banned = person.banned === true;
	return (
		<li>
			<div className="grow">
				<div className="row wrap">
					<span className="clip">{person.name}</span>
					<span className="tag">{t.roles[person.role] ?? person.role}</span>
					{own && <span className="tag live">{t.you}</span>}
					{banned && <span className="tag danger">{t.blocked}</span>}
				</div>
				<span className="small faint clip">{person.email}</span>
			</div>
			{!own && person.role !== "owner" && (
				<Menu label={t.personActions(person.name)}>
					<MenuItem
						icon={<UserCog size={16} />}
						onSelect={() => tell(act("set-role", { role: person.role === "admin" ? "user" : "admin" }))}
					>
						{person.role === "admin" ? t.makeMember : t.makeAdmin}
					</MenuItem>
					<MenuSeparator />
					{banned ? (
						<MenuItem icon={<CircleCheck size={16} />} onSelect={() => tell(act("unban-user"))}>
							{t.unblock}
						</MenuItem>
					) : (
						<MenuItem icon={<Ban size={16} />} danger onSelect={() => setAsking("block")}>
							{t.block}
						</MenuItem>
					)}
					<MenuItem icon={<Trash2 size={16} />} danger onSelect={() => setAsking("remove")}>
						{t.removePerson}
					</MenuItem>
				</Menu>
			)}
			<Confirm
				open={asking === "block"}
				onClose={() => setAsking(undefined)}
				title={t.blockTitle(person.name)}
				action={t.block}
				onConfirm={() => act("ban-user")}
			>
				{t.blockBody}
			</Confirm>
			<Confirm
				open={asking === "remove"}
				onClose={() => setAsking(undefined)}
				title={t.removePersonTitle(person.name)}
				action={t.removePerson}
				onConfirm={() => act("remove-user")}
			>
				{t.removePersonBody}
			</Confirm>
		</li>
	);
}
