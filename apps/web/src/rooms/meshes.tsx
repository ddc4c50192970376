import { useState } from "react";
import type { MachineId } from "../api/machine.ts";
import { api, queryClient } from "../api/warren.tsx";
import { ErrorNotice, Notice } from "../ui/states.tsx";
import { type Trust, useInstances, useTrust } from "./api.ts";
import { t } from "./text.ts";

interface Row {
	meshId: string;
	name: string;
	here: boolean;
	known: Trust["meshes"][number] | undefined;
}

/** Other warrens: whom this one talks with, and by which key each is known. */
export function Meshes({ machine, own }: { machine: MachineId; own: string | null }) {
	const { data: trust } = useTrust(machine);
	const instances = useInstances(machine).data;
	const [failure, setFailure] = useState<unknown>();
	const [busy, setBusy] = useState(false);
	if (trust === undefined) return null;
	const { allow, block } = trust.access;
	const rows = rowsOf(trust, instances ?? [], own);
	async function decide(method: "PUT" | "POST" | "DELETE", path: string, body?: object) {
		setBusy(true);
		setFailure(undefined);
		try {
			const fresh = await api.request<Trust>(machine, path, { method, ...(body === undefined ? {} : { body }) });
			queryClient.setQueryData([machine, "gateway", "trust"], fresh);
			await queryClient.invalidateQueries({ queryKey: [machine, "gateway"] });
		} catch (thrown) {
			setFailure(thrown);
		}
		setBusy(false);
	}
	const access = (lists: Trust["access"]) => void decide("PUT", "/api/gateway/access", lists);
	const keyPath = (meshId: string) => `/api/gateway/keys/${encodeURIComponent(meshId)}`;
	return (
		<div className="stack">
			<h3>{t.meshes}</h3>
			<p className="small muted">
				{t.ownFingerprint} <span className="mono">{trust.own.fingerprint}</span>
			</p>
			<label className="row">
				<input
					type="checkbox"
					checked={allow !== null}
					disabled={busy}
					aria-busy={busy}
					onChange={(event) =>
						access({
							allow: event.target.checked
								? rows.filter((row) => !block.includes(row.meshId)).map((row) => row.meshId)
								: null,
							block,
						})
					}
				/>
				{t.onlyAllowed}
			</label>
			{rows.length === 0 && <p className="muted">{t.noMeshes}</p>}
			<ul className="mesh-list">
				{rows.map(({ meshId, name, here, known }) => {
					const admitted = !block.includes(meshId) && (allow === null || allow.includes(meshId));
					return (
						<li key={meshId}>
							<div className="row">
								<span className="grow clip" title={meshId}>
									{name}
								</span>
								{here && <span className="tag live">{t.meshHere}</span>}
								{!admitted && <span className="tag danger">{t.meshBlocked}</span>}
								<button
									type="button"
									className="button"
									aria-label={admitted ? t.blockMesh(name) : t.unblockMesh(name)}
									disabled={busy}
									aria-busy={busy}
									onClick={() => access(admitted ? without(trust.access, meshId) : withMesh(trust.access, meshId))}
								>
									{admitted ? t.block : t.unblock}
								</button>
							</div>
							<span className="small faint">
								{known === undefined ? t.noKeySeen : <span className="mono">{known.fingerprint}</span>}
							</span>
							{known !== undefined && known.refused > 0 && (
								<Notice tone="warn" title={t.refusedMessages(known.refused)}>
									<span>{known.refusedWhy}</span>
									<div className="row wrap">
										{known.offered !== null && (
											<>
												<span className="mono small">{known.offered}</span>
												<button
													type="button"
													className="button"
													disabled={busy}
													aria-busy={busy}
													onClick={() =>
														void decide("POST", `${keyPath(meshId)}/accept`, { fingerprint: known.offered })
													}
												>
													{t.acceptKey}
												</button>
											</>
										)}
										<button
											type="button"
											className="button"
											disabled={busy}
											aria-busy={busy}
											onClick={() => void decide("DELETE", keyPath(meshId))}
										>
											{t.forgetKey}
										</button>
									</div>
								</Notice>
							)}
						</li>
					);
				})}
			</ul>
			{failure !== undefined && <ErrorNotice failure={failure} />}
		</div>
	);
}

/** Everybody that is there, has been met, or is on a list. */
function rowsOf(trust: Trust, instances: readonly { meshId: string; name: string }[], own: string | null): Row[] {
	const rows = new Map<string, Row>();
	const add = (meshId: string, name: string, here: boolean) => {
		if (meshId === own) return;
		const known = trust.meshes.find((each) => each.meshId === meshId);
		const before = rows.get(meshId);
		rows.set(meshId, { meshId, name: before?.name ?? name, here: here || before?.here === true, known });
	};
	for (const each of instances) add(each.meshId, each.name, true);
	for (const each of trust.meshes) add(each.meshId, each.name, false);
	for (const each of [...trust.access.block, ...(trust.access.allow ?? [])]) add(each, each, false);
	return [...rows.values()].sort((a, b) => a.name.localeCompare(b.name));
}

const without = ({ allow, block }: Trust["access"], meshId: string): Trust["access"] =>
	allow === null
		? { allow, block: [...block.filter((each) => each !== meshId), meshId] }
		: { allow: allow.filter((each) => each !== meshId), block };

const withMesh = ({ allow, block }: Trust["access"], meshId: string): Trust["access"] => ({
	allow: allow === null ? null : [...allow.filter((each) => each !== meshId), meshId],
	block: block.filter((each) => each !== meshId),
});
