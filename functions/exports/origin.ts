/** Where an exported head comes from, and the text that travels with it in every format. */
import type { BackboneManifest } from '../../shared/catalogue.ts';
import type { Head } from '../../shared/head.ts';
import { PRESENT } from '../learning/score-head.ts';

export type Origin = {
  readonly classifier: string;
  readonly name: string;
  readonly version: number;
  /** ISO 8601. */
  readonly createdAt: string;
  /** Id of the backbone; null where callers bring their own vectors. */
  readonly backbone: string | null;
  /** null where there is no backbone or it is not published. */
  readonly manifest: BackboneManifest | null;
  /** `mdl_…` whose tail gives the tuned embedding. */
  readonly model: string | null;
};

/** Readable metadata: safetensors and ONNX allow text only, so whatever has parts is JSON. */
export function headMetadata(head: Head, origin: Origin): Record<string, string> {
  const rule = head.openSet;
  const multi = head.task === 'multi_label';
  return {
    classifier: origin.classifier,
    name: origin.name,
    version: String(origin.version),
    created_at: origin.createdAt,
    task: head.task,
    labels: JSON.stringify(head.labels),
    temperature: String(head.temperature),
    open_set: JSON.stringify(
      rule && {
        threshold: rule.threshold,
        false_reject_rate: rule.falseRejectRate,
        best_weight: rule.bestWeight,
        variance_weight: rule.varianceWeight,
      },
    ),
    thresholds: JSON.stringify({ unknown: rule?.threshold ?? null, present: multi ? PRESENT : null }),
    backbone: JSON.stringify(
      origin.backbone === null
        ? null
        : {
            id: origin.backbone,
            version: origin.manifest?.version ?? null,
            sha256: origin.manifest?.sha256 ?? null,
            tail_sha256: origin.manifest?.tail.model.sha256 ?? null,
            license: origin.manifest?.license ?? null,
          },
    ),
    model: JSON.stringify(origin.model),
    preprocessing: JSON.stringify(origin.manifest?.preprocessing ?? null),
  };
}
