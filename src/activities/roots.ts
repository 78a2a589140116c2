import type { ApplicationFailure } from '@temporalio/common';
import { rootOf } from '../core/roots';
import { failure, type FailureType } from '../failures';

/** What the worker's operator allows; whoever starts workflows can reach nothing else. Real paths, without links. */
export interface AllowedRoots {
  readonly sources: readonly string[];
  readonly destinations: readonly string[];
}

/** @throws ApplicationFailure `SourceNotAllowed` */
export function sourceRoot({ sources }: AllowedRoots, path: string): string {
  return rootOf(sources, path) ?? refuse('SourceNotAllowed', 'source', '--source-root', path, sources);
}

/** @throws ApplicationFailure `TargetNotAllowed` */
export function destinationRoot({ destinations }: AllowedRoots, path: string): string {
  return rootOf(destinations, path) ?? refuse('TargetNotAllowed', 'target', '--destination-root', path, destinations);
}

/** Of a repository that is read: it may lie where sources lie, or where it was written. @throws ApplicationFailure `SourceNotAllowed` */
export function readableRoot({ sources, destinations }: AllowedRoots, path: string): string {
  return rootOf(destinations, path) ?? sourceRoot({ sources, destinations }, path);
}

function refuse(type: FailureType, what: string, option: string, path: string, roots: readonly string[]): never {
  const allowed = roots.length === 0 ? `none is allowed, since ${option} was not given` : `${option} allows ${roots.join(', ')}`;
  throw refusal(type, `The worker may not use ${what} ${path}: ${allowed}`, path);
}

function refusal(type: FailureType, message: string, path: string): ApplicationFailure {
  return failure(type, message, { path });
}
