import { useState } from "react";
import { Link } from "wouter";
import type { Status } from "../../api/types.ts";
import { Copyable } from "../../ui/copyable.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { t as ui } from "../../ui/text.ts";
import { bytesOf, spanOf } from "../../ui/time.ts";
import { MachineNameForm } from "../machine-name-form.tsx";
import { t as named } from "../text/machine-name.ts";
import { t } from "../text/settings.ts";
import { SignOut } from "./sign-out.tsx";

export function About({ status }: { status: Status }) {
	const { node, process, roles } = status;
	const [renaming, setRenaming] = useState(false);
	return (
		<section className="section" aria-labelledby="about">
			<header>
				<h2 id="about">{t.about}</h2>
			</header>
			<dl className="card facts">
				<dt>{t.name}</dt>
				<dd className="row wrap">
					{node.name}
					<button type="button" className="link" onClick={() => setRenaming(true)}>
						{named.rename}
					</button>
				</dd>
				<dt>{t.version}</dt>
				<dd>
					<span className="mono">{node.version}</span>
					{node.version !== __WARREN_VERSION__ && (
						<span className="faint">
							{" "}
							· {t.pageVersion} <span className="mono">{__WARREN_VERSION__}</span>
						</span>
					)}
				</dd>
				<dt>{t.address}</dt>
				<dd>
					<Copyable text={node.url} label={ui.values.address} />
				</dd>
				{node.fingerprint && (
					<>
						<dt>{t.fingerprint}</dt>
						<dd>
							<Copyable text={node.fingerprint} label={ui.values.fingerprint} />
						</dd>
					</>
				)}
				<dt>{t.uptime}</dt>
				<dd>{spanOf(process.uptimeMs)}</dd>
				<dt>{t.memory}</dt>
				<dd>{bytesOf(process.memoryBytes)}</dd>
				<dt>{t.roles}</dt>
				<dd className="row wrap">
					{roles.map((role) => (
						<span key={role.name} className={role.state === "restarting" ? "tag warn" : "tag"} title={role.error}>
							{role.name}: {role.state}
						</span>
					))}
				</dd>
			</dl>
			<Dialog open={renaming} onClose={() => setRenaming(false)} title={named.title} lead={named.lead}>
				<MachineNameForm name={node.name} onDone={() => setRenaming(false)} />
			</Dialog>
			<div className="row wrap">
				<Link className="button" href="/trust">
					{t.trust}
				</Link>
				<SignOut />
			</div>
		</section>
	);
}
