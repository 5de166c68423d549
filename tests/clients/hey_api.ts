// What a service in TypeScript writes with the client of @hey-api/openapi-ts: compiled strictly, run by the test.
import { client } from "./hey/client.gen";
import { getJob, listJobs, retryJob, submitBatch, submitJob } from "./hey/sdk.gen";
import type { JobRequest, Problem, RetryRequest } from "./hey/types.gen";

async function main(baseUrl: string): Promise<void> {
  client.setConfig({ baseUrl });
  // Whatever is optional may be left out.
  const job: JobRequest = { kind: "demo.echo" };
  const again: RetryRequest = {};
  const accepted = await submitJob({ body: job });
  if (!accepted.data) throw new Error(accepted.error?.detail);
  const batch = await submitBatch({ body: [job, { ...job, priority: "high", payload: [1, null] }] });
  const got = await getJob({ path: { id: accepted.data.id } });
  const listed = await listJobs({ query: { kind: "demo.echo", limit: 10 } });
  const refused = await retryJob({ path: { id: accepted.data.id }, body: again });
  const code: Problem["code"] | undefined = refused.error?.code;
  // @ts-expect-error a code is one of those that there are
  const wrong: boolean = code === "no_such_code";
  console.log(
    JSON.stringify({
      ids: [accepted.data.id, ...(batch.data?.ids ?? [])],
      kind: got.data?.kind,
      listed: listed.data?.jobs.map((one) => one.id),
      refused: [refused.response?.status, code, wrong],
    }),
  );
}

void main(process.argv[2] ?? "");
