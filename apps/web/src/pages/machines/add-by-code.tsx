import { CircleCheck } from "lucide-react";
import { useEffect, useState } from "react";
import { useLocation } from "wouter";
import { tryEnrolWithAccount } from "../../api/enrolment.ts";
import { hub, useAccount, useHubRole } from "../../api/hub.ts";
import type { Machine } from "../../api/hub-types.ts";
import { isLoopback, reachableOrigin } from "../../api/links.ts";
import { terminalsPath } from "../../api/machine.ts";
import { watchJoins } from "../../api/machines-watch.ts";
import type { Peer } from "../../api/types.ts";
import { usePeers } from "../../api/warren.tsx";
import { Copyable } from "../../ui/copyable.tsx";
import { clockOf, useNow } from "../../ui/countdown.tsx";
import { ErrorNotice, Notice, Skeletons } from "../../ui/states.tsx";
import { StatusDot } from "../../ui/status-dot.tsx";
import { AccountSignIn } from "../account-sign-in.tsx";
import { t } from "../text/machines.ts";

interface Invite {
	code: string;
	hubUrl: string;
	expiresAt: number;
}

/** The one line to run on the new machine; it shows up here while one watches. */
export function AddByCode({ onClose }: { onClose: () => void }) {
	const account = useAccount();
	const [round, setRound] = useState(0);
	const [joined, setJoined] = useState<readonly Machine[]>([]);
	const token = account?.token;
	useEffect(() => {
		if (token === undefined) return;
		const watch = watchJoins(token, (machine) => setJoined((before) => [...before, machine]));
		return () => watch.close();
	}, [token]);
	if (account === undefined)
		return (
			<>
				<p className="muted">{t.codeSignIn}</p>
				<AccountSignIn />
			</>
		);
	return (
		<>
			{joined.map((machine) => (
				<Joined key={machine.nodeId} machine={machine} onClose={onClose} />
			))}
			{joined.length === 0 ? (
				<Code key={round} onAgain={() => setRound((now) => now + 1)} />
			) : (
				<div className="row end">
					<button
						type="button"
						className="button"
						onClick={() => {
							setJoined([]);
							setRound((now) => now + 1);
						}}
					>
						{t.codeNew}
					</button>
				</div>
			)}
		</>
	);
}

function Code({ onAgain }: { onAgain: () => void }) {
	const role = useHubRole();
	const now = useNow();
	const [invite, setInvite] = useState<Invite>();
	const [failure, setFailure] = useState<unknown>();
	useEffect(() => {
		const gone = new AbortController();
		hub
			.request<Invite>("/v1/invites", { method: "POST", body: {}, signal: gone.signal })
			.then(setInvite, (thrown: unknown) => {
				if (!gone.signal.aborted) setFailure(thrown);
			});
		return () => gone.abort();
	}, []);
	if (failure !== undefined) return <ErrorNotice failure={failure} onRetry={onAgain} />;
	if (invite === undefined) return <Skeletons count={3} height={44} label={t.code} />;
	if (invite.expiresAt <= now)
		return (
			<Notice
				title={t.codeOver}
				action={
					<button type="button" className="button primary" onClick={onAgain}>
						{t.codeNew}
					</button>
				}
			/>
		);
	// A joined machine's own address is not where one joins.
	const url = role === "hub" ? reachableOrigin(location, invite.hubUrl) : new URL(invite.hubUrl).origin;
	const join = `warren join ${url}`;
	return (
		<div className="stack tight">
			<p className="label">{t.codeCommand}</p>
			<Copyable block text={`WARREN_JOIN_CODE=${invite.code} ${join}`} label={t.command} />
			{isLoopback(new URL(url).hostname) && <Notice tone="warn" title={t.codeLoopback} />}
			<div className="waiting-line" role="status">
				<span className="pulse" aria-hidden="true" />
				<span className="grow">{t.waiting}</span>
				<span className="countdown muted" aria-live="off">
					{t.codeLeft(clockOf(invite.expiresAt - now))}
				</span>
			</div>
			<details className="other-way">
				<summary>{t.codeOtherWay}</summary>
				<div className="stack tight">
					<p className="small muted">{t.codeCheckout}</p>
					<Copyable block text={`WARREN_JOIN_CODE=${invite.code} npm start -- join ${url}`} label={t.checkoutCommand} />
					<p className="small muted">
						{t.codeOr} <code>{join}</code> {t.codeOrAfter}
					</p>
					<Copyable text={invite.code} label={t.code} />
				</div>
			</details>
		</div>
	);
}

function Joined({ machine, onClose }: { machine: Machine; onClose: () => void }) {
	const [, navigate] = useLocation();
	const [busy, setBusy] = useState(false);
	// The node lists it as a peer a moment after the hub has told of it.
	const peer = usePeers().data?.peers.find((each) => isPeerOf(machine, each));
	async function open(id: string) {
		setBusy(true);
		await tryEnrolWithAccount(id, machine.name);
		onClose();
		navigate(`${terminalsPath(id)}?new`);
	}
	return (
		<div className="notice joined" role="status">
			<CircleCheck size={18} aria-hidden="true" />
			<div className="body">
				<span className="title">{t.joined(machine.name)}</span>
				{peer === undefined && <StatusDot state="unknown">{t.reaching}</StatusDot>}
			</div>
			<button
				type="button"
				className="button primary"
				disabled={busy || peer === undefined}
				aria-busy={busy}
				onClick={() => peer !== undefined && void open(peer.id)}
			>
				{t.openTerminal}
			</button>
		</div>
	);
}

function isPeerOf(machine: Machine, peer: Peer): boolean {
	return peer.port === machine.port && (machine.hosts.includes(peer.host) || peer.name === machine.name);
}
