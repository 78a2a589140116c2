import { defineSearchAttributeKey } from '@temporalio/common';
import { BYTES_ATTRIBUTE, OPERATION_ATTRIBUTE, STATE_ATTRIBUTE } from './core/names';

/** Typed keys of the project's search attributes. They are never encrypted, so no paths are among them. */
export const stateKey = defineSearchAttributeKey(STATE_ATTRIBUTE, 'KEYWORD');
export const operationKey = defineSearchAttributeKey(OPERATION_ATTRIBUTE, 'KEYWORD');
/** Bytes in the published target. One of at most three Int attributes that an SQL visibility store has. */
export const bytesKey = defineSearchAttributeKey(BYTES_ATTRIBUTE, 'INT');
