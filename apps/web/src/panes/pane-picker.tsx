import { Plus, SquareTerminal } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { type MachineId, self, terminalsPath } from "../api/machine.ts";
import type { Session } from "../api/types.ts";
import { api, queryClient, useCredential, useMachineName, usePeers, useSessions } from "../api/warren.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { ErrorNotice, Skeletons } from "../ui/states.tsx";
import { keyOf, type Pane } from "./pane-tree.ts";
import { t } from "./text.ts";

/** Which terminal comes beside: of this machine or any other. */
export function PanePicker(props: {
	open: boolean;
	/** In view already. */
	shown: readonly Pane[];
	onPick: (pane: Pane) => void;
	onClose: () => void;
}) {
	const peers = usePeers().data?.peers ?? [];
	return (
		<Dialog open={props.open} onClose={props.onClose} title={t.pickTitle} lead={t.pickLead}>
			{props.open &&
				[self, ...peers.filter((peer) => peer.reachable).map((peer) => peer.id)].map((machine) => (
					<MachineSessions key={machine} machine={machine} shown={props.shown} onPick={props.onPick} />
				))}
		</Dialog>
	);
}

function MachineSessions(props: { machine: MachineId; shown: readonly Pane[]; onPick: (pane: Pane) => void }) {
	const { machine, onPick } = props;
	const name = useMachineName(machine);
	const signedIn = useCredential(machine) !== undefined;
	const { data, error, isPending, refetch } = useSessions(machine);
	const [busy, setBusy] = useState(false);
	const [failure, setFailure] = useState<unknown>();
	const shown = new Set(props.shown.map(keyOf));
	async function create() {
		setBusy(true);
		setFailure(undefined);
		try {
			const made = await api.request<Session>(machine, "/api/sessions", {
				method: "POST",
				body: { name: freeName(data?.sessions ?? []) },
			});
			await queryClient.invalidateQueries({ queryKey: [machine, "sessions"] });
			onPick({ machine, session: made.id });
		} catch (thrown) {
			setFailure(thrown);
		} finally {
			setBusy(false);
		}
	}
	return (
		<section className="stack tight" aria-label={name}>
			<h3>{name}</h3>
			{!signedIn ? (
				<Link className="button" href={terminalsPath(machine)}>
					{t.signIn(name)}
				</Link>
			) : (
				<>
					{error !== null && <ErrorNotice failure={error} onRetry={() => void refetch()} />}
					{isPending && error === null && <Skeletons count={1} height={44} label={name} />}
					{data?.sessions.length === 0 && <p className="muted small">{t.none}</p>}
					<ul className="pick-list">
						{data?.sessions.map((session) => (
							<li key={session.id}>
								<button
									type="button"
									className="button"
									disabled={shown.has(keyOf({ machine, session: session.id }))}
									onClick={() => onPick({ machine, session: session.id })}
								>
									<SquareTerminal size={16} aria-hidden="true" />
									<span className="clip">{session.name}</span>
									<span className="small muted clip mono">
										{shown.has(keyOf({ machine, session: session.id })) ? t.shown : session.command}
									</span>
								</button>
							</li>
						))}
						<li>
							<button type="button" className="button" disabled={busy} aria-busy={busy} onClick={() => void create()}>
								<Plus size={16} aria-hidden="true" /> {t.newOn(name)}
							</button>
						</li>
					</ul>
					{failure !== undefined && <ErrorNotice failure={failure} />}
				</>
			)}
		</section>
	);
}

function freeName(sessions: readonly Session[]): string {
	const taken = new Set(sessions.map((session) => session.name));
	for (let index = 1; ; index++) if (!taken.has(`view ${index}`)) return `view ${index}`;
}
