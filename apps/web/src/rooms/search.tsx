import { useQuery } from "@tanstack/react-query";
import { useDeferredValue, useState } from "react";
import type { MachineId } from "../api/machine.ts";
import { api } from "../api/warren.tsx";
import { ErrorNotice } from "../ui/states.tsx";
import { type Message, type Room } from "./api.ts";
import { MessageRow } from "./message.tsx";
import { apiPath } from "./paths.ts";
import { t } from "./text.ts";

export function SearchResults({ machine, room }: { machine: MachineId; room: Room }) {
	const [words, setWords] = useState("");
	const asked = useDeferredValue(words.trim());
	const { data, error } = useQuery({
		queryKey: [machine, "room-search", room.id, asked],
		queryFn: async ({ signal }) =>
			(
				await api.request<{ messages: Message[] }>(
					machine,
					apiPath(room.id, `/search?q=${encodeURIComponent(asked)}`),
					{
						signal,
					},
				)
			).messages,
		enabled: asked !== "",
		placeholderData: (previous) => previous,
	});
	return (
		<div className="messages">
			<input
				type="search"
				className="input"
				aria-label={t.searchIn(room.name)}
				placeholder={t.searchIn(room.name)}
				maxLength={200}
				value={words}
				// biome-ignore lint/a11y/noAutofocus: it was asked for with a button
				autoFocus
				onChange={(event) => setWords(event.target.value)}
			/>
			{error !== null && <ErrorNotice failure={error} />}
			{asked !== "" && data?.length === 0 && <p className="muted rooms-choose">{t.noHits}</p>}
			{asked !== "" && (
				<ol>
					{data?.map((message) => (
						<li key={message.id}>
							<MessageRow machine={machine} message={message} follows={false} />
						</li>
					))}
				</ol>
			)}
		</div>
	);
}
