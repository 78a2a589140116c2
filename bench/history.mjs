/** What a run cost in Temporal's terms, through every continue-as-new. */
export async function historyFacts({ client }, workflowId, files) {
  const facts = { events: 0, actions: 0, largestPayloadBytes: 0, files };
  for (let runId = await firstRun(client, workflowId); runId !== undefined; ) {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    runId = undefined;
    for (const event of events) {
      facts.events += 1;
      facts.actions += actionsOf(event);
      facts.largestPayloadBytes = Math.max(facts.largestPayloadBytes, largestPayload(event));
      runId = event.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? runId;
    }
  }
  return facts;
}

/** Heartbeats that the worker has sent so far, from its own metrics. */
export async function heartbeatsOf({ metricsPort }) {
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  const counts = text.split('\n').filter((line) => line.startsWith('temporal_request{') && line.includes('"RecordActivityTaskHeartbeat"'));
  return counts.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

async function firstRun(client, workflowId) {
  const { raw } = await client.workflow.getHandle(workflowId).describe();
  return raw.workflowExtendedInfo?.originalStartTime && raw.workflowExecutionInfo.firstRunId ? raw.workflowExecutionInfo.firstRunId : raw.workflowExecutionInfo.execution.runId;
}

/** As the cloud's price list counts them, without heartbeats: starts, attempts of activities, timers, children, updates, upserts. */
function actionsOf(event) {
  if (event.activityTaskStartedEventAttributes) return event.activityTaskStartedEventAttributes.attempt;
  const counted = ['workflowExecutionStarted', 'timerStarted', 'startChildWorkflowExecutionInitiated', 'workflowExecutionUpdateAccepted', 'workflowExecutionSignaled', 'upsertWorkflowSearchAttributes', 'workflowPropertiesModified'];
  return counted.some((name) => event[`${name}EventAttributes`]) ? 1 : 0;
}

function largestPayload(value) {
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value)) return 0;
  const own = ArrayBuffer.isView(value.data) ? value.data.byteLength : 0;
  return Math.max(own, ...Object.values(value).map(largestPayload), 0);
}
