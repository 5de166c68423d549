// What a service in TypeScript writes with the types of openapi-typescript: compiled strictly, run by the test.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Schemas = components["schemas"];

async function main(baseUrl: string): Promise<void> {
  const client = createClient<paths>({ baseUrl });
  // Whatever is optional may be left out.
  const job: Schemas["JobRequest"] = { kind: "demo.echo" };
  const again: Schemas["RetryRequest"] = {};
  const accepted = await client.POST("/jobs", { body: job });
  if (!accepted.data) throw new Error(accepted.error.detail);
  const batch = await client.POST("/jobs/batch", { body: [job, { ...job, priority: "high", payload: [1, null] }] });
  const got = await client.GET("/jobs/{id}", { params: { path: { id: accepted.data.id } } });
  const listed = await client.GET("/jobs", { params: { query: { kind: "demo.echo", limit: 10 } } });
  const refused = await client.POST("/jobs/{id}/retry", { params: { path: { id: accepted.data.id } }, body: again });
  const code: Schemas["Problem"]["code"] | undefined = refused.error?.code;
  // @ts-expect-error a code is one of those that there are
  const wrong: boolean = code === "no_such_code";
  console.log(
    JSON.stringify({
      ids: [accepted.data.id, ...(batch.data?.ids ?? [])],
      kind: got.data?.kind,
      listed: listed.data?.jobs.map((one) => one.id),
      refused: [refused.response.status, code, wrong],
    }),
  );
}

void main(process.argv[2] ?? "");
