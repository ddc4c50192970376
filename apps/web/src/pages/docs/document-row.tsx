import { type LucideIcon, Undo2 } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { keepDocument } from "../../api/documents.ts";
import type { ListedDocument } from "../../api/pending-documents.ts";
import { Menu, MenuItem, MenuSeparator } from "../../ui/menu.tsx";
import { agoOf } from "../../ui/time.ts";
import { t } from "../text/docs.ts";
import { DocumentDialogs, DocumentMenuItems, type DocumentOverlay } from "./document-actions.tsx";

export function DocumentRow(props: { record: ListedDocument; icon: LucideIcon; href: string }) {
	const { record, icon: Icon, href } = props;
	const [, navigate] = useLocation();
	const [overlay, setOverlay] = useState<DocumentOverlay>();
	return (
		<li className="doc-row">
			<Icon size={18} aria-hidden="true" />
			<div className="grow">
				<Link href={href} className="doc-link">
					<h2 className="clip">{record.title}</h2>
				</Link>
				<p className="small faint row wrap">
					<span>{t.changed(agoOf(record.updatedAt))}</span>
					{record.access !== "owner" && <span className="tag">{t.shared}</span>}
					{record.access === "read-only" && <span className="tag">{t.readOnly}</span>}
					{record.deletionWaits === true && <span className="tag">{t.deletedLater}</span>}
				</p>
			</div>
			<Menu label={t.actions(record.title)}>
				<MenuItem icon={<Icon size={16} />} onSelect={() => navigate(href)}>
					{t.open}
				</MenuItem>
				<MenuSeparator />
				{record.deletionWaits === true ? (
					<MenuItem icon={<Undo2 size={16} />} onSelect={() => void keepDocument(record.id)}>
						{t.keepAfterAll}
					</MenuItem>
				) : (
					<DocumentMenuItems record={record} onOverlay={setOverlay} />
				)}
			</Menu>
			<DocumentDialogs record={record} overlay={overlay} onClose={() => setOverlay(undefined)} />
		</li>
	);
}
