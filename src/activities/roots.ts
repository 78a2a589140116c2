import type { ApplicationFailure } from '@temporalio/common';
import { rootOf } from '../core/roots';
import { failure, type FailureType } from '../failures';

/** What the worker's operator allows; whoever starts workflows can reach nothing else. Real paths, without links. */
export interface AllowedRoots {
  readonly sources: readonly string[];
  readonly destinations: readonly string[];
  /** Destinations are accepted in which users besides the worker's own and root can replace what is written. */
  readonly trustDestinations?: boolean;
  /** Below the roots nothing but these and what is below them: what stands on a command line, which is no root itself. */
  readonly only?: { readonly sources?: readonly string[]; readonly destinations?: readonly string[] };
  /** Directories that have a circuit breaker each, for what is written below them; left out, the destination roots. */
  readonly guarded?: readonly string[];
}

/** @throws ApplicationFailure `SourceNotAllowed` */
export function sourceRoot({ sources, only }: AllowedRoots, path: string): string {
  return allowed(sources, only?.sources, path) ?? refuse('SourceNotAllowed', 'source', '--source-root', path, sources);
}

/** @throws ApplicationFailure `TargetNotAllowed` */
export function destinationRoot({ destinations, only }: AllowedRoots, path: string): string {
  return allowed(destinations, only?.destinations, path) ?? refuse('TargetNotAllowed', 'target', '--destination-root', path, destinations);
}

/** Of a repository that is read: it may lie where sources lie, or where it was written. @throws ApplicationFailure `SourceNotAllowed` */
export function readableRoot(roots: AllowedRoots, path: string): string {
  return allowed(roots.destinations, roots.only?.destinations, path) ?? sourceRoot(roots, path);
}

function allowed(roots: readonly string[], only: readonly string[] | undefined, path: string): string | undefined {
  return only === undefined || rootOf(only, path) !== undefined ? rootOf(roots, path) : undefined;
}

function refuse(type: FailureType, what: string, option: string, path: string, roots: readonly string[]): never {
  const allowed = roots.length === 0 ? `none is allowed, since ${option} was not given` : `${option} allows ${roots.join(', ')}`;
  throw refusal(type, `The worker may not use ${what} ${path}: ${allowed}`, path);
}

function refusal(type: FailureType, message: string, path: string): ApplicationFailure {
  return failure(type, message, { path });
}
