/** The Worker's bindings and settings, parsed once at start: a missing one is named instead of failing somewhere later. */
import { z } from 'zod';
import type { ClassifierObject } from './domain/classifier-object.ts';
import type { QueueMessage } from './domain/queue-message.ts';

/** What wrangler.toml and the local stack must provide. */
export type Bindings = {
  readonly DB: D1Database;
  readonly CLASSIFIER: DurableObjectNamespace<ClassifierObject & Rpc.DurableObjectBranded>;
  readonly DELIVERIES: Queue<QueueMessage>;
  readonly GRAFT_OPERATOR_KEY: string;
  readonly GRAFT_RUNNER_TOKEN: string;
  readonly GRAFT_S3_ENDPOINT: string;
  /** Endpoint that presigned URLs carry when callers reach the store under another name; defaults to GRAFT_S3_ENDPOINT. */
  readonly GRAFT_S3_PUBLIC_ENDPOINT?: string;
  readonly GRAFT_S3_BUCKET: string;
  readonly GRAFT_S3_REGION: string;
  readonly GRAFT_S3_ACCESS_KEY_ID: string;
  readonly GRAFT_S3_SECRET_ACCESS_KEY: string;
  /** 32 bytes, base64: encrypts webhook secrets at rest (AES-GCM). */
  readonly GRAFT_SECRET_KEY: string;
  /** "1" only in development: webhooks may go to loopback addresses over http. */
  readonly GRAFT_ALLOW_LOOPBACK_WEBHOOKS?: string;
};

const Settings = z.object({
  operatorKey: z.string().min(16),
  runnerToken: z.string().min(16),
  s3: z.object({
    endpoint: z.url(),
    publicEndpoint: z.url(),
    bucket: z.string().min(1),
    region: z.string().min(1),
    accessKeyId: z.string().min(1),
    secretAccessKey: z.string().min(1),
  }),
  secretKey: z.string().min(40),
  allowLoopbackWebhooks: z.boolean(),
});
export type Settings = z.infer<typeof Settings>;

/** Throws a ZodError whose issues name the missing setting. */
export function parseSettings(env: Bindings): Settings {
  return Settings.parse({
    operatorKey: env.GRAFT_OPERATOR_KEY,
    runnerToken: env.GRAFT_RUNNER_TOKEN,
    s3: {
      endpoint: env.GRAFT_S3_ENDPOINT,
      publicEndpoint: env.GRAFT_S3_PUBLIC_ENDPOINT || env.GRAFT_S3_ENDPOINT,
      bucket: env.GRAFT_S3_BUCKET,
      region: env.GRAFT_S3_REGION,
      accessKeyId: env.GRAFT_S3_ACCESS_KEY_ID,
      secretAccessKey: env.GRAFT_S3_SECRET_ACCESS_KEY,
    },
    secretKey: env.GRAFT_SECRET_KEY,
    allowLoopbackWebhooks: env.GRAFT_ALLOW_LOOPBACK_WEBHOOKS === '1',
  });
}
