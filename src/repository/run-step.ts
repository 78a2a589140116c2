import type { TransferControl } from '../storage/control';
import type { StepInput, StepName, StepResult } from '../storage/steps';

/** Runs a storage function somewhere, as a pool of threads does. */
export type RunStep = <Name extends StepName>(step: Name, input: StepInput<Name>, control: TransferControl) => Promise<StepResult<Name>>;
