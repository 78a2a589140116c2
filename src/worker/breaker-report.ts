import { Runtime } from '@temporalio/worker';
import type { WorkerLog } from './worker-log';
import type { BreakerState } from '../core/breaker';
import type { BreakerListener } from '../activities/breakers';

/** Value of the `file_backup_circuit_state` gauge, per destination. */
const gaugeValues: Record<BreakerState['status'], number> = { closed: 0, halfOpen: 1, open: 2 };

/** Reports every change of a circuit: a log line and a gauge. */
export function watchBreakers(log: WorkerLog): BreakerListener {
  const gauge = Runtime.instance().metricMeter.createGauge('file_backup_circuit_state', 'int', undefined, 'Circuit of a destination: 0 closed, 1 half-open, 2 open');
  return (destination, { status }) => {
    gauge.set(gaugeValues[status], { destination });
    log[status === 'open' ? 'warn' : 'info']({ destination, circuit: status }, 'Circuit changed');
  };
}
