import { ChevronRight, ShieldCheck } from "lucide-react";
import { Link } from "wouter";
import { useAccount } from "../api/hub.ts";
import { self } from "../api/machine.ts";
import { useMachineName } from "../api/warren.tsx";
import { places } from "../shell/navigation.ts";
import { News } from "../shell/news.tsx";
import { t } from "./text/more.ts";

/** What a phone's four tabs have no room for. */
export function MorePage() {
	const account = useAccount();
	const name = useMachineName(self);
	const subs: Readonly<Record<string, string>> = {
		network: t.network,
		access: t.access,
		services: t.services,
		rooms: t.rooms,
		agent: t.agent(name),
		activity: t.activity(name),
		account: account === undefined ? t.noAccount : account.email,
		settings: t.settings,
	};
	const rows = [
		...places
			.filter((place) => !place.tab)
			.map(({ id, label, icon, path, useNews }) => ({
				id,
				label,
				icon,
				href: path(self),
				sub: subs[id] ?? "",
				useNews,
			})),
		{ id: "trust", label: t.trust, icon: ShieldCheck, href: "/trust", sub: t.trustSub, useNews: undefined },
	];
	return (
		<div className="page narrow">
			<header className="page-head">
				<h1>{t.title}</h1>
			</header>
			<ul className="card more-list">
				{rows.map(({ id, label, icon: Icon, href, sub, useNews }) => (
					<li key={id}>
						<Link href={href}>
							<Icon size={20} aria-hidden="true" />
							<span className="grow">
								<span className="more-label">{label}</span>
								<span className="small muted clip">{sub}</span>
							</span>
							{useNews !== undefined && <News machine={self} useNews={useNews} />}
							<ChevronRight size={18} aria-hidden="true" />
						</Link>
					</li>
				))}
			</ul>
		</div>
	);
}
