import { useQuery } from "@tanstack/react-query";
import { self } from "../api/machine.ts";
import type { Device } from "../api/types.ts";
import { api } from "../api/warren.tsx";
import { ErrorNotice, Skeletons } from "../ui/states.tsx";
import { agoOf, momentOf } from "../ui/time.ts";
import { useHistory } from "./access-api.ts";
import { t } from "./text.ts";

/** Policies of before, with who and when; any of them comes back into the editor. */
export function PolicyHistory({ onRestore }: { onRestore: (text: string) => void }) {
	const { data, error, isPending, refetch } = useHistory(true);
	const devices = useQuery({
		queryKey: [self, "devices"],
		queryFn: ({ signal }) => api.request<{ devices: Device[] }>(self, "/api/devices", { signal }),
	}).data?.devices;
	const whoOf = (actor: string | null) =>
		actor === null
			? t.versions.elsewhere
			: (devices?.find((device) => actor === `device:${device.id}`)?.name ?? actor.replace(/^[a-z]+:/, ""));
	if (error !== null) return <ErrorNotice failure={error} onRetry={() => void refetch()} />;
	if (isPending) return <Skeletons count={3} height={52} label={t.loading} />;
	if (data.length === 0) return <p className="muted">{t.versions.empty}</p>;
	return (
		<ol className="card list versions">
			{data.map((version, index) => (
				<li key={`${version.etag} ${version.at}`}>
					<details className="grow">
						<summary>
							<span title={momentOf(version.at)}>{agoOf(version.at)}</span>
							<span className="muted">{whoOf(version.actor)}</span>
							{index === 0 && <span className="tag live">{t.versions.current}</span>}
						</summary>
						{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is reached by the keyboard */}
						<pre className="mono small" tabIndex={0} role="region" aria-label={t.versions.text(momentOf(version.at))}>
							{version.text}
						</pre>
					</details>
					{index > 0 && (
						<button type="button" className="button" onClick={() => onRestore(version.text)}>
							{t.versions.restore}
						</button>
					)}
				</li>
			))}
		</ol>
	);
}
