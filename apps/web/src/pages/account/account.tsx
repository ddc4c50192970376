import { useAccount, useProfile } from "../../api/hub.ts";
import { ErrorNotice, Skeletons } from "../../ui/states.tsx";
import { t } from "../text/account.ts";
import { AccountDevices } from "./account-devices.tsx";
import { ApiKeys } from "./api-keys.tsx";
import { Invitations } from "./invitations.tsx";
import { LinkedAccounts } from "./linked-accounts.tsx";
import { Passkeys } from "./passkeys.tsx";
import { Password } from "./password.tsx";
import { People } from "./people.tsx";
import { Profile } from "./profile.tsx";
import { TwoFactor } from "./two-factor.tsx";

/** A person at the hub: who they are, how they prove it, and where they are signed in. */
export function AccountPage() {
	const account = useAccount();
	const profile = useProfile();
	const person = profile.data?.user;
	return (
		<div className="page narrow">
			<header className="page-head">
				<h1>{t.title}</h1>
			</header>
			{profile.isError && person === undefined && (
				<>
					<ErrorNotice failure={profile.error} onRetry={() => void profile.refetch()} />
					<p className="muted">
						{t.away} {account?.name}, {account?.email}
					</p>
				</>
			)}
			{profile.isPending && <Skeletons count={4} height={96} label={t.title} />}
			{person !== undefined && (
				<>
					<Profile person={person} />
					<AccountDevices />
					<Password email={person.email} />
					<TwoFactor on={person.twoFactor} />
					<Passkeys />
					<LinkedAccounts />
					<ApiKeys />
					{person.admin && <People own={person.id} />}
					{person.admin && <Invitations />}
				</>
			)}
		</div>
	);
}
