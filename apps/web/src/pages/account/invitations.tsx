import { useQuery } from "@tanstack/react-query";
import { Mail } from "lucide-react";
import { useState } from "react";
import { useLocation, useSearch } from "wouter";
import { hub } from "../../api/hub.ts";
import type { Invitation } from "../../api/hub-types.ts";
import { reachableOrigin } from "../../api/links.ts";
import { queryClient } from "../../api/warren.tsx";
import { ActionButton } from "../../ui/action-button.tsx";
import { Copyable } from "../../ui/copyable.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Field } from "../../ui/field.tsx";
import { exactInput, Form, SubmitButton, TextField, textOf, useSubmit } from "../../ui/form.tsx";
import { ListSection, MakeRow } from "../../ui/list-section.tsx";
import { QrCode } from "../../ui/qr.tsx";
import { dayOf } from "../../ui/time.ts";
import { toastError } from "../../ui/toast.tsx";
import { t } from "../text/account.ts";

const key = ["hub", "admin", "invitations"];

export function Invitations() {
	const [, navigate] = useLocation();
	const inviting = new URLSearchParams(useSearch()).has("invite");
	const [link, setLink] = useState<string>();
	const list = useQuery({
		queryKey: key,
		queryFn: async ({ signal }) =>
			(await hub.request<{ invitations: Invitation[] }>("/me/invitations", { signal })).invitations,
	});
	const whoOf = (each: Invitation) => each.email ?? t.anybody;
	async function withdraw(each: Invitation) {
		try {
			await hub.request(`/me/invitations/${encodeURIComponent(each.id)}`, { method: "DELETE" });
		} catch (failure) {
			toastError(t.withdrawOf(whoOf(each)), failure);
		}
		await queryClient.invalidateQueries({ queryKey: key });
	}
	return (
		<ListSection
			id="invitations"
			title={t.invitations}
			lead={t.invitationsLead}
			list={list}
			row={(each) => (
				<>
					<Mail size={17} aria-hidden="true" />
					<div className="grow">
						<div className="clip">{whoOf(each)}</div>
						<span className="small faint">
							{t.roles[each.role]} · {t.until(dayOf(each.expiresAt))}
						</span>
					</div>
					<ActionButton aria-label={t.withdrawOf(whoOf(each))} act={() => withdraw(each)}>
						{t.withdraw}
					</ActionButton>
				</>
			)}
		>
			<MakeRow
				label={t.invite}
				onMake={() => navigate("/account?invite")}
				empty={list.data?.length === 0}
				none={t.noInvitations}
			/>
			<Dialog
				open={inviting}
				onClose={() => {
					navigate("/account", { replace: true });
					setLink(undefined);
				}}
				title={t.inviteTitle}
				lead={link === undefined ? t.invitationsLead : t.inviteMade}
			>
				{link === undefined ? (
					<InviteForm onMade={setLink} />
				) : (
					<div className="pairing">
						<QrCode text={link} label={t.inviteQr} />
						<Copyable block text={link} label={t.inviteLink} />
					</div>
				)}
			</Dialog>
		</ListSection>
	);
}

function InviteForm({ onMade }: { onMade: (link: string) => void }) {
	const submission = useSubmit(async (form) => {
		const email = textOf(form, "email");
		const { code, url } = await hub.request<{ code: string; url: string }>("/me/invitations", {
			method: "POST",
			body: { role: textOf(form, "role"), ...(email === "" ? {} : { email }) },
		});
		onMade(`${reachableOrigin(location, url)}/#invitation=${code}`);
		await queryClient.invalidateQueries({ queryKey: key });
	});
	return (
		<Form
			submission={submission}
			action={
				<SubmitButton submission={submission} end>
					{t.makeInvitation}
				</SubmitButton>
			}
		>
			<Field label={t.inviteRole}>
				{(ids) => (
					<select {...ids} className="select" name="role">
						<option value="user">{t.roles.user}</option>
						<option value="admin">{t.roles.admin}</option>
					</select>
				)}
			</Field>
			<TextField
				{...exactInput}
				label={t.inviteEmail}
				hint={t.inviteEmailHint}
				name="email"
				type="email"
				maxLength={254}
			/>
		</Form>
	);
}
