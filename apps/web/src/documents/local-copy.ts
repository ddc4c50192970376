/** The database of this browser that keeps a person's copy of a document. */
export const localCopyName = (userId: string, document: string) => `warren-document/${userId}/${document}`;
