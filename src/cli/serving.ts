import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { liveUsers, registerUser, unregisterUser } from '../server/users';

/** A command's note that it has a worker for an operation. */
export interface Serving {
  /** Takes it back. @param isOver whether the operation has come to its end, so that nobody needs to know any more */
  end(isOver: boolean): void;
}

/** Notes of this state directory, a directory for each operation: an empty one says that its commands have ended, and it has not. */
const FOLDER = 'commands';

/** Notes in the state directory that this process serves an operation. */
export function noteServing(stateDirectory: string, operationId: string): Serving {
  const directory = join(stateDirectory, FOLDER, requireUuid(operationId));
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const registration = registerUser(directory);
  return {
    end: (isOver) => {
      unregisterUser(registration);
      if (isOver && readdirSync(directory).length === 0) rmdirSync(directory);
    },
  };
}

/** Whether commands of this state directory have served an operation, and none does any more: killed ones included. */
export function isLeftAlone(stateDirectory: string, operationId: string): boolean {
  if (!UUID.test(operationId)) return false;
  const directory = join(stateDirectory, FOLDER, operationId);
  return existsSync(directory) && liveUsers(directory).length === 0;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** It becomes the name of a directory. */
function requireUuid(operationId: string): string {
  if (UUID.test(operationId)) return operationId;
  throw new Error('The id of an operation must be a UUID');
}
