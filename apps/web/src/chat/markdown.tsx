import { Check, Copy } from "lucide-react";
import { lexer, type Token, type Tokens } from "marked";
import { Fragment, memo, type ReactNode, useMemo, useState } from "react";
import { copyText } from "../ui/copyable.tsx";
import { t } from "./text.ts";

/**
 * A model's Markdown as elements of ours. What it writes as HTML is shown as text; a link goes to the web or to mail; an
 * image is a link, so that an answer cannot tell a far server that it was read.
 */
export const Markdown = memo(function Markdown({ text }: { text: string }) {
	const tokens = useMemo(() => tokensOf(text), [text]);
	return <div className="markdown">{tokens === null ? <p className="said">{text}</p> : blocks(tokens)}</div>;
});

/** Deeper than anybody means it, however much a model repeats itself: what lies below stands as it was written. */
const maxDepth = 32;

function tokensOf(text: string): readonly Token[] | null {
	try {
		return lexer(text);
	} catch {
		// Quotes or lists in each other, more than the lexer's own recursion takes: it stands as it was written.
		return null;
	}
}

function blocks(tokens: readonly Token[], depth = 0): ReactNode[] {
	// Order is all that tells them apart, and streamed text only grows at its end.
	return tokens.map((token, index) => <Fragment key={index}>{block(token, depth)}</Fragment>);
}

function block(token: Token, depth: number): ReactNode {
	if (depth > maxDepth) return token.raw;
	switch (token.type) {
		case "space":
		case "def":
			return null;
		case "heading": {
			const { depth, tokens } = token as Tokens.Heading;
			const Tag = depth <= 1 ? "h3" : depth === 2 ? "h4" : "h5";
			return <Tag>{inlines(tokens)}</Tag>;
		}
		case "paragraph":
			return <p>{inlines((token as Tokens.Paragraph).tokens)}</p>;
		case "text": {
			const { tokens, text } = token as Tokens.Text;
			return tokens === undefined ? text : inlines(tokens);
		}
		case "code":
			return <CodeBlock language={(token as Tokens.Code).lang ?? ""} text={(token as Tokens.Code).text} />;
		case "blockquote":
			return <blockquote>{blocks((token as Tokens.Blockquote).tokens, depth + 1)}</blockquote>;
		case "list": {
			const { ordered, start, items } = token as Tokens.List;
			const children = items.map((item, index) => <li key={index}>{blocks(item.tokens, depth + 1)}</li>);
			return ordered ? <ol start={start === "" ? 1 : start}>{children}</ol> : <ul>{children}</ul>;
		}
		case "table":
			return <Table table={token as Tokens.Table} />;
		case "hr":
			return <hr />;
		default:
			return token.raw;
	}
}

function inlines(tokens: readonly Token[], depth = 0): ReactNode[] {
	return tokens.map((token, index) => <Fragment key={index}>{inline(token, depth)}</Fragment>);
}

function inline(token: Token, depth: number): ReactNode {
	if (depth > maxDepth) return token.raw;
	switch (token.type) {
		case "strong":
			return <strong>{inlines((token as Tokens.Strong).tokens, depth + 1)}</strong>;
		case "em":
			return <em>{inlines((token as Tokens.Em).tokens, depth + 1)}</em>;
		case "del":
			return <del>{inlines((token as Tokens.Del).tokens, depth + 1)}</del>;
		case "codespan":
			return <code>{(token as Tokens.Codespan).text}</code>;
		case "br":
			return <br />;
		case "link": {
			const { href, tokens } = token as Tokens.Link;
			return <SafeLink href={href}>{inlines(tokens, depth + 1)}</SafeLink>;
		}
		case "image": {
			const { href, text } = token as Tokens.Image;
			return <SafeLink href={href}>{text === "" ? href : text}</SafeLink>;
		}
		case "escape":
		case "text": {
			const { tokens, text } = token as Tokens.Text;
			return tokens === undefined ? text : inlines(tokens, depth + 1);
		}
		default:
			return token.raw;
	}
}

export function isSafeHref(href: string): boolean {
	return /^(https?:\/\/|mailto:)/i.test(href.trim());
}

function SafeLink({ href, children }: { href: string; children: ReactNode }) {
	if (!isSafeHref(href)) return children;
	return (
		<a className="link" href={href} target="_blank" rel="noopener noreferrer nofollow">
			{children}
		</a>
	);
}

function CodeBlock({ language, text }: { language: string; text: string }) {
	const [copied, setCopied] = useState(false);
	return (
		<figure className="code-block">
			<figcaption>
				<span className="clip">{language.slice(0, 40)}</span>
				<button
					type="button"
					className="icon-button"
					aria-label={t.copyCode}
					title={t.copyCode}
					onClick={() => void copyText(text).then(setCopied)}
				>
					{copied ? <Check size={15} /> : <Copy size={15} />}
				</button>
			</figcaption>
			{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be reached by keys */}
			<pre tabIndex={0}>
				<code>{text}</code>
			</pre>
		</figure>
	);
}

function Table({ table }: { table: Tokens.Table }) {
	return (
		<div className="table-scroll">
			<table className="table">
				<thead>
					<tr>
						{table.header.map((cell, index) => (
							<th key={index}>{inlines(cell.tokens)}</th>
						))}
					</tr>
				</thead>
				<tbody>
					{table.rows.map((row, index) => (
						<tr key={index}>
							{row.map((cell, column) => (
								<td key={column}>{inlines(cell.tokens)}</td>
							))}
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}
