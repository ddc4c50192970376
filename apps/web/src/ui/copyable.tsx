import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { t } from "./text.ts";
import { toast } from "./toast.tsx";

/** An address, fingerprint or command that one tap copies. */
export function Copyable({ text, label, block = false }: { text: string; label: string; block?: boolean }) {
	const [copied, setCopied] = useState(false);
	useEffect(() => {
		if (!copied) return;
		const timer = setTimeout(() => setCopied(false), 1600);
		return () => clearTimeout(timer);
	}, [copied]);
	return (
		<button
			type="button"
			className={block ? "copyable block" : "copyable"}
			aria-label={t.copyOf(label, text)}
			title={t.copy(label)}
			onClick={() => void copyText(text).then(setCopied)}
		>
			<span>{text}</span>
			{copied ? <Check size={14} aria-hidden="true" /> : <Copy size={14} aria-hidden="true" />}
		</button>
	);
}

/** @returns whether the clipboard took it; says so when it did not. */
export async function copyText(text: string): Promise<boolean> {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		toast.add({
			title: t.copyRefused,
			description: t.copyRefusedFix,
			type: "error",
		});
		return false;
	}
}
