import { useQuery } from "@tanstack/react-query";
import { Link2, Trash2 } from "lucide-react";
import { useState } from "react";
import { hub } from "../../api/hub.ts";
import { type LinkedAccount, useSocialServices } from "../../api/social.ts";
import { queryClient } from "../../api/warren.tsx";
import { Confirm } from "../../ui/dialog.tsx";
import { ListSection } from "../../ui/list-section.tsx";
import { Notice } from "../../ui/states.tsx";
import { dayOf } from "../../ui/time.ts";
import { SocialButtons } from "../social-buttons.tsx";
import { t } from "../text/account.ts";
import { socialRefusal } from "../text/account-entry.ts";

const key = ["hub", "linked"];

/** Accounts of other services that sign this person in. Only where the hub is registered at one. */
export function LinkedAccounts() {
	const services = useSocialServices(hub);
	const [removing, setRemoving] = useState<LinkedAccount>();
	const [refusal] = useState(() => new URLSearchParams(location.search).get("error"));
	const accounts = useQuery({
		queryKey: key,
		queryFn: async ({ signal }) =>
			(await hub.request<LinkedAccount[]>("/auth/list-accounts", { signal })).filter(
				({ providerId }) => providerId !== "credential",
			),
		enabled: services.length > 0,
	});
	if (services.length === 0) return null;
	const nameOf = ({ providerId }: LinkedAccount) => services.find(({ id }) => id === providerId)?.name ?? providerId;
	return (
		<ListSection
			id="linked"
			title={t.linked}
			lead={t.linkedLead}
			list={accounts}
			row={(account) => (
				<>
					<Link2 size={17} aria-hidden="true" />
					<span className="grow clip">{nameOf(account)}</span>
					{account.createdAt && <span className="small faint">{t.keySince(dayOf(Date.parse(account.createdAt)))}</span>}
					<button
						type="button"
						className="icon-button"
						aria-label={t.unlink(nameOf(account))}
						onClick={() => setRemoving(account)}
					>
						<Trash2 size={16} />
					</button>
				</>
			)}
		>
			{refusal !== null && <Notice tone="warn" title={socialRefusal(refusal)} />}
			<div className="row wrap">
				<SocialButtons
					label={t.link}
					purpose="link"
					without={accounts.data?.map(({ providerId }) => providerId) ?? []}
				/>
			</div>
			<Confirm
				open={removing !== undefined}
				onClose={() => setRemoving(undefined)}
				title={t.unlinkTitle(removing === undefined ? "" : nameOf(removing))}
				action={t.remove}
				onConfirm={async () => {
					await hub.request("/auth/unlink-account", { method: "POST", body: { accountId: removing?.id } });
					await queryClient.invalidateQueries({ queryKey: key });
				}}
			>
				{t.unlinkBody}
			</Confirm>
		</ListSection>
	);
}
