import type { ConnectionLike } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { messageOf } from '../core/error-message';
import { SEARCH_ATTRIBUTES } from '../core/names';

const { IndexedValueType } = temporal.api.enums.v1;

const indexedTypes = {
  Keyword: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
  Int: IndexedValueType.INDEXED_VALUE_TYPE_INT,
} as const;

/** What registering came to: without attributes backups work, but statistics and searches do not. */
export type Registration = { readonly registered: true } | { readonly registered: false; readonly reason: string };

/**
 * Makes sure that a namespace has the project's search attributes. Asks first: most servers have them already, and a
 * server may refuse (Temporal Cloud wants its own tool, SQL stores have few places).
 */
export async function registerSearchAttributes(connection: ConnectionLike, namespace: string): Promise<Registration> {
  const { operatorService } = connection;
  try {
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
    const missing = Object.entries(SEARCH_ATTRIBUTES).filter(([name]) => !(name in customAttributes));
    if (missing.length > 0) {
      await operatorService.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing.map(([name, type]) => [name, indexedTypes[type]])) });
    }
    return { registered: true };
  } catch (error) {
    return { registered: false, reason: messageOf(error) };
  }
}
