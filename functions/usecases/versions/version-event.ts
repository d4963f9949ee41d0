/** The `data` of `classifier.version.activated` and `.refused`: of one form, whoever made the version. */
import type { Version } from '../../../shared/wire/classifiers.ts';

export type VersionEvent = {
  readonly classifier: string;
  /** Null when a refused candidate did not become a version. */
  readonly version: number | null;
  /** What was served until then; of a refused candidate what is served still. */
  readonly previous: number | null;
  readonly kind: Version['kind'];
  readonly model: string | null;
  readonly reason: 'requested' | 'adapted' | 'trained';
  /** Of trained versions. */
  readonly job?: string;
  readonly reasons?: readonly { readonly code: string; readonly detail: string }[];
};

export function versionEventData(event: VersionEvent): Record<string, unknown> {
  return { object: 'classifier.version', ...event, job: event.job ?? null, reasons: event.reasons ?? [] };
}
